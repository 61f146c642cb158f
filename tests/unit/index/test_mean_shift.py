"""Mean shift: equal to the textbook algorithm, equal whatever the order, exact, bounded."""

import os
import subprocess
import sys
from math import isqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.errors import InvalidError
from hansa.index.mean_shift import (
    SCALE,
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


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(2))
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


@pytest.mark.parametrize("crowds_max", [1, 100])
@pytest.mark.parametrize("direct_max", [1, 900])
def test_crowds_find_the_same_blobs(crowds_max, direct_max):
    """Crowds find what all seeds find on separated blobs, whether they walk over each other first."""
    points = blobs(2, count=900)
    whole = mean_shift(points, 1_500)
    crowds = mean_shift(points, 1_500, seeds_max=1, crowds_max=crowds_max, direct_max=direct_max)
    assert np.array_equal(whole.labels, crowds.labels)


@settings(max_examples=20, deadline=None)
@given(POINTS, st.integers(1, 400), st.integers(1, 20), st.sampled_from([1, 1_000]))
def test_crowds_rest_where_points_hold_them(points, bandwidth_squared, crowds_max, direct_max):
    """Whatever the seeds, each centre is the rounded mean of the points in its reach, or in a cycle."""
    table = np.array(points, dtype=np.int64)
    found = mean_shift(
        table, bandwidth_squared, seeds_max=1, crowds_max=crowds_max, direct_max=direct_max
    )
    for centre in found.centres.tolist():
        after, seen = tuple(centre), []
        while after not in seen:
            seen.append(after)
            near = [p for p in points if within(p, after, bandwidth_squared)]
            count = len(near)
            sums = [sum(values) for values in zip(*near, strict=True)]
            after = tuple((2 * SCALE * s + count) // (2 * count) for s in sums)
        assert after == tuple(centre) == min(seen)


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_the_bandwidth_is_the_mean_distance_to_a_neighbour(count):
    """It is what plain integers give, at every number of points."""
    points = np.random.default_rng(count).integers(-127, 128, (count, 5))
    neighbour = min(count - 1, max(1, count * 100 // 1_000))
    roots = [
        isqrt(sorted(int(s) for s in ((points - row) ** 2).sum(axis=1))[neighbour] << 16)
        for row in points
    ]
    assert max(1, (sum(roots) // count) ** 2 >> 16) == derive_bandwidth(points, 100)


_PROGRAM = """
import hashlib, os, numpy as np
from hansa.index.mean_shift import derive_bandwidth, mean_shift
state = 12345
def draw(bound):
    global state
    state = (state * 1103515245 + 12345) % (1 << 31)
    return state // 65536 % bound
middles = [[draw(161) - 80 for _ in range(16)] for _ in range(12)]
rows = [[value + draw(61) - 30 for value in middles[draw(12)]] for _ in range(900)]
points = np.array(rows, dtype=np.int64)
order = {"reversed": np.arange(900)[::-1], "shuffled": np.random.default_rng(1).permutation(900)}
order = order.get(os.environ.get("ORDER"), np.arange(900))
points = points[order]
labels = np.empty(900, dtype="<i8")
hashed = hashlib.sha256()
for seeds, direct in ((10_000, 10_000), (300, 10_000), (300, 300)):
    found = mean_shift(
        points, derive_bandwidth(points, 40), seeds_max=seeds, crowds_max=seeds, direct_max=direct
    )
    labels[order] = found.labels
    hashed.update(found.centres.astype("<i8").tobytes() + labels.tobytes())
print(hashed.hexdigest())
"""


SETTINGS = (
    {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "1"},
    {"OPENBLAS_CORETYPE": "Sandybridge", "OPENBLAS_NUM_THREADS": "2", "PYTHONHASHSEED": "1"},
    {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "3", "PYTHONHASHSEED": "2"},
    {"OPENBLAS_CORETYPE": "Zen", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "3"},
    {"OPENBLAS_CORETYPE": "Prescott", "PYTHONHASHSEED": "4"},
    {"OPENBLAS_CORETYPE": "Core2", "OPENBLAS_NUM_THREADS": "2"},
    {"OPENBLAS_CORETYPE": "SkylakeX", "OPENBLAS_NUM_THREADS": "4"},
    {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX", "OMP_NUM_THREADS": "1"},
    {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX2 FMA3"},
    {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3", "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2"},
    {"NPY_DISABLE_CPU_FEATURES": "F16C", "OPENBLAS_CORETYPE": "Nehalem", "OMP_NUM_THREADS": "2"},
    {"ORDER": "reversed"},
    {"ORDER": "shuffled", "PYTHONHASHSEED": "11"},
)
"""Other instruction sets, BLAS kernels, threads, hash seeds and orders of arrival.

A kernel the machine lacks is refused by its library, which then takes one that works.
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_golden_labels_on_other_machines():
    """Thirteen settings give the same bytes (a golden digest)."""
    found = {}
    for number, setting in enumerate(SETTINGS):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _PROGRAM],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **setting},
            capture_output=True,
            text=True,
            check=True,
        )
        found[number] = done.stdout.strip()
    assert dict.fromkeys(range(len(SETTINGS)), GOLDEN) == found


GOLDEN = "f9f26e164193c98688a00a97bd5c62ee7d3ccd495728fab8975a9f161c810ba4"


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
