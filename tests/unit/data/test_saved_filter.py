"""Tests of hansa.data.saved_filter."""

import numpy as np
import pytest

from hansa.data import saved_filter
from hansa.data.membership import MembershipFilter
from hansa.data.saved_filter import load_filter, save_filter
from hansa.storage.table import MemoryTable

HEADS = np.arange(1, 3_000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)


@pytest.fixture
def saved(monkeypatch):
    """Return a table with a filter in it, in small pieces."""
    monkeypatch.setattr(saved_filter, "_PIECE_BYTES", 10_000)
    table, held = MemoryTable(), MembershipFilter()
    held.add(HEADS)
    save_filter(table, held, 77)
    return table


def test_saved_and_loaded(saved):
    """The filter is as it was, with what it covers; a later save replaces it."""
    loaded, covered = load_filter(saved)
    assert covered == 77
    assert loaded.may_contain(HEADS).all()
    more = HEADS ^ np.uint64(5 << 40)
    loaded.add(more)
    save_filter(saved, loaded, 78)
    again, covered = load_filter(saved)
    assert (covered, again.count) == (78, loaded.count)


def test_nothing_saved():
    """A table without a filter gives an empty one that covers nothing."""
    loaded, covered = load_filter(MemoryTable())
    assert (loaded.count, covered) == (0, 0)


@pytest.mark.parametrize("damage", ["head", "pieces", "piece", "gone"])
def test_what_is_not_sound_covers_nothing(saved, damage):
    """A damaged or half saved filter is no filter: all records are read again."""
    key = b"B\5\0\2"
    if damage == "head":
        saved.rows[b"Bhead"] = b"\xff"
    elif damage == "pieces":
        saved.rows[b"Bhead"] = saved.rows[b"Bhead"][:-3] + b"\xcc\xff\1"
    elif damage == "piece":
        saved.rows[key] = saved.rows[key][:-1] + bytes([saved.rows[key][-1] ^ 1])
    else:
        del saved.rows[key]
    loaded, covered = load_filter(saved)
    assert (loaded.count, covered) == (0, 0)
