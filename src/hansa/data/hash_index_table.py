"""Hash index table: which chunks the organisation holds already (paper 4.1 step 1, Figure 2).

Digest (chunk id) → sealed digest, fingerprint, address and a living version that uses the chunk. The
digest judges: only a known digest is a duplicate. The fingerprint is a second, unique key: two chunks with
one fingerprint and different digests are both kept and the collision recorded, never merged. It holds no
keys and no plain digest, and it is a cache: rebuilt from pack footers (`record`) and manifests'
directories (`bind`), its loss loses nothing. How it lies on disk and what it takes in memory: `chunk_index`.

A chunk is looked up among those *bound* to a living version only: what was uploaded but never
published has a key nobody can find any more. Two uploads may seal one chunk twice; each manifest names
the sealing it uses, so neither can spoil the other.

A chunk is offered through one version. Others that use it are remembered version by version, not chunk by
chunk: when the one ends, `unbind` names the others, and binding them anew offers their chunks again.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from hansa.data.chunk_index import (
    Change,
    ChunkIndex,
    Fields,
    Mask,
    StoredChunk,
    Table,
    fingerprint_of,
)
from hansa.data.chunk_records import FIELDS, RECORD, Records
from hansa.data.index_names import BoundVersions, VersionRef
from hansa.data.manifest import DirectoryEntry
from hansa.errors import HansaError
from hansa.types import Address, ChunkId

__all__ = ["Bound", "HashIndexTable", "IndexEntry", "StoredChunk", "VersionRef"]

_COLLISION = b"X"
_BATCH = 1_024


class IndexEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is known of a chunk that a living version uses."""

    sealed_digest: bytes
    fingerprint: bytes
    version: VersionRef
    address: Address


@dataclass(frozen=True, slots=True)
class Bound:
    """What binding a version added."""

    chunks_new: int
    """Offered through this version."""
    chunks_duplicate: int
    bytes_new: int
    """Sealed bytes of the new ones."""
    collisions: int
    """New chunks whose fingerprint another chunk had already."""


@dataclass(slots=True)
class _Candidate:
    """A record of a chunk that is being bound."""

    ordinal: int
    fields: Fields
    is_alive: bool


@dataclass(slots=True)
class _Tally:
    """What a batch of `bind` decides."""

    number: int
    """Of the version."""
    new: dict[int, Fields] = field(default_factory=dict)
    """Records that are bound to it, by ordinal."""
    given_up: dict[int, Fields] = field(default_factory=dict)
    """Dead records that give way."""
    through: set[int] = field(default_factory=set)
    """Versions that offer its duplicates."""
    duplicate: int = 0
    bytes_new: int = 0
    collisions: int = 0


