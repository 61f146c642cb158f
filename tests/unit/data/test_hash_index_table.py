"""Tests of hansa.data.hash_index_table: the digest judges, the fingerprint is unique."""

import hashlib

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hansa.data import chunk_index
from hansa.data.hash_index_table import HashIndexTable, StoredChunk, VersionRef
from hansa.data.manifest import DirectoryEntry
from hansa.errors import CorruptError
from hansa.limits import MIB
from hansa.storage.table import MemoryTable
from hansa.types import Address

V1, V2, V3 = (VersionRef(b"d" * 16, number) for number in (1, 2, 3))
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


def test_every_sealing_under_an_id_is_found():
    """Bound or not, moved or forgotten: what is stored just now, and nothing of other ids."""
    table = HashIndexTable(MemoryTable())
    digest, place = stored(1)
    other = (name("other sealing"), StoredChunk(place.chunk, b"", Address(PACK, 40, 7)))
    table.record([(digest, place), other, stored(2)])
    table.bind(V1, [entry(1)], yes)
    found = table.find([name(3), name(1)])
    assert ([], sorted([(digest, place), other])) == (found[0], sorted(found[1]))
    table.rename(PACK, b"q" * 32)
    assert {one.address.pack for _, one in table.find([name(1)])[0]} == {b"q" * 32}
    table.forget([digest])
    assert [sealing for sealing, _ in table.find([name(1)])[0]] == [other[0]]


def test_new_chunks_cost_no_read():
    """The filter answers nearly all absent chunks; reads are counted."""
    table = HashIndexTable(MemoryTable())
    table.record(map(stored, range(2_000)))
    table.bind(V1, [entry(label) for label in range(2_000)], yes)
    before = table.reads
    assert table.lookup([name(f"new {n}") for n in range(5_000)]) == [None] * 5_000
    assert table.reads < before + 50
    table.lookup([name(7)])
    assert table.reads < before + 51


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
    assert [] == table.unbind(V1)
    assert [found is None for found in table.lookup([name(1), name(2)])] == [True, False]
    assert table.find_by_fingerprint(stored(1)[1].fingerprint) is None


def test_what_another_version_shares_stays_known():
    """When a version ends, its chunks are offered through the others that use them."""
    rows = MemoryTable()
    table = HashIndexTable(rows)
    table.record([stored(n) for n in range(4)])
    table.bind(V1, [entry(0), entry(1)], yes)
    table.bind(V2, [entry(1), entry(2)], yes)
    table.bind(V3, [entry(1), entry(3)], yes)
    assert [V2, V3] == table.unbind(V1)
    assert [V2, V3] == HashIndexTable(rows).orphans()
    assert [found and found.version for found in table.lookup([name(0), name(1)])] == [None, None]
    for version, entries in ((V2, [entry(1), entry(2)]), (V3, [entry(1), entry(3)])):
        table.bind(version, entries, yes)
    assert table.orphans() == []
    assert [found and found.version for found in table.lookup([name(0), name(1)])] == [None, V2]
    assert [V3] == table.unbind(V2)
    table.bind(V3, [entry(1), entry(3)], yes)
    assert table.lookup([name(1)])[0].version == V3
    assert [] == table.unbind(V3)
    assert table.chunks == 0


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
def test_many_chunks(monkeypatch):
    """Over many runs and shards nothing is forgotten, and memory stays in its bound."""
    monkeypatch.setattr(chunk_index, "MEMORY_ENTRIES", 1_000)
    rows = MemoryTable()
    table = HashIndexTable(rows)
    labels = range(40_000)
    names = [name(n) for n in labels]
    for first in range(0, 40_000, 5_000):
        some = names[first : first + 5_000]
        table.record([(n, StoredChunk(n, b"", Address(PACK, 1, 20))) for n in some])
        table.bind(V1, [DirectoryEntry(n, n, 20, 30) for n in some], yes)
    assert table.chunks == 40_000
    assert None not in table.lookup(names[::97])
    assert table.memory_bytes < 5 * MIB + 3 * 40_000
    again = HashIndexTable(rows)
    assert None not in again.lookup(names[::89])
    assert again.chunks == 40_000


