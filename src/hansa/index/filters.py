"""Membership filters of the discriminant table: over the whole index, and bit-sliced over its pages.

Both answer "surely not" or "perhaps". A filter for each page alone would let half of all absent keys
hit some page; so one filter over everything comes first. The second keeps for each hash value one
row of bits, a bit for each page: one look tells which of all pages may have a key.

Both are looked into with plain integers: a probe of a Python integer costs a tenth of one of an array.
"""

from collections.abc import Iterable, Sequence
from struct import Struct

import numpy as np
import numpy.typing as npt

BITS_PER_KEY = 14
_PROBES = 8
_SLICE_PROBES = 3
_SLICES_MIN = 1 << 6
_SLICES_MAX = 1 << 14
_MASK = (1 << 64) - 1
_AGAIN = range(_PROBES - 1)
_halves = Struct("<QQ").unpack
Digests = npt.NDArray[np.uint64]
"""(n, 2): digests of keys as two little-endian numbers each."""


class KeyFilter:
    """Bloom filter: 14 bits a key and eight probes let 0.13 % of absent keys pass."""

    def __init__(self, bits: bytes) -> None:
        """Take its bytes, at least one."""
        assert bits
        self._bits = bits
        self._size = 8 * len(bits)

    @classmethod
    def build(cls, digests: Digests) -> "KeyFilter":
        """Return the filter of keys given by their digests."""
        size = max(64, -(-len(digests) * BITS_PER_KEY // 8))
        marks = np.zeros(8 * size, dtype=np.bool_)
        first, step = digests[:, 0], digests[:, 1] | np.uint64(1)
        position = first.copy()
        for _ in range(_PROBES):
            marks[position % np.uint64(8 * size)] = True
            position += step
        return cls(np.packbits(marks, bitorder="little").tobytes())

    def to_bytes(self) -> bytes:
        """Return its bits."""
        return self._bits

    @property
    def memory_bytes(self) -> int:
        """Return the memory it takes."""
        return len(self._bits)

    def may_contain(self, digest: bytes) -> bool:
        """Tell whether a key of this digest may have been added; False is certain."""
        bits, size = self._bits, self._size
        position, step = _halves(digest)
        # Half of all absent keys end here.
        at = position % size
        if not bits[at >> 3] >> (at & 7) & 1:
            return False
        step |= 1
        for _ in _AGAIN:
            position = (position + step) & _MASK
            at = position % size
            if not bits[at >> 3] >> (at & 7) & 1:
                return False
        return True


class PageFilter:
    """Bit-sliced Bloom filter: row h has a bit for each page that has a key hashed to h."""

    def __init__(self, bits: bytes, pages: int) -> None:
        """Take slices of ⌈pages/8⌉ bytes each; their number is a power of two."""
        self._width = (pages + 7) // 8
        self._count = len(bits) // self._width if self._width else 1
        assert self._count & (self._count - 1) == 0
        assert self._count * self._width == len(bits)
        self._bits = bits

    @classmethod
    def build(cls, digests: Digests, pages_of: Sequence[npt.NDArray[np.int64]], pages: int, bytes_max: int) -> "PageFilter":  # fmt: skip
        """Return the filter of keys, each given by digest and the pages that have it.

        Args:
            digests: (n, 2).
            pages_of: for each key its pages.
            pages: how many there are.
            bytes_max: as many slices as fit in so much memory, but at least 64.
        """
        width = (pages + 7) // 8
        count = _SLICES_MIN
        while count < _SLICES_MAX and 2 * count * width <= bytes_max:
            count *= 2
        slices = np.zeros((count, width), dtype=np.uint8)
        lows = [int(low) for low in digests[:, 0]]
        for low, members in zip(lows, pages_of, strict=True):
            bits = (1 << (members & 7)).astype(np.uint8)
            for position in _slices_of(low, count):
                np.bitwise_or.at(slices[position], members >> 3, bits)
        return cls(slices.tobytes(), pages)

    def to_bytes(self) -> bytes:
        """Return its bits, slice after slice."""
        return self._bits

    @property
    def memory_bytes(self) -> int:
        """Return the memory it takes."""
        return len(self._bits)

    def pages_with(self, digest: bytes) -> int:
        """Return a number whose bit p tells whether page p may have the key."""
        width, found = self._width, -1
        for position in _slices_of(int.from_bytes(digest[:8], "little"), self._count):
            start = position * width
            found &= int.from_bytes(self._bits[start : start + width], "little")
        return found


def as_digests(digests: Iterable[bytes]) -> Digests:
    """Return 16-byte digests as numbers, (n, 2)."""
    return np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2).astype(np.uint64)


def _slices_of(low: int, count: int) -> tuple[int, ...]:
    """Return the slices of a key; `count` is a power of two up to 2^16."""
    return tuple((low >> (16 * probe)) & (count - 1) for probe in range(_SLICE_PROBES))
