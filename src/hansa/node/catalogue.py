"""Follows the chain for what lies beside it: the information index and the hash index table.

Both are caches that can be made again from the blocks, so they may lag a little and never hold a
block up. Upon a block: its changes go to the index; own versions that it registers are bound in the
store (their chunks are duplicates from now on), those it retires are unbound.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from structlog.typing import FilteringBoundLogger

from hansa.chain.blocks import CertifiedBlock
from hansa.chain.records import DatasetRecord
from hansa.chain.state import State
from hansa.chain.transactions import (
    AddVersion,
    Description,
    Redescribe,
    RegisterDataset,
    RetireDataset,
    derive_id,
)
from hansa.data.hash_index_table import VersionRef
from hansa.errors import CorruptError, MissingError, UnavailableError
from hansa.index.information_index import InformationIndex
from hansa.index.records import IndexChange, IndexRecord
from hansa.node.parts import LocatingLedger
from hansa.ports import Workers
from hansa.storage.version_store import VersionStore
from hansa.types import DatasetId, Height, OrganisationName

RETRY_S = 2
RECENT_MAX = 8


class Catalogue:
    """Feeds blocks to index and store, in order, off the event loop."""

    def __init__(
        self,
        *,
        organisation: OrganisationName,
        state: Callable[[], State],
        ledger: LocatingLedger,
        index: InformationIndex,
        versions: VersionStore,
        workers: Workers,
        log: FilteringBoundLogger,
    ) -> None:
        self._organisation = organisation
        self._state = state
        self._ledger = ledger
        self._index = index
        self._versions = versions
        self._workers = workers
        self._log = log
        self._news = asyncio.Event()
        self._registered: dict[int, list[DatasetRecord]] | None = None
        """Living datasets by the height of their registration, while blocks are missing."""
        self._registered_until = range(0)
        self._recent: deque[CertifiedBlock] = deque(maxlen=RECENT_MAX)
        """The newest blocks of this run; one thread appends, another looks."""
        self.lost_manifests = 0
        """Own living versions whose manifest is missing or damaged; health tells of them."""

    def committed(self, certified: CertifiedBlock) -> None:
        """Tell that the ledger has a new block; the newest few need not be read from it again."""
        self._recent.append(certified)
        self._news.set()

    async def run(self) -> None:
        """Catch up with the ledger, then follow it until cancelled.

        Table and index are caches of the chain: a disk that is full or away makes them late, which
        health tells, and does not end the node.
        """
        await self._insist(self.rebuild_store)
        self._news.set()
        while True:
            await self._news.wait()
            self._news.clear()
            while self._index.height < self._ledger.height():
                if not self.pass_over():
                    await self._insist(self.take_next)

    async def _insist(self, work: Callable[[], None]) -> None:
        """Do a piece of work off the loop, again after a while if the disk refuses it."""
        while True:
            try:
                await self._workers.run(work)
            except UnavailableError as error:
                self._log.error("catalogue-late", code=error.code, message=error.message)
                await asyncio.sleep(RETRY_S)
            else:
                return

    def rebuild_store(self) -> None:
        """Bring the store's living versions in line with the state; done at each start."""
        failed = self._versions.rebuild(living_versions(self._state(), self._organisation).items())
        self.lost_manifests = len(failed)
        for root in failed:
            self._log.error("manifest-lost", manifest=root.hex())

    def pass_over(self) -> bool:
        """Go past the block after the index's height if nothing in it is for index or store.

        Most blocks are such: to tell costs less than to hand one to another thread and to hear of it.

        Returns:
            Whether it was passed; if not, nothing has changed.
        """
        height = Height(self._index.height + 1)
        certified = self._find_recent(height)
        if certified is None or any(accepted_operations(certified)):
            return False
        try:
            self._index.apply(height, [])
        except UnavailableError:
            return False  # Left to who tries again.
        return True

    def take_next(self) -> None:
        """Feed the block after the index's height. Once more after a crash is harmless."""
        height = Height(self._index.height + 1)
        certified = self._find_recent(height) or self._ledger.block(height)
        state = self._state()
        if certified is None:
            if height <= self._ledger.height():
                self._index.apply(height, self._changes_without_block(height, state))
            return
        for operation, dataset_id in accepted_operations(certified):
            dataset = state.dataset(dataset_id)
            if dataset is not None and dataset.owner == self._organisation:
                self._follow_store(operation, dataset, height)
        self._index.apply(height, index_changes(certified, state))

    def _changes_without_block(self, height: Height, state: State) -> list[IndexChange]:
        """Return what is fed for a block that is not here: what lives of its registrations, as it is now."""
        if self._registered is None or height not in self._registered_until:
            living = [item for item in state.datasets() if item.status == "active"]
            self._registered = {}
            self._registered_until = range(1, state.height + 1)
            for dataset in living:
                self._registered.setdefault(dataset.height, []).append(dataset)
        found = self._registered.get(height, [])
        return [
            IndexChange(item.id, _record(item, item.description, state.height)) for item in found
        ]

    def _find_recent(self, height: Height) -> CertifiedBlock | None:
        recent = {item.block.header.height: item for item in tuple(self._recent)}
        return recent.get(height)

    def _follow_store(self, operation: object, dataset: DatasetRecord, height: Height) -> None:
        if isinstance(operation, RetireDataset):
            for version in dataset.versions:
                self._versions.unbind(version.manifest_root)
            self._keep_shared(dataset)
        elif isinstance(operation, RegisterDataset | AddVersion) and dataset.status == "active":
            root = operation.version.manifest_root
            number = next(v.number for v in dataset.versions if v.manifest_root == root)
            self._bind(root, VersionRef(dataset.id, number), height)

    def _keep_shared(self, retired: DatasetRecord) -> None:
        """Bind again what a retired dataset had in common with a living one: the very manifest."""
        living = living_versions(self._state(), self._organisation)
        for version in retired.versions:
            shared = living.get(version.manifest_root)
            if shared is not None:
                self._bind(version.manifest_root, shared, retired.changed_height)

    def _bind(self, root: bytes, version: VersionRef, height: Height) -> None:
        try:
            self._versions.bind(root, version)
        except (MissingError, CorruptError) as error:
            self.lost_manifests += 1
            self._log.error("manifest-lost", manifest=root.hex(), height=height, code=error.code)


