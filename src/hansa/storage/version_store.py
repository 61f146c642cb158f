"""Version store: manifests, leases, the facts a node attests, and the content it serves.

Write order: chunks durable → manifest durable → attested and leased → transaction → bound at its block.
Only a bound version offers its chunks as duplicates; only a version all of whose packs are alive is
attested. What is neither bound nor leased may be collected.

One decision point between reuse and collection is `deciding`: under it a version is leased (by a look-up
that names it, by a manifest put, by an attestation), bound and unbound, and under it the collector looks
at what was leased since it marked, and forgets. So what was named or attested before is spared, and
what was forgotten before is not attested: the client sends it again.
"""

import contextlib
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from hansa import limits
from hansa.codec import decode, encode
from hansa.data.chunk import compute_sealed_digest
from hansa.data.hash_index_table import Bound, StoredChunk, VersionRef
from hansa.data.manifest import (
    Directory,
    DirectoryEntry,
    compute_root,
    decode_manifest,
    open_directory,
)
from hansa.errors import CorruptError, HansaError, InvalidError, MissingError
from hansa.ports import Clock
from hansa.storage.addresses import Alive
from hansa.storage.chunk_store import ChunkStore
from hansa.storage.leases import Leases
from hansa.storage.manifests import Manifests, is_bundled
from hansa.storage.names import MANIFESTS, PACKS
from hansa.types import ChunkId, Digest, Millis

_VERSION_ROW = b"v"
_READ_AGAIN = 3


class VersionRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A living version and what it added to the store when it was bound."""

    version: VersionRef
    content_bytes: int
    stored_bytes: int
    chunks: int
    chunks_new: int
    bytes_new: int
    """Sealed bytes no version had before."""
    manifest_bytes: int
    plain_bytes: int
    """Plain bytes of its distinct chunks."""
    files: int


@dataclass(frozen=True, slots=True)
class StoredFacts:
    """What a node may sign for a version: stored, durable, every pack alive, leased."""

    manifest_root: Digest
    manifest_bytes: int
    content_bytes: int
    """Plain bytes of all files, as the directory says."""
    stored_bytes: int
    """Sealed bytes of its distinct chunks."""
    files: int
    chunks: int
    """Distinct chunks."""
    leased_until_ms: Millis


@dataclass(frozen=True, slots=True)
class _ContentMap:
    """A directory in the form that serving needs."""

    entries: Sequence[DirectoryEntry]
    offsets: Sequence[int]
    """Where each sealed chunk starts in the content, and the content's end."""


