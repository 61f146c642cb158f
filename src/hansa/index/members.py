"""The ranks of the rows that have a key: rising, or as bits if they are many.

A row's *rank* is the place of its id among all ids of a file.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.index.bits import Mask, Rows, Words, among_bits, has_rows, is_in, rows_of, words_of
from hansa.index.time_order import TimeOrder

_DENSE = 256
"""A list with more than one row in so many is kept as bits."""
FEW = 96
"""So few ranks are gone through one by one sooner than by operations on arrays."""
_INT_BYTES = 40
_OBJECT_BYTES = 512
"""What Python takes for the members of a key besides."""


class Members:
    """The ranks of one key's rows."""

    __slots__ = ("_by_start", "_marks", "bits", "count", "listed", "ranks", "size")

    def __init__(self, ranks: npt.NDArray[np.uint32], rows: int) -> None:
        """Take ranks below `rows`, in any order, each once."""
        self.count = len(ranks)
        self.ranks: Rows | None = None
        self.bits: Words | None = None
        self.listed: list[int] | None = None
        """The same ranks, if they are few."""
        self._by_start: Words | None = None
        if len(ranks) * _DENSE > rows:
            self.bits = words_of(ranks, rows)
            self._marks = self.bits.view(np.uint8)
            # As much again may come with the first question that asks for a time too.
            self.size = 2 * self.bits.nbytes
        else:
            self.ranks = np.sort(ranks)
            self.size = self.ranks.nbytes
        if self.count <= FEW:
            self.listed = sorted(ranks.tolist())
            self.size += _INT_BYTES * self.count
        self.size += _OBJECT_BYTES

    def among(self, ranks: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return those of some ranks that have the key, in their order."""
        if self.ranks is None:
            return among_bits(self._marks, ranks)
        return ranks.compress(is_in(ranks, self.ranks))

    def has(self, ranks: npt.NDArray[Any]) -> Mask:
        """Return which of some ranks have the key, (n,)."""
        if self.ranks is None:
            assert self.bits is not None
            return has_rows(self.bits, ranks)
        return is_in(ranks, self.ranks)

    def among_few(self, ranks: list[int]) -> list[int]:
        """Return what `among` does, of a few ranks."""
        if self.ranks is None:
            marks = self._marks.data
            return [rank for rank in ranks if marks[rank >> 3] >> (rank & 7) & 1]
        if self.listed is not None:
            return [rank for rank in ranks if rank in self.listed]
        asked = np.array(ranks, dtype=np.uint32)
        found: list[int] = asked[is_in(asked, self.ranks)].tolist()
        return found

    def by_start(self, times: TimeOrder) -> Words:
        """Return them as bits in the order of starts, if they are many."""
        if self._by_start is None:
            assert self.bits is not None
            self._by_start = times.bits(rows_of(self.bits))
        return self._by_start
