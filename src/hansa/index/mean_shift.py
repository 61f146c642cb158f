"""Mean shift with a flat kernel in exact arithmetic: the same labels on every machine (seed 4.1).

Each seed moves to the mean of the points within the bandwidth until it rests; resting places within
one bandwidth of a stronger one are dropped; every point belongs to the nearest that is left. That is
the textbook algorithm (Comaniciu & Meer 2002; scikit-learn's MeanShift is the oracle in the tests).

What makes it exact: points are small integers; centres are integers in units of 1/256; products are
summed in floats whose every partial sum is an integer below 2^24 (single) or 2^53 (double), so order
of summation, vector units and threads cannot change a bit. Ties have a total order: stronger first,
then the smaller centre. A mean that returns to where it was is resolved to the smallest centre of
its cycle, and steps are bounded (`kernel`).

Up to `SEEDS_MAX` distinct points every point is a seed. Beyond, crowds of near points are, each at its
mean; beyond `DIRECT_MAX` they walk over each other first, and from where they came to rest over all points.
"""

from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.errors import InvalidError
from hansa.index.kernel import SCALE, Kernel
from hansa.index.neighbourhoods import Integers, Neighbourhoods, order_rows, unique_rows

__all__ = [
    "DIRECT_MAX",
    "FEATURE_MAX",
    "SCALE",
    "SEEDS_MAX",
    "Clustering",
    "Integers",
    "assign",
    "derive_bandwidth",
    "mean_shift",
    "nearest",
    "validate_points",
]

SEEDS_MAX = 1 << 16
"""Of more distinct points than this, crowds are the seeds."""
CROWDS_MAX = 1 << 15
DIRECT_MAX = 1 << 18
"""With more distinct points than this crowds walk over each other first, and then over all points."""
FEATURE_MAX = 127

