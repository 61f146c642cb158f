"""When rows are: intervals in the order of their starts, and in that of their ends.

An interval meets another unless it starts after its end or ends before its start; no interval does
both. So how many meet is the difference of two places in these orders, and which of some rows do so is
told by two numbers of each row, its *places*: exactly, without a look at the interval itself.

Where many rows are asked about, they are bits in the order of starts: one stretch of them can match,
and those of it that end too early are kept out by bits again, known for every so many ends.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hansa.index.bits import Mask, Words, among_bits, words_of
from hansa.index.columns import Room
from hansa.types import Interval

Places = npt.NDArray[np.uint32]
_NEVER = (1 << 32) - 1
_MARKS_MAX = 512
_STEP_MIN = 64
PLACE = np.dtype([("start", "<u4"), ("end", "<u4")])
_BELOW = tuple(np.uint64((1 << bit) - 1) for bit in range(64))


class Window(NamedTuple):
    """Places that meet an interval: those before `end` in the order of starts, from `first_end` in that of ends."""

    end: int
    first_end: int


class TimeOrder:
    """The intervals of a file's rows. Never changes but for what is kept of it."""

    def __init__(self, rows: npt.NDArray[Any], intervals: npt.NDArray[np.int64], count: int, room: Room) -> None:  # fmt: skip
        """Take rows that have intervals (n, 2), by any numbers below `count` that rows are known by."""
        by_start = intervals[:, 0].argsort(kind="stable")
        ends = intervals[by_start, 1]
        self._starts = intervals[by_start, 0]
        self._by_end: Places = ends.argsort(kind="stable").astype(np.uint32)
        self._ends = ends[self._by_end]
        end_places = np.empty(len(ends), dtype=np.uint32)
        end_places[self._by_end] = np.arange(len(ends), dtype=np.uint32)
        self._reach = np.maximum.accumulate(end_places)
        self._rows = rows[by_start].astype(np.uint32)
        self._places = np.zeros(count, dtype=PLACE)
        self._places["start"] = _NEVER
        self._places["start"][self._rows] = np.arange(len(ends), dtype=np.uint32)
        self._places["end"][self._rows] = end_places
        self._pairs = self._places.view(np.uint64)
        self._flat = self._places.view(np.uint32).data
        self._step = max(_STEP_MIN, -(-len(ends) // _MARKS_MAX))
        self._late: dict[int, Words] = {}
        self._room = room

    @staticmethod
    def bytes_of(intervals: int, rows: int) -> int:
        """Return how much memory so many intervals of so many rows take."""
        return 28 * intervals + 8 * rows

    def window(self, asked: Interval) -> Window:
        """Return which places meet an interval; their number is the difference of the two."""
        end = int(self._starts.searchsorted(asked.end_ms, "right"))
        return Window(end, int(self._ends.searchsorted(asked.start_ms)))

    def among(self, window: Window, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return those of some rows that meet what was asked, in their order."""
        places = self._pairs.take(rows).view(np.uint32).reshape(-1, 2)
        mask: Mask = places[:, 0] < window.end
        mask &= places[:, 1] >= window.first_end
        return rows.compress(mask)

    def among_few(self, window: Window, rows: list[int]) -> list[int]:
        """Return what `among` does, of a few rows."""
        places, (end, first_end) = self._flat, window
        return [row for row in rows if places[2 * row] < end and places[2 * row + 1] >= first_end]

    def bits(self, rows: npt.NDArray[Any]) -> Words:
        """Return those of some rows that have an interval, as bits in the order of starts."""
        starts = self._places["start"][rows]
        return words_of(starts[starts != _NEVER], len(self._starts))

    def rows_at(self, starts: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
        """Return the rows at some places in the order of starts."""
        return self._rows.take(starts)

    def among_bits(self, window: Window, sets: Sequence[Words]) -> tuple[int, Words, Places]:
        """Return what meets what was asked and is in all of some sets in the order of starts.

        Returns:
            The place that bits begin at, bits, and places besides, none of them twice.
        """
        # Before this place all end too early.
        low = int(self._reach.searchsorted(np.uint32(window.first_end))) >> 6
        high = (window.end + 63) >> 6
        mark = -(-window.first_end // self._step)
        part = self._late_bits(mark)[low:high]
        for bits in sets:
            part = part & bits[low:high]
        if window.end & 63 and len(part):
            part[-1] &= _BELOW[window.end & 63]
        edge = self._by_end[window.first_end : mark * self._step]
        edge = edge.compress(edge < window.end)
        for bits in sets:
            edge = among_bits(bits.view(np.uint8), edge)
        return low << 6, part, edge

    def _late_bits(self, mark: int) -> Words:
        """Return which places in the order of starts end at or after a mark, as bits."""
        found = self._late.get(mark)
        if found is None:
            found = words_of(self._by_end[mark * self._step :], len(self._starts))
            if self._room.take(found.nbytes):
                self._late[mark] = found
        return found
