"""Membership filters of the discriminant table: over the whole index, and bit-sliced over its pages.

Both answer "surely not" or "perhaps". A filter for each page alone would let half of all absent keys
hit some page; so one filter over everything comes first. The second keeps for each hash value one
row of bits, a bit for each page: one look tells which of all pages may have a key.
"""

import hashlib
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

_BITS_PER_KEY = 16
_PROBES = 6
_SLICE_PROBES = 4
_SLICE_BITS_PER_KEY = 8
_SLICES_MIN = 1 << 8
_SLICES_MAX = 1 << 18
_HASH_BYTES = 16


def hash_key(key: bytes) -> int:
    """Return 128 uniform bits of a key, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=_HASH_BYTES).digest(), "little")


class KeyFilter:
    """Blocked Bloom filter: six bits in one 64-bit word for each key, two bytes a key, 0.4 % false."""

    def __init__(self, words: npt.NDArray[np.uint64]) -> None:
        self._words = words

    @classmethod
    def sized_for(cls, keys: int) -> "KeyFilter":
        """Return an empty filter for so many keys."""
        return cls(np.zeros(max(64, keys * _BITS_PER_KEY // 64), dtype=np.uint64))

    @classmethod
    def from_bytes(cls, data: bytes) -> "KeyFilter":
        """Return a filter from what `to_bytes` gave."""
        return cls(np.frombuffer(data, dtype="<u8").astype(np.uint64))

    def to_bytes(self) -> bytes:
        """Return its bits, little-endian."""
        return self._words.astype("<u8").tobytes()

    @property
    def memory_bytes(self) -> int:
        """Return the memory it takes."""
        return int(self._words.nbytes)

    def add(self, hashes: Collection[int]) -> None:
        """Add hashed keys. Readers may ask at the same time: bits only ever appear."""
        for value in hashes:
            position, mask = self._probe(value)
            self._words[position] |= np.uint64(mask)

    def may_contain(self, value: int) -> bool:
        """Tell whether a hashed key may have been added; False is certain."""
        position, mask = self._probe(value)
        return int(self._words[position]) & mask == mask

    def _probe(self, value: int) -> tuple[int, int]:
        bits = value >> 64
        mask = 0
        for _ in range(_PROBES):
            mask |= 1 << (bits & 63)
            bits >>= 6
        return (value & 0xFFFFFFFFFFFFFFFF) % len(self._words), mask


class PageFilter:
    """Bit-sliced Bloom filter: row h has a bit for each page that has a key hashed to h."""

    def __init__(self, slices: npt.NDArray[np.uint8], pages: int) -> None:
        """Take bits (slices, ⌈pages/8⌉); slices is a power of two."""
        assert slices.ndim == 2
        assert slices.shape[1] == (pages + 7) // 8
        self._slices = slices
        self._pages = pages

    @classmethod
    def build(cls, keys_of_pages: Sequence[Collection[int]]) -> "PageFilter":
        """Return the filter of pages, each given by its hashed keys."""
        pages = len(keys_of_pages)
        sizes = [len(keys) for keys in keys_of_pages] or [0]
        # Pages differ in size: roomy for the mean, and never crowded for the largest.
        wanted = max(sum(sizes) // len(sizes) * _SLICE_BITS_PER_KEY, max(sizes) * _SLICE_PROBES)
        count = _SLICES_MIN
        while count < min(_SLICES_MAX, wanted):
            count *= 2
        slices = np.zeros((count, (pages + 7) // 8), dtype=np.uint8)
        for page, keys in enumerate(keys_of_pages):
            positions = [position for key in keys for position in _slice_positions(key, count)]
            slices[positions, page // 8] |= np.uint8(1 << (page % 8))
        return cls(slices, pages)

    @classmethod
    def from_bytes(cls, data: bytes, pages: int) -> "PageFilter":
        """Return a filter from what `to_bytes` gave."""
        width = (pages + 7) // 8
        if not width:
            return cls(np.zeros((_SLICES_MIN, 0), dtype=np.uint8), 0)
        return cls(np.frombuffer(data, dtype=np.uint8).reshape(-1, width), pages)

    def to_bytes(self) -> bytes:
        """Return its bits, slice after slice."""
        return self._slices.tobytes()

    @property
    def memory_bytes(self) -> int:
        """Return the memory it takes."""
        return int(self._slices.nbytes)

    def pages_with(self, hashes: Collection[int]) -> npt.NDArray[np.bool_]:
        """Return for each page whether it may have at least one of the hashed keys, (pages,)."""
        found = np.zeros(self._slices.shape[1], dtype=np.uint8)
        for value in hashes:
            positions = _slice_positions(value, len(self._slices))
            found |= np.bitwise_and.reduce(self._slices[positions], axis=0)
        return np.unpackbits(found, count=self._pages, bitorder="little").astype(np.bool_)


def _slice_positions(value: int, count: int) -> list[int]:
    """Return the slices of a hashed key; `count` is a power of two up to 2^18."""
    return [(value >> (24 * probe)) & (count - 1) for probe in range(_SLICE_PROBES)]