class TableMachine(RuleBasedStateMachine):
    """The table against plain dictionaries, through crashes, lost filters and lost tables."""

    LABELS = st.integers(0, 30)

    def __init__(self):
        """Begin with an empty table that writes runs after a few entries."""
        super().__init__()
        self.rows = MemoryTable()
        self.index = HashIndexTable(self.rows)
        self.stored = {}
        """(chunk label, sealing) → address."""
        self.manifests = {}
        """Living version → its (chunk label, sealing) pairs."""

    def twin(self, label):
        """Return a fingerprint that every third chunk shares with its neighbour."""
        return name(f"fp {label - (label % 3 == 1)}") + b"tail"

    @rule(labels=st.sets(LABELS, max_size=8), sealing=st.integers(0, 1), place=st.integers(0, 3))
    def record(self, labels, sealing, place):
        """Store chunks, or move them if they are stored."""
        items = []
        for label in labels:
            address = Address(bytes([place + 1]) * 32, 100 * label, 20)
            self.stored[label, sealing] = address
            chunk = StoredChunk(name(label), self.twin(label), address)
            items.append((name((label, sealing)), chunk))
        self.index.record(items, is_durable=False)

    @rule(version=st.integers(1, 4), data=st.data())
    def bind(self, version, data):
        """Register a version of what is stored."""
        if version in self.manifests or not self.stored:
            return
        pairs = data.draw(st.sets(st.sampled_from(sorted(self.stored)), max_size=12))
        self.manifests[version] = dict(sorted(pairs))
        self.bind_entries(version)

    def bind_entries(self, version):
        """Bind a manifest as it is."""
        entries = [
            DirectoryEntry(name(label), name((label, sealing)), 20, 30)
            for label, sealing in self.manifests[version].items()
        ]
        self.index.bind(VersionRef(b"d" * 16, version), entries, yes)

    @rule(version=st.integers(1, 4), finishes=st.booleans())
    def unbind(self, version, finishes):
        """Retire a version; those it shared with are bound again at once, or after a restart."""
        if version not in self.manifests:
            return
        del self.manifests[version]
        sharers = self.index.unbind(VersionRef(b"d" * 16, version))
        if not finishes:
            self.index = HashIndexTable(self.rows)
            assert set(sharers) <= set(self.index.orphans())
            sharers = self.index.orphans()
        for sharer in sharers:
            self.bind_entries(sharer.number)
        assert self.index.orphans() == []

    @rule(data=st.data())
    def forget(self, data):
        """Drop chunks that no living version uses."""
        used = {pair for manifest in self.manifests.values() for pair in manifest.items()}
        dead = sorted(set(self.stored) - used)
        if dead:
            gone = data.draw(st.sets(st.sampled_from(dead)))
            self.index.forget([name(pair) for pair in gone])
            for pair in gone:
                del self.stored[pair]

    @rule(old=st.integers(0, 3), new=st.integers(0, 3))
    def rename(self, old, new):
        """A segment becomes a pack: all its chunks lie there now."""
        before, after = bytes([old + 1]) * 32, bytes([new + 1]) * 32
        self.index.rename(before, after)
        for pair, address in self.stored.items():
            if address.pack == before:
                self.stored[pair] = Address(after, address.offset, address.length)

    @rule(closes=st.booleans())
    def reopen(self, closes):
        """Open again, after a close or after a crash."""
        if closes:
            self.index.close()
        self.index = HashIndexTable(self.rows)

    @rule(letter=st.sampled_from([b"B", b"C", b"S", b"F"]))
    def lose_what_is_told_again(self, letter):
        """The filter or the runs are gone: the next open makes them of the records."""
        self.rows.write([(key, None) for key, _ in list(self.rows.scan(letter))])
        self.index = HashIndexTable(self.rows)

    @rule()
    def lose_the_table(self):
        """All is gone: it is filled from footers and manifests."""
        self.rows = MemoryTable()
        self.index = HashIndexTable(self.rows)
        self.index.record(
            (name(pair), StoredChunk(name(pair[0]), self.twin(pair[0]), address))
            for pair, address in self.stored.items()
        )
        for version in self.manifests:
            self.bind_entries(version)

    @invariant()
    def answers_as_the_model(self):
        """Every place is right, and a chunk is a duplicate exactly if a living version has it."""
        pairs = [(label, sealing) for label in range(31) for sealing in (0, 1)]
        sealed, chunks = [name(pair) for pair in pairs], [name(label) for label, _ in pairs]
        expected = [self.stored.get(pair) for pair in pairs]
        for found in (self.index.locate_many(sealed), self.index.locate_many(sealed, chunks)):
            assert expected == [stored and stored.address for stored in found]
        for label, found in enumerate(self.index.lookup([name(label) for label in range(31)])):
            users = {v: m[label] for v, m in self.manifests.items() if label in m}
            assert bool(users) == (found is not None)
            if found:
                assert found.sealed_digest == name((label, users[found.version.number]))
                assert found.fingerprint == self.twin(label)
                assert found.address == self.stored[label, users[found.version.number]]
        used = {label for manifest in self.manifests.values() for label in manifest}
        assert self.index.chunks == len(used)
        assert len(list(self.index.stored())) == len(self.stored)
        for label in range(31):
            holders = {n for n in used if self.twin(n) == self.twin(label)}
            found = self.index.find_by_fingerprint(self.twin(label))
            assert found in {name(n) for n in holders} if holders else found is None


@pytest.fixture(autouse=True)
def short_runs(monkeypatch):
    """Write runs and the filter after a few entries, so that tests meet many."""
    monkeypatch.setattr(chunk_index, "MEMORY_ENTRIES", 20)
    monkeypatch.setattr(chunk_index, "_FILTER_SAVE_MIN", 50)


TestTableMachine = pytest.mark.slow(TableMachine.TestCase)
TestTableMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


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
    table.unbind(V2)
    assert name(1) == table.find_by_fingerprint(twin)
    table.unbind(V1)
    assert table.find_by_fingerprint(twin) is None
