"""A flat kernel walks: seeds move to the mean of the points within the bandwidth until they rest.

Used by `mean_shift`. Seeds of one cell walk together over the points that any of them can reach
(`neighbourhoods`), gathered once; who leaves the cell's surroundings goes on from another cell. When
few are left for each cell, all walk over the points where they lie, cell by cell. All this changes
what is looked at, never what is found: a centre's next place follows from all points within
the bandwidth, and whatever is left out is further.

Exact: centres are integers in units of 1/256. Whether a point is in reach is one scalar product of
integers, held in floats whose every partial sum stays below 2^24 (single) or 2^53 (double).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.index.neighbourhoods import Integers, Neighbourhoods, ceil_root
from hansa.index.walkers import Rests, Walkers

FRACTION_BITS = 8
"""Centres are in units of 2^-8 of a feature step."""
SCALE = 1 << FRACTION_BITS
STEPS_MAX = 1_024
"""A centre that has not come to rest by then rests where it is."""

_SINGLE_EXACT = 1 << 24
_CENTRES_PER_GROUP = 256
_STEPS_PER_MERGE = 2
_PAIRS_PER_BLOCK = 1 << 18
_ROWS_MIN = 512
_WEIGHT_LIGHT = 256
"""So heavy, `_ROWS_MIN` points are summed up at once in single precision."""
_SPARSE = 16
"""With fewer centres than this for each cell all walk over all cells, one step at a time."""
_CELLS_PER_BLOCK = 64
_ROWS_PER_BLOCK = 4_096

Floats = npt.NDArray[Any]
"""Single or double precision, as exactness asks."""


@dataclass(frozen=True, slots=True)
class _Ground:
    """What walkers near a pivot walk over."""

    middle: Integers
    """(d,): the pivot, units of 1/256."""
    distance: int
    """How far from it they may go before the ground ends; units of 1/256."""
    rows: Floats
    """(k, d + 2): points, minus their squares by 256, ones."""
    weighted: Floats
    """(k, d + 1): points times weights, weights."""


class Kernel:
    """Moves centres over fixed points, each with a weight."""

    def __init__(
        self,
        points: Integers,
        weights: Integers,
        bandwidth_squared: int,
        around: Neighbourhoods | None = None,
    ) -> None:
        """Take points (n, d), their weights (n,), and their neighbourhoods if they are known already."""
        if around is None:
            points, weights = _lighten(points, weights)
            around = Neighbourhoods(points)
        self._around = around
        points, weights = self._around.points, weights[self._around.order]
        self._limit = bandwidth_squared * SCALE * SCALE
        self._bandwidth = ceil_root(self._limit)
        self._slack = self._bandwidth // 4
        norms = (points * points).sum(axis=1)
        largest = int(norms.max())
        # A partial sum of a scalar product is bounded by the product of the lengths
        # (Cauchy-Schwarz), centres are means of points; times two, minus a norm, plus rounding.
        exact = 4 * SCALE * (largest + 2 * isqrt(largest) + 64) < _SINGLE_EXACT
        self._kind: type[Any] = np.float32 if exact else np.float64
        ones = np.ones(len(points), dtype=np.int64)
        self._rows = np.column_stack((points, -SCALE * norms, ones)).astype(self._kind)
        weighted = np.column_stack((points * weights[:, None], weights))
        # So many rows are summed up at once, and every partial sum is exact in single precision.
        self._rows_exact = _SINGLE_EXACT // (int(np.abs(weighted).max()) + 1)
        single = self._rows_exact >= _ROWS_MIN
        self._weighted = weighted.astype(np.float32 if single else np.float64)

    def rest(self, seeds: Integers) -> tuple[Integers, Integers]:
        """Return distinct resting places (m, d) and their strengths (points within reach) (m,)."""
        walkers = Walkers.begin(seeds)
        rests = Rests()
        while len(walkers):
            if len(walkers) < _SPARSE * len(self._around.pivots):
                moved, strengths = self._sweep(walkers.centres)
                walkers = self._settle(walkers, moved, strengths, rests).merged()
                continue
            leaving = [self._walk(group, rests) for group in self._groups(walkers)]
            walkers = Walkers.join(leaving).merged()
        return rests.distinct()

    def _groups(self, walkers: Walkers) -> Iterator[tuple[int, int, Walkers]]:
        """Yield pivots, how far from them to go, and the walkers nearest to them."""
        pivots = self._around.pivots
        near = np.empty(len(walkers), dtype=np.int64)
        away = np.empty(len(walkers), dtype=np.int64)
        for start in range(0, len(walkers), _ROWS_PER_BLOCK):
            block = walkers.centres[start : start + _ROWS_PER_BLOCK]
            stop = start + len(block)
            products = block.astype(np.float64) @ (2 * SCALE * pivots.T).astype(np.float64)
            squares = (pivots * pivots).sum(axis=1) * float(SCALE * SCALE) - products
            near[start:stop] = squares.argmin(axis=1)
            differences = block - pivots[near[start:stop]] * SCALE
            away[start:stop] = (differences * differences).sum(axis=1)
        order = np.lexsort((away, near))
        ordered = near[order]
        bounds = np.flatnonzero(np.diff(ordered, prepend=-1, append=-1))
        for first, last in pairwise(bounds):
            for start in range(first, last, _CENTRES_PER_GROUP):
                chosen = order[start : min(start + _CENTRES_PER_GROUP, last)]
                distance = ceil_root(int(away[chosen].max())) + self._slack
                yield int(ordered[first]), distance, walkers.take(chosen)

    def _gather(self, pivot: int, distance: int) -> _Ground:
        """Return all points that are in reach from a pivot's surroundings."""
        reach = -(-(distance + self._bandwidth) // SCALE)
        found = self._around.find(pivot, reach)
        middle = self._around.pivots[pivot] * SCALE
        rows, weighted = self._rows.take(found, axis=0), self._weighted.take(found, axis=0)
        return _Ground(middle, distance, rows, weighted)

    def _walk(self, group: tuple[int, int, Walkers], rests: Rests) -> Walkers:
        """Let walkers walk until they rest or leave the ground; return who leaves."""
        pivot, distance, walkers = group
        ground = self._gather(pivot, distance)
        left: list[Walkers] = []
        turn = 0
        while len(walkers):
            moved, strengths = self._step(walkers.centres, ground)
            walkers = self._settle(walkers, moved, strengths, rests)
            turn += 1
            if turn % _STEPS_PER_MERGE == 0:
                walkers = walkers.merged()
            away = walkers.centres - ground.middle
            inside = (away * away).sum(axis=1) <= ground.distance * ground.distance
            if not inside.all():
                left.append(walkers.take(~inside))
                walkers = walkers.take(inside)
        return Walkers.join(left) if left else walkers

    def _settle(
        self, walkers: Walkers, moved: Integers, strengths: Integers, rests: Rests
    ) -> Walkers:
        """Return who walks on after a step to `moved` (m, d); who does not is added to the rests."""
        steps = walkers.steps + 1
        # A centre that comes back to its landmark runs in a cycle (Brent's method).
        circling = (moved == walkers.landmarks).all(axis=1)
        still = (moved == walkers.centres).all(axis=1)
        resting = still | (steps >= STEPS_MAX)
        rests.add(moved[resting], strengths[resting])
        for number in np.flatnonzero(circling & ~still):
            rests.add(*self._smallest_of_cycle(moved[number]))
        marking = (steps & (steps - 1)) == 0
        landmarks = np.where(marking[:, None], moved, walkers.landmarks)
        return Walkers(moved, landmarks, steps).take(~(resting | circling))

    def _step(self, centres: Integers, ground: _Ground) -> tuple[Integers, Integers]:
        """Return the rounded means (m, d) of the points in reach of centres, and their weights (m,)."""
        return _round_means(centres, self._sum(self._ask(centres), ground.rows, ground.weighted))

    def _sweep(self, centres: Integers) -> tuple[Integers, Integers]:
        """Do what `_step` does, cell by cell over all points: nothing is gathered for a few centres."""
        around = self._around
        asked = self._ask(centres)
        sums = np.zeros((len(centres), self._weighted.shape[1]))
        reach = (around.radii * SCALE + self._bandwidth) ** 2
        norms = (centres * centres).sum(axis=1)
        columns = (2 * SCALE * centres.T).astype(np.float64)
        for start in range(0, len(around.pivots), _CELLS_PER_BLOCK):
            pivots = around.pivots[start : start + _CELLS_PER_BLOCK]
            # |c|^2 - 2 S c.p + S^2 |p|^2, below 2^53.
            own = SCALE * SCALE * (pivots * pivots).sum(axis=1)[:, None]
            squares = norms + own - pivots.astype(np.float64) @ columns
            near = squares <= reach[start : start + len(pivots), None]
            for cell in np.flatnonzero(near.any(axis=1)).tolist():
                some = np.flatnonzero(near[cell])
                low, high = around.starts[start + cell], around.starts[start + cell + 1]
                rows, weighted = self._rows[low:high], self._weighted[low:high]
                sums[some] += self._sum(asked[some], rows, weighted)
        return _round_means(centres, sums)

    def _ask(self, centres: Integers) -> Floats:
        """Return rows (m, d + 2) whose product with a point's row is positive if it is in reach."""
        # |c|^2 - 2 S c.x + S^2 |x|^2 <= limit  <=>  2 c.x - S |x|^2 >= ceil((|c|^2 - limit) / S);
        # the threshold, less one, is a further column, so that what is in reach becomes positive.
        excess = (centres * centres).sum(axis=1) - self._limit
        # Below what any product reaches nothing changes, and single precision stays exact.
        thresholds = np.maximum(-((-excess) // SCALE), 1 - _SINGLE_EXACT)
        ones = np.ones_like(thresholds)
        return np.column_stack((2 * centres, ones, 1 - thresholds)).astype(self._kind)

    def _sum(self, asked: Floats, rows: Floats, weighted: Floats) -> Floats:
        """Return the sums (m, d + 1) over the points in reach of what `_ask` returned."""
        sums = np.zeros((len(asked), weighted.shape[1]))
        size = max(_ROWS_MIN, min(_PAIRS_PER_BLOCK // len(asked), self._rows_exact))
        for start in range(0, len(rows), size):
            reach = asked @ rows[start : start + size].T
            np.clip(reach, 0, 1, out=reach)
            part = weighted[start : start + size]
            sums += reach.astype(part.dtype, copy=False) @ part
        return sums

    def _smallest_of_cycle(self, start: Integers) -> tuple[Integers, Integers]:
        """Return the lexicographically smallest centre of the cycle through `start`, and strength."""
        walkers = Walkers(start[None, :], start[None, :], np.zeros(1, dtype=np.int64))
        smallest = centre = start[None, :]
        strength = np.zeros(1, dtype=np.int64)
        for _ in range(STEPS_MAX):
            pivot, distance, _group = next(self._groups(walkers))
            centre, _count = self._step(centre, self._gather(pivot, distance))
            walkers = Walkers(centre, centre, walkers.steps)
            if tuple(centre[0]) < tuple(smallest[0]):
                smallest = centre
            if (centre[0] == start).all():
                break
        pivot, distance, _group = next(self._groups(Walkers(smallest, smallest, walkers.steps)))
        _, strength = self._step(smallest, self._gather(pivot, distance))
        return smallest, strength


def _round_means(centres: Integers, sums: Floats) -> tuple[Integers, Integers]:
    """Return the means of sums (m, d + 1), rounded, and counts; a centre without points stays."""
    whole = sums.astype(np.int64)
    count = whole[:, -1]
    # Rounded to nearest, halves up: floor((2 * sum + count) / (2 * count)).
    divisor = np.maximum(count, 1)[:, None]
    means = (2 * SCALE * whole[:, :-1] + divisor) // (2 * divisor)
    return np.where(count[:, None] > 0, means, centres), count


def _lighten(points: Integers, weights: Integers) -> tuple[Integers, Integers]:
    """Return points and weights with a heavy point as several that are light.

    Sums of light ones are exact in single precision. If that made many more points, they stay.
    """
    parts = -(-weights // _WEIGHT_LIGHT)
    if parts.sum() > len(points) + len(points) // 4:
        return points, weights
    last = weights - (parts - 1) * _WEIGHT_LIGHT
    light = np.full(int(parts.sum()), _WEIGHT_LIGHT, dtype=np.int64)
    light[np.cumsum(parts) - 1] = last
    return points.repeat(parts, axis=0), light