class HashIndexTable:
    """The logic over a `Table`; any number of threads."""

    def __init__(self, table: Table) -> None:
        """Open: what came since the last flush is read again, nothing else.

        Raises:
            CorruptError: the table is not what was written; begin it anew.
        """
        self._table = table
        self._index = ChunkIndex(table)
        self._bound: BoundVersions | None = BoundVersions(table)

    @property
    def chunks(self) -> int:
        """Return how many chunks are offered as duplicates."""
        return self._versions.chunks

    @property
    def memory_bytes(self) -> int:
        """Return the memory that grows with the chunks."""
        return self._index.memory_bytes

    @property
    def reads(self) -> int:
        """Return how many look-ups went to the table, for tests and statistics."""
        return self._index.reads

    def close(self) -> None:
        """Save the filter and write what was noted, so that the next open reads no records again.

        Raises:
            DiskFullError: the next open takes longer; nothing else is lost.
        """
        with self._table.changing():
            self._index.save()
            self._table.write(())

    # --- out ------------------------------------------------------------------------------------

    def lookup(self, chunks: Sequence[ChunkId]) -> list[IndexEntry | None]:
        """Return for each chunk what is known of it; None = new, mostly told without a disk read."""
        answers: list[IndexEntry | None] = [None] * len(chunks)
        for place, _, fields in self._index.find_chunks(chunks, self._are_bound):
            version = self._versions.get(fields[6])
            if version is not None and answers[place] is None:
                stored = self._index.stored(fields)
                answers[place] = IndexEntry(fields[1], stored.fingerprint, version, stored.address)
        return answers

    def locate(self, sealed_digest: bytes, chunk: ChunkId | None = None) -> StoredChunk | None:
        """Return where a sealed chunk lies, or None if it is not stored; see `locate_many`."""
        return self.locate_many([sealed_digest], None if chunk is None else [chunk])[0]

    def locate_many(
        self, sealed_digests: Sequence[bytes], chunks: Sequence[ChunkId] | None = None
    ) -> list[StoredChunk | None]:
        """Return where sealed chunks lie, None for each that is not stored.

        Args:
            sealed_digests: which sealings.
            chunks: their chunk ids, if the caller has them: what is not stored is then mostly told
                without a disk read, and a place under another chunk id is no answer.
        """
        answers: list[StoredChunk | None] = [None] * len(sealed_digests)
        for place, _, fields in self._index.find_sealed(sealed_digests, chunks):
            answers[place] = answers[place] or self._index.stored(fields)
        return answers

    def find(self, chunks: Sequence[bytes]) -> list[list[tuple[bytes, StoredChunk]]]:
        """Return for each chunk id every sealing that is stored, bound or not: its digest and place."""
        answers: list[list[tuple[bytes, StoredChunk]]] = [[] for _ in chunks]
        for place, _, fields in self._index.find_chunks(chunks, _all):
            answers[place].append((fields[1], self._index.stored(fields)))
        return answers

    def stored(self) -> Iterator[tuple[bytes, StoredChunk]]:
        """Yield sealed digest and place of every stored chunk as they came; reads all records."""
        return self._index.all_stored()

    def find_by_fingerprint(self, fingerprint: bytes) -> ChunkId | None:
        """Return the bound chunk that holds this fingerprint, the first if several do, or None."""
        found = self._index.find_fingerprints([fingerprint])
        bound = [(at, fields) for _, at, fields in found if self._versions.get(fields[6])]
        return ChunkId(min(bound)[1][0]) if bound else None

    def collisions(self) -> int:
        """Return how many chunks were kept beside another with the same fingerprint."""
        return sum(1 for _ in self._table.scan(_COLLISION))

    def orphans(self) -> list[VersionRef]:
        """Return the versions that must be bound anew: they shared chunks through one that ended."""
        return self._versions.orphans()

    # --- in -------------------------------------------------------------------------------------

    def record(
        self,
        stored: Iterable[tuple[bytes, StoredChunk]],
        also: Iterable[Change] = (),
        *,
        is_durable: bool = True,
    ) -> None:
        """Note or move addresses, by sealed digest and chunk id, with other rows in one step.

        Args:
            stored: sealed digests and places.
            also: other rows for the same step.
            is_durable: False where the caller can tell all of it again after a crash; it is then
                durable with the next durable change of the table.
        """
        with self._changing():
            self._index.record(list(stored), also)
            if is_durable:
                self._table.write(())

    def forget(self, sealed_digests: Iterable[bytes], also: Iterable[Change] = ()) -> None:
        """Drop chunks that are no more, with other rows in one durable step."""
        with self._changing():
            rows: list[Change] = []
            gone = self._index.forget(sealed_digests, also)
            for number in gone:
                if self._versions.get(number):
                    self._versions.count(number, -1, rows)
            self._table.write(rows)

    def rename(self, old: bytes, new: bytes, also: Iterable[Change] = ()) -> None:
        """Move all chunks of a segment or pack to another name, at the same offsets, durably."""
        with self._changing():
            self._index.rename(old, new, also)
            self._table.write(())

    def bind(
        self,
        version: VersionRef,
        entries: Sequence[DirectoryEntry],
        is_alive: Callable[[StoredChunk], bool],
        also: Iterable[Change] = (),
    ) -> Bound:
        """Make a version's chunks known as duplicates-to-be; those known already stay as they are.

        Idempotent. Chunks whose sealed bytes are not alive are left out: they must come again; and
        a known one that is dead gives way. Durable with the next durable change of the table.

        Args:
            version: which lives now.
            entries: its directory.
            is_alive: tells whether the pack of a stored chunk is there.
            also: other rows, for the last step.
        """
        new = duplicate = bytes_new = collisions = 0
        for first in range(0, len(entries), _BATCH):
            tally = self._bind_some(version, entries[first : first + _BATCH], is_alive)
            new += len(tally.new)
            duplicate += tally.duplicate
            bytes_new += tally.bytes_new
            collisions += tally.collisions
        with self._changing():
            rows = list(also)
            self._versions.settle(self._versions.add(version, rows), rows)
            self._table.note(rows)
        return Bound(new, duplicate, bytes_new, collisions)

    def unbind(self, version: VersionRef, also: Iterable[Change] = ()) -> list[VersionRef]:
        """Stop offering chunks through a version that lives no longer.

        Returns:
            Living versions that share some of them: bind these anew. Until that is done they are
            among the `orphans`.
        """
        with self._changing():
            rows = list(also)
            sharers = self._versions.remove(version, rows)
            self._table.note(rows)
            return sharers

    # --- inside ---------------------------------------------------------------------------------

    @property
    def _versions(self) -> BoundVersions:
        """Return the bound versions, as the table has them."""
        bound = self._bound
        if bound is None:
            bound = self._bound = BoundVersions(self._table)
        return bound

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Change in several steps; if one fails, what is in memory is read again from the table."""
        with self._table.changing(), self._index.undoing():
            try:
                yield
            except HansaError:
                # At the next use: now the table may not answer either.
                self._bound = None
                raise

    def _are_bound(self, records: Records) -> Mask:
        return np.isin(records["version"], self._versions.living)

    def _bind_some(
        self,
        version: VersionRef,
        entries: Sequence[DirectoryEntry],
        is_alive: Callable[[StoredChunk], bool],
    ) -> _Tally:
        # What is alive is asked before the lock: the answer may take the store's time.
        found = self._index.find_chunks([entry.chunk for entry in entries], _all)
        alive = {at: is_alive(self._index.stored(fields)) for _, at, fields in found}
        with self._changing():
            rows: list[Change] = []
            tally = _Tally(self._versions.add(version, rows))
            ordinals = np.array(sorted(alive), np.uint32)
            now = self._index.records.load(ordinals)
            fresh = dict(zip(ordinals.tolist(), FIELDS.iter_unpack(now.tobytes()), strict=True))
            candidates: list[list[_Candidate]] = [[] for _ in entries]
            for place, at, _ in found:
                fields = fresh[at]
                # Emptied meanwhile: a record is never filled again.
                if fields[3]:
                    candidates[place].append(_Candidate(at, fields, alive[at]))
            for entry, some in zip(entries, candidates, strict=True):
                self._decide(entry, some, tally)
            rows += self._find_collisions(tally)
            self._settle(tally, rows)
        return tally

    def _decide(self, entry: DirectoryEntry, some: list[_Candidate], tally: _Tally) -> None:
        """Find a chunk a duplicate, or bind one of its records, or leave it out."""
        others = [
            candidate
            for candidate in some
            if candidate.fields[6] != tally.number and self._versions.get(candidate.fields[6])
        ]
        known = next((candidate for candidate in others if candidate.is_alive), None)
        if known is not None:
            tally.duplicate += 1
            tally.through.add(known.fields[6])
            return
        for candidate in some:
            if candidate.is_alive and candidate.fields[1] == entry.sealed_digest:
                tally.new[candidate.ordinal] = candidate.fields
                tally.bytes_new += entry.sealed_bytes
                tally.given_up |= {other.ordinal: other.fields for other in others}
                return

    def _find_collisions(self, tally: _Tally) -> list[Change]:
        """Count and note the new chunks whose fingerprint another bound chunk has."""
        asked = [(at, fields) for at, fields in tally.new.items() if fingerprint_of(fields)]
        if not asked:
            return []
        holders: dict[bytes, set[bytes]] = {}
        for _, at, fields in self._index.find_fingerprints([fields[2] for _, fields in asked]):
            if at not in tally.new and self._versions.get(fields[6]):
                holders.setdefault(fields[2], set()).add(fields[0])
        rows: list[Change] = []
        for _, fields in sorted(asked):
            holding = holders.setdefault(fields[2], set())
            if holding - {fields[0]}:
                tally.collisions += 1
                rows.append((_COLLISION + fields[2] + fields[0], b""))
            holding.add(fields[0])
        return rows

    def _settle(self, tally: _Tally, rows: list[Change]) -> None:
        """Write what was decided of a batch in one step."""
        edit = self._index.records.edit()
        added = 0
        for number, changed in ((tally.number, tally.new), (0, tally.given_up)):
            packed = b"".join(FIELDS.pack(*fields[:6], number) for fields in changed.values())
            edit.put(np.array(list(changed), np.uint32), np.frombuffer(packed, RECORD))
        for fields in tally.new.values():
            was = fields[6]
            added += was != tally.number
            if was != tally.number and self._versions.get(was):
                self._versions.count(was, -1, rows)
        for fields in tally.given_up.values():
            self._versions.count(fields[6], -1, rows)
        self._versions.count(tally.number, added, rows)
        for other in tally.through:
            self._versions.share(other, tally.number, rows)
        self._index.apply(edit, rows)


def _all(records: Records) -> Mask:
    """Want every record of a chunk."""
    return np.zeros(len(records), bool)
