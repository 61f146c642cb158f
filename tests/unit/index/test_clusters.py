"""Clusters in force: joining, founding, naming, and when all are found anew."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hansa.index.clusters import (
    BANDWIDTH_SQUARED,
    TELLING_WORDS,
    Clusters,
    cluster_anew,
    next_clustering,
    tell_facets,
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
    """Frequent inside and rare outside; scraps, numbers, repetitions and lone voices are left out."""
    everywhere = Counter(
        {
            "bus": 2,
            "data": 50,
            "of": 2,
            "公交": 2,
            "公": 2,
            "2018": 2,
            "stops": 2,
            "stop": 2,
            "x1y": 2,
        }
    )
    said = ("bus", "data", "of", "公交", "公", "2018", "stop", "stops", "x1y")
    assert ("bus", "stop", "公交", "data") == tell_words([said, said], everywhere)
    lonely = Counter({"alone": 1, "both": 90})
    assert ("both", "alone") == tell_words([("alone", "both"), ("both",)], lonely)
    assert ("alone", "both") == tell_words([("alone", "both")], lonely)
    many = [tuple(f"word{letter}" for letter in "abcdefgh")]
    assert TELLING_WORDS == len(tell_words(many, Counter(many[0])))


def test_telling_facets(made):
    """What at least half of the members have in common, of each kind the most frequent."""
    records = [
        made.make_record(1, themes=("Transport",), formats=("csv", "json"), place="Lübeck"),
        made.make_record(2, themes=("transport", "Rail"), formats=("json",), place=""),
        made.make_record(3, themes=("Health",), formats=("pdf",), place="Bonn"),
    ]
    assert ("theme: transport", "format: json") == tell_facets(records)
    assert ("theme: health", "format: pdf", "place: Bonn") == tell_facets(records[2:])
    assert () == tell_facets([made.make_record(4, themes=(), formats=(), place="")])


def test_additions_agree_with_clustering_anew():
    """Ten percent added at a frozen bandwidth agree with clustering anew: ARI at least 0.99."""
    from sklearn.metrics import adjusted_rand_score

    draw = np.random.default_rng(5)
    middles = draw.integers(-60, 60, (30, FEATURES))
    points = (middles[draw.integers(0, 30, 1_100)] + draw.integers(-6, 7, (1_100, FEATURES))).clip(
        -127, 127
    )
    clusters, labels = cluster_anew(points[:1_000])
    joined = labels.tolist()
    for point in points[1_000:]:
        number, clusters = clusters.join(tuple(map(int, point)))
        joined.append(number)
    assert adjusted_rand_score(cluster_anew(points)[1], joined) >= 0.99
    assert len(set(joined)) > 20
