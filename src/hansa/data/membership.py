"""Membership filter in front of the hash index table: says "never seen" without a disk read.

A blocked Bloom filter: one 64-bit word for each key, six bits in it (Putze, Sanders & Singler 2007).
Keys are keyed digests, already uniform, so their own bytes choose word and bits. At 16 bits a key
0.4 % of absent keys are answered "perhaps". It forgets nothing; rows removed from the table stay in
it until it is built anew, which costs only a read.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

_BITS_PER_KEY = 16
_PROBES = 6
_CAPACITY_MIN = 1 << 16


class MembershipFilter:
    """Grows by being built anew: `is_full` tells when."""

    def __init__(self, capacity: int) -> None:
        """Make an empty filter for `capacity` keys, two bytes each."""
        self._capacity = max(capacity, _CAPACITY_MIN)
        self._words = np.zeros(self._capacity * _BITS_PER_KEY // 64, dtype=np.uint64)
        self._count = 0

    @property
    def is_full(self) -> bool:
        """Tell whether more keys would raise the share of false answers."""
        return self._count >= self._capacity

    @property
    def count(self) -> int:
        """Return how many keys were added."""
        return self._count

    @property
    def memory_bytes(self) -> int:
        """Return the memory it takes."""
        return int(self._words.nbytes)

    def add(self, keys: Iterable[bytes]) -> None:
        """Add keys of at least 16 uniform bytes."""
        batch = list(keys)
        if not batch:
            return
        positions, masks = self._probe(batch)
        np.bitwise_or.at(self._words, positions, masks)
        self._count += len(batch)

    def may_contain(self, keys: Sequence[bytes]) -> list[bool]:
        """Tell for each key: False = surely never added, True = added, or one of the few errors."""
        if not keys:
            return []
        positions, masks = self._probe(keys)
        return [bool(found) for found in (self._words[positions] & masks) == masks]

    def _probe(
        self, keys: Sequence[bytes]
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        """Return for each key the word it lives in and the bits it sets, both (n,)."""
        halves = np.frombuffer(b"".join(key[:16] for key in keys), dtype="<u8").reshape(-1, 2)
        positions = halves[:, 0] % np.uint64(len(self._words))
        masks = np.zeros(len(keys), dtype=np.uint64)
        for probe in range(_PROBES):
            bits = (halves[:, 1] >> np.uint64(6 * probe)) & np.uint64(63)
            masks |= np.uint64(1) << bits
        return positions, masks
