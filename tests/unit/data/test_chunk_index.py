"""Tests of hansa.data.chunk_index; see also test_hash_index_table.py, which stands on it."""

import hashlib

import numpy as np
import pytest

from hansa.data import chunk_index
from hansa.data.chunk_index import ChunkIndex, StoredChunk, fingerprint_of
from hansa.errors import CorruptError, DiskFullError
from hansa.storage.table import LmdbTable, MemoryTable
from hansa.types import Address


def name(label):
    """Return a uniform 32-byte id."""
    return hashlib.sha256(str(label).encode()).digest()


def item(label, pack=b"p" * 32, chunk=None, fingerprint=b"f" * 36):
    """Return sealed digest and place of a chunk."""
    return name(f"sealed {label}"), StoredChunk(
        name(chunk or label), fingerprint, Address(pack, 7, 20)
    )


def found(index, labels):
    """Return the packs of sealed digests, None where nothing is stored."""
    answers = [None] * len(labels)
    for place, _, fields in index.find_sealed([name(f"sealed {label}") for label in labels]):
        answers[place] = index.stored(fields).address.pack[:1]
    return answers


def test_a_place_under_another_chunk_id_is_no_answer():
    """The same sealed bytes under two chunk ids are two records: none hides the other."""
    index = ChunkIndex(MemoryTable())
    index.record([item(1)], ())
    index.record([item(1, b"q" * 32, chunk=2)], ())
    sealed = [name("sealed 1")]
    for chunk, pack in ((1, b"p"), (2, b"q")):
        [(_, _, fields)] = index.find_sealed(sealed, [name(chunk)])
        assert index.stored(fields).address.pack[:1] == pack
    assert index.find_sealed(sealed, [name(3)]) == []
    assert index.forget(sealed, ()) == [0, 0]
    assert index.find_sealed(sealed) == []


def test_heads_that_are_equal():
    """Ids that begin alike are told apart by the whole of them."""
    index = ChunkIndex(MemoryTable())
    ids = [b"same head" + bytes(22) + bytes([n]) for n in range(50)]
    index.record([(i, StoredChunk(i, i + b"tail", Address(i, 0, 1))) for i in ids], ())
    assert [i for _, _, (i, *_) in sorted(index.find_sealed(ids))] == ids
    strange = b"same head" + bytes(22) + b"\xff"
    assert index.find_sealed([strange]) == []
    assert [f[0] for _, _, f in index.find_fingerprints([ids[7] + b"tail"])] == [ids[7]]


def test_no_fingerprint_is_told_from_zeros():
    """In profile `blake3` there is none, and none is found."""
    index = ChunkIndex(MemoryTable())
    index.record([item(1, fingerprint=b""), item(2, fingerprint=bytes(36))], ())
    fields = {
        at: fields for at, _, fields in index.find_sealed([name("sealed 1"), name("sealed 2")])
    }
    assert [fingerprint_of(fields[0]), fingerprint_of(fields[1])] == [b"", bytes(36)]
    assert [f[0] for _, _, f in index.find_fingerprints([bytes(36)])] == [name(2)]


def test_a_disk_that_is_full_changes_nothing():
    """A note that fails leaves numbers of packs and records as they were."""
    table = MemoryTable()
    index = ChunkIndex(table)
    index.record([item(1)], ())

    def full(_changes):
        raise DiskFullError("full")

    table.note = full
    with pytest.raises(DiskFullError):
        index.record([item(2, b"q" * 32)], ())
    del table.note
    assert found(index, [1, 2]) == [b"p", None]
    index.record([item(3, b"q" * 32)], ())
    assert found(ChunkIndex(table), [1, 2, 3]) == [b"p", None, b"q"]


def test_a_crash_at_any_note(monkeypatch):
    """Whatever notes a crash loses, the rest opens and answers as it did after the last kept one."""
    monkeypatch.setattr(chunk_index, "MEMORY_ENTRIES", 64)
    monkeypatch.setattr(chunk_index, "_FILTER_SAVE_MIN", 100)
    images = []

    class Recorded(MemoryTable):
        def note(self, changes):
            super().note(changes)
            images.append((dict(self.rows), recorded[0]))

    recorded = [0]
    index = ChunkIndex(Recorded())
    for first in range(0, 400, 20):
        index.record([item(n) for n in range(first, first + 20)], ())
        recorded[0] = first + 20
    for rows, count in images[::3]:
        table = MemoryTable()
        table.rows = rows
        again = ChunkIndex(table)
        answers = found(again, range(0, 400, 7))
        known = sum(answer is not None for answer in answers)
        assert all(answer == b"p" for answer in answers[:known])
        assert known >= len(range(0, count, 7))


def test_opening_reads_only_what_is_new(tmp_path, monkeypatch):
    """After a save no record is read again; after a crash only those since."""
    monkeypatch.setattr(chunk_index, "MEMORY_ENTRIES", 64)
    table = LmdbTable(tmp_path / "t.mdb")
    index = ChunkIndex(table)
    index.record([item(n) for n in range(300)], ())
    index.save()
    index.record([item(n) for n in range(300, 310)], ())
    scanned = []
    real = chunk_index.ChunkRecords.scan

    def scan(self, first=0):
        scanned.append(first)
        return real(self, first)

    monkeypatch.setattr(chunk_index.ChunkRecords, "scan", scan)
    again = ChunkIndex(table)
    assert scanned == [300]
    assert None not in found(again, range(310))
    table.close()


def test_a_lost_pack_name_is_told():
    """A record that names a pack nobody knows is never an answer."""
    table = MemoryTable()
    ChunkIndex(table).record([item(1)], ())
    table.write([(b"P" + (1).to_bytes(4, "big"), None)])
    with pytest.raises(CorruptError, match="rebuilt"):
        found(ChunkIndex(table), [1])


def test_the_same_chunk_twice_in_a_batch():
    """The last place counts, and there is one record."""
    index = ChunkIndex(MemoryTable())
    index.record([item(1), item(1, b"q" * 32)], ())
    assert found(index, [1]) == [b"q"]
    assert index.records.next_ordinal == 1
    assert np.array_equal([0], [at for some, _ in index.records.scan() for at in some])
