"""Tests of hansa.data.sorted_runs: a multimap in pages, against a dictionary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.data import sorted_runs
from hansa.data.sorted_runs import PAGE_ENTRIES, SortedRuns
from hansa.errors import CorruptError, DiskFullError
from hansa.storage.table import MemoryTable


def array(values, kind=np.uint64):
    """Return an array of numbers."""
    return np.array(values, kind)


def ask(runs, heads):
    """Return all ordinals of each head."""
    found = [set() for _ in heads]

    def settle(places, ordinals):
        for place, ordinal in zip(places.tolist(), ordinals.tolist(), strict=True):
            found[place].add(ordinal)
        return np.zeros(len(places), bool)

    runs.find(array(heads), settle)
    return found


def pages(table):
    """Return how many rows there are beside the list."""
    return sum(1 for key in table.rows if key != b"Tlist")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 60), max_size=60), st.sampled_from(["keep", "flush", "open"])
        ),
        max_size=12,
    )
)
def test_equals_a_dictionary(steps):
    """Any additions, flushes and openings answer as a dictionary of sets does."""
    table = MemoryTable()
    runs, model, waiting, ordinal = SortedRuns(table, b"T"), {}, [], 0
    for small, then in steps:
        heads = [(head * 2**58 + head) % 2**64 for head in small]
        runs.add(array(heads), np.arange(ordinal, ordinal + len(heads), dtype=np.uint32))
        waiting += [(head, ordinal + at) for at, head in enumerate(heads)]
        ordinal += len(heads)
        if then == "flush":
            runs.flush(ordinal)
        if then == "open":
            runs = SortedRuns(table, b"T")
            waiting = [pair for pair in waiting if pair[1] < runs.covered]
        if then == "flush":
            assert runs.covered == ordinal
        model = {}
        for head, number in waiting:
            model.setdefault(head, set()).add(number)
        asked = [(head * 2**58 + head) % 2**64 for head in range(70)]
        assert [model.get(head, set()) for head in asked] == ask(runs, asked)


def fill(table, count=20_000, batch=700):
    """Return runs over scattered heads, and the heads."""
    runs = SortedRuns(table, b"T")
    heads = (np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    for first in range(0, count, batch):
        some = heads[first : first + batch]
        runs.add(some, np.arange(first, first + len(some), dtype=np.uint32))
        runs.flush(first + len(some))
    return runs, heads


def test_runs_stay_few_and_nothing_is_left_behind(monkeypatch):
    """Runs are merged, old pages go, and each entry is found."""
    monkeypatch.setattr(sorted_runs, "_MERGE_PAGES", 5)
    table = MemoryTable()
    runs, heads = fill(table)
    assert runs.runs <= 5
    assert pages(table) <= 20_000 / PAGE_ENTRIES + 2 * runs.runs
    sample = list(range(0, 20_000, 37))
    assert [{at} for at in sample] == ask(runs, heads[sample])
    assert ask(SortedRuns(table, b"T"), heads[sample]) == ask(runs, heads[sample])
    assert runs.memory_bytes < 8 * (20_000 / PAGE_ENTRIES + 10)


def test_a_question_reads_few_pages():
    """One page of each run, until the question is settled."""
    runs, heads = fill(MemoryTable(), 3_000, 3_000)
    before = runs.page_reads
    runs.find(heads[:1], lambda places, _: np.ones(len(places), bool))
    assert runs.page_reads - before == 1


def test_equal_heads_over_many_pages():
    """All entries of one head are found, however many pages they fill."""
    runs = SortedRuns(MemoryTable(), b"T")
    heads = array([7] * 1_000 + [5, 9])
    runs.add(heads, np.arange(1_002, dtype=np.uint32))
    runs.flush(1_002)
    assert [set(range(1_000)), {1_000}, {1_001}, set()] == ask(runs, [7, 5, 9, 6])


def test_a_crash_in_a_merge_leaves_nothing(monkeypatch):
    """Cut off after any note, the table opens with all that was flushed, and no stray pages."""
    monkeypatch.setattr(sorted_runs, "_MERGE_PAGES", 2)
    monkeypatch.setattr(sorted_runs, "_NOTE_PAGES", 2)
    images = []

    class Recorded(MemoryTable):
        def note(self, changes):
            super().note(changes)
            images.append(dict(self.rows))

    fill(Recorded(), 8_000, 1_500)
    for image in images:
        table = MemoryTable()
        table.rows = image
        runs = SortedRuns(table, b"T")
        heads = np.arange(8_000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        sample = list(range(0, 8_000, 501))
        expected = [{at} if at < runs.covered else set() for at in sample]
        assert expected == ask(runs, heads[sample])
        entries = runs.covered
        assert pages(table) <= entries / PAGE_ENTRIES + 2 * runs.runs
    assert len(images) > 20


def test_a_reader_beside_a_merge():
    """A page that has gone since the reader looked at the list sends it to the new list."""
    table = MemoryTable()
    runs, heads = fill(table, 2_000, 1_000)
    more = array([1, 2, 3])

    class Merging(MemoryTable):
        def get_many(self, keys):
            if runs.waiting:
                runs._table = self.below
                runs.flush(2_003)
                runs._table = self
            return self.below.get_many(keys)

    moving = Merging()
    moving.below = table
    runs.add(more, array([2_000, 2_001, 2_002], np.uint32))
    runs._table = moving
    assert [{5}, {2_001}] == ask(runs, [heads[5], 2])


def test_a_full_disk_changes_nothing():
    """A flush that fails leaves all entries findable, and the next one succeeds."""
    table = MemoryTable()
    runs, heads = fill(table, 2_000, 500)
    runs.add(array([1, 2]), array([2_000, 2_001], np.uint32))

    def full(_changes):
        raise DiskFullError("full")

    for allowed in range(4):
        count = [0]

        def some(changes, count=count, allowed=allowed):
            count[0] += 1
            if count[0] > allowed:
                full(changes)
            MemoryTable.write(table, changes)

        table.note = some
        with pytest.raises(DiskFullError):
            runs.flush(2_002)
        assert [{7}, {2_001}] == ask(runs, [heads[7], 2])
    del table.note
    runs.flush(2_002)
    again = SortedRuns(table, b"T")
    assert [{7}, {2_001}] == ask(again, [heads[7], 2])
    assert pages(table) <= 2_002 / PAGE_ENTRIES + 2 * runs.runs


@pytest.mark.parametrize("key", ["page", "fences", "list", "gone"])
def test_damage_is_told(key):
    """Rows of a wrong length, or gone, are never an answer."""
    table = MemoryTable()
    _, heads = fill(table, 2_000, 2_000)
    number = next(k for k in table.rows if k != b"Tlist")[1:5]
    keys = {
        "page": b"T" + number + bytes(4),
        "fences": b"T" + number + b"\xff" * 4,
        "list": b"Tlist",
        "gone": b"T" + number + bytes(4),
    }
    if key == "gone":
        del table.rows[keys[key]]
    else:
        table.rows[keys[key]] = b"\xff"
    with pytest.raises(CorruptError, match=r"rebuilt|damaged|misses"):
        ask(SortedRuns(table, b"T"), np.sort(heads)[:3])
