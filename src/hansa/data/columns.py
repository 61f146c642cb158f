"""Columns: many small values of one kind kept as a few long byte strings.

A manifest of a large version lists hundreds of thousands of chunks. As one object each they would take
some 300 bytes of memory and be checked one by one; joined into columns they take what they hold, and
numpy checks them at once. A small version lists one or two: for so few numpy's calls would take as
long as all the rest of opening it, so they are plain integers.
"""

import struct
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TypeVar, overload

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from hansa.errors import InvalidError

T = TypeVar("T")
Numbers = npt.NDArray[np.int64]

FEW_NUMBERS = 32
"""Up to so many numbers are quicker handled one by one than by numpy."""
_TOO_LARGE = "A number in a column is too large."


class Rows(Sequence[T]):
    """A read-only sequence of values that are made when they are asked for."""

    __slots__ = ("_count", "_make", "_make_some")

    def __init__(
        self,
        count: int,
        make: Callable[[int], T],
        make_some: Callable[[int, int], list[T]] | None = None,
    ) -> None:
        """Take how many there are and how number `index` is made.

        Args:
            count: of the values.
            make: returns value `index`.
            make_some: returns values `start` to `stop`, quicker than one by one.
        """
        self._count = count
        self._make = make
        self._make_some = make_some

    @override
    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    @override
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            start, stop, step = index.indices(self._count)
            if step == 1 and self._make_some is not None:
                return self._make_some(start, max(start, stop))
            return [self._make(number) for number in range(*index.indices(self._count))]
        number = index + self._count if index < 0 else index
        if not 0 <= number < self._count:
            raise IndexError(index)
        return self._make(number)

    @override
    def __iter__(self) -> Iterator[T]:
        return map(self._make, range(self._count))


def pack_u16(values: Iterable[int]) -> bytes:
    """Return numbers from 0 to 2^16 − 1, two bytes each, little-endian."""
    return np.fromiter(values, dtype="<u2").tobytes()


def pack_u32(values: Iterable[int]) -> bytes:
    """Return numbers from 0 to 2^32 − 1, four bytes each, little-endian."""
    return np.fromiter(values, dtype="<u4").tobytes()


def pack_u64(values: Iterable[int]) -> bytes:
    """Return numbers from 0 to 2^63 − 1, eight bytes each, little-endian."""
    return np.fromiter(values, dtype="<u8").tobytes()


def unpack_u16(data: bytes) -> Numbers:
    """Return the numbers of a column, (n,).

    Raises:
        InvalidError: not whole numbers of two bytes.
    """
    return _unpack(data, "<u2")


def unpack_u32(data: bytes) -> Numbers:
    """Return the numbers of a column, (n,).

    Raises:
        InvalidError: not whole numbers of four bytes.
    """
    return _unpack(data, "<u4")


def unpack_u64(data: bytes) -> Numbers:
    """Return the numbers of a column, (n,).

    Raises:
        InvalidError: not whole numbers of eight bytes, or one of 2^63 and more.
    """
    found = _unpack(data, "<u8")
    if found.size and found.min() < 0:
        raise InvalidError(_TOO_LARGE)
    return found


def read_u16(data: bytes, index: int) -> int:
    """Return one number of a column."""
    return int.from_bytes(data[2 * index : 2 * index + 2], "little")


def read_u32(data: bytes, index: int) -> int:
    """Return one number of a column."""
    return int.from_bytes(data[4 * index : 4 * index + 4], "little")


def read_u64(data: bytes, index: int) -> int:
    """Return one number of a column."""
    return int.from_bytes(data[8 * index : 8 * index + 8], "little")


def read_digest(data: bytes, index: int) -> bytes:
    """Return one digest of a column, 32 bytes."""
    return data[32 * index : 32 * index + 32]


def few_u32(data: bytes) -> tuple[int, ...] | None:
    """Return the numbers of a column if they are few; None for a long column or half numbers."""
    count, odd = divmod(len(data), 4)
    return None if odd or count > FEW_NUMBERS else struct.unpack(f"<{count}I", data)


def few_u64(data: bytes) -> tuple[int, ...] | None:
    """Return the numbers of a column if they are few; None for a long column or half numbers.

    Raises:
        InvalidError: one is 2^63 or more.
    """
    count, odd = divmod(len(data), 8)
    if odd or count > FEW_NUMBERS:
        return None
    found: tuple[int, ...] = struct.unpack(f"<{count}q", data)
    if found and min(found) < 0:
        raise InvalidError(_TOO_LARGE)
    return found


def sum_u32(data: bytes) -> int:
    """Return the sum of a column's numbers; raises as `unpack_u32`."""
    few = few_u32(data)
    return int(unpack_u32(data).sum()) if few is None else sum(few)


def sum_u64(data: bytes) -> int:
    """Return the sum of a column's numbers, however large; raises as `unpack_u64`."""
    few = few_u64(data)
    return sum(unpack_u64(data).tolist() if few is None else few)


def running_sums(values: Numbers | Sequence[int]) -> "array[int]":
    """Return 0 and the sums of the first 1, 2, … n values: n + 1 numbers of eight bytes each."""
    if not isinstance(values, np.ndarray):
        return array("q", accumulate(values, initial=0))
    return array("q", np.concatenate((np.zeros(1, np.int64), np.cumsum(values))).tobytes())


def running_sums_u32(data: bytes) -> "array[int]":
    """Return the running sums of a column's numbers; raises as `unpack_u32`."""
    few = few_u32(data)
    return running_sums(unpack_u32(data) if few is None else few)


def running_sums_u64(data: bytes) -> "array[int]":
    """Return the running sums of a column's numbers; raises as `unpack_u64`."""
    few = few_u64(data)
    return running_sums(unpack_u64(data) if few is None else few)


def are_distinct(digests: bytes) -> bool:
    """Tell whether the 32-byte digests of a column are all different."""
    if len(digests) < 64:
        return True
    heads = np.sort(np.frombuffer(digests, dtype="<u8")[::4])
    if bool((heads[1:] != heads[:-1]).all()):
        return True
    # Equal in 8 bytes: by design of an attacker, or because they are equal.
    rows = {digests[at : at + 32] for at in range(0, len(digests), 32)}
    return 32 * len(rows) == len(digests)


def _unpack(data: bytes, kind: str) -> Numbers:
    if len(data) % np.dtype(kind).itemsize:
        raise InvalidError("A column does not hold whole numbers.")
    return np.frombuffer(data, dtype=kind).astype(np.int64)
