"""Mean shift: equal to the textbook algorithm, equal whatever the order, exact, bounded."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.errors import InvalidError
from hansa.index.mean_shift import (
    SCALE,
    _Kernel,
    assign,
    derive_bandwidth,
    mean_shift,
    nearest,
)

POINTS = st.lists(st.tuples(*[st.integers(-20, 20)] * 3), min_size=1, max_size=60)


def blobs(seed, *, clusters=6, dimensions=8, count=300, spread=4.0):
    draw = np.random.default_rng(seed)
    middles = draw.integers(-90, 90, (clusters, dimensions))
    points = middles[draw.integers(0, clusters, count)] + draw.normal(
        0, spread, (count, dimensions)
    )
    return np.rint(points).clip(-127, 127).astype(np.int64)


@pytest.mark.parametrize("seed", range(4))
def test_same_partition_as_the_oracle(seed):
    """Adjusted Rand index with scikit-learn's MeanShift is at least 0.99 on blobs."""
    from sklearn.cluster import MeanShift
    from sklearn.metrics import adjusted_rand_score

    points = blobs(seed)
    bandwidth = derive_bandwidth(points, 80)
    expected = MeanShift(bandwidth=bandwidth**0.5).fit(points.astype(float)).labels_
    found = mean_shift(points, bandwidth)
    assert adjusted_rand_score(expected, found.labels) >= 0.99
    assert len(found.centres) > 1


def naive(points, bandwidth_squared):
    """Plain Python of the same algorithm, with the same rounding, a point at a time."""
    rested = {}
    for seed in {tuple(point) for point in points}:
        centre, seen = tuple(SCALE * value for value in seed), []
        while centre not in seen:
            seen.append(centre)
            near = [p for p in points if within(p, centre, bandwidth_squared)]
            if near:
                sums = [sum(values) for values in zip(*near, strict=True)]
                count = len(near)
                centre = tuple((2 * SCALE * s + count) // (2 * count) for s in sums)
        centre = min(seen[seen.index(centre) :])
        rested[centre] = sum(within(p, centre, bandwidth_squared) for p in points)
    kept = []
    for centre in sorted(rested, key=lambda c: (-rested[c], c)):
        limit = bandwidth_squared * SCALE**2
        if all(sum((a - b) ** 2 for a, b in zip(centre, k, strict=True)) > limit for k in kept):
            kept.append(centre)
    labels = [min(range(len(kept)), key=lambda k: (square(p, kept[k]), k)) for p in points]
    return kept, labels


def square(point, centre):
    return sum((SCALE * a - b) ** 2 for a, b in zip(point, centre, strict=True))


def within(point, centre, bandwidth_squared):
    return square(point, centre) <= bandwidth_squared * SCALE**2


@settings(max_examples=60, deadline=None)
@given(POINTS, st.integers(1, 400))
def test_equal_to_plain_integers(points, bandwidth_squared):
    """Centres and labels are bit for bit those of unbounded integers, ties and cycles included."""
    centres, labels = naive(points, bandwidth_squared)
    found = mean_shift(np.array(points, dtype=np.int64), bandwidth_squared)
    assert centres == [tuple(map(int, centre)) for centre in found.centres]
    assert labels == found.labels.tolist()


@pytest.mark.parametrize("span", [30, 127])
def test_single_and_double_precision_agree(span):
    """Where single precision is used it is exact; both kinds give the same steps."""
    draw = np.random.default_rng(3)
    points = np.unique(draw.integers(-span, span + 1, (400, 20)), axis=0)
    weights = np.ones(len(points), dtype=np.int64)
    kernel = _Kernel(points, weights, 20 * span)
    double = _Kernel(points, weights, 20 * span)
    double._kind = np.float64
    double._columns = points.T.astype(np.float64)
    double._norms = ((points * points).sum(axis=1) * SCALE).astype(np.float64)
    double._sum_kinds = [np.float64]
    assert (kernel._kind is np.float32) == (span == 30)
    for left, right in zip(kernel.rest(points * SCALE), double.rest(points * SCALE), strict=True):
        assert np.array_equal(left, right)


def test_order_of_points_does_not_matter():
    """Permuted points have permuted labels and the same centres."""
    points = blobs(7)
    order = np.random.default_rng(1).permutation(len(points))
    first, second = mean_shift(points, 300), mean_shift(points[order], 300)
    assert np.array_equal(first.centres, second.centres)
    assert np.array_equal(first.labels[order], second.labels)
    assert derive_bandwidth(points, 50) == derive_bandwidth(points[order], 50)


def test_repeated_points_weigh():
    """Two equal points pull twice as hard as one."""
    found = mean_shift(np.array([[0], [0], [3]], dtype=np.int64), 9)
    assert [[SCALE]] == found.centres.tolist()


def test_few_seeds_find_the_same_blobs():
    """Thinned seeds are of real points and find what all seeds find on separated blobs."""
    points = blobs(2, count=900)
    whole, thinned = mean_shift(points, 1_500), mean_shift(points, 1_500, seeds_max=100)
    assert np.array_equal(whole.labels, thinned.labels)


_PROGRAM = """
import hashlib, numpy as np
from hansa.index.mean_shift import derive_bandwidth, mean_shift
state = 12345
rows = []
for _ in range(700):
    row = []
    for _ in range(16):
        state = (state * 1103515245 + 12345) % (1 << 31)
        row.append(state // 65536 % 61 - 30)
    rows.append(row)
points = np.array(rows, dtype=np.int64)
found = mean_shift(points, derive_bandwidth(points, 20))
data = found.centres.astype("<i8").tobytes() + found.labels.astype("<i8").tobytes()
print(hashlib.sha256(data).hexdigest())
"""


def test_golden_labels_on_other_machines():
    """Other vector units, thread counts and hash seeds give the same bytes (a golden digest)."""
    found = set()
    for setting in (
        {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "1"},
        {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3", "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2"},
    ):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _PROGRAM],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **setting},
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(done.stdout.strip())
    assert {GOLDEN} == found