def living_versions(state: State, organisation: str) -> dict[bytes, VersionRef]:
    """Return manifest root → version, of all versions of an organisation that live."""
    return {
        version.manifest_root: VersionRef(dataset.id, version.number)
        for dataset in state.datasets()
        if dataset.owner == organisation and dataset.status == "active"
        for version in dataset.versions
    }


def accepted_operations(certified: CertifiedBlock) -> Iterator[tuple[object, DatasetId]]:
    """Yield each accepted operation on a dataset, with the dataset's id, in order."""
    block = certified.block
    for transaction, result in zip(block.transactions, block.results, strict=True):
        if not result.accepted:
            continue
        digest = transaction.digest()
        for index, operation in enumerate(transaction.body.operations):
            if isinstance(operation, RegisterDataset):
                yield operation, DatasetId(derive_id(digest, index))
            elif isinstance(operation, AddVersion | Redescribe | RetireDataset):
                yield operation, operation.dataset


def index_changes(certified: CertifiedBlock, state: State) -> list[IndexChange]:
    """Return what a block changes in the index.

    Args:
        certified: the block.
        state: after this block or a later one; only what held at the block's height is used.
    """
    height = certified.block.header.height
    changes: list[IndexChange] = []
    for operation, dataset_id in accepted_operations(certified):
        if isinstance(operation, RetireDataset):
            changes.append(IndexChange(dataset_id, None))
            continue
        dataset = state.dataset(dataset_id)
        assert dataset is not None, "an accepted operation names a dataset of the state"
        assert isinstance(operation, RegisterDataset | AddVersion | Redescribe)
        changes.append(IndexChange(dataset_id, _record(dataset, operation.description, height)))
    return changes


def _record(dataset: DatasetRecord, description: Description, height: Height) -> IndexRecord:
    version = max(
        (item for item in dataset.versions if item.height <= height), key=lambda item: item.number
    )
    return IndexRecord(
        dataset=dataset.id,
        version=version.number,
        height=height,
        owner=dataset.owner,
        title=description.title,
        description=description.description,
        keywords=description.keywords,
        themes=description.themes,
        place=description.place,
        box=description.box,
        interval=description.interval,
        formats=description.formats,
        words=description.words,
        features=description.features,
        content_bytes=version.content_bytes,
    )
