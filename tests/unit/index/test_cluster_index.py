"""Cluster index: bounds never above the true distance, rows and pages found by cluster."""

import numpy as np
import pytest

from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles
from hansa.index.cluster_index import measure_radius, pack_words
from hansa.index.mean_shift import SCALE


@pytest.fixture(scope="module")
def base(made):
    index = InformationIndex.open(MemoryIndexFiles(), IndexParameters(recluster_registrations=600))
    records = [made.make_record(number) for number in range(600)]
    index.apply(1, [IndexChange(record.dataset, record) for record in records])
    return index._state.view.base


def test_no_row_is_nearer_than_its_bounds(made, base):
    """Ball and box bounds are lower bounds, so nearness is exact."""
    index = base.cluster_index
    features = base.column("features").slice(0, base.rows, base.read).astype(np.int64)
    rows = np.arange(base.rows, dtype=np.uint32)
    clusters, pages = index.cluster_of(rows), index.page_of(rows)
    for number in range(900, 940):
        point = made.make_record(number).features
        away = features - np.array(point)
        squares = (away * away).sum(axis=1)
        balls = index.ball_bounds(point) // (SCALE * SCALE)
        boxes = index.box_bounds(point, np.arange(base.pages))
        assert (balls[clusters] <= squares).all()
        assert (boxes[pages] <= squares).all()
    assert (index.box_bounds((127,) * 20, np.arange(base.pages)) > 0).all()


def test_rows_pages_and_clusters_belong_together(base):
    """Each way back leads to where it came from."""
    index = base.cluster_index
    pages = np.arange(base.pages)
    rows = index.rows_of_pages(pages)
    assert np.arange(base.rows).tolist() == rows.tolist()
    assert list(range(len(index.entries))) == index.clusters_of_pages(pages).tolist()
    some = index.rows_of_pages(pages[1::2])
    assert set(pages[1::2].tolist()) == set(index.page_of(some).tolist())
    assert [] == index.rows_of_pages(pages[:0]).tolist()


def test_labels_and_words_are_for_people(base):
    """Every cluster has a label of its own and telling words."""
    index = base.cluster_index
    labels = {index.label(place) for place in range(len(index.entries))}
    assert len(index.entries) == len(labels) == len(index.words())
    assert all(index.words())
    assert index.memory_bytes > 0
    assert pack_words([["a"], []]) == pack_words((("a",), ()))


def test_radius_holds_every_row():
    """The radius is rounded up."""
    features = np.array([[3, 4], [0, 1]], dtype=np.int64)
    assert 5 * SCALE <= measure_radius(features, np.zeros(2, dtype=np.int64)) <= 5 * SCALE + 1
