"""Neighbourhoods: fixed points parted into cells around pivots, to find who may lie near a place.

Counterpart of `mean_shift`, which walks over the points. Each point belongs to the nearest of some
pivots, which are points themselves. By the triangle inequality everything within a distance of a
place lies in few cells. What is found is exact: integers, or integers in floats below 2^24 (single)
or 2^53 (double); roots are rounded up. So neither the cells nor what is done with them depends on the
machine.
"""

from math import isqrt

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

CELL_POINTS = 96
"""Points to a cell, on average, while there are few."""
CELLS_MAX = 4_096
_ROWS_PER_BLOCK = 4_096
_PAIRS_PER_BLOCK = 1 << 19


class Neighbourhoods:
    """Points in the order of their cells.

    Attributes:
        points: (n, d) the points, cell by cell.
        order: (n,) where each of them stood in the table given.
        pivots: (k, d) the points the cells are around.
        starts: (k + 1,) where each cell begins; the last is n.
        radii: (k,) distance of a cell's furthest point, rounded up.
    """

    def __init__(self, points: Integers, cell_points: int = CELL_POINTS) -> None:
        """Part points, (n, d) with n at least 1, from -127 to 127; sorted ones give even pivots."""
        assert len(points)
        count = max(1, min(len(points) // cell_points, CELLS_MAX))
        pivots = points[np.linspace(0, len(points) - 1, count).astype(np.int64)]
        cell, squares = find_nearest(points, pivots)
        used, cell = np.unique(cell, return_inverse=True)
        self.pivots = pivots[used]
        self.order = np.argsort(cell, kind="stable")
        self.points = points[self.order]
        self.starts = np.searchsorted(cell[self.order], np.arange(len(used) + 1))
        furthest = np.maximum.reduceat(squares[self.order], self.starts[:-1])
        self.radii = np.ceil(np.sqrt(furthest.astype(np.float64))).astype(np.int64)
        self._single = self.points.astype(np.float32)
        self._norms = (self._single * self._single).sum(axis=1)

    def condense(self, distance: int, crowds_max: int) -> Integers | None:
        """Return the number of each point's crowd (n,), from 0; None if they are too many.

        In each cell the first point gathers all within a distance, then the first that is left, and so
        on: crowds are made one, loners stay.
        """
        crowds = np.empty(len(self.points), dtype=np.int64)
        number = 0
        for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True):
            cell, left = self._single[start:stop], np.arange(start, stop)
            while len(left):
                if number == crowds_max:
                    return None
                away = cell - cell[0]
                beyond = (away * away).sum(axis=1) > distance * distance
                crowds[left[~beyond]] = number
                number += 1
                cell, left = cell[beyond], left[beyond]
        return crowds

    def find(self, pivot: int, distance: int) -> Integers:
        """Return the places in `points` of all points within a distance of a pivot, rising."""
        middle = self.pivots[pivot]
        squares = ((self.pivots - middle) ** 2).sum(axis=1)
        near = np.flatnonzero(squares <= (self.radii + distance) ** 2)
        starts, counts = self.starts[near], self.starts[near + 1] - self.starts[near]
        ends = np.cumsum(counts)
        places = np.arange(ends[-1]) + np.repeat(starts - ends + counts, counts)
        # |x|^2 - 2 x.m: both below 2^22 in size for 64 features, exact in single precision.
        reach = self._norms[places] - self._single[places] @ (2 * middle).astype(np.float32)
        within: Integers = places[reach <= distance * distance - int(middle @ middle)]
        return within


def find_nearest(points: Integers, pivots: Integers) -> tuple[Integers, Integers]:
    """Return for each point (n, d) the number of the nearest pivot (k, d) and the squared distance.

    The lowest number of equals. Features of both are from -127 to 127.
    """
    numbers = np.empty(len(points), dtype=np.int64)
    norms = (pivots * pivots).sum(axis=1)
    # 2 x.p - |p|^2, largest where the distance is least: below 2^22 in size, exact in single precision.
    columns = np.vstack((2 * pivots.T, -norms)).astype(np.float32)
    size = max(1, _PAIRS_PER_BLOCK // len(pivots))
    for start in range(0, len(points), size):
        block = points[start : start + size].astype(np.float32)
        asked = np.column_stack((block, np.ones(len(block), dtype=np.float32)))
        numbers[start : start + size] = (asked @ columns).argmax(axis=1)
    squares = np.empty(len(points), dtype=np.int64)
    for start in range(0, len(points), _ROWS_PER_BLOCK):
        chosen = pivots[numbers[start : start + _ROWS_PER_BLOCK]]
        away = points[start : start + _ROWS_PER_BLOCK] - chosen
        squares[start : start + _ROWS_PER_BLOCK] = (away * away).sum(axis=1)
    return numbers, squares


def ceil_root(value: int) -> int:
    """Return the least integer whose square is not below a value of at least 0."""
    return isqrt(value - 1) + 1 if value else 0


def order_rows(table: Integers) -> Integers:
    """Return the permutation that sorts rows (n, d) of 16-bit integers, first column first."""
    keys = _pack(table)
    return np.lexsort(keys[::-1]) if len(keys) > 1 else np.argsort(keys[0], kind="stable")


def unique_rows(table: Integers) -> tuple[Integers, Integers]:
    """Return the places of the distinct rows (m,) in sorted order, and how often each occurs (m,).

    The place of a row is that of its first occurrence. Values are 16-bit integers.
    """
    order = order_rows(table)
    if len(order) < 2:
        return order, np.ones(len(order), dtype=np.int64)
    ordered = table[order]
    fresh = np.concatenate(([True], (ordered[1:] != ordered[:-1]).any(axis=1)))
    starts = np.flatnonzero(fresh)
    return order[starts], np.diff(np.append(starts, len(order)))


def _pack(table: Integers) -> list[npt.NDArray[np.uint64]]:
    """Return sort keys of rows, four columns to a key."""
    columns = (table + 32_768).astype(np.uint64).T
    keys = []
    for start in range(0, len(columns), 4):
        key = columns[start]
        for column in columns[start + 1 : start + 4]:
            key = (key << np.uint64(16)) | column
        keys.append(key)
    return keys
