"""Which rows lie on which cells of place and time, as the data index lists them.

A row is listed on several cells, and a cell holds more than lies in what is asked, so what comes from
here are candidates: each row's own box and interval decide (`selecting`). Cells with very many rows are
kept as bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.index.bits import Words, words_of
from hansa.index.columns import Column, Fields, Reader, Room

_DENSE = 64
"""A cell with more than one row in so many is kept as bits."""
Rows = npt.NDArray[np.uint32]
NO_ROWS: Rows = np.zeros(0, dtype=np.uint32)


@dataclass(frozen=True, slots=True)
class Ranges:
    """Runs of neighbouring cells that have rows."""

    firsts: list[int]
    lasts: list[int]
    """One more than the last cell of each run."""
    size: int
    """Entries on them: rows, each as often as it is listed."""


class CellLists:
    """Finds the rows listed on runs of cells."""

    def __init__(self, cells: Fields, column: Column, rows: int, room: Room) -> None:
        """Take codes and starts of the cells, rising, the column they point into, rows of the file."""
        self._codes = cells["code"]
        starts = cells["start"].astype(np.int64)
        self._bounds = np.append(starts, column.count)
        self._dense = np.flatnonzero(np.diff(self._bounds) * _DENSE > rows)
        self._column = column
        self._rows = rows
        self._room = room
        self._bits: dict[int, Words] = {}

    def ranges(self, runs: Sequence[tuple[int, int]]) -> Ranges:
        """Return where runs of codes, given by first and last, have rows."""
        asked = np.array(runs, dtype=np.uint64)
        low = self._codes.searchsorted(asked[:, 0])
        high = self._codes.searchsorted(asked[:, 1], side="right")
        some = high > low
        low, high = low[some], high[some]
        size = int((self._bounds[high] - self._bounds[low]).sum())
        return Ranges(low.tolist(), high.tolist(), size)

    def candidates(self, ranges: Ranges, read: Reader) -> tuple[Rows, Words | None]:
        """Return the rows listed there, in no order and repeated, and those that are kept as bits."""
        parts: list[npt.NDArray[Any]] = []
        bits: Words | None = None
        for first, last in zip(ranges.firsts, ranges.lasts, strict=True):
            low, high = self._dense.searchsorted((first, last)).tolist()
            for cell in self._dense[low:high].tolist():
                parts.append(self._listed(first, cell, read))
                members = self._bits_of(cell, read)
                bits = members if bits is None else bits | members
                first = cell + 1  # noqa: PLW2901 - the rest of the run
            parts.append(self._listed(first, last, read))
        rows = np.concatenate(parts) if parts else NO_ROWS
        return rows, bits

    def _listed(self, first: int, last: int, read: Reader) -> npt.NDArray[Any]:
        start, end = int(self._bounds[first]), int(self._bounds[last])
        return self._column.slice(start, end, read) if end > start else NO_ROWS

    def _bits_of(self, cell: int, read: Reader) -> Words:
        found = self._bits.get(cell)
        if found is None:
            found = words_of(self._listed(cell, cell + 1, read), self._rows)
            if self._room.take(found.nbytes):
                self._bits[cell] = found
        return found
