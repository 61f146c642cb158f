"""What a job does to the own store: check, collect, repair, with the chain as this node knows it.

It joins what the store's parts are handed: which versions live (the state), whether that state is the
alliance's newest, which cluster a dataset lies in now (the index), and the keys kept for it (custody).
"""

import hashlib
from collections.abc import Callable, Sequence

from hansa.chain.state import State
from hansa.node.catalogue import living_versions
from hansa.node.custody import Custody
from hansa.ports import Clock
from hansa.rest import (
    CheckReport,
    CollectReport,
    HurtDataset,
    RepairReport,
    StoreJobRequest,
)
from hansa.storage import check, collect, repair
from hansa.storage.addresses import Damage
from hansa.storage.collection import CollectOptions
from hansa.storage.marking import ChainView
from hansa.storage.progress import Progress
from hansa.storage.version_store import VersionStore
from hansa.types import DatasetId, OrganisationName, RequestId

PROBLEMS_MAX = 1_000


class StoreWork:
    """Implements `keeping.Storekeeping` for one node."""

    def __init__(
        self,
        *,
        organisation: OrganisationName,
        versions: VersionStore,
        directory_key: bytes,
        custody: Custody,
        state: Callable[[], State],
        behind: Callable[[], str],
        nearest_cluster: Callable[[Sequence[int]], str],
        clock: Clock,
    ) -> None:
        """Take the parts.

        Args:
            organisation: whose node this is.
            versions: the open store.
            directory_key: opens footers.
            custody: keeps the keys of own versions and of grants.
            state: returns the state after the last durable block.
            behind: returns why that may not be the alliance's newest block; empty if it is.
            nearest_cluster: returns the label of the cluster that features lie in now.
            clock: for the grace period.
        """
        self._organisation = organisation
        self._versions = versions
        self._directory_key = directory_key
        self._custody = custody
        self._state = state
        self._behind = behind
        self._nearest_cluster = nearest_cluster
        self._clock = clock
        self._reason = "the node has not looked at the alliance yet"

    def prepare(self) -> None:
        """See whether this node knows the alliance's newest block; called on the event loop."""
        self._reason = self._behind()

    def do(
        self, request: StoreJobRequest, progress: Progress
    ) -> CheckReport | CollectReport | RepairReport:
        """Do one job to its end; called in a worker thread."""
        if request.work == "check":
            return self._check(request, progress)
        if request.work == "collect":
            return self._collect(request, progress)
        return self._repair(request, progress)

    def collected_ms(self) -> int:
        """Return when the last collection ended; 0 if none did."""
        return collect.collected_ms(self._versions.chunks.table)

    # --- the three --------------------------------------------------------------------------------

    def _check(self, request: StoreJobRequest, progress: Progress) -> CheckReport:
        found = check.check(
            self._versions, self._directory_key, read_data=request.read_data, progress=progress
        )
        return CheckReport(
            packs=found.packs,
            chunks=self._versions.chunks.index.chunks,
            bytes_read=found.bytes_read,
            problems=_problems(found.damages),
            damaged_datasets=sorted({one.version.dataset.hex() for one in found.hurt}),
            manifests=found.manifests,
            read_data=found.read_data,
            hurt=self._hurt(found.hurt),
        )

    def _collect(self, request: StoreJobRequest, progress: Progress) -> CollectReport:
        state = self._state()
        wraps = 0
        if not request.dry_run:
            wraps = self._custody.destroy_wraps(lambda which: is_over(state, which))
        options = CollectOptions(request.grace_ms, request.dry_run, request.compact)
        found = collect.collect(
            self._versions,
            self._custody,
            self.look,
            self._clock,
            options=options,
            cluster_of=self._cluster_of,
            progress=progress,
        )
        return CollectReport(
            dry_run=request.dry_run,
            chunks=found.chunks,
            chunks_needed=found.chunks_needed,
            chunks_fresh=found.chunks_fresh,
            chunks_condemned=found.chunks_condemned,
            bytes_condemned=found.bytes_condemned,
            chunks_waiting=found.chunks_waiting,
            bytes_waiting=found.bytes_waiting,
            chunks_forgotten=found.chunks_forgotten,
            bytes_forgotten=found.bytes_forgotten,
            manifests_condemned=found.manifests_condemned,
            manifests_waiting=found.manifests_waiting,
            manifests_deleted=found.manifests_deleted,
            keys_destroyed=found.keys_destroyed,
            wraps_destroyed=wraps,
            packs_deleted=found.packs_deleted,
            packs_rewritten=found.packs_rewritten,
            bytes_freed=found.bytes_freed,
        )

    def _repair(self, request: StoreJobRequest, progress: Progress) -> RepairReport:
        found = repair.repair(
            self._versions,
            self._directory_key,
            self.look().living,
            dry_run=request.dry_run,
            rebuild_table=request.rebuild_table,
            progress=progress,
        )
        return RepairReport(
            dry_run=request.dry_run,
            packs_adopted=found.packs_adopted,
            packs_rewritten=found.packs_rewritten,
            chunks_saved=found.chunks_saved,
            chunks_lost=found.chunks_lost,
            segments_adopted=found.segments_adopted,
            versions_bound=found.versions_bound,
            problems=_problems(found.damages),
            hurt=self._hurt(found.hurt),
        )

    # --- the chain --------------------------------------------------------------------------------

    def look(self) -> ChainView:
        """Return the chain as this node knows it now; the state can only have become newer."""
        state = self._state()
        living = living_versions(state, self._organisation)
        return ChainView(state.height, state.time_ms, living, self._reason)

    def _cluster_of(self, dataset: DatasetId) -> int:
        found = self._state().dataset(dataset)
        if found is None:
            return 0
        return cluster_number(self._nearest_cluster(found.description.features))

    def _hurt(self, hurt: Sequence[check.HurtVersion]) -> list[HurtDataset]:
        state = self._state()
        found = []
        for one in hurt:
            dataset = state.dataset(one.version.dataset)
            found.append(
                HurtDataset(
                    dataset=one.version.dataset.hex(),
                    title=dataset.description.title if dataset else "",
                    version=one.version.number,
                    chunks=one.chunks_missing,
                    bytes=one.bytes_missing,
                    files=one.files,
                )
            )
        return found


def is_over(state: State, request: RequestId) -> bool:
    """Tell whether the keys wrapped for a request have no use any more: ended, or its data is."""
    found = state.request(request)
    if found is None:
        return False
    dataset = state.dataset(found.dataset)
    is_retired = dataset is not None and dataset.status == "retired"
    return is_retired or found.status in {"denied", "revoked"}


def cluster_number(label: str) -> int:
    """Return the number by which packs know a cluster; 0 stands for none."""
    if not label:
        return 0
    if label.isascii() and label.isdigit() and len(label) < 10:
        return int(label)
    return int.from_bytes(hashlib.sha256(label.encode()).digest()[:4], "big") >> 1


def _problems(damages: Sequence[Damage]) -> list[str]:
    return [f"{item.kind} {item.name}: {item.detail}" for item in damages][:PROBLEMS_MAX]
