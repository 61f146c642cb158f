"""Mean shift with a flat kernel in exact arithmetic: the same labels on every machine (seed 4.1).

Each seed moves to the mean of the points within the bandwidth until it rests; resting places within
one bandwidth of a stronger one are dropped; every point belongs to the nearest that is left. That is
the textbook algorithm (Comaniciu & Meer 2002; scikit-learn's MeanShift is the oracle in the tests).

What makes it exact: points are small integers; centres are integers in units of 1/256; products are
summed in floats whose every partial sum is an integer below 2^24 (single) or 2^53 (double), so order
of summation, vector units and threads cannot change a bit. Ties have a total order: stronger first,
then the smaller centre. A mean that returns to where it was is resolved to the smallest centre of
its cycle, and iterations are bounded.
"""

from dataclasses import dataclass
from math import isqrt

import numpy as np
import numpy.typing as npt

from hansa.errors import InvalidError

Integers = npt.NDArray[np.int64]

FRACTION_BITS = 8
"""Centres are in units of 2^-8 of a feature step."""
SCALE = 1 << FRACTION_BITS
ITERATIONS_MAX = 300
SEEDS_MAX = 8_192
"""More distinct points than this are thinned to one seed for each bin of a grid."""
FEATURE_MAX = 127

_SINGLE_EXACT = 1 << 24
_POINTS_PER_BLOCK = 16_384
_CENTRES_PER_BLOCK = 512
_SAMPLE_MAX = 1_024


@dataclass(frozen=True, slots=True)
class Clustering:
    """What mean shift found."""

    centres: Integers
    """(k, d), units of 1/256, strongest first."""
    labels: Integers
    """(n,), the centre of each point, 0 to k-1."""
    bandwidth_squared: int
    """Square of the bandwidth, in feature steps."""


def validate_points(points: Integers) -> None:
    """Check shape and range.

    Raises:
        InvalidError: not a table of small integers.
    """
    if points.ndim != 2 or not 1 <= points.shape[1] <= 64:
        raise InvalidError("Points must be a table of 1 to 64 features each.")
    if points.size and int(np.abs(points).max()) > FEATURE_MAX:
        raise InvalidError(f"Features must be from {-FEATURE_MAX} to {FEATURE_MAX}.")


