"""Cluster index: bounds never above the true distance, rows and pages found by cluster."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles
from hansa.index.cluster_index import bound_boxes, pack_words


@pytest.fixture(scope="module")
def base(made):
    index = InformationIndex.open(MemoryIndexFiles(), IndexParameters(recluster_registrations=600))
    records = [made.make_record(number) for number in range(600)]
    index.apply(1, [IndexChange(record.dataset, record) for record in records])
    return index._state.view.base


def test_no_row_is_nearer_than_its_bounds(made, base):
    """The bounds of pages and leaves are lower bounds, so nearness is exact."""
    index = base.cluster_index
    features = base.column("features").slice(0, base.rows, base.read).astype(np.int64)
    rows = np.arange(base.rows, dtype=np.uint32)
    pages = index.page_of(rows)
    numbers = index.leaves_of(np.arange(base.pages))
    firsts, ends = index.rows_of_leaves(numbers)
    counts = ends - firsts
    assert list(range(base.column("leaves").count)) == numbers.tolist()
    assert base.rows == counts.sum()
    boxes = base.column("leaves").slice(0, len(numbers), base.read)
    for number in range(900, 940):
        point = made.make_record(number).features
        away = features - np.array(point)
        squares = (away * away).sum(axis=1)
        place = np.array(point, dtype=np.int8)
        leaves = bound_boxes(boxes["low"], boxes["high"], place)
        assert (index.box_bounds(place)[pages] <= squares).all()
        assert (leaves[np.repeat(numbers, counts)] <= squares).all()
        assert (index.box_bounds(place)[pages[firsts]] <= leaves).all()
    assert (index.box_bounds(np.full(20, 127, dtype=np.int8)) > 0).all()


@given(st.lists(st.tuples(*[st.integers(-127, 127)] * 3), min_size=20, max_size=20))
def test_bounds_of_boxes_are_exact(sides):
    """The squared distance to the nearest place of a box, up to the ends of the range."""
    ordered = [(min(a, b), max(a, b), point) for a, b, point in sides]
    low, high, point = np.array(ordered, dtype=np.int8).T
    expected = sum(max(a - x, x - b, 0) ** 2 for a, b, x in ordered)
    assert [expected] * 2 == bound_boxes(np.array([low] * 2), np.array([high] * 2), point).tolist()


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
