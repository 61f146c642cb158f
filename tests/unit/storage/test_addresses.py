"""Tests of hansa.storage.addresses: what moves with a pack, and what a table of another format does."""

import hashlib

import pytest

from hansa.data.chunk import compute_sealed_digest
from hansa.data.hash_index_table import StoredChunk
from hansa.errors import MissingError
from hansa.storage.addresses import Addresses, Alive
from hansa.storage.journal import Journal
from hansa.storage.memory import MemoryStore
from hansa.storage.names import name_pack
from hansa.storage.pack import HEADER, PackEntry, PackFooter
from hansa.storage.table import MemoryTable
from hansa.testing.doubles import FixedClock
from hansa.types import Address, ChunkId

FIRST, SECOND = b"1" * 32, b"2" * 32


def blob(label):
    """Return a sealed chunk's bytes."""
    return hashlib.shake_256(b"%d" % label).digest(100)


def footer(*labels):
    """Return the footer of a pack of these chunks."""
    return PackFooter(
        2,
        0,
        b"s" * 32,
        tuple(
            PackEntry(
                ChunkId(b"%032d" % label),
                b"",
                compute_sealed_digest(blob(label)),
                len(HEADER) + 100 * at,
                100,
            )
            for at, label in enumerate(labels)
        ),
    )


@pytest.fixture
def addresses(tmp_path):
    """Return addresses over a store with two packs of chunk 1."""
    store = MemoryStore()
    for root in (FIRST, SECOND):
        store.put(name_pack(root), [HEADER + blob(1) + blob(2)])
    return Addresses(store, Journal(tmp_path), MemoryTable(), FixedClock())


def place(addresses, label):
    """Return where a chunk lies."""
    return addresses.locate(compute_sealed_digest(blob(label))).address


def test_living_chunks_stay_where_they_are(addresses):
    """A second pack with the same chunk takes only what has no living place."""
    addresses.adopt(FIRST, footer(1))
    addresses.adopt(SECOND, footer(1, 2))
    assert place(addresses, 1) == Address(FIRST, 16, 100)
    assert place(addresses, 2) == Address(SECOND, 116, 100)
    addresses.store.delete(name_pack(FIRST))
    addresses.adopt(SECOND, footer(1, 2))
    assert place(addresses, 1) == Address(SECOND, 16, 100)


def test_a_later_copy_in_one_pack_wins(addresses):
    """A chunk that came again into the same segment lies where it came last."""
    addresses.adopt(FIRST, footer(1, 1))
    assert place(addresses, 1) == Address(FIRST, 116, 100)


def test_damaged_chunks_give_way(addresses):
    """A marked chunk moves to another pack that holds it; the mark does not follow."""
    addresses.adopt(FIRST, footer(1))
    addresses.mark_damaged([compute_sealed_digest(blob(1))])
    addresses.adopt(SECOND, footer(1))
    stored = addresses.locate(compute_sealed_digest(blob(1)))
    assert stored.address.pack == SECOND
    assert addresses.is_alive(stored, Alive())


def test_tables_of_another_format_are_emptied(tmp_path):
    """A table is a cache: rows of another format go, and are filled in again."""
    table = MemoryTable()
    table.write([(b"m", b"1"), (b"p" + b"x" * 32, b"row of the first format")])
    found = Addresses(MemoryStore(), Journal(tmp_path), table, FixedClock())
    assert list(found.packs()) == []
    assert len(table.rows) == 1


def test_missing(addresses):
    """What is not stored is said to be missing, with what to do."""
    with pytest.raises(MissingError) as caught:
        addresses.locate(b"x" * 32)
    assert "check" in caught.value.remedy
    assert not addresses.is_alive(
        StoredChunk(ChunkId(b"c" * 32), b"", Address(b"no" * 16, 0, 1)), Alive()
    )
