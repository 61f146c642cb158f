"""Tests of hansa.data.index_names."""

import pytest

from hansa.data.index_names import BoundVersions, PackNumbers, VersionRef
from hansa.errors import CorruptError
from hansa.storage.table import MemoryTable

A, B, C = (VersionRef(b"d" * 32, number) for number in (1, 2, 3))


def test_packs():
    """A pack has one number for ever, whatever it is called later."""
    table, rows = MemoryTable(), []
    packs = PackNumbers(table)
    assert [packs.number(name, rows) for name in (b"a", b"b", b"a")] == [1, 2, 1]
    packs.rename(b"a", b"c", rows)
    packs.rename(b"unknown", b"x", rows)
    table.write(rows)
    for known in (packs, PackNumbers(table)):
        assert (known.name(1), known.name(2), len(known)) == (b"c", b"b", 2)
        assert known.number(b"c", []) == 1
    assert PackNumbers(table).number(b"a", []) == 3
    with pytest.raises(CorruptError):
        packs.name(9)


def test_two_numbers_of_one_pack():
    """A segment that became a pack which was there already keeps its number beside the other."""
    table, rows = MemoryTable(), []
    packs = PackNumbers(table)
    packs.number(b"segment", rows)
    packs.number(b"pack", rows)
    packs.rename(b"segment", b"pack", rows)
    table.write(rows)
    assert [PackNumbers(table).name(number) for number in (1, 2)] == [b"pack", b"pack"]
    # And both go where the pack goes.
    PackNumbers(table).rename(b"pack", b"other", rows)
    table.write(rows)
    assert [PackNumbers(table).name(number) for number in (1, 2)] == [b"other", b"other"]


def test_versions():
    """Numbers are never given twice, and what a version offers ends with its row."""
    table, rows = MemoryTable(), []
    bound = BoundVersions(table)
    assert [bound.add(A, rows), bound.add(B, rows), bound.add(A, rows)] == [1, 2, 1]
    bound.count(1, 5, rows)
    bound.count(2, 3, rows)
    table.write(rows)
    assert BoundVersions(table).chunks == 8
    assert bound.remove(B, rows) == []
    assert bound.remove(B, rows) == []
    table.write(rows)
    again = BoundVersions(table)
    assert (again.chunks, again.get(2), again.find(B), again.find(A)) == (5, None, None, 1)
    assert again.living.tolist() == [1]
    assert again.add(B, []) == 3


def test_sharers():
    """Who shared chunks with a version that ends is an orphan until it is bound anew, or ends."""
    table, rows = MemoryTable(), []
    bound = BoundVersions(table)
    a, b, c = (bound.add(version, rows) for version in (A, B, C))
    bound.share(a, b, rows)
    bound.share(a, c, rows)
    bound.share(a, c, rows)
    bound.share(b, c, rows)
    assert bound.orphans() == []
    assert [B, C] == bound.remove(A, rows)
    table.write(rows)
    again = BoundVersions(table)
    assert [B, C] == again.orphans()
    rows = []
    again.settle(b, rows)
    assert [C] == again.orphans()
    assert [C] == again.remove(B, rows)
    again.settle(c, rows)
    table.write(rows)
    assert BoundVersions(table).orphans() == []
    assert list(table.scan(b"E")) == []


def test_damage_is_told():
    """Bytes that no version row can have are never an answer."""
    table, rows = MemoryTable(), []
    BoundVersions(table).add(A, rows)
    table.write(rows)
    table.write([(b"W" + bytes(3) + b"\1", b"\xff")])
    with pytest.raises(CorruptError):
        BoundVersions(table)