_CROWD_SHARE = 6
"""A crowd's points lie within this part of the bandwidth of one of them."""
_PAIRS_PER_BLOCK = 1 << 19
_SAMPLE_MAX = 1_024
_SAMPLE_MIN = 64
_SAMPLE_PAIRS_MAX = 1 << 27


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

    At most 1,024 points (fewer above 131,072, so that the work is bounded), evenly spaced in
    lexicographic order, are asked for their neighbours among all; so the result does not depend on
    the order in which points arrive.
    """
    validate_points(points)
    ordered = points[order_rows(points)]
    count = len(ordered)
    asked = min(_SAMPLE_MAX, max(_SAMPLE_MIN, _SAMPLE_PAIRS_MAX // count))
    sample = ordered[:: max(1, count // asked)][:asked]
    neighbour = min(count - 1, max(1, count * neighbours_per_mille // 1_000))
    # Squared distances are at most 64 * 254^2 < 2^22, and so exact in single precision.
    columns = np.ascontiguousarray(ordered.T.astype(np.float32))
    norms = (columns * columns).sum(axis=0)
    total = 0
    for row in sample.astype(np.float32):
        squares = norms - (2 * row) @ columns
        square = int(np.partition(squares, neighbour)[neighbour]) + int(row @ row)
        total += isqrt(square << 16)
    mean = total // len(sample)
    return max(1, (mean * mean) >> 16)


def mean_shift(
    points: Integers,
    bandwidth_squared: int,
    *,
    seeds_max: int = SEEDS_MAX,
    crowds_max: int = CROWDS_MAX,
    direct_max: int = DIRECT_MAX,
) -> Clustering:
    """Cluster points; the number of clusters is found, not given.

    Args:
        points: (n, d) integers from -127 to 127; n may be 0.
        bandwidth_squared: square of the kernel's radius, at least 1.
        seeds_max: up to so many distinct points each is a seed, and the algorithm is the exact one.
        crowds_max: bound on the crowds that are seeds when there are more, of which there is at least
            one for each cell of `Neighbourhoods`.
        direct_max: up to so many distinct points crowds walk over all points at once, beyond over
            each other first.

    Raises:
        InvalidError: points or bandwidth out of range.
    """
    validate_points(points)
    if not 1 <= bandwidth_squared <= points.shape[1] * (2 * FEATURE_MAX) ** 2:
        raise InvalidError("The bandwidth must be positive and within the range of the features.")
    if not len(points):
        empty = np.zeros((0, points.shape[1]), dtype=np.int64)
        return Clustering(empty, np.zeros(0, dtype=np.int64), bandwidth_squared)
    first, weights = unique_rows(points)
    distinct = points[first]
    around = Neighbourhoods(distinct)
    seeds = distinct * SCALE
    if len(distinct) > seeds_max:
        crowds, sizes = _gather_crowds(around, weights, bandwidth_squared, crowds_max)
        seeds = crowds * SCALE
        if len(distinct) > direct_max:
            seeds, _ = Kernel(crowds, sizes, bandwidth_squared).rest(seeds)
    rested, strengths = Kernel(distinct, weights, bandwidth_squared, around).rest(seeds)
    centres = _suppress(rested, strengths, bandwidth_squared)
    return Clustering(centres, assign(points, centres), bandwidth_squared)


def assign(points: Integers, centres: npt.NDArray[np.integer[Any]]) -> Integers:
    """Return for each point the nearest centre's number (n,); the lowest of equals."""
    assert len(centres)
    assert centres.shape[1] == points.shape[1]
    labels = np.empty(len(points), dtype=np.int64)
    wide = centres.astype(np.int64)
    # 2 x.c - |c|^2, largest where the distance is least: integers below 2^53.
    columns = np.vstack((2 * SCALE * wide.T, -(wide * wide).sum(axis=1))).astype(np.float64)
    size = max(1, _PAIRS_PER_BLOCK // len(centres))
    for start in range(0, len(points), size):
        block = points[start : start + size].astype(np.float64)
        asked = np.column_stack((block, np.ones(len(block))))
        labels[start : start + size] = (asked @ columns).argmax(axis=1)
    return labels


def nearest(point: Integers, centres: npt.NDArray[np.integer[Any]]) -> tuple[int, int]:
    """Return number and squared distance (in units of 2^-16) of the centre nearest to a point (d,)."""
    differences: Integers = centres - point.astype(np.int64) * SCALE
    squares = (differences * differences).sum(axis=1)
    number = int(squares.argmin())
    return number, int(squares[number])


def _gather_crowds(
    around: Neighbourhoods, weights: Integers, bandwidth_squared: int, crowds_max: int
) -> tuple[Integers, Integers]:
    """Return points that stand for crowds of points (m, d), and the weight of each crowd (m,).

    Members lie within a sixth of the bandwidth of one of them; where that makes too many crowds, within
    half as much again, and so on. The mean of a crowd, rounded, stands for it if a point is in reach.
    """
    share = isqrt(bandwidth_squared) // _CROWD_SHARE
    bound = max(crowds_max, len(around.pivots))
    while (crowds := around.condense(share, bound)) is None:
        share += share // 2 + 1
    weights = weights[around.order]
    sums = np.column_stack((around.points * weights[:, None], weights))
    order = np.argsort(crowds, kind="stable")
    starts = np.flatnonzero(np.diff(crowds[order], prepend=-1))
    whole = np.add.reduceat(sums[order], starts, axis=0)
    size = whole[:, -1:]
    means = (2 * whole[:, :-1] + size) // (2 * size)
    # A wide crowd's mean may have no point in reach; its first point has one, itself.
    leaders = around.points[order[starts]]
    away = means - leaders
    means = np.where((away * away).sum(axis=1)[:, None] <= bandwidth_squared, means, leaders)
    # Crowds of neighbouring cells may have the same mean.
    order = order_rows(means)
    fresh = np.diff(means[order], axis=0, prepend=means[order[:1]] - 1).any(axis=1)
    starts = np.flatnonzero(fresh)
    sizes = np.add.reduceat(size[order, 0], starts)
    return means[order[starts]], sizes


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
