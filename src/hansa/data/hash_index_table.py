"""Hash index table: which chunks the organisation holds already (paper 4.1 step 1, Figure 2).

Digest (chunk id) → sealed digest, fingerprint and a living version that uses the chunk; sealed digest
→ address. The digest judges: only a known digest is a duplicate. The fingerprint is a second, unique
key: two chunks with one fingerprint and different digests are both kept and the collision recorded,
never merged. It holds no keys and no plain digest, and it is a cache: rebuilt from pack footers
(`record`) and manifests' directories (`bind`), its loss loses nothing.

A chunk is looked up among those *bound* to a living version only: what was uploaded but never
published has a key nobody can find any more. Two uploads may seal one chunk twice; each manifest names
the sealing it uses, so neither can spoil the other.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from hansa.codec import decode, encode
from hansa.data.manifest import DirectoryEntry
from hansa.data.membership import MembershipFilter
from hansa.errors import CorruptError, InvalidError
from hansa.types import Address, ChunkId, DatasetId

_CHUNK, _FINGERPRINT, _SEALED, _COLLISION = b"c", b"f", b"s", b"x"
T = TypeVar("T")
Changes = Iterable[tuple[bytes, bytes | None]]


class Table(Protocol):
    """What is needed of a durable table."""

    def get(self, key: bytes) -> bytes | None:
        """Return a value or None."""
        ...

    def write(self, changes: Changes) -> None:
        """Apply puts and deletes in one atomic, durable step."""
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield pairs under a prefix in key order."""
        ...


