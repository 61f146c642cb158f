"""The flat kernel's walk: exact in both precisions, whatever ground is looked at, cycles resolved."""

import itertools

import numpy as np
import pytest

from hansa.index import kernel as kernels
from hansa.index.kernel import SCALE, Kernel
from hansa.index.neighbourhoods import Neighbourhoods


def drawn(span, count=400, dimensions=20):
    return np.unique(
        np.random.default_rng(3).integers(-span, span + 1, (count, dimensions)), axis=0
    )


@pytest.mark.parametrize("span", [30, 127])
def test_single_and_double_precision_agree(span):
    """Where single precision is used it is exact; both kinds give the same steps."""
    points = drawn(span)
    weights = np.ones(len(points), dtype=np.int64)
    kernel, double = Kernel(points, weights, 20 * span), Kernel(points, weights, 20 * span)
    double._kind, double._rows = np.float64, double._rows.astype(np.float64)
    assert (kernel._kind is np.float32) == (span == 30)
    for left, right in zip(kernel.rest(points * SCALE), double.rest(points * SCALE), strict=True):
        assert np.array_equal(left, right)


def test_heavy_points_are_summed_in_double_precision():
    """Weights beyond single precision still give the exact mean."""
    points = np.array([[0, 0], [3, 1]], dtype=np.int64)
    weights = np.array([(1 << 31) + 1, 1 << 31], dtype=np.int64)
    rested, strengths = Kernel(points, weights, 100).rest(points * SCALE)
    count = int(weights.sum())
    expected = [(2 * SCALE * s * (1 << 31) + count) // (2 * count) for s in (3, 1)]
    assert [expected] == rested.tolist()
    assert [count] == strengths.tolist()


@pytest.mark.parametrize(("weight", "is_single"), [(1, True), (20_001, True), (40_001, False)])
def test_sums_stay_exact_however_many_rows_are_in_reach(weight, is_single):
    """Sums beyond single precision are exact: parts of them are, and these are added in double."""
    points = np.array(list(itertools.product((-1, 0, 1), repeat=8)), dtype=np.int64)
    weights = weight + np.arange(len(points)) % 7
    kernel = Kernel(points, weights, 100)
    assert (kernel._weighted.dtype == np.float32) == is_single
    rested, strengths = kernel.rest(points[:1] * SCALE)
    count, sums = int(weights.sum()), (points * weights[:, None]).sum(axis=0)
    assert [count] == strengths.tolist()
    assert ((2 * SCALE * sums + count) // (2 * count)).tolist() == rested[0].tolist()


@pytest.mark.parametrize("sparse", [0, 2, 1_000])
@pytest.mark.parametrize(("cell_points", "slack"), [(1, 0), (7, 3), (1_000, 1)])
def test_what_is_looked_at_does_not_change_what_is_found(monkeypatch, cell_points, slack, sparse):
    """Other cells, other ground, other groups or none: the same places and strengths."""
    points = drawn(12, dimensions=4)
    weights = np.arange(1, len(points) + 1)
    expected = Kernel(points, weights, 60).rest(points * SCALE)
    monkeypatch.setattr(kernels, "_CENTRES_PER_GROUP", 5)
    monkeypatch.setattr(kernels, "_STEPS_PER_MERGE", 1)
    monkeypatch.setattr(kernels, "_PAIRS_PER_BLOCK", 64)
    monkeypatch.setattr(kernels, "Neighbourhoods", lambda p: Neighbourhoods(p, cell_points))
    other = Kernel(points, weights, 60)
    other._slack = slack * SCALE
    monkeypatch.setattr(kernels, "_SPARSE", sparse)
    found = other.rest(points * SCALE)
    assert all(map(np.array_equal, expected, found))
    assert len(expected[0]) > 5


@pytest.mark.parametrize("light", [1, 6, 256])
def test_a_heavy_point_is_as_good_as_several_light_ones(monkeypatch, light):
    """Where points are parted so that single precision will do, nothing else changes."""
    points = drawn(12, dimensions=4)
    weights = np.arange(len(points)) % 7 + 1
    expected = Kernel(points, weights, 60).rest(points * SCALE)
    monkeypatch.setattr(kernels, "_WEIGHT_LIGHT", light)
    parted, lighter = kernels._lighten(points, weights)
    assert (len(parted) > len(points)) == (light == 6)
    sums = dict.fromkeys(map(tuple, points.tolist()), 0)
    for point, weight in zip(parted.tolist(), lighter.tolist(), strict=True):
        assert 0 < weight <= max(light, 7 * (light == 1))
        sums[tuple(point)] += weight
    assert weights.tolist() == list(sums.values())
    found = Kernel(points, weights, 60).rest(points * SCALE)
    assert all(map(np.array_equal, expected, found))


@pytest.mark.parametrize("loop", [((5,), (3,), (4,)), ((3,), (4,)), ((9,), (8,), (7,), (1,))])
def test_a_cycle_rests_at_its_smallest_centre(monkeypatch, loop):
    """A centre that comes back to where it was rests at the smallest of its cycle."""

    class Circling(Kernel):
        def _step(self, centres, ground):
            after = {
                SCALE + 1: loop[0],
                **{a[0]: b for a, b in zip(loop, loop[1:] + loop[:1], strict=True)},
            }
            moved = [after[int(centre[0])] for centre in centres]
            return np.array(moved, dtype=np.int64), np.full(len(centres), 7)

    monkeypatch.setattr(kernels, "_SPARSE", 0)
    kernel = Circling(np.array([[1]], dtype=np.int64), np.array([1], dtype=np.int64), 1)
    rested, strengths = kernel.rest(np.array([[SCALE + 1]], dtype=np.int64))
    assert [list(min(loop))] == rested.tolist()
    assert [7] == strengths.tolist()


def test_who_never_rests_is_stopped(monkeypatch):
    """A centre that wanders on rests where it is after a bounded number of steps."""

    class Wandering(Kernel):
        def _step(self, centres, ground):
            return centres + 1, np.ones(len(centres), dtype=np.int64)

    monkeypatch.setattr(kernels, "STEPS_MAX", 10)
    monkeypatch.setattr(kernels, "_SPARSE", 0)
    kernel = Wandering(np.array([[0]], dtype=np.int64), np.array([1], dtype=np.int64), 9)
    assert [[10]] == kernel.rest(np.array([[0]], dtype=np.int64))[0].tolist()
