"""Deterministic doubles of the clock and the entropy port."""

import hashlib

from hansa.types import Millis


class FixedClock:
    """Implements `ports.Clock`: stands still until it is moved."""

    def __init__(self, now_ms: int = 1_000_000) -> None:
        """Start at a time."""
        self.time_ms = now_ms
        """Move it by assignment."""

    def now_ms(self) -> Millis:
        """Return the time."""
        return Millis(self.time_ms)

    def monotonic_ms(self) -> Millis:
        """Return the same."""
        return Millis(self.time_ms)


class SeededEntropy:
    """Implements `ports.Entropy`: the same bytes for the same seed, never twice the same."""

    def __init__(self, seed: str = "") -> None:
        """Take any text as seed."""
        self._seed = seed.encode()
        self._count = 0

    def random_bytes(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        self._count += 1
        return hashlib.shake_256(self._seed + self._count.to_bytes(8, "big")).digest(count)