GOLDEN = "583c25856996fa857f9370a494894f0fdd1b2af97739195cecc5f9f903ad8432"


@pytest.mark.parametrize("loop", [((5,), (3,), (4,)), ((3,), (4,)), ((9,), (8,), (7,), (1,))])
def test_a_cycle_rests_at_its_smallest_centre(loop):
    """A centre that comes back to where it was rests at the smallest of its cycle."""

    class Circling(_Kernel):
        def step(self, centres):
            after = {
                SCALE + 1: loop[0],
                **{a[0]: b for a, b in zip(loop, loop[1:] + loop[:1], strict=True)},
            }
            moved = [after[int(centre[0])] for centre in centres]
            return np.array(moved, dtype=np.int64), np.ones(len(centres), dtype=np.int64)

    kernel = Circling(np.array([[1]], dtype=np.int64), np.array([1], dtype=np.int64), 1)
    rested, _ = kernel.rest(np.array([[SCALE + 1]], dtype=np.int64))
    assert [list(min(loop))] == rested.tolist()


def test_nearest_prefers_the_lowest_of_equals():
    """A tie goes to the lower number, in both forms."""
    centres = np.array([[SCALE], [-SCALE]], dtype=np.int64)
    assert (0, SCALE * SCALE) == nearest(np.array([0]), centres)
    assert [0, 1] == assign(np.array([[0], [-1]], dtype=np.int64), centres).tolist()


def test_nothing_to_cluster():
    """No points, no clusters."""
    found = mean_shift(np.zeros((0, 4), dtype=np.int64), 10)
    assert (0, 0) == (len(found.centres), len(found.labels))


@pytest.mark.parametrize(
    ("points", "bandwidth"),
    [
        (np.full((2, 3), 128, dtype=np.int64), 9),
        (np.zeros(3, dtype=np.int64), 9),
        (np.zeros((2, 65), dtype=np.int64), 9),
        (np.zeros((2, 3), dtype=np.int64), 0),
        (np.zeros((2, 3), dtype=np.int64), 10**9),
    ],
)
def test_out_of_range_is_invalid(points, bandwidth):
    """What could break exactness is refused."""
    with pytest.raises(InvalidError):
        mean_shift(points, bandwidth)