class VersionStore:
    """Manifests and versions of one organisation, at its own node. Thread-safe."""

    def __init__(self, chunks: ChunkStore, directory_key: bytes, clock: Clock) -> None:
        """Take an open chunk store, the organisation's directory key (32 bytes) and a clock."""
        self.chunks = chunks
        self._directory_key = directory_key
        self.deciding = threading.RLock()
        """Held while something is leased, bound, unbound or collected."""
        self.collecting = threading.Lock()
        """Held by the one collection that may run."""
        self.leases = Leases(chunks.table, clock, self._is_store_empty)
        self.manifests = Manifests(chunks)
        self._roots: dict[VersionRef, bytes] = {}
        self.manifest_bytes = 0
        """Bytes of the manifests of bound versions."""
        self.manifest_object_bytes = 0
        """Of them, in objects of their own: the rest counts among the packs and the journal."""
        for root, row in self.versions():
            self._roots[row.version] = root
            self._count_manifest(row.manifest_bytes, 1)
        self._maps: OrderedDict[bytes, _ContentMap] = OrderedDict()
        self._mapping = threading.Lock()

    # --- in -------------------------------------------------------------------------------------

    def lookup(self, chunks: Sequence[ChunkId]) -> list[VersionRef | None]:
        """Return for each chunk a living version whose manifest holds its key; None = upload it.

        The versions named are leased: what the caller goes on to reuse stays while it uploads.

        Raises:
            InvalidError: too many at once, or a malformed id.
        """
        if len(chunks) > limits.LOOKUP_DIGESTS_MAX or any(len(chunk) != 32 for chunk in chunks):
            raise InvalidError(f"Look up at most {limits.LOOKUP_DIGESTS_MAX} ids of 32 bytes.")
        alive = Alive()
        answers: list[VersionRef | None] = []
        is_alive = self.chunks.addresses.is_address_alive
        for entry in self.chunks.index.lookup(chunks):
            usable = entry is not None and is_alive(entry.address, alive)
            answers.append(entry.version if entry and usable else None)
        with self.deciding:
            # A version that was retired since the look-up is named no more: it may be collected.
            named = {version: self._roots.get(version) for version in answers if version}
            self.leases.use(root for root in named.values() if root)
        return [version and (version if named[version] else None) for version in answers]

    def put_manifest(self, data: bytes) -> Digest:
        """Store a manifest durably, leased for its upload; return its root. Idempotent.

        Raises:
            InvalidError: malformed, or its directory is not sealed to this organisation's key.
            DiskFullError, StoreQuotaError: it was not stored.
        """
        try:
            self.decode_directory(data)
        except CorruptError as error:
            raise InvalidError(
                "The manifest's directory does not open with this organisation's directory key.",
                remedy="Publish with the keys of the organisation whose node this is.",
            ) from error
        root = compute_root(data)
        # Leased before it is there, so that no collection finds it unprotected.
        with self.deciding:
            self.leases.use([root])
        self.manifests.put(root, data)
        return root

    def attest(self, root: bytes, lease_ms: int) -> StoredFacts:
        """Check that a version is stored whole and lease it; the caller signs the facts.

        Args:
            root: of a manifest that was put.
            lease_ms: how long nothing of it may be collected without a transaction; at most
                LEASE_MS_MAX.

        Raises:
            MissingError: the manifest or some chunks are not there; upload them and ask again.
            CorruptError: the stored manifest is damaged.
        """
        # First the lease, then the look: what is collected before it is seen to be missing, and
        # after it nothing of this version is. A lease without an answer does no harm.
        with self.deciding:
            until = self.leases.attest(root, lease_ms)
        data = self.get_manifest(root)
        directory = self.decode_directory(data)
        missing = self.missing(directory)
        if missing:
            raise MissingError(
                f"{len(missing)} of {len(directory.entries)} chunks are not in the store.",
                remedy="Publish again: what is missing is sent anew.",
            )
        return StoredFacts(
            manifest_root=Digest(root),
            manifest_bytes=len(data),
            content_bytes=directory.content_bytes,
            stored_bytes=directory.stored_bytes,
            files=directory.files,
            chunks=len(directory.entries),
            leased_until_ms=until,
        )

    def missing(self, directory: Directory) -> list[DirectoryEntry]:
        """Return the entries whose sealed bytes are not alive in the store."""
        alive = Alive()
        missing: list[DirectoryEntry] = []
        for first in range(0, len(directory.entries), limits.LOOKUP_DIGESTS_MAX):
            entries = directory.entries[first : first + limits.LOOKUP_DIGESTS_MAX]
            found = self.chunks.index.locate_many(
                [entry.sealed_digest for entry in entries], [entry.chunk for entry in entries]
            )
            missing += [
                entry
                for entry, stored in zip(entries, found, strict=True)
                if stored is None
                or stored.address.length != entry.sealed_bytes
                or not self.chunks.is_alive(stored, alive)
            ]
        return missing

    # --- following the chain --------------------------------------------------------------------

    def bind(self, root: bytes, version: VersionRef) -> Bound:
        """Note that a block registered a version: from now on its chunks are found as duplicates.

        Idempotent. Raises as `get_manifest`.
        """
        data = self.get_manifest(root)
        return self._bind(root, version, len(data), self.decode_directory(data))

    def _bind(
        self, root: bytes, version: VersionRef, manifest_bytes: int, directory: Directory
    ) -> Bound:
        alive = Alive()

        def is_alive(stored: StoredChunk) -> bool:
            return self.chunks.is_alive(stored, alive)

        with self.deciding:
            self.leases.notice(root)
            bound = self.chunks.index.bind(version, directory.entries, is_alive)
            row = VersionRow(
                version,
                directory.content_bytes,
                directory.stored_bytes,
                len(directory.entries),
                bound.chunks_new,
                bound.bytes_new,
                manifest_bytes,
                directory.plain_bytes,
                directory.files,
            )
            known = self.chunks.table.get(_VERSION_ROW + root)
            if known is None:
                self._count_manifest(manifest_bytes, 1)
            else:
                self._roots.pop(decode(VersionRow, known).version, None)
            self.chunks.table.write([(_VERSION_ROW + root, encode(row))])
            self._roots[version] = root
        return bound

    def unbind(self, root: bytes) -> None:
        """Note that a version lives no longer; its chunks are no more found through it."""
        with self.deciding:
            row = self.chunks.table.get(_VERSION_ROW + root)
            if row is None:
                return
            found = decode(VersionRow, row)
            version = found.version
            self._count_manifest(found.manifest_bytes, -1)
            if self._roots.get(version) == root:
                del self._roots[version]
            sharers = self.chunks.index.unbind(version, also=[(_VERSION_ROW + root, None)])
            self.chunks.table.write(())
        for sharer in sharers:
            # What cannot be read now is bound again at the next start.
            with contextlib.suppress(MissingError, CorruptError):
                self._bind_again(sharer)

    def _bind_again(self, version: VersionRef) -> None:
        """Offer chunks of a living version that were found through one that has ended."""
        root = self._roots.get(version)
        if root is None:
            return
        directory = self.open_directory(root)
        alive = Alive()
        with self.deciding:
            row = self.chunks.table.get(_VERSION_ROW + root)
            if row is None or self._roots.get(version) != root:
                return
            bound = self.chunks.index.bind(
                version, directory.entries, lambda stored: self.chunks.is_alive(stored, alive)
            )
            renewed = msgspec.structs.replace(
                decode(VersionRow, row), chunks_new=bound.chunks_new, bytes_new=bound.bytes_new
            )
            self.chunks.table.write([(_VERSION_ROW + root, encode(renewed))])

    def rebuild(self, living: Iterable[tuple[bytes, VersionRef]]) -> list[bytes]:
        """Bind all living versions (roots and versions, from the chain) that are not bound yet.

        Also unbinds those that live no longer. Safe to call at every start.

        Returns:
            Roots whose manifest is missing or damaged; `check` tells more.
        """
        wanted = dict(living)
        bound = {root: row.version for root, row in self.versions()}
        for root in bound.keys() - wanted.keys():
            self.unbind(root)
        failed: list[bytes] = []
        new = [root for root, version in wanted.items() if bound.get(root) != version]
        for root, manifest, directory in self.open_manifests(new):
            if isinstance(directory, HansaError):
                failed.append(root)
            else:
                self._bind(root, wanted[root], len(manifest), directory)
        for version in self.chunks.index.orphans():
            with contextlib.suppress(MissingError, CorruptError):
                self._bind_again(version)
        return failed

    def is_bound(self, root: bytes) -> bool:
        """Tell whether a manifest is of a version bound here."""
        return self.chunks.table.get(_VERSION_ROW + root) is not None

    def versions(self) -> Iterator[tuple[bytes, VersionRow]]:
        """Yield the manifest root and facts of every bound version."""
        for key, row in self.chunks.table.scan(_VERSION_ROW):
            yield key[1:], decode(VersionRow, row)

    # --- out ------------------------------------------------------------------------------------

    def get_manifest(self, root: bytes) -> bytes:
        """Return a manifest's bytes, checked against their root.

        Raises:
            MissingError: not stored here.
            CorruptError: damaged.
        """
        return self.manifests.get(root)

    def content_bytes(self, root: bytes) -> int:
        """Return the length of a version's content: its sealed chunks, joined."""
        return self._content_map(root).offsets[-1]

    def read_content(self, root: bytes, offset: int, length: int) -> bytes:
        """Return sealed bytes of a version by their place in its content.

        Args:
            root: the version's manifest.
            offset: from 0.
            length: at most CONTENT_RANGE_BYTES_MAX; the range must lie inside the content.

        Raises:
            InvalidError: outside of the content, or too long.
            MissingError: a pack is gone.
            CorruptError: a chunk is not what was stored.
        """
        mapped = self._content_map(root)
        if not 0 <= length <= limits.CONTENT_RANGE_BYTES_MAX:
            raise InvalidError(f"Read at most {limits.CONTENT_RANGE_BYTES_MAX} bytes at once.")
        if offset < 0 or offset + length > mapped.offsets[-1]:
            raise InvalidError("The range lies outside of the version's content.")
        if length == 0:
            return b""
        first = bisect_right(mapped.offsets, offset) - 1
        last = bisect_right(mapped.offsets, offset + length - 1)
        joined = b"".join(self.read_entries(mapped.entries[first:last]))
        start = offset - mapped.offsets[first]
        return joined[start : start + length]

    # --- inside ---------------------------------------------------------------------------------

    def _count_manifest(self, size: int, sign: int) -> None:
        self.manifest_bytes += sign * size
        if not is_bundled(size):
            self.manifest_object_bytes += sign * size

    def _is_store_empty(self) -> bool:
        # Manifests wait in the journal too: attested ones may be all there is.
        if any(segment.records for segment in self.chunks.journal.list()):
            return False
        store = self.chunks.store
        return next(store.list(PACKS), None) is None and next(store.list(MANIFESTS), None) is None

    def open_directory(self, root: bytes) -> Directory:
        """Return the directory of a manifest in the store.

        Raises:
            MissingError: not stored here.
            CorruptError: damaged, or sealed to another key.
            InvalidError: it contradicts itself.
        """
        return self.decode_directory(self.get_manifest(root))

    def open_directories(
        self, roots: Iterable[bytes]
    ) -> Iterator[tuple[bytes, Directory | HansaError]]:
        """Yield roots, in order, with the directory or the error that `open_directory` would raise."""
        for root, _, directory in self.open_manifests(roots):
            yield root, directory

    def open_manifests(
        self, roots: Iterable[bytes]
    ) -> Iterator[tuple[bytes, bytes, Directory | HansaError]]:
        """Yield roots, in order, with a manifest's bytes and its directory, or nothing and an error."""
        for root, found in self.manifests.each(roots):
            if isinstance(found, HansaError):
                yield root, b"", found
                continue
            try:
                yield root, found, self.decode_directory(found)
            except (CorruptError, InvalidError) as error:
                yield root, b"", error

    def decode_directory(self, data: bytes) -> Directory:
        """Return the directory of a manifest's bytes; raises as `manifest.open_directory`."""
        return open_directory(decode_manifest(data), self._directory_key)

    def _content_map(self, root: bytes) -> _ContentMap:
        """Return a version's map, from the few kept in memory if it is there."""
        with self._mapping:
            mapped = self._maps.get(root)
            if mapped is not None:
                self._maps.move_to_end(root)
                return mapped
        # Who reads content has just read the manifest.
        directory = self.decode_directory(self.manifests.recall(root))
        mapped = _ContentMap(directory.entries, directory.offsets())
        with self._mapping:
            self._maps[root] = mapped
            while len(self._maps) > limits.OPEN_DIRECTORIES_MAX:
                self._maps.popitem(last=False)
        return mapped

    def read_entries(self, entries: Sequence[DirectoryEntry]) -> list[memoryview]:
        """Return the sealed bytes of each entry, verified; neighbours in a pack are read at once.

        Raises:
            MissingError: a pack is gone. CorruptError: a chunk is not what was stored.
        """
        for attempt in range(_READ_AGAIN):
            try:
                stored = self.chunks.locate_many([entry.sealed_digest for entry in entries])
                found = [place.address for place in stored]
                sealed = self.chunks.read_many(found)
            except MissingError as error:
                # Between look-up and read the journal's segment may have become a pack.
                if attempt == _READ_AGAIN - 1:
                    raise MissingError(
                        f"A pack of this version is gone from its owner's store: {error.message}",
                        remedy="The owner sees which datasets it hurts with `hansa store check`, and"
                        " publishes those again.",
                    ) from error
                continue
            for entry, piece in zip(entries, sealed, strict=True):
                if compute_sealed_digest(piece) != entry.sealed_digest:
                    self.chunks.mark_damaged([entry.sealed_digest])
                    raise CorruptError(
                        f"Chunk {entry.sealed_digest.hex()[:16]} is damaged in its owner's store.",
                        remedy="The owner finds what it hurts with `hansa store check --read-data`,"
                        " and publishes that again.",
                    )
            return sealed
        raise AssertionError("unreachable")
