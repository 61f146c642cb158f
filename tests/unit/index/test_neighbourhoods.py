"""Neighbourhoods: nobody within a distance is missed, nobody beyond is named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.index.neighbourhoods import (
    Neighbourhoods,
    ceil_root,
    find_nearest,
    order_rows,
    unique_rows,
)

TABLES = st.lists(st.tuples(*[st.integers(-127, 127)] * 5), min_size=1, max_size=80).map(
    lambda rows: np.array(rows, dtype=np.int64)
)


@settings(max_examples=60)
@given(TABLES, st.integers(1, 30), st.integers(0, 300))
def test_finds_exactly_those_within_a_distance(points, cell_points, distance):
    """The same as looking at every point, for every pivot."""
    around = Neighbourhoods(points, cell_points)
    assert np.array_equal(points[around.order], around.points)
    for number, pivot in enumerate(around.pivots):
        squares = ((around.points - pivot) ** 2).sum(axis=1)
        expected = np.flatnonzero(squares <= distance * distance)
        assert np.array_equal(expected, around.find(number, distance))


@settings(max_examples=60)
@given(TABLES, st.integers(1, 30), st.integers(0, 200))
def test_a_crowd_is_small_and_everybody_is_in_one(points, cell_points, distance):
    """Crowds are numbered without gaps; two of one lie within twice the distance."""
    around = Neighbourhoods(points, cell_points)
    crowds = around.condense(distance, len(points))
    assert around.condense(distance, int(crowds.max())) is None
    assert set(range(crowds.max() + 1)) == set(crowds.tolist())
    for crowd in range(crowds.max() + 1):
        members = around.points[crowds == crowd]
        squares = ((members - members[0]) ** 2).sum(axis=1)
        assert squares.max() <= distance * distance


@settings(max_examples=60)
@given(TABLES)
def test_rows_are_sorted_and_counted_as_plain_tuples(points):
    """Order, distinct rows, first occurrences and counts are those of sorted tuples."""
    rows = [tuple(row) for row in points.tolist()]
    assert sorted(range(len(rows)), key=lambda n: (rows[n], n)) == order_rows(points).tolist()
    first, counts = unique_rows(points)
    assert sorted(set(rows)) == [rows[n] for n in first]
    assert [rows.index(rows[n]) for n in first] == first.tolist()
    assert [rows.count(rows[n]) for n in first] == counts.tolist()


def test_the_lowest_of_equal_pivots():
    """A point between two pivots belongs to the first; distances are exact at the corners."""
    pivots = np.array([[-127] * 3, [127] * 3, [0, 0, 1], [0, 0, -1]], dtype=np.int64)
    numbers, squares = find_nearest(np.array([[0, 0, 0], [127, 127, 126]]), pivots)
    assert ([2, 1], [1, 1]) == (numbers.tolist(), squares.tolist())


@pytest.mark.parametrize(
    ("value", "root"), [(0, 0), (1, 1), (2, 2), (4, 2), (5, 3), (10**18, 10**9)]
)
def test_roots_are_rounded_up(value, root):
    """So that a ball is never too small."""
    assert root == ceil_root(value)
