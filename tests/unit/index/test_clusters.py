"""Clusters in force: joining, founding, naming, and when all are found anew."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hansa.index.clusters import (
    BANDWIDTH_SQUARED,
    Clusters,
    cluster_anew,
    next_clustering,
    tell_words,
)
from hansa.index.features import FEATURES

FAR = (100,) + (0,) * (FEATURES - 1)
NEAR = (1,) + (0,) * (FEATURES - 1)
ORIGIN = (0,) * FEATURES


def test_an_addition_joins_or_founds():
    """Within the bandwidth it joins, beyond it founds; the old value is not changed."""
    none = Clusters.none()
    assert none.find(ORIGIN) is None
    first, one = none.join(ORIGIN)
    same, still = one.join(NEAR)
    second, two = one.join(FAR)
    assert (0, 0, 1) == (first, same, second)
    assert still is one
    assert (0, 1, 2) == (none.count, one.count, two.count)
    assert two.label(0) == one.label(0) != two.label(1)


def test_reach_is_closed():
    """A point exactly at the bandwidth still belongs."""
    _, one = Clusters.none().join(ORIGIN)
    reach = Clusters(one.centres, 25)
    assert 0 == reach.find((3, 4) + (0,) * (FEATURES - 2))
    assert reach.find((3, 5) + (0,) * (FEATURES - 2)) is None


def test_few_points_use_the_model_bandwidth():
    """Small sets are clustered at the bandwidth of the feature model; none at all is no cluster."""
    clusters, labels = cluster_anew(np.array([ORIGIN, NEAR, FAR], dtype=np.int64))
    assert BANDWIDTH_SQUARED == clusters.bandwidth_squared
    assert [0, 0, 1] == labels.tolist()
    empty, none = cluster_anew(np.zeros((0, FEATURES), dtype=np.int64))
    assert (0, 0) == (empty.count, len(none))


def test_many_points_use_their_own_bandwidth(monkeypatch):
    """From a number of points on, the bandwidth is a quantile of neighbours."""
    monkeypatch.setattr("hansa.index.clusters._POINTS_MIN", 10)
    points = np.random.default_rng(1).integers(-5, 5, (40, FEATURES))
    assert BANDWIDTH_SQUARED != cluster_anew(points)[0].bandwidth_squared


@given(st.integers(0, 100_000), st.integers(1, 5_000))
def test_next_clustering_rises_and_work_is_bounded(registered, interval):
    """The mark lies ahead, does not depend on the path, and gaps grow with the index."""
    mark = next_clustering(registered, interval)
    assert mark > registered
    assert mark == next_clustering(mark - 1, interval)
    assert next_clustering(mark, interval) > mark
    if registered > 8 * interval:
        assert next_clustering(mark, interval) - mark >= mark // 8


def test_marks_of_a_small_alliance():
    """At 8, doubling to the interval, then by the interval."""
    marks = [8]
    while len(marks) < 6:
        marks.append(next_clustering(marks[-1], 32))
    assert [8, 16, 32, 64, 96, 128] == marks


def test_telling_words():
    """Frequent inside and rare outside; short words are left out unless they are not Latin."""
    everywhere = Counter({"bus": 2, "data": 50, "of": 2, "公交": 1})
    members = [("bus", "data", "of"), ("bus", "data", "of", "公交")]
    assert ("bus", "公交", "data") == tell_words(members, everywhere)
