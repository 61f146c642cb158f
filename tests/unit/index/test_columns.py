"""Columns: any rows are read back, each stretch is checked, and memory keeps its bound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.errors import CorruptError
from hansa.index.columns import (
    WINDOW_MAX,
    Column,
    CountingReader,
    Room,
    check_stretches,
    corrupt,
    pad,
    windows_of,
)
from hansa.index.files import MemoryIndexFile

DTYPE = np.dtype("<u4")


def column_of(count, room, damage=None):
    values = np.arange(count, dtype=DTYPE) * 3
    data = bytearray(b"head" + values.tobytes())
    entry = check_stretches("numbers", 4, bytes(data[4:]), 4)
    if damage is not None:
        data[damage] ^= 1
    reader = CountingReader(MemoryIndexFile(bytes(data)).read)
    return Column(entry, DTYPE, Room(room)), values, reader


@given(st.integers(1, 2_000), st.sampled_from([0, 1 << 20]), st.data())
def test_any_rows_come_back(count, room, data):
    """Gathered, sliced or whole, kept in memory or not."""
    column, values, reader = column_of(count, room)
    rows = sorted(data.draw(st.sets(st.integers(0, count - 1), max_size=30)))
    assert values[rows].tolist() == column.gather(np.array(rows, dtype=np.uint32), reader).tolist()
    first, last = sorted(data.draw(st.tuples(st.integers(0, count), st.integers(0, count))))
    assert values[first:last].tolist() == column.slice(first, last, reader).tolist()
    whole = column.whole(reader)
    assert (whole is None) == (room == 0)
    assert whole is None or values.tolist() == whole.tolist()


def test_few_rows_read_few_stretches():
    """One row of a large column costs one stretch; kept in memory it costs nothing."""
    column, _, reader = column_of(10_000, 1 << 20)
    column.gather(np.array([5_000], dtype=np.uint32), reader)
    assert 1_024 == reader.bytes_read
    column.whole(reader)
    before = reader.bytes_read
    column.gather(np.array([1, 9_999], dtype=np.uint32), reader)
    assert before == reader.bytes_read


def test_a_flipped_bit_is_found_in_its_stretch_only():
    """Rows elsewhere are still answered."""
    column, values, reader = column_of(1_000, 0, damage=4 + 4 * 300)
    assert [0] == column.gather(np.array([0], dtype=np.uint32), reader).tolist()
    with pytest.raises(CorruptError):
        column.gather(np.array([511], dtype=np.uint32), reader)
    assert 3 * 999 == values[999]


def test_a_short_file_and_missing_sums_are_corrupt():
    """What the footer says must be there."""
    column, _, _ = column_of(1_000, 0)
    with pytest.raises(CorruptError):
        column.slice(900, 1_000, CountingReader(MemoryIndexFile(b"x" * 100).read))
    entry = check_stretches("numbers", 0, bytes(4_000), 4)
    with pytest.raises(CorruptError):
        Column(entry.__class__("numbers", 5_000, 0, entry.checksums), DTYPE, Room(0))
    assert isinstance(corrupt(), CorruptError)


def test_room_is_shared_and_bounded():
    """What does not fit is not kept; what is given back is there again."""
    room = Room(100)
    assert room.take(60)
    assert not room.take(41)
    room.give_back(60)
    assert room.take(100)
    assert 100 == room.bytes_taken


@pytest.mark.parametrize("room", [0, 100 * 4, 100 * 12])
def test_fields_are_kept_each_by_itself(room):
    """A question that asks for one field takes room for one; what comes back is the same."""
    dtype = np.dtype([("small", "<u4"), ("large", "<i4", (2,))])
    values = np.zeros(100, dtype=dtype)
    values["small"], values["large"] = np.arange(100), np.arange(200).reshape(100, 2)
    data = values.tobytes()
    column = Column(check_stretches("pairs", 0, data, 12), dtype, kept := Room(room))
    read = MemoryIndexFile(data).read
    rows = np.arange(0, 100, 3, dtype=np.uint32)
    found = column.gather_fields(rows, read, ("small",))
    assert values["small"][rows].tolist() == found["small"].tolist()
    assert (room >= 400) == column.is_kept("small")
    assert min(room, 400) == kept.bytes_taken
    assert not column.is_kept()
    assert values[rows].tobytes() == column.gather(rows, read).tobytes()
    assert (room >= 1_200) == column.is_kept()
    fields = column.whole_fields(read)
    assert (fields is None) == (room < 1_200)
    assert fields is None or values["large"].tolist() == fields["large"].tolist()
    assert values[7:9].tobytes() == column.slice(7, 9, read).tobytes()


@given(st.lists(st.integers(0, 599), max_size=20), st.integers(1, WINDOW_MAX))
def test_windows_are_neighbouring_rows(firsts, length):
    """From any first on, beyond the last row zeros."""
    values = np.arange(1, 1_201, dtype="<u2").reshape(600, 2)
    found = windows_of(pad(values), np.array(firsts, dtype=np.int64), length)
    after = [*values.tolist(), *[[0, 0]] * WINDOW_MAX]
    assert [after[first : first + length] for first in firsts] == found.tolist()


@pytest.mark.parametrize("room", [0, 4_000])
def test_windows_come_from_memory_alone(room):
    """Where there is no room for the column there are none: then rows are gathered."""
    data = np.arange(1_000, dtype="<u4").tobytes()
    column = Column(check_stretches("numbers", 0, data, 4), np.dtype("<u4"), Room(room))
    found = column.windows(np.array([0, 990]), 16, MemoryIndexFile(data).read)
    assert found is None
    wanted = np.arange(0, 992, 16)
    found = column.windows(wanted, 16, MemoryIndexFile(data).read)
    assert (found is None) == (not room)
    assert found is None or list(range(992)) == found.reshape(-1).tolist()