def derive_bandwidth(points: Integers, neighbours_per_mille: int) -> int:
    """Return the squared bandwidth: the mean distance to the neighbour at a quantile, squared.

    Args:
        points: (n, d), n at least 1.
        neighbours_per_mille: which neighbour, as a share of the points; at least the first.

    At most 1,024 points, evenly spaced in lexicographic order, are asked for their neighbours among
    all; so the result does not depend on the order in which points arrive.
    """
    validate_points(points)
    ordered = points[_order(points)]
    count = len(ordered)
    step = max(1, count // _SAMPLE_MAX)
    sample = ordered[::step][:_SAMPLE_MAX]
    neighbour = min(count - 1, max(1, count * neighbours_per_mille // 1_000))
    norms = (ordered * ordered).sum(axis=1)
    total = 0
    for start in range(0, len(sample), 64):
        rows = sample[start : start + 64]
        products = (rows.astype(np.float64) @ ordered.T.astype(np.float64)).astype(np.int64)
        squares = (rows * rows).sum(axis=1)[:, None] - 2 * products + norms[None, :]
        kept = np.partition(squares, neighbour, axis=1)[:, neighbour]
        total += sum(isqrt(int(square) << 16) for square in kept)
    mean = total // len(sample)
    return max(1, (mean * mean) >> 16)


def mean_shift(
    points: Integers, bandwidth_squared: int, *, seeds_max: int = SEEDS_MAX
) -> Clustering:
    """Cluster points; the number of clusters is found, not given.

    Args:
        points: (n, d) integers from -127 to 127; n may be 0.
        bandwidth_squared: square of the kernel's radius, at least 1.
        seeds_max: bound on the seeds; with at least as many as distinct points the result is the
            exact algorithm's.

    Raises:
        InvalidError: points or bandwidth out of range.
    """
    validate_points(points)
    if not 1 <= bandwidth_squared <= points.shape[1] * (2 * FEATURE_MAX) ** 2:
        raise InvalidError("The bandwidth must be positive and within the range of the features.")
    if not len(points):
        empty = np.zeros((0, points.shape[1]), dtype=np.int64)
        return Clustering(empty, np.zeros(0, dtype=np.int64), bandwidth_squared)
    distinct, weights = np.unique(points, axis=0, return_counts=True)
    kernel = _Kernel(distinct, weights.astype(np.int64), bandwidth_squared)
    rested, strengths = kernel.rest(_choose_seeds(distinct, seeds_max) * SCALE)
    centres = _suppress(rested, strengths, bandwidth_squared)
    return Clustering(centres, assign(points, centres), bandwidth_squared)


def assign(points: Integers, centres: Integers) -> Integers:
    """Return for each point the nearest centre's number (n,); the lowest of equals."""
    assert len(centres)
    assert centres.shape[1] == points.shape[1]
    labels = np.empty(len(points), dtype=np.int64)
    squares = (centres * centres).sum(axis=1).astype(np.float64)
    columns = centres.T.astype(np.float64)
    for start in range(0, len(points), _POINTS_PER_BLOCK):
        block = points[start : start + _POINTS_PER_BLOCK].astype(np.float64)
        distances = squares[None, :] - (2.0 * SCALE) * (block @ columns)
        labels[start : start + len(block)] = distances.argmin(axis=1)
    return labels


def nearest(point: Integers, centres: Integers) -> tuple[int, int]:
    """Return number and squared distance (in units of 2^-16) of the centre nearest to a point (d,)."""
    differences = centres - point * SCALE
    squares = (differences * differences).sum(axis=1)
    number = int(squares.argmin())
    return number, int(squares[number])


def _order(points: Integers) -> Integers:
    """Return the permutation that sorts points lexicographically, first feature first."""
    return np.lexsort(points.T[::-1])


def _choose_seeds(distinct: Integers, seeds_max: int) -> Integers:
    """Return the distinct points; if they are too many, the first of each bin of a grid, thinned.

    The finest grid with few enough bins is taken, unless it has less than half of what is allowed
    (in many dimensions one step of width empties a grid): then the finer one, evenly thinned.
    """
    width = 1
    seeds = distinct
    while len(seeds) > seeds_max:
        width *= 2
        bins = (distinct + width // 2) // width
        _, first = np.unique(bins, axis=0, return_index=True)
        if 2 * len(first) < seeds_max:
            return seeds[:: -(-len(seeds) // seeds_max)]
        seeds = distinct[np.sort(first)]
    return seeds


def _suppress(rested: Integers, strengths: Integers, bandwidth_squared: int) -> Integers:
    """Keep resting places, strongest first, that are further than a bandwidth from all kept ones."""
    order = np.lexsort((*rested.T[::-1], -strengths))
    limit = bandwidth_squared * SCALE * SCALE
    alive = np.ones(len(order), dtype=bool)
    ordered = rested[order]
    kept: list[int] = []
    for position in range(len(ordered)):
        if not alive[position]:
            continue
        kept.append(position)
        differences = ordered[position + 1 :] - ordered[position]
        alive[position + 1 :] &= (differences * differences).sum(axis=1) > limit
    return ordered[kept]


class _Kernel:
    """Moves centres over fixed points. Points are distinct, each with a weight."""

    def __init__(self, points: Integers, weights: Integers, bandwidth_squared: int) -> None:
        self._points = points
        self._limit = bandwidth_squared * SCALE * SCALE
        norms = (points * points).sum(axis=1)
        largest = int(norms.max())
        # A partial sum of a scalar product is bounded by the product of the lengths
        # (Cauchy-Schwarz), centres are means of points; times two, minus a norm, plus rounding.
        exact_in_single = 4 * SCALE * (largest + 2 * isqrt(largest) + 64) < _SINGLE_EXACT
        self._kind = np.float32 if exact_in_single else np.float64
        self._columns = np.ascontiguousarray(points.T.astype(self._kind))
        self._norms = (norms * SCALE).astype(self._kind)
        self._weighted = np.column_stack((points * weights[:, None], weights))
        self._sum_kinds: list[type] = []
        for start in range(0, len(points), _POINTS_PER_BLOCK):
            block = np.abs(self._weighted[start : start + _POINTS_PER_BLOCK]).sum(axis=0)
            single = self._kind is np.float32 and int(block.max()) < _SINGLE_EXACT
            self._sum_kinds.append(np.float32 if single else np.float64)

    def rest(self, seeds: Integers) -> tuple[Integers, Integers]:
        """Return distinct resting places (m, d) and their strengths (points within reach) (m,)."""
        active = np.unique(seeds, axis=0)
        landmark = active
        landmark_at = 1
        places: list[Integers] = []
        for iteration in range(1, ITERATIONS_MAX + 1):
            moved, _ = self.step(active)
            still = (moved == active).all(axis=1)
            # A centre that comes back to its landmark runs in a cycle (Brent's method).
            cycling = (moved == landmark).all(axis=1) & ~still
            places.append(moved[still])
            places.extend(self._smallest_of_cycle(centre) for centre in moved[cycling])
            going = ~(still | cycling)
            if iteration == landmark_at:
                landmark, landmark_at = moved[going], landmark_at * 2
            else:
                landmark = landmark[going]
            # Seeds that met walk on together, whichever landmark is kept.
            active, first = np.unique(moved[going], axis=0, return_index=True)
            landmark = landmark[first]
            if not len(active):
                break
        places.append(active)
        rested = np.unique(np.concatenate(places), axis=0)
        return rested, self.step(rested)[1]

    def _smallest_of_cycle(self, start: Integers) -> Integers:
        """Return the lexicographically smallest centre of the cycle through `start`, (1, d)."""
        smallest = start
        centre = start
        for _ in range(ITERATIONS_MAX):
            centre = self.step(centre[None, :])[0][0]
            if tuple(centre) < tuple(smallest):
                smallest = centre
            if (centre == start).all():
                break
        return smallest[None, :]

    def step(self, centres: Integers) -> tuple[Integers, Integers]:
        """Return the rounded means (m, d) of the points in reach of centres, and their weights (m,)."""
        moved = np.empty_like(centres)
        strengths = np.empty(len(centres), dtype=np.int64)
        for start in range(0, len(centres), _CENTRES_PER_BLOCK):
            block = centres[start : start + _CENTRES_PER_BLOCK]
            sums = self._sum_in_reach(block)
            count = sums[:, -1]
            # Rounded to nearest, halves up: floor((2 * sum + count) / (2 * count)).
            divisor = np.maximum(count, 1)[:, None]
            means = (2 * SCALE * sums[:, :-1] + divisor) // (2 * divisor)
            moved[start : start + len(block)] = np.where(count[:, None] > 0, means, block)
            strengths[start : start + len(block)] = count
        return moved, strengths

    def _sum_in_reach(self, centres: Integers) -> Integers:
        """Return the weighted sums of points in reach, the weight last, (m, d + 1)."""
        sums = np.zeros((len(centres), self._weighted.shape[1]), dtype=np.int64)
        # |c|^2 - 2 S c.x + S^2 |x|^2 <= limit  <=>  2 c.x - S |x|^2 >= ceil((|c|^2 - limit) / S)
        excess = (centres * centres).sum(axis=1) - self._limit
        # Below what any product reaches nothing changes, and single precision stays exact.
        thresholds = np.maximum(-((-excess) // SCALE), -_SINGLE_EXACT).astype(self._kind)[:, None]
        rows = (2 * centres).astype(self._kind)
        for number, start in enumerate(range(0, len(self._points), _POINTS_PER_BLOCK)):
            stop = start + _POINTS_PER_BLOCK
            reach = rows @ self._columns[:, start:stop]
            np.subtract(reach, self._norms[None, start:stop], out=reach)
            kind = self._sum_kinds[number]
            inside = (reach >= thresholds).astype(kind)
            part = inside @ self._weighted[start:stop].astype(kind)
            sums += part.astype(np.int64)
        return sums