class VersionRef(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A version of a dataset."""

    dataset: DatasetId
    number: int
    """From 1."""


class StoredChunk(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where one sealing of a chunk lies."""

    chunk: ChunkId
    fingerprint: bytes
    """36 bytes, or none in profile `blake3`."""
    address: Address


class IndexEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is known of a chunk that a living version uses."""

    sealed_digest: bytes
    fingerprint: bytes
    version: VersionRef


@dataclass(frozen=True, slots=True)
class Bound:
    """What binding a version added."""

    chunks_new: int
    chunks_duplicate: int
    bytes_new: int
    """Sealed bytes of the new ones."""
    collisions: int
    """New chunks whose fingerprint another chunk had already."""


class HashIndexTable:
    """The logic over a `Table`; one writer at a time (the caller's lock), any number of readers."""

    def __init__(self, table: Table) -> None:
        """Load the filter: one scan of the bound chunks' keys."""
        self._table = table
        self.reads = 0
        """Look-ups that went to the table, for tests and statistics."""
        self._filter = self._build_filter(0)

    @property
    def chunks(self) -> int:
        """Return about how many bound chunks there are (unbound ones are subtracted at restart)."""
        return self._filter.count

    @property
    def memory_bytes(self) -> int:
        """Return the memory the filter takes."""
        return self._filter.memory_bytes

    def lookup(self, chunks: Sequence[ChunkId]) -> list[IndexEntry | None]:
        """Return for each chunk what is known of it; None = new, mostly told without a disk read."""
        return [
            self._entry(chunk) if maybe else None
            for chunk, maybe in zip(chunks, self._filter.may_contain(chunks), strict=True)
        ]

    def locate(self, sealed_digest: bytes) -> StoredChunk | None:
        """Return where a sealed chunk lies, or None if it is not stored."""
        self.reads += 1
        row = self._table.get(_SEALED + sealed_digest)
        return None if row is None else _decode_row(StoredChunk, row)

    def stored(self) -> Iterator[tuple[bytes, StoredChunk]]:
        """Yield sealed digest and place of every stored chunk; reads the whole table."""
        for key, row in self._table.scan(_SEALED):
            yield key[1:], _decode_row(StoredChunk, row)

    def find_by_fingerprint(self, fingerprint: bytes) -> ChunkId | None:
        """Return the bound chunk that holds this fingerprint, or None."""
        row = self._table.get(_FINGERPRINT + fingerprint)
        return None if row is None else ChunkId(row)

    def record(self, stored: Iterable[tuple[bytes, StoredChunk]], also: Changes = ()) -> None:
        """Note or move addresses, by sealed digest, together with other rows in one durable step."""
        rows = [(_SEALED + sealed_digest, encode(chunk)) for sealed_digest, chunk in stored]
        self._table.write([*rows, *also])

    def forget(self, sealed_digests: Iterable[bytes], also: Changes = ()) -> None:
        """Drop addresses of chunks that are no more, with other rows in one durable step."""
        self._table.write([*((_SEALED + digest, None) for digest in sealed_digests), *also])

    def bind(
        self,
        version: VersionRef,
        entries: Sequence[DirectoryEntry],
        is_alive: Callable[[StoredChunk], bool],
        also: Changes = (),
    ) -> Bound:
        """Make a version's chunks known as duplicates-to-be; those known already stay as they are.

        Idempotent. Chunks whose sealed bytes are not alive are left out: they must come again; and
        a known one that is dead gives way.

        Args:
            version: which lives now.
            entries: its directory.
            is_alive: tells whether the pack of a stored chunk is there.
            also: other rows for the same durable step.
        """
        changes: list[tuple[bytes, bytes | None]] = []
        fresh: dict[bytes, ChunkId] = {}
        new = duplicate = bytes_new = collisions = 0
        for entry, known in zip(entries, self.lookup([e.chunk for e in entries]), strict=True):
            if known is not None and known.version != version:
                kept = self.locate(known.sealed_digest)
                if kept is not None and is_alive(kept):
                    duplicate += 1
                    continue
            stored = self.locate(entry.sealed_digest)
            if stored is None or stored.chunk != entry.chunk or not is_alive(stored):
                continue
            new += 1
            bytes_new += entry.sealed_bytes
            value = IndexEntry(entry.sealed_digest, stored.fingerprint, version)
            changes.append((_CHUNK + entry.chunk, encode(value)))
            if stored.fingerprint:
                holder = fresh.get(stored.fingerprint) or self.find_by_fingerprint(
                    stored.fingerprint
                )
                if holder is None:
                    fresh[stored.fingerprint] = entry.chunk
                    changes.append((_FINGERPRINT + stored.fingerprint, entry.chunk))
                elif holder != entry.chunk:
                    collisions += 1
                    changes.append((_COLLISION + stored.fingerprint + entry.chunk, b""))
        self._table.write([*changes, *also])
        self._remember([ChunkId(key[1:]) for key, _ in changes if key[:1] == _CHUNK])
        return Bound(new, duplicate, bytes_new, collisions)

    def unbind(
        self, version: VersionRef, entries: Sequence[DirectoryEntry], also: Changes = ()
    ) -> None:
        """Stop offering chunks as duplicates through a version that lives no longer.

        Those another living version uses become known again when that one is bound anew.
        """
        changes: list[tuple[bytes, bytes | None]] = []
        for entry in entries:
            known = self._entry(entry.chunk)
            if known is None or known.version != version:
                continue
            changes.append((_CHUNK + entry.chunk, None))
            if known.fingerprint and self.find_by_fingerprint(known.fingerprint) == entry.chunk:
                changes.append((_FINGERPRINT + known.fingerprint, None))
        self._table.write([*changes, *also])

    def collisions(self) -> int:
        """Return how many chunks were kept beside another with the same fingerprint."""
        return sum(1 for _ in self._table.scan(_COLLISION))

    def _entry(self, chunk: ChunkId) -> IndexEntry | None:
        self.reads += 1
        row = self._table.get(_CHUNK + chunk)
        return None if row is None else _decode_row(IndexEntry, row)

    def _remember(self, chunks: list[ChunkId]) -> None:
        self._filter.add(chunks)
        if self._filter.is_full:
            self._filter = self._build_filter(2 * self._filter.count)

    def _build_filter(self, capacity: int) -> MembershipFilter:
        """Return a filter over all bound chunks with room to grow."""
        keys = [key[1:] for key, _ in self._table.scan(_CHUNK)]
        built = MembershipFilter(max(capacity, len(keys) + len(keys) // 2))
        built.add(keys)
        return built


def _decode_row(kind: type[T], row: bytes) -> T:
    """Decode what this table wrote itself."""
    try:
        return decode(kind, row)
    except InvalidError as error:
        raise CorruptError(
            "The hash index table is damaged.",
            remedy="Stop the node and remove its table: it is rebuilt at the next start.",
        ) from error
