"""Where and when there is any data: small tables that refuse places and times inside the bounds.

Bounds alone refuse nothing that falls between the data. *Places*: the distinct boxes while they are
few; else cells of grids, each box on the finest that it covers with few cells. *Times*: the union of
all intervals as spans, the smallest gaps closed when there are too many. Both err only towards "perhaps".
"""

from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from hansa.codec import decode, encode
from hansa.types import Box, Interval

STEPS = (10_000, 100_000, 1_000_000, 10_000_000, 400_000_000)
"""Sides of grid cells in microdegrees: a hundredth of a degree to the whole globe."""
CELLS_PER_BOX_MAX = 16
_COLUMNS = 1 << 16
Numbers = npt.NDArray[np.int64]
Corner = npt.NDArray[np.int32]


class _PlacesForm(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    exact: bytes
    """Boxes, 4 × i32 each; empty if cells stand instead."""
    cells: tuple[bytes, ...]
    """For each grid sorted cell numbers, u64 each."""


class _TimesForm(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    starts: bytes
    ends: bytes


def cells_of(box: Box) -> tuple[int, list[int]]:
    """Return the grid a box stands on and the cells that it covers there."""
    for level, step in enumerate(STEPS):
        columns = _span(box.west, box.east, step)
        rows = _span(box.south, box.north, step)
        if len(columns) * len(rows) <= CELLS_PER_BOX_MAX:
            return level, [row * _COLUMNS + column for row in rows for column in columns]
    raise AssertionError("the last grid has one cell")


def cell_runs(box: Box, level: int) -> Iterator[tuple[int, int]]:
    """Yield first and last cell number of each row of a grid that a box covers."""
    columns = _span(box.west, box.east, STEPS[level])
    for row in _span(box.south, box.north, STEPS[level]):
        yield row * _COLUMNS + columns[0], row * _COLUMNS + columns[-1]


def count_runs(box: Box, level: int) -> int:
    """Return how many `cell_runs` yields."""
    return len(_span(box.south, box.north, STEPS[level]))


def boxes_meet(sides: Iterable[Corner], box: Box) -> npt.NDArray[np.bool_]:
    """Return which boxes meet another, edges included, (n,).

    Args:
        sides: west, south, east and north of each, (4, n).
        box: the other.
    """
    west, south, east, north = sides
    found = (west <= box.east) & (east >= box.west)
    found &= (south <= box.north) & (north >= box.south)
    return found


class Places:
    """Tells whether any box can meet another."""

    def __init__(self, exact: npt.NDArray[np.int32], cells: tuple[npt.NDArray[np.int64], ...]) -> None:  # fmt: skip
        self._exact = exact
        columns = exact.reshape(-1, 4).T.copy()
        self._west: Corner = columns[0]
        self._south: Corner = columns[1]
        self._east: Corner = columns[2]
        self._north: Corner = columns[3]
        self._cells = cells

    @classmethod
    def build(cls, boxes: npt.NDArray[np.int32], bytes_max: int) -> "Places":
        """Return the table of boxes (n, 4): west, south, east, north."""
        distinct = np.unique(boxes, axis=0) if len(boxes) else boxes.reshape(0, 4)
        none = np.zeros((0, 4), dtype=np.int32)
        if distinct.nbytes <= bytes_max:
            return cls(distinct.astype(np.int32), ())
        levels: list[set[int]] = [set() for _ in STEPS]
        for west, south, east, north in distinct.tolist():
            level, cells = cells_of(Box(west, south, east, north))
            levels[level].update(cells)
        # Too many cells on the fine grids: those join the next coarser one.
        for level in range(len(STEPS) - 1):
            if 8 * sum(map(len, levels)) <= bytes_max:
                break
            ratio = STEPS[level + 1] // STEPS[level]
            levels[level + 1].update(_coarser(cell, ratio) for cell in levels[level])
            levels[level].clear()
        return cls(none, tuple(np.array(sorted(cells), dtype=np.int64) for cells in levels))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Places":
        """Return a table from what `to_bytes` gave."""
        form = decode(_PlacesForm, data)
        exact = np.frombuffer(form.exact, dtype="<i4").reshape(-1, 4).astype(np.int32)
        return cls(exact, tuple(np.frombuffer(c, dtype="<i8").astype(np.int64) for c in form.cells))

    def to_bytes(self) -> bytes:
        """Return the table."""
        cells = tuple(part.astype("<i8").tobytes() for part in self._cells)
        return encode(_PlacesForm(self._exact.astype("<i4").tobytes(), cells))

    @property
    def memory_bytes(self) -> int:
        """Return the memory it takes."""
        return self._exact.nbytes + sum(part.nbytes for part in self._cells)

    def may_meet(self, box: Box) -> bool:
        """Tell whether some box may meet this one; False is certain."""
        if not self._cells:
            if not len(self._exact):
                return False
            sides = (self._west, self._south, self._east, self._north)
            return bool(boxes_meet(sides, box).any())
        for level, cells in enumerate(self._cells):
            if not len(cells):
                continue
            columns = _span(box.west, box.east, STEPS[level])
            rows = _span(box.south, box.north, STEPS[level])
            firsts = np.arange(rows[0], rows[-1] + 1, dtype=np.int64) * _COLUMNS + columns[0]
            at = np.minimum(cells.searchsorted(firsts), len(cells) - 1)
            nearest = cells[at] - firsts
            if ((nearest >= 0) & (nearest < len(columns))).any():
                return True
        return False


class Times:
    """Tells whether any interval can meet another."""

    def __init__(self, starts: Numbers, ends: Numbers) -> None:
        self._starts = starts
        self._ends = ends

    @classmethod
    def build(cls, intervals: Numbers, bytes_max: int) -> "Times":
        """Return the union of intervals (n, 2) in at most so much memory, one span at least."""
        if not len(intervals):
            empty = np.zeros(0, dtype=np.int64)
            return cls(empty, empty)
        ordered = intervals[np.argsort(intervals[:, 0], kind="stable")]
        reach = np.maximum.accumulate(ordered[:, 1])
        gaps = np.flatnonzero(ordered[1:, 0] > reach[:-1])
        spans_max = max(1, bytes_max // 16)
        if len(gaps) >= spans_max:
            widths = ordered[gaps + 1, 0] - reach[gaps]
            gaps = np.sort(gaps[np.argsort(-widths, kind="stable")[: spans_max - 1]])
        starts = ordered[np.concatenate(([0], gaps + 1)), 0]
        ends = reach[np.concatenate((gaps, [len(ordered) - 1]))]
        return cls(starts, ends)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Times":
        """Return spans from what `to_bytes` gave."""
        form = decode(_TimesForm, data)
        starts, ends = (np.frombuffer(part, dtype="<i8") for part in (form.starts, form.ends))
        return cls(starts.astype(np.int64), ends.astype(np.int64))

    def to_bytes(self) -> bytes:
        """Return the spans."""
        starts, ends = (part.astype("<i8").tobytes() for part in (self._starts, self._ends))
        return encode(_TimesForm(starts, ends))

    @property
    def memory_bytes(self) -> int:
        """Return the memory it takes."""
        return self._starts.nbytes + self._ends.nbytes

    def may_meet(self, interval: Interval) -> bool:
        """Tell whether some interval may meet this one; False is certain."""
        # The first span that ends at or after the start is the only one to look at.
        at = int(self._ends.searchsorted(interval.start_ms))
        return at < len(self._ends) and int(self._starts[at]) <= interval.end_ms


def _span(first: int, last: int, step: int) -> range:
    return range(first // step, last // step + 1)


def _coarser(cell: int, ratio: int) -> int:
    """Return the cell of a coarser grid that holds a cell; rows and columns may be negative."""
    row = (cell + _COLUMNS // 2) // _COLUMNS
    return row // ratio * _COLUMNS + (cell - row * _COLUMNS) // ratio


_TAG_SHIFT = 48
_TIME_TAG = 8
_TIME_CELLS = 1 << 40
TIME_STEPS = (86_400_000, 32 * 86_400_000, 1_024 * 86_400_000, 1 << 52, 1 << 62)
"""Cells of time in milliseconds: a day to longer than any calendar."""


def cell_codes(west: int, south: int, east: int, north: int) -> list[int]:
    """Return the codes under which a box is listed on disk."""
    level, cells = cells_of(Box(west, south, east, north))
    return [_code(level, cell) for cell in cells]


def interval_codes(start_ms: int, end_ms: int) -> list[int]:
    """Return the codes under which an interval is listed on disk."""
    for level, step in enumerate(TIME_STEPS):
        cells = _span(start_ms, end_ms, step)
        if len(cells) <= CELLS_PER_BOX_MAX:
            return [_code(_TIME_TAG + level, cell) for cell in cells]
    raise AssertionError("the last grid has few cells")


def code_runs(box: Box) -> Iterator[tuple[int, int]]:
    """Yield first and last code of each run of cells that a box covers, on all grids."""
    for level in range(len(STEPS)):
        for first, last in cell_runs(box, level):
            yield _code(level, first), _code(level, last)


def interval_runs(interval: Interval) -> Iterator[tuple[int, int]]:
    """Yield first and last code of the cells that an interval covers, on all grids."""
    for level, step in enumerate(TIME_STEPS):
        cells = _span(interval.start_ms, interval.end_ms, step)
        yield _code(_TIME_TAG + level, cells[0]), _code(_TIME_TAG + level, cells[-1])


def runs_of(box: Box) -> int:
    """Return how many runs `code_runs` yields."""
    return sum(count_runs(box, level) for level in range(len(STEPS)))


def _code(tag: int, cell: int) -> int:
    return (tag << _TAG_SHIFT) + cell + _TIME_CELLS
