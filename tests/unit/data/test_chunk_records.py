"""Tests of hansa.data.chunk_records."""

import numpy as np
import pytest

from hansa.data import chunk_records
from hansa.data.chunk_records import BLOCK_RECORDS, FIELDS, RECORD, ChunkRecords
from hansa.errors import CorruptError, UnavailableError
from hansa.storage.table import MemoryTable


def records(*labels, pack=1):
    """Return a record for each label."""
    parts = [FIELDS.pack(b"%32d" % n, b"s%31d" % n, b"f" * 36, pack, n, 20, n % 3) for n in labels]
    return np.frombuffer(b"".join(parts), RECORD)


def keep(table, edit):
    """Write an edit."""
    table.write(edit.rows())
    edit.apply()


def test_append_and_load():
    """Records are numbered as they come, over rows, and are there after the next open."""
    table = MemoryTable()
    held = ChunkRecords(table)
    for first in range(0, 100, 30):
        edit = held.edit()
        assert (
            list(range(first, first + 30))
            == edit.append(records(*range(first, first + 30))).tolist()
        )
        keep(table, edit)
    again = ChunkRecords(table)
    assert again.next_ordinal == 120
    asked = np.array([119, 0, 35, 34, 0], np.uint32)
    assert records(119, 0, 35, 34, 0).tobytes() == again.load(asked).tobytes()
    assert again.load(np.array([500], np.uint32))["pack"].tolist() == [0]
    assert len(again.load(np.empty(0, np.uint32))) == 0


def test_put_and_empty():
    """A record is changed in place; a row with none left goes, and its numbers are not given again."""
    table = MemoryTable()
    held = ChunkRecords(table)
    edit = held.edit()
    edit.append(records(*range(2 * BLOCK_RECORDS + 1)))
    keep(table, edit)
    rows = len(table.rows)
    edit = held.edit()
    edit.put(np.array([3, 36], np.uint32), records(3, 36, pack=9))
    keep(table, edit)
    assert held.load(np.array([3, 36, 4], np.uint32))["pack"].tolist() == [9, 9, 1]
    edit = held.edit()
    edit.put(np.arange(BLOCK_RECORDS, dtype=np.uint32), np.zeros(BLOCK_RECORDS, RECORD))
    keep(table, edit)
    assert len(table.rows) == rows - 1
    ordinals = [int(at) for some, _ in held.scan() for at in some]
    assert ordinals == list(range(BLOCK_RECORDS, 2 * BLOCK_RECORDS + 1))
    assert [int(at) for some, _ in held.scan(50) for at in some] == list(range(50, 71))
    assert ChunkRecords(table).next_ordinal == 2 * BLOCK_RECORDS + 1


def test_an_edit_that_is_not_written_changes_nothing():
    """Numbers are given again if the rows never came to the table."""
    table = MemoryTable()
    held = ChunkRecords(table)
    held.edit().append(records(1, 2))
    assert held.next_ordinal == 0
    assert table.rows == {}


def test_numbers_end(monkeypatch):
    """Past the last number the table says what to do."""
    monkeypatch.setattr(chunk_records, "_ORDINALS_MAX", 5)
    with pytest.raises(UnavailableError, match="rebuild-table"):
        ChunkRecords(MemoryTable()).edit().append(records(*range(6)))


@pytest.mark.parametrize("damage", ["cut", "empty", "long"])
def test_damage_is_told(damage):
    """A row of a length no row has is never an answer."""
    table = MemoryTable()
    held = ChunkRecords(table)
    edit = held.edit()
    edit.append(records(1, 2))
    keep(table, edit)
    key = b"R" + bytes(4)
    row = table.rows[key]
    damaged = {"cut": row[:-1], "empty": b"", "long": row * 40}
    table.rows[key] = damaged[damage]
    with pytest.raises(CorruptError):
        held.load(np.array([1], np.uint32))
