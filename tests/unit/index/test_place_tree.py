"""A tree of places finds exactly the boxes that one asked for meets."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.index import place_tree
from hansa.index.place_tree import PlaceTree, circle_meets
from hansa.index.question import Circle
from hansa.types import Box

DEGREE = 1_000_000
SIDES = st.tuples(
    st.integers(-180, 179), st.integers(-90, 89), st.integers(0, 60), st.integers(0, 60)
).map(lambda s: (s[0], s[1], min(180, s[0] + s[2]), min(90, s[1] + s[3])))


def expected_of(boxes, asked):
    west, south, east, north = asked
    return [
        row
        for row, (w, s, e, n) in enumerate(boxes)
        if w <= east and e >= west and s <= north and n >= south
    ]


@given(st.lists(SIDES, max_size=60), SIDES)
def test_few_boxes_are_compared_as_a_whole(boxes, asked):
    """Touching counts as meeting; rows are told by the numbers given."""
    table = DEGREE * np.array(boxes, dtype=np.int32).reshape(-1, 4)
    tree = PlaceTree(np.arange(len(boxes)) + 7, table)
    rows, _ = tree.rows_meeting(Box(*(DEGREE * side for side in asked)))
    assert [row + 7 for row in expected_of(boxes, asked)] == sorted(rows.tolist())


@pytest.mark.parametrize("top", [1, 2, 64])
def test_many_boxes_on_several_levels(monkeypatch, top):
    """However many levels there are, what is found is what a scan finds, and little is compared."""
    monkeypatch.setattr(place_tree, "_TOP_BLOCKS", top)
    draw = random.Random(5)
    boxes = []
    for _ in range(20_000):
        west, south = (
            draw.randrange(-180 * DEGREE, 179 * DEGREE),
            draw.randrange(-90 * DEGREE, 89 * DEGREE),
        )
        size = draw.choice((0, 1_000, DEGREE))
        boxes.append((west, south, west + size, south + size))
    tree = PlaceTree(np.arange(len(boxes)), np.array(boxes, dtype=np.int32))
    for size in (0, 10_000, 5 * DEGREE, 100 * DEGREE):
        w, s, _, _ = draw.choice(boxes)
        asked = (w, s, min(180 * DEGREE, w + size), min(90 * DEGREE, s + size))
        rows, compared = tree.rows_meeting(Box(*asked))
        assert expected_of(boxes, asked) == sorted(rows.tolist())
        if size <= 10_000:
            assert 0 < compared < len(boxes) // 4
    everything, _ = tree.rows_meeting(Box(-180 * DEGREE, -90 * DEGREE, 180 * DEGREE, 90 * DEGREE))
    assert list(range(len(boxes))) == sorted(everything.tolist())


def test_circles_meet_boxes_one_by_one():
    """Each box is measured by the circle itself."""
    boxes = np.array([(0, 0, 1, 1), (DEGREE, 0, DEGREE, 0), (0, 0, 1, 1)], dtype=np.int32)
    circle = Circle(0, 0, 50_000)
    assert [True, False, True] == circle_meets(circle, boxes).tolist()
