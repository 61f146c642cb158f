"""Tests of hansa.data.hash_index_table: the digest judges, the fingerprint is unique."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.data.hash_index_table import HashIndexTable, StoredChunk, VersionRef
from hansa.data.manifest import DirectoryEntry
from hansa.errors import CorruptError
from hansa.storage.table import MemoryTable
from hansa.types import Address

V1, V2 = VersionRef(b"d" * 16, 1), VersionRef(b"d" * 16, 2)
PACK = b"p" * 32


def name(label):
    """Return a uniform 32-byte id."""
    return hashlib.sha256(str(label).encode()).digest()


def stored(label, fingerprint=None):
    """Return sealed digest and place of a chunk."""
    found = StoredChunk(
        name(label),
        (fingerprint or hashlib.sha512(str(label).encode()).digest())[:36],
        Address(PACK, 10, 20),
    )
    return name(f"sealed {label}"), found


def entry(label):
    """Return a directory entry of a chunk."""
    return DirectoryEntry(name(label), name(f"sealed {label}"), 20, 30)


def yes(_stored):
    """Every pack is alive."""
    return True


def test_only_bound_chunks_are_duplicates():
    """A chunk that was stored but never published is new: nobody can find its key."""
    table = HashIndexTable(MemoryTable())
    table.record([stored(1)])
    assert table.lookup([name(1)]) == [None]
    assert table.locate(name("sealed 1")) == stored(1)[1]
    assert table.bind(V1, [entry(1)], yes).chunks_new == 1
    assert table.lookup([name(1), name(2)])[0].version == V1
    assert table.lookup([name(1), name(2)])[1] is None


def test_new_chunks_cost_no_read():
    """The filter answers nearly all absent chunks; reads are counted."""
    table = HashIndexTable(MemoryTable())
    table.record(map(stored, range(2_000)))
    table.bind(V1, [entry(label) for label in range(2_000)], yes)
    table.reads = 0
    assert table.lookup([name(f"new {n}") for n in range(5_000)]) == [None] * 5_000
    assert table.reads < 50
    table.lookup([name(7)])
    assert table.reads < 51


def test_equal_fingerprints_never_merge():
    """Different chunks with one fingerprint are both kept, apart, and the collision is told."""
    table = HashIndexTable(MemoryTable())
    twin = b"f" * 36
    table.record([stored(1, twin), stored(2, twin)])
    bound = table.bind(V1, [entry(1), entry(2)], yes)
    assert (bound.chunks_new, bound.collisions, table.collisions()) == (2, 1, 1)
    first, second = table.lookup([name(1), name(2)])
    assert first.sealed_digest == name("sealed 1")
    assert second.sealed_digest == name("sealed 2")
    assert table.find_by_fingerprint(twin) == name(1)
    table.record([stored(3, twin)])
    assert table.bind(V2, [entry(3)], yes).collisions == 1
    assert table.lookup([name(3)])[0].sealed_digest == name("sealed 3")


def test_first_version_stays_the_living_one():
    """A duplicate leaves the entry with the version that brought it; binding again changes nothing."""
    table = HashIndexTable(MemoryTable())
    table.record([stored(1), stored(2)])
    table.bind(V1, [entry(1)], yes)
    bound = table.bind(V2, [entry(1), entry(2)], yes)
    assert (bound.chunks_new, bound.chunks_duplicate, bound.bytes_new) == (1, 1, 20)
    assert [found.version for found in table.lookup([name(1), name(2)])] == [V1, V2]
    again = table.bind(V2, [entry(1), entry(2)], yes)
    assert (again.chunks_new, again.chunks_duplicate) == (1, 1)
    assert table.collisions() == 0


def test_dead_chunks_give_way():
    """A chunk whose pack is gone is not bound, and a known one that is dead is replaced."""
    table = HashIndexTable(MemoryTable())
    table.record([stored(1)])
    assert table.bind(V1, [entry(1)], lambda _: False).chunks_new == 0
    assert table.bind(V1, [entry(9)], yes).chunks_new == 0
    table.bind(V1, [entry(1)], yes)
    second = DirectoryEntry(name(1), name("second sealing"), 20, 30)
    place = StoredChunk(name(1), b"", Address(b"q" * 32, 0, 20))
    table.record([(name("second sealing"), place)])
    table.bind(V2, [second], lambda found: found.address.pack != PACK)
    assert table.lookup([name(1)])[0].version == V2


def test_unbind():
    """A version that lives no longer offers nothing; another's chunks stay."""
    table = HashIndexTable(MemoryTable())
    table.record([stored(1), stored(2)])
    table.bind(V1, [entry(1)], yes)
    table.bind(V2, [entry(2)], yes)
    table.unbind(V1, [entry(1), entry(2)])
    assert [found is None for found in table.lookup([name(1), name(2)])] == [True, False]
    assert table.find_by_fingerprint(stored(1)[1].fingerprint) is None


