"""Manifests of versions: small ones lie in packs together, a large one is an object of its own.

A pack of manifests, a *bundle*, is a pack like any other (`pack.py`), gathered for BUNDLE_CLUSTER, which
no dataset has: an entry's chunk id is the manifest's root, its sealed digest the BLAKE3 of its bytes.
So journal, sealing, recovery, damage marks and repair are those of chunks, and where a manifest lies is
a record of the hash index table, found by its root and told again from the footers. What was found
under a root is judged by that root alone; the table may be wrong, an answer is not.

A root may also name an object of its own: a large manifest, or one that a release before bundles wrote.
"""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from hansa import limits
from hansa.codec import decode
from hansa.data.chunk import compute_sealed_digest
from hansa.data.hash_index_table import StoredChunk
from hansa.data.manifest import compute_root
from hansa.data.pipeline import UploadChunk
from hansa.errors import CorruptError, HansaError, InvalidError, MissingError
from hansa.storage.addresses import PACK_ROW, PackRow
from hansa.storage.chunk_store import ChunkStore
from hansa.storage.names import MANIFESTS, name_manifest, parse_root
from hansa.types import ChunkId

BUNDLE_CLUSTER = -2
"""For which packs of manifests are gathered: clusters of the index are counted from 0, -1 is none."""
_READ_AGAIN = 3
Found = bytes | HansaError
"""A manifest, or why it cannot be had."""
Sealing = tuple[bytes, StoredChunk]
"""Sealed digest of bundled bytes, and where they lie."""


def is_bundled(size: int) -> bool:
    """Tell whether a manifest of so many bytes lies in a bundle."""
    return size <= limits.BUNDLED_MANIFEST_BYTES_MAX


