"""Columns of the data index: rows of one fixed size, read by row numbers, each stretch checked.

A column is checked by a CRC-32 for each 256 rows, so that any row can be read without the rest. Hot
columns are kept whole in memory while they fit in the room the index is given (`Room`); larger ones
are read a stretch at a time, so that the data index may exceed memory.
"""

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from hansa.errors import CorruptError, InvalidError

STRETCH = 256
WINDOW_MAX = 16
Reader = Callable[[int, int], bytes]
"""Reads so many bytes at an offset: reader(offset, length)."""
Rows = npt.NDArray[Any]
"""Row numbers, rising."""
Fields = dict[str, npt.NDArray[Any]]
"""Values by the name of their field."""


class CountingReader:
    """Counts the bytes that one question reads."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self.bytes_read = 0

    def __call__(self, offset: int, length: int) -> bytes:
        """Read and count.

        Raises:
            CorruptError: the file is shorter than it says.
        """
        self.bytes_read += length
        try:
            return self._read(offset, length)
        except InvalidError as error:
            raise corrupt() from error


class Room:
    """How much of the data index may be held in memory; shared by all that keep some of it."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self.bytes_taken = 0

    def take(self, size: int) -> bool:
        """Tell whether so much may be kept, and count it."""
        if self.bytes_taken + size > self._bytes_max:
            return False
        self.bytes_taken += size
        return True

    def give_back(self, size: int) -> None:
        """Count what is not kept any more."""
        self.bytes_taken -= size


class ColumnEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a column lies."""

    name: str
    count: int
    """Rows of the column."""
    offset: int
    checksums: bytes
    """CRC-32 of each stretch, 4 bytes each."""


def check_stretches(name: str, offset: int, data: bytes, row_bytes: int) -> ColumnEntry:
    """Return the entry of a column whose bytes are to lie at `offset`."""
    size = STRETCH * row_bytes
    sums = [zlib.crc32(data[start : start + size]) for start in range(0, len(data), size)]
    return ColumnEntry(name, len(data) // row_bytes, offset, np.array(sums, dtype="<u4").tobytes())


class Column:
    """One column of an open file."""

    def __init__(self, entry: ColumnEntry, dtype: np.dtype[Any], room: Room) -> None:
        """Take a column of values of `dtype`; what it keeps counts in `room`."""
        self._entry = entry
        self._dtype = dtype
        self._count = entry.count
        self._room = room
        self._kept: Fields = {}
        self._fields: tuple[str, ...] = dtype.names or ("",)
        """One without a name stands for the value itself."""
        self._size = entry.count * dtype.itemsize
        self._padded: npt.NDArray[Any] = np.zeros(0, dtype=dtype)
        self._spent = 0
        stretches = -(-entry.count // STRETCH)
        if len(entry.checksums) != 4 * stretches:
            raise corrupt()
        self._checksums = np.frombuffer(entry.checksums, dtype="<u4")

    @property
    def count(self) -> int:
        """Return how many rows it has."""
        return self._count

    def is_kept(self, *fields: str) -> bool:
        """Tell whether it is in memory, or those fields: then rows may be asked for in any order."""
        return all(name in self._kept for name in fields or self._fields)

    def whole(self, read: Reader) -> npt.NDArray[Any] | None:
        """Return a column of one field if it is in memory or there is room for it, else None."""
        assert self._dtype.names is None
        return self._kept[""] if self._keep(self._fields, read) else None

    def kept(self, field: str = "") -> npt.NDArray[Any] | None:
        """Return a field, or a column of one, if it is in memory, else None."""
        return self._kept.get(field)

    def whole_fields(self, read: Reader) -> Fields | None:
        """Return a column's fields by name if they are in memory or there is room, else None."""
        assert self._dtype.names is not None
        return self._kept if self._keep(self._fields, read) else None

    def fields(self, names: Sequence[str], read: Reader) -> Fields | None:
        """Return some fields by name if they are in memory or there is room for them, else None."""
        return self._kept if self._keep(names, read) else None

    def gather(self, rows: Rows, read: Reader) -> npt.NDArray[Any]:
        """Return the values of some rows, (n,); they rise, unless the column is kept."""
        if not self._keep_for(len(rows), self._fields, read):
            return self._gather(rows, read)
        if self._dtype.names is None:
            return self._kept[""].take(rows, axis=0)
        found = np.empty(len(rows), dtype=self._dtype)
        for name in self._dtype.names:
            found[name] = self._kept[name].take(rows, axis=0)
        return found

    def gather_fields(self, rows: Rows, read: Reader, fields: Sequence[str]) -> Fields:
        """Return some fields of some rows, (n, …) each; rows as `gather` wants them."""
        if self._keep_for(len(rows), fields, read):
            return {name: self._kept[name].take(rows, axis=0) for name in fields}
        found = self._gather(rows, read)
        return {name: found[name] for name in fields}

    def windows(self, firsts: Rows, length: int, read: Reader) -> npt.NDArray[Any] | None:
        """Return so many rows from each first on, (n, length, …), if they are in memory or to be kept.

        Beyond the last row come others, or zeros: the caller knows how many there are.
        """
        assert self._dtype.names is None
        if not self._keep_for(length * len(firsts), self._fields, read):
            return None
        return windows_of(self._padded, firsts, length)

    def _keep(self, fields: Sequence[str], read: Reader) -> bool:
        """Tell whether fields are in memory; take them in, each by itself, if there is room."""
        missing = [name for name in fields if name not in self._kept]
        if not missing:
            return True
        sizes = (self._dtype[name] if name else self._dtype for name in missing)
        if not self._room.take(self._count * sum(size.itemsize for size in sizes)):
            return False
        data = self._read(0, self._count, read)
        for name in missing:
            if name:
                self._kept[name] = np.ascontiguousarray(data[name])
            else:
                self._padded = pad(data)
                self._kept[name] = self._padded[: self._count]
        return True

    def _keep_for(self, count: int, fields: Sequence[str], read: Reader) -> bool:
        # What was read piece by piece has cost a whole column: keep it.
        if 8 * count > self._count or self._spent > self._size:
            return self._keep(fields, read)
        return all(name in self._kept for name in fields)

    def _gather(self, rows: Rows, read: Reader) -> npt.NDArray[Any]:
        found = np.empty(len(rows), dtype=self._dtype)
        numbers = rows.tolist()
        start = 0
        while start < len(numbers):
            first = numbers[start] // STRETCH * STRETCH
            end = start + 1
            while end < len(numbers) and numbers[end] < first + STRETCH:
                end += 1
            part = self._read(first, min(self._count, first + STRETCH), read)
            found[start:end] = part[rows[start:end] - first]
            start = end
        return found

    def slice(self, first: int, last: int, read: Reader) -> npt.NDArray[Any]:
        """Return the rows from `first` to before `last`."""
        if "" in self._kept:
            return self._kept[""][first:last]
        low = first // STRETCH * STRETCH
        high = min(self._count, -(-last // STRETCH) * STRETCH)
        return self._read(low, high, read)[first - low : last - low]

    def _read(self, first: int, last: int, read: Reader) -> npt.NDArray[Any]:
        """Read whole stretches and check each."""
        size = self._dtype.itemsize
        data = read(self._entry.offset + first * size, (last - first) * size)
        self._spent += len(data)
        step = STRETCH * size
        view = memoryview(data)
        for number, start in enumerate(range(0, len(data), step), first // STRETCH):
            if zlib.crc32(view[start : start + step]) != self._checksums[number]:
                raise corrupt()
        return np.frombuffer(data, dtype=self._dtype)


def pad(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return rows followed by zeros, so that a window may begin at each."""
    after = np.zeros((WINDOW_MAX, *values.shape[1:]), dtype=values.dtype)
    return np.concatenate((values, after))


def windows_of(padded: npt.NDArray[Any], firsts: Rows, length: int) -> npt.NDArray[Any]:
    """Return neighbouring rows of what `pad` gave, from each first on, (n, length, …)."""
    assert length <= WINDOW_MAX
    size = padded.strides[0]
    # A window is one item to be copied: a tenth of the time of its rows one by one.
    whole = np.ndarray((len(padded) - length,), np.dtype((np.void, length * size)), padded, 0, (size,))  # fmt: skip
    return whole[firsts].view(padded.dtype).reshape(len(firsts), length, *padded.shape[1:])


def corrupt() -> CorruptError:
    """Return what is raised for bytes that are not what was written."""
    return CorruptError(
        "A file of the index was cut or changed.",
        remedy="The index is rebuilt from the chain; check the disk if this comes again.",
    )
