"""Chunk index: the stored chunks of an organisation, found by chunk id, sealed digest or fingerprint.

What the hash index table stands on; of versions it knows the number in each record, no more.

    chunk_records   a record for each sealed chunk, numbered as they came
    sorted_runs     chunk id, sealed digest, fingerprint → record, 12 bytes each on disk
    membership      in memory: chunk ids that were ever recorded, so that a new one costs no read
    index_names     numbers for packs

The records are the truth; runs and filter are told from them again at open, where they are behind.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from hansa.data.chunk_records import FIELDS, HAS_FINGERPRINT, RECORD, ChunkRecords, Edit, Records
from hansa.data.index_names import PackNumbers
from hansa.data.membership import Heads, heads_of
from hansa.data.saved_filter import load_filter, save_filter
from hansa.data.sorted_runs import MEMORY_ENTRIES, Ordinals, Positions, SortedRuns
from hansa.errors import HansaError
from hansa.types import Address, ChunkId

_BATCH = 1_024
_FILTER_SAVE_MIN = 1 << 20
_FILTER_SAVE_SHARE = 8
"""The filter is saved when so many records, or this share of all, came since: what a crash costs."""
_FINGERPRINT_BYTES = 36
_PACK_NAME_MEMORY_BYTES = 250
"""What one pack's name and number take in memory, about."""

Change = tuple[bytes, bytes | None]
Mask = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]
"""Names of 32 bytes as four numbers each, (n, 4)."""
Fields = tuple[bytes, bytes, bytes, int, int, int, int]
"""A record as `FIELDS` unpacks it."""
Found = list[tuple[int, int, Fields]]
"""Position in the question, ordinal, record."""


class Table(Protocol):
    """What is needed of a durable table; see `ports.Table`."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, or None."""
        ...

    def write(self, changes: Iterable[Change]) -> None:
        """Apply puts and deletes, and what was noted, in one atomic, durable step."""
        ...

    def note(self, changes: Iterable[Change]) -> None:
        """Apply puts and deletes, in order, durable with the next write."""
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield pairs under a prefix in key order."""
        ...

    def changing(self) -> AbstractContextManager[object]:
        """Hold off other threads that change in several steps; may be nested."""
        ...


class StoredChunk(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where one sealing of a chunk lies."""

    chunk: ChunkId
    fingerprint: bytes
    """36 bytes, or none in profile `blake3`."""
    address: Address


