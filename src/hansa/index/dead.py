"""Rows of the data index that were replaced or retired since it was written; only ever more of them."""

import numpy as np
import numpy.typing as npt

from hansa.index.bits import Words, words_of

_FIRST = 64


class Dead:
    """Rows in the order of their end. One writer; readers name how many they know of."""

    def __init__(self) -> None:
        self._rows = np.zeros(_FIRST, dtype=np.uint32)
        self._place: dict[int, int] = {}
        self._sorted: tuple[int, npt.NDArray[np.uint32]] = (0, self._rows[:0])
        self._bits: tuple[int, Words] = (-1, np.zeros(0, dtype=np.uint64))

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len(self._place)

    def add(self, row: int) -> None:
        """Note that a living row ended."""
        count = len(self._place)
        assert row not in self._place
        if count == len(self._rows):
            self._rows = np.concatenate((self._rows, np.zeros_like(self._rows)))
        self._rows[count] = row
        self._place[row] = count

    def has(self, row: int, count: int) -> bool:
        """Tell whether a row is among the first `count`."""
        return self._place.get(row, count) < count

    def rows(self, count: int) -> npt.NDArray[np.uint32]:
        """Return the first `count` of them, rising."""
        known = self._sorted
        if known[0] != count:
            known = self._sorted = (count, np.sort(self._rows[:count]))
        return known[1]

    def bits(self, count: int, rows: int) -> Words:
        """Return the first `count` of them as bits, one for each of the file's rows."""
        known = self._bits
        if known[0] != count:
            known = self._bits = (count, words_of(self.rows(count), rows))
        return known[1]
