"""Cluster index: bounds never above the true distance, pages found by cluster."""

import numpy as np
import pytest

from hansa.index.cluster_index import ClusterEntry, ClusterIndex, measure_radius
from hansa.index.mean_shift import SCALE
from hansa.index.pages import Row, encode_page


@pytest.fixture
def parts(made):
    """Two clusters: one of two pages, one of one page."""
    entries, pages, members = [], [], []
    centres = np.zeros((3, 20), dtype=np.int64)
    for number, cluster in enumerate((0, 2)):
        records = [made.make_record(n) for n in range(number * 40, number * 40 + 40)]
        features = np.array([record.features for record in records], dtype=np.int64)
        centres[cluster] = features.sum(axis=0) * SCALE // len(records)
        radius = measure_radius(features, centres[cluster])
        groups = [records[:20], records[20:]] if number == 0 else [records]
        entries.append(
            ClusterEntry(cluster, "label", len(pages), len(groups), 40, radius, ("word",))
        )
        for group in groups:
            pages.append(encode_page([Row(r, cluster, r.digest()) for r in group], 0)[0])
            members.append(group)
    return ClusterIndex(entries, pages, centres), members


def test_no_row_is_nearer_than_its_page_bound(made, parts):
    """Box and ball bounds are lower bounds, so nearness is exact."""
    index, members = parts
    for number in range(200, 240):
        point = made.make_record(number).features
        bounds = index.lower_bounds(point)
        assert 3 == len(bounds)
        for bound, group in zip(bounds, members, strict=True):
            nearest = min(
                sum((a - b) ** 2 for a, b in zip(record.features, point, strict=True))
                for record in group
            )
            assert bound <= nearest


def test_bounds_rule_something_out(parts):
    """A point far from all has positive bounds."""
    assert (parts[0].lower_bounds((127,) * 20) > 0).all()


def test_clusters_with_pages(parts):
    """A cluster is left when one of its pages is."""
    index, _ = parts
    for pages, expected in (
        ([True, False, False], [True, False]),
        ([False, True, False], [True, False]),
        ([False, False, True], [False, True]),
        ([False, False, False], [False, False]),
    ):
        assert expected == index.clusters_with(np.array(pages)).tolist()
    assert index.memory_bytes > 0


def test_radius_holds_every_row():
    """The radius is rounded up."""
    features = np.array([[3, 4], [0, 1]], dtype=np.int64)
    assert 5 * SCALE <= measure_radius(features, np.zeros(2, dtype=np.int64)) <= 5 * SCALE + 1


def test_empty_index():
    """No clusters, no pages, no bounds."""
    index = ClusterIndex((), (), np.zeros((0, 20), dtype=np.int64))
    assert 0 == len(index.clusters_with(np.zeros(0, dtype=np.bool_)))
    assert 0 == len(index.lower_bounds((0,) * 20))