class ChunkIndex:
    """Any number of readers; who changes holds `table.changing()`."""

    def __init__(self, table: Table) -> None:
        """Open: what came since the last flush is read again, nothing else.

        Raises:
            CorruptError: the table is not what was written; begin it anew.
        """
        self._table = table
        self.reads = 0
        """Look-ups that went to the table, for tests and statistics."""
        self.records = ChunkRecords(table)
        self._packs: PackNumbers | None = None
        self._by_chunk = SortedRuns(table, b"C")
        self._by_sealed = SortedRuns(table, b"S")
        self._by_fingerprint = SortedRuns(table, b"F")
        self._filter, self._filter_covered = load_filter(table)
        with table.changing():
            self._catch_up()

    @property
    def packs(self) -> PackNumbers:
        """Return the numbers of packs, as the table has them."""
        packs = self._packs
        if packs is None:
            packs = self._packs = PackNumbers(self._table)
        return packs

    @property
    def memory_bytes(self) -> int:
        """Return the memory it takes: filter, fences, what waits, names of packs."""
        names = _PACK_NAME_MEMORY_BYTES * len(self.packs)
        return self._filter.memory_bytes + sum(run.memory_bytes for run in self._runs()) + names

    # --- out ------------------------------------------------------------------------------------

    def find_chunks(self, chunks: Sequence[bytes], is_enough: Callable[[Records], Mask]) -> Found:
        """Return records of chunk ids; of each id all, or some of which the last is enough."""
        heads = heads_of(chunks)
        maybe = np.flatnonzero(self._filter.may_contain(heads))
        self.reads += len(maybe)
        return self._find(
            self._by_chunk, heads[maybe], maybe, {"chunk": _words(chunks, maybe)}, is_enough
        )

    def find_sealed(
        self, sealed_digests: Sequence[bytes], chunks: Sequence[bytes] | None = None
    ) -> Found:
        """Return a record for each sealed digest that is stored, under its chunk id if given."""
        heads = heads_of(sealed_digests if chunks is None else chunks)
        maybe = np.arange(len(heads))
        if chunks is not None:
            maybe = np.flatnonzero(self._filter.may_contain(heads))
        self.reads += len(maybe)
        wanted = {"sealed": _words(sealed_digests, maybe)}
        if chunks is not None:
            wanted["chunk"] = _words(chunks, maybe)
        runs = self._by_sealed if chunks is None else self._by_chunk
        return self._find(runs, heads[maybe], maybe, wanted, _any)

    def find_fingerprints(self, fingerprints: Sequence[bytes]) -> Found:
        """Return all records of each fingerprint."""
        asked = np.frombuffer(b"".join(fingerprints), "<u4").reshape(-1, 9)
        places = np.arange(len(fingerprints))
        heads = heads_of(fingerprints)
        return self._find(self._by_fingerprint, heads, places, {"fingerprint": asked}, _none)

    def all_stored(self) -> Iterator[tuple[bytes, StoredChunk]]:
        """Yield sealed digest and place of every stored chunk as they came; reads all records."""
        for _, records in self.records.scan():
            for fields in FIELDS.iter_unpack(records.tobytes()):
                yield fields[1], self.stored(fields)

    def stored(self, fields: Fields) -> StoredChunk:
        """Return a record in the form others use."""
        chunk, _, fingerprint, pack, offset, length, _ = fields
        # Called for every chunk of every question: no more calls than it takes.
        if length & HAS_FINGERPRINT:
            length ^= HAS_FINGERPRINT
        else:
            fingerprint = b""
        packs = self._packs if self._packs is not None else self.packs
        address = Address(packs.name(pack), offset, length)
        return StoredChunk(chunk, fingerprint, address)  # type: ignore[arg-type]  # an id by its row

    # --- in -------------------------------------------------------------------------------------

    def record(self, items: Sequence[tuple[bytes, StoredChunk]], also: Iterable[Change]) -> None:
        """Note or move chunks, by sealed digest and chunk id, with other rows in one step."""
        with self.undoing():
            ordinals, packed = self._record(items, list(also))
        if len(ordinals):
            self._add(ordinals, packed)
            self._flush_if_full(self.records.next_ordinal)

    def _record(
        self, items: Sequence[tuple[bytes, StoredChunk]], rows: list[Change]
    ) -> tuple[Ordinals, Records]:
        """Note or move chunks; return the records that are new."""
        edit = self.records.edit()
        unique = list(
            {(sealed, stored.chunk): (sealed, stored) for sealed, stored in items}.values()
        )
        fresh = [
            part
            for first in range(0, len(unique), _BATCH)
            for part in self._place(unique[first : first + _BATCH], edit, rows)
        ]
        packed = np.frombuffer(b"".join(fresh), RECORD)
        ordinals = edit.append(packed)
        self.apply(edit, rows)
        return ordinals, packed

    def forget(self, sealed_digests: Iterable[bytes], also: Iterable[Change]) -> list[int]:
        """Drop chunks, with other rows in one step; return the versions they were bound to."""
        digests = list(dict.fromkeys(sealed_digests))
        edit = self.records.edit()
        versions: list[int] = []
        for first in range(0, len(digests), _BATCH):
            piece = digests[first : first + _BATCH]
            places = np.arange(len(piece))
            wanted = {"sealed": _words(piece, places)}
            found = self._find(self._by_sealed, heads_of(piece), places, wanted, _none)
            versions += [fields[6] for _, _, fields in found]
            ordinals = np.array([ordinal for _, ordinal, _ in found], np.uint32)
            edit.put(ordinals, np.zeros(len(ordinals), RECORD))
        self.apply(edit, list(also))
        return versions

    def rename(self, old: bytes, new: bytes, also: Iterable[Change]) -> None:
        """Move all chunks of a pack or segment to another name at the same offsets, in one step."""
        rows = list(also)
        with self.undoing():
            self.packs.rename(old, new, rows)
            self.apply(self.records.edit(), rows)

    def apply(self, edit: Edit, rows: list[Change]) -> None:
        """Note an edit with other rows; all or nothing."""
        self._table.note([*edit.rows(), *rows])
        edit.apply()

    @contextlib.contextmanager
    def undoing(self) -> Iterator[None]:
        """Forget numbers that were given in a change that then failed: their rows were not written."""
        try:
            yield
        except HansaError:
            # Loaded again at the next use: now the table may not answer either.
            self._packs = None
            raise

    def save(self) -> None:
        """Save the filter, so that the next open reads no records again."""
        if self._filter_covered != self.records.next_ordinal:
            self._save(self.records.next_ordinal)

    # --- inside ---------------------------------------------------------------------------------

    def _runs(self) -> tuple[SortedRuns, SortedRuns, SortedRuns]:
        return self._by_chunk, self._by_sealed, self._by_fingerprint

    def _find(
        self,
        runs: SortedRuns,
        heads: Heads,
        places: Positions,
        wanted: Mapping[str, npt.NDArray[np.uint64] | npt.NDArray[np.uint32]],
        is_enough: Callable[[Records], Mask],
    ) -> Found:
        """Return the records whose fields are as wanted, looked up by the heads of one of them."""
        answers: Found = []

        def settle(at: Positions, ordinals: Ordinals) -> Mask:
            records = self.records.load(ordinals)
            sound: Mask = records["pack"] != 0
            for name, values in wanted.items():
                sound &= (records[name] == values[at]).all(axis=1)
            kept = records[sound]
            unpacked = FIELDS.iter_unpack(kept.tobytes())
            numbers = zip(places[at[sound]].tolist(), ordinals[sound].tolist(), strict=True)
            answers.extend((*pair, fields) for pair, fields in zip(numbers, unpacked, strict=True))
            sound[sound] = is_enough(kept)
            return sound

        runs.find(heads, settle)
        return answers

    def _place(
        self, items: Sequence[tuple[bytes, StoredChunk]], edit: Edit, rows: list[Change]
    ) -> list[bytes]:
        """Move the chunks that have a record; return records for the others."""
        found = self.find_sealed(
            [sealed for sealed, _ in items], [stored.chunk for _, stored in items]
        )
        known = {place: (ordinal, fields[6]) for place, ordinal, fields in found}
        moved: list[bytes] = []
        fresh: list[bytes] = []
        for place, (sealed, stored) in enumerate(items):
            _, version = known.get(place, (0, 0))
            (moved if place in known else fresh).append(self._pack(sealed, stored, version, rows))
        ordinals = [known[place][0] for place in sorted(known)]
        edit.put(np.array(ordinals, np.uint32), np.frombuffer(b"".join(moved), RECORD))
        return fresh

    def _pack(self, sealed: bytes, stored: StoredChunk, version: int, rows: list[Change]) -> bytes:
        address = stored.address
        assert len(stored.fingerprint) in (0, _FINGERPRINT_BYTES)
        length = address.length | (HAS_FINGERPRINT if stored.fingerprint else 0)
        pack = self.packs.number(address.pack, rows)
        return FIELDS.pack(
            stored.chunk, sealed, stored.fingerprint, pack, address.offset, length, version
        )

    def _add(self, ordinals: Ordinals, records: Records) -> None:
        """Let records be found; those that have a run already are left out of it."""
        has_fingerprint = (records["length"] & np.uint32(HAS_FINGERPRINT)) != 0
        chunks = _heads(records, "chunk")
        for runs, heads, mask in (
            (self._by_chunk, chunks, ordinals >= self._by_chunk.covered),
            (self._by_sealed, _heads(records, "sealed"), ordinals >= self._by_sealed.covered),
            (
                self._by_fingerprint,
                _heads(records, "fingerprint"),
                has_fingerprint & (ordinals >= self._by_fingerprint.covered),
            ),
        ):
            if mask.any():
                runs.add(heads[mask], ordinals[mask])
        self._filter.add(chunks)

    def _flush_if_full(self, covered: int) -> None:
        """Write runs and the filter when enough has come since they were written.

        Args:
            covered: ordinals below this one have been added.
        """
        if any(runs.waiting >= MEMORY_ENTRIES for runs in self._runs()):
            for runs in self._runs():
                runs.flush(covered)
        if covered - self._filter_covered >= max(_FILTER_SAVE_MIN, covered // _FILTER_SAVE_SHARE):
            self._save(covered)

    def _save(self, covered: int) -> None:
        save_filter(self._table, self._filter, covered)
        self._filter_covered = covered

    def _catch_up(self) -> None:
        """Add the records that came after the last flush of each part."""
        first = min(self._filter_covered, *(runs.covered for runs in self._runs()))
        for ordinals, records in self.records.scan(first):
            self._add(ordinals, records)
            self._flush_if_full(int(ordinals[-1]) + 1)


def fingerprint_of(fields: Fields) -> bytes:
    """Return a record's fingerprint, none in profile `blake3`."""
    return fields[2] if fields[5] & HAS_FINGERPRINT else b""


def _heads(records: Records, name: str) -> Heads:
    """Return the heads of a field of records, as `heads_of` gives them."""
    raw = np.ascontiguousarray(records[name]).view(np.uint8).reshape(len(records), -1)
    heads: Heads = np.ascontiguousarray(raw[:, :8]).view(">u8").ravel().astype(np.uint64)
    return heads


def _words(names: Sequence[bytes], places: Positions) -> Words:
    return np.frombuffer(b"".join([names[at] for at in places.tolist()]), "<u8").reshape(-1, 4)


def _any(records: Records) -> Mask:
    return np.ones(len(records), bool)


def _none(records: Records) -> Mask:
    return np.zeros(len(records), bool)