def test_reopened_table_knows_the_same():
    """The filter is built from the rows; a table without rows is just empty."""
    rows = MemoryTable()
    table = HashIndexTable(rows)
    table.record([stored(1)])
    table.bind(V1, [entry(1)], yes)
    assert HashIndexTable(rows).lookup([name(1)])[0].version == V1
    assert HashIndexTable(rows).chunks == 1
    assert HashIndexTable(MemoryTable()).locate(name("sealed 1")) is None


@pytest.mark.slow
def test_filter_grows():
    """Past its capacity the filter is built anew and forgets nothing."""
    table = HashIndexTable(MemoryTable())
    labels = range(70_000)
    entries = [DirectoryEntry(name(n), name(n), 20, 30) for n in labels]
    table.record((name(n), StoredChunk(name(n), b"", Address(PACK, 1, 20))) for n in labels)
    table.bind(V1, entries[:66_000], yes)
    table.bind(V1, entries[66_000:], yes)
    assert None not in table.lookup([name(n) for n in range(0, 70_000, 97)])
    assert table.memory_bytes <= 3 * 140_000


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 3), st.sets(st.integers(0, 8))), max_size=12)
)
def test_equals_a_dictionary(steps):
    """Any run of bind and unbind answers as a plain dictionary would."""
    table, model = HashIndexTable(MemoryTable()), {}
    table.record(map(stored, range(9)))
    for binds, number, labels in steps:
        version = VersionRef(b"d" * 16, number)
        entries = [entry(label) for label in sorted(labels)]
        if binds:
            table.bind(version, entries, yes)
            for label in labels:
                model.setdefault(label, version)
        else:
            table.unbind(version, entries)
            model = {k: v for k, v in model.items() if k not in labels or v != version}
    found = table.lookup([name(label) for label in range(9)])
    assert [known and known.version for known in found] == [model.get(n) for n in range(9)]


def test_a_damaged_row_is_told():
    """Bytes that this table cannot have written are never an answer."""
    rows = MemoryTable()
    table = HashIndexTable(rows)
    table.record([stored(1)])
    table.bind(V1, [entry(1)], yes)
    rows.write([(key, b"\xff") for key, _ in list(rows.scan(b""))])
    with pytest.raises(CorruptError, match="rebuilt"):
        table.lookup([name(1)])
    with pytest.raises(CorruptError):
        table.locate(name("sealed 1"))


def test_an_unbound_chunk_leaves_the_fingerprint_of_another():
    """Of two chunks with one fingerprint the first holds it; the second's going changes nothing."""
    table = HashIndexTable(MemoryTable())
    twin = b"f" * 36
    table.record([stored(1, twin), stored(2, twin)])
    table.bind(V1, [entry(1)], yes)
    table.bind(V2, [entry(2)], yes)
    assert name(1) == table.find_by_fingerprint(twin)
    table.unbind(V2, [entry(2)])
    assert name(1) == table.find_by_fingerprint(twin)
    table.unbind(V1, [entry(1)])
    assert table.find_by_fingerprint(twin) is None