class Manifests:
    """The manifests of one organisation, at its own node. Thread-safe."""

    def __init__(self, chunks: ChunkStore) -> None:
        """Take the open chunk store, whose packs, journal and table they share."""
        self.admit: Callable[[int], None] | None = None
        """Asked before a manifest of its own is written; bundled ones are asked for as chunks are."""
        self._chunks = chunks
        self._store = chunks.store
        self._recent: OrderedDict[bytes, bytes] = OrderedDict()
        self._recent_bytes = 0
        self._keeping = threading.Lock()

    # --- in -------------------------------------------------------------------------------------

    def put(self, root: bytes, data: bytes) -> None:
        """Store a manifest; it is durable when this returns. Idempotent.

        Raises:
            DiskFullError, StoreQuotaError: it was not stored.
            UnavailableError: as `ChunkStore.put`, or the store is away.
        """
        if is_bundled(len(data)):
            self._chunks.put([UploadChunk(ChunkId(root), b"", data)], BUNDLE_CLUSTER)
            self._hand_over()
            return
        name = name_manifest(root)
        if self.admit is not None and not self._store.exists(name):
            self.admit(len(data))
        self._store.put(name, [data])

    # --- out ------------------------------------------------------------------------------------

    def get(self, root: bytes) -> bytes:
        """Return a manifest's bytes, read from the store and checked against their root.

        Raises:
            MissingError: not stored here.
            CorruptError: damaged.
        """
        ((_, found),) = self.each([root])
        if isinstance(found, HansaError):
            raise found
        return found

    def each(self, roots: Iterable[bytes]) -> Iterator[tuple[bytes, Found]]:
        """Yield roots, in order, with a manifest's bytes or the error that `get` would raise.

        Bundled ones that lie near each other are read at once; of others one at a time is in memory.

        Raises:
            UnavailableError: the store does not answer.
        """
        rest = iter(roots)
        while batch := list(islice(rest, limits.MANIFESTS_AT_ONCE_MAX)):
            found = self.bundled_of(batch)
            for root in batch:
                yield root, found[root] if root in found else self._get_object(root)

    def recall(self, root: bytes) -> bytes:
        """Return a manifest's bytes, perhaps from memory: for who goes on to serve its content.

        Raises: as `get`.
        """
        with self._keeping:
            known = self._recent.get(root)
            if known is not None:
                self._recent.move_to_end(root)
                return known
        data = self.get(root)
        self._keep(root, data)
        return data

    def read(self, root: bytes, offset: int, length: int) -> tuple[int, bytes]:
        """Return a manifest's length and some of its bytes; a large one's are not checked here.

        Raises:
            InvalidError: the range lies outside.
            MissingError, CorruptError: as `get`.
        """
        name = name_manifest(root)
        if root not in self._recent and not self._find([root])[0]:
            return self._store.size(name), self._store.get(name, offset, length) if length else b""
        data = self.recall(root)
        if offset + length > len(data):
            raise InvalidError(f"Bytes {offset} + {length} lie outside of {name}.")
        return len(data), data[offset : offset + length]

    # --- for collection and check ---------------------------------------------------------------

    def objects(self) -> set[bytes]:
        """Return the root of each manifest that is an object of its own."""
        found = {parse_root(name) for name in self._store.list(MANIFESTS)} - {None}
        return {root for root in found if root is not None}

    def bundled(self) -> dict[bytes, int]:
        """Return root and bytes of each manifest in a bundle or in the journal of one.

        Raises:
            UnavailableError: a bundle's footer cannot be read.
        """
        found: dict[bytes, int] = {}
        seen: set[bytes] = set()
        # What is sealed or written anew meanwhile lies in the journal or in a bundle of the second look.
        for is_last in (False, True):
            for pack in set(self.bundles()) - seen:
                seen.add(pack)
                with contextlib.suppress(MissingError):
                    entries = self._chunks.entries(pack)
                    found |= {bytes(entry.chunk): entry.length for entry in entries}
            if not is_last:
                for segment in self._chunks.journal.list():
                    if segment.cluster == BUNDLE_CLUSTER:
                        records = list(segment.records)
                        found |= {bytes(record.chunk): record.length for record in records}
        roots = sorted(found)
        sealings = zip(roots, self._find(roots), strict=True)
        # A bundle may hold what was collected, until it is written anew.
        return {root: found[root] for root, sealed in sealings if sealed}

    def bundles(self) -> list[bytes]:
        """Return the names of all bundles that are sealed."""
        return [root for root, row in self._chunks.packs() if row.cluster == BUNDLE_CLUSTER]

    def is_bundle(self, pack: bytes) -> bool:
        """Tell whether a pack or segment holds manifests."""
        segment = self._chunks.journal.segments.get(pack)
        if segment is not None:
            return segment.cluster == BUNDLE_CLUSTER
        row = self._chunks.table.get(PACK_ROW + pack)
        return row is not None and decode(PackRow, row).cluster == BUNDLE_CLUSTER

    def forget(self, root: bytes) -> bool:
        """Take a manifest out of its bundle; its bytes go when the bundle is written anew.

        Returns:
            False if it stays for now: it is in the journal, or an upload may be about to use it.
        """
        with self._keeping:
            self._recent_bytes -= len(self._recent.pop(root, b""))
        dead = {
            digest: stored.address.pack
            for digest, stored in self._find([root])[0]
            if self.is_bundle(stored.address.pack)
        }
        # What the journal holds would be noted again at the next start: first its pack.
        if any(pack in self._chunks.journal.segments for pack in dead.values()):
            return False
        return set(self._chunks.forget(list(dead))) == dead.keys()

    def gather(self, roots: Sequence[bytes]) -> int:
        """Move manifests that are small objects of their own to a bundle; return how many.

        The object is deleted once the bundle is sealed and the copy in it reads soundly. What is
        missing or damaged stays as it is.

        Raises:
            DiskFullError, UnavailableError: what was moved is moved; call again.
        """
        moved = 0
        for first in range(0, len(roots), limits.MANIFESTS_AT_ONCE_MAX):
            batch = roots[first : first + limits.MANIFESTS_AT_ONCE_MAX]
            copies = [
                UploadChunk(ChunkId(root), b"", data)
                for root in batch
                if not self._is_in_bundle(root)
                and isinstance(data := self._get_object(root), bytes)
            ]
            self._chunks.rewriting.restore(copies, BUNDLE_CLUSTER)
            self._chunks.flush(BUNDLE_CLUSTER)
            for root in batch:
                if self._is_in_bundle(root):
                    self._store.delete(name_manifest(root))
                    moved += 1
        return moved

    # --- inside ---------------------------------------------------------------------------------

    def _hand_over(self) -> None:
        """Have a segment sealed before it has a pack's size: that would take some 100,000 manifests."""
        handed_over = False
        with self._chunks.addresses.lock:
            for segment in self._chunks.journal.list():
                is_much = segment.size >= limits.BUNDLE_BYTES_WAITING_MAX
                if segment.cluster == BUNDLE_CLUSTER and is_much and not segment.is_full:
                    segment.is_full = handed_over = True
        if handed_over and self._chunks.when_full is not None:
            self._chunks.when_full()
        elif handed_over:
            # It is durable: a store that fails now is told by `trouble`, and tried again.
            with contextlib.suppress(HansaError):
                self._chunks.seal_full()

    def _is_in_bundle(self, root: bytes) -> bool:
        """Read what lies under a root in sealed bundles; tell whether it is the manifest."""
        for _, stored in self._find([root])[0]:
            if stored.address.pack not in self._chunks.journal.segments:
                data = self._read_one(stored)
                if isinstance(data, bytes) and compute_root(data) == root:
                    return True
        return False

    def _find(self, roots: Sequence[bytes]) -> list[list[Sealing]]:
        return self._chunks.index.find(roots)

    def _get_object(self, root: bytes) -> Found:
        try:
            data = self._store.get(name_manifest(root))
        except (MissingError, CorruptError) as error:
            return error
        return data if compute_root(data) == root else _damaged(root)

    def bundled_of(self, roots: Sequence[bytes]) -> dict[bytes, Found]:
        """Return what lies under each root that has a record, read together; others are left out.

        Args:
            roots: at most MANIFESTS_AT_ONCE_MAX.

        Raises:
            UnavailableError: the store does not answer.
        """
        named: list[tuple[bytes, bytes, StoredChunk]] = []
        for _ in range(_READ_AGAIN):
            named = [
                (root, digest, stored)
                for root, sealings in zip(roots, self._find(roots), strict=True)
                for digest, stored in sealings
            ]
            try:
                read = self._chunks.read_many([stored.address for _, _, stored in named])
            except MissingError:
                continue  # The journal's segment may have become a pack since.
            except CorruptError:
                break
            return self._judge(
                [(*one[:2], bytes(data)) for one, data in zip(named, read, strict=True)]
            )
        return self._judge([(*one[:2], self._read_one(one[2])) for one in named])

    def _read_one(self, stored: StoredChunk) -> Found:
        try:
            return self._chunks.read(stored.address)
        except (MissingError, CorruptError) as error:
            return error

    def _judge(self, read: Iterable[tuple[bytes, bytes, Found]]) -> dict[bytes, Found]:
        """Keep what has its root; of roots under which nothing does, an error or an own object."""
        found: dict[bytes, Found] = {}
        for root, digest, data in read:
            if isinstance(found.get(root), bytes):
                continue
            found[root] = data
            if isinstance(data, bytes) and compute_root(data) != root:
                found[root] = _damaged(root)
                if compute_sealed_digest(data) != digest:
                    self._chunks.mark_damaged([digest])
        for root, data in found.items():
            if not isinstance(data, bytes):
                other = self._get_object(root)
                found[root] = _explain(root, data) if isinstance(other, MissingError) else other
        return found

    def _keep(self, root: bytes, data: bytes) -> None:
        """Keep a small manifest in memory, and let go of those not asked for longest."""
        if not is_bundled(len(data)):
            return
        with self._keeping:
            if root not in self._recent:
                self._recent_bytes += len(data)
            self._recent[root] = data
            self._recent.move_to_end(root)
            while self._recent_bytes > limits.MANIFESTS_RECENT_BYTES_MAX:
                self._recent_bytes -= len(self._recent.popitem(last=False)[1])


def _explain(root: bytes, error: HansaError) -> HansaError:
    """Say of what holds a manifest and is missing whose it is; what is corrupt says it itself."""
    if not isinstance(error, MissingError):
        return error
    return MissingError(
        f"Manifest {root.hex()[:16]} is gone from its owner's store: {error.message}",
        remedy="The owner sees which datasets it hurts with `hansa store check`, and publishes those"
        " again.",
    )


def _damaged(root: bytes) -> CorruptError:
    return CorruptError(
        f"Manifest {root.hex()[:16]} is damaged in the store.",
        remedy="Run `hansa store check`; publish the files again as a new version.",
    )
