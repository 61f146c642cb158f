"""Places and times: what meets is never ruled out; what falls between the data is."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hansa.index.regions import (
    Places,
    Times,
    boxes_meet,
    cell_codes,
    code_runs,
    interval_codes,
    interval_runs,
    runs_of,
)
from hansa.types import Box, Interval

LONGITUDES = st.integers(-180_000_000, 180_000_000)
LATITUDES = st.integers(-90_000_000, 90_000_000)
TIMES = st.integers(-(10**13), 10**13) | st.integers(-(1 << 62), 1 << 62)


@st.composite
def boxes(draw):
    west, east = sorted(draw(st.tuples(LONGITUDES, LONGITUDES)))
    south, north = sorted(draw(st.tuples(LATITUDES, LATITUDES)))
    size = draw(st.sampled_from([0, 1_000, 500_000, 10**9]))
    return Box(west, south, min(east, west + size), min(north, south + size))


@st.composite
def intervals(draw):
    start, end = sorted(draw(st.tuples(TIMES, TIMES)))
    return Interval(start, min(end, start + draw(st.sampled_from([0, 10**9, 10**12, 1 << 63]))))


def meet(one, other):
    return not (
        one.east < other.west
        or other.east < one.west
        or one.north < other.south
        or other.north < one.south
    )


def table_of(found):
    return np.array([(b.west, b.south, b.east, b.north) for b in found], dtype=np.int32)


@given(st.lists(boxes(), min_size=1, max_size=12), boxes())
def test_boxes_meet_where_none_lies_beyond_the_other(found, asked):
    """Edges count; each box is judged as by itself."""
    assert [meet(box, asked) for box in found] == boxes_meet(table_of(found).T, asked).tolist()


@given(st.lists(boxes(), min_size=1, max_size=12), boxes(), st.sampled_from([0, 64, 10_000]))
def test_places_that_meet_are_never_ruled_out(found, asked, bytes_max):
    """Exact while few, by cells when many: every meeting box is seen, also after reading back."""
    places = Places.from_bytes(Places.build(table_of(found), bytes_max).to_bytes())
    if any(meet(box, asked) for box in found):
        assert places.may_meet(asked)
    elif bytes_max == 10_000:
        assert not places.may_meet(asked)


@given(boxes(), boxes())
def test_boxes_that_meet_share_a_cell_on_disk(one, other):
    """Some run of codes of one covers a code of the other, on whatever grid it stands."""
    codes = cell_codes(one.west, one.south, one.east, one.north)
    assert 1 <= len(codes) <= 16
    if meet(one, other) and runs_of(other) < 3_000:
        runs = list(code_runs(other))
        assert any(low <= code <= high for low, high in runs for code in codes)


@given(intervals(), intervals())
def test_intervals_that_meet_share_a_cell_on_disk(one, other):
    """The same for time."""
    codes = interval_codes(one.start_ms, one.end_ms)
    assert 1 <= len(codes) <= 16
    if one.start_ms <= other.end_ms and other.start_ms <= one.end_ms:
        runs = list(interval_runs(other))
        assert any(low <= code <= high for low, high in runs for code in codes)


@given(st.lists(intervals(), max_size=12), intervals(), st.sampled_from([0, 32, 10_000]))
def test_times_are_the_union_of_intervals(found, asked, bytes_max):
    """With room for all spans the answer is exact; with less it errs towards perhaps."""
    table = np.array([(i.start_ms, i.end_ms) for i in found], dtype=np.int64).reshape(-1, 2)
    times = Times.from_bytes(Times.build(table, bytes_max).to_bytes())
    met = any(i.start_ms <= asked.end_ms and asked.start_ms <= i.end_ms for i in found)
    if met:
        assert times.may_meet(asked)
    elif bytes_max == 10_000:
        assert not times.may_meet(asked)
    assert times.memory_bytes <= max(16, bytes_max)


def test_holes_between_many_cells_are_refused():
    """Ten thousand small boxes stand on grids in the room given; a hole between them is seen."""
    grid = [Box(x * 20_000, y * 20_000, x * 20_000 + 10, y * 20_000 + 10) for x in range(100) for y in range(100)]  # fmt: skip
    places = Places.build(table_of(grid), 100_000)
    assert places.memory_bytes <= 100_000
    assert not places.may_meet(Box(12_000, 12_000, 13_000, 13_000))
    assert not places.may_meet(Box(-50_000_000, 0, -40_000_000, 1_000_000))
    assert all(places.may_meet(box) for box in grid[::97])


def test_no_places_and_no_times():
    """Nothing meets nothing."""
    assert not Places.build(table_of([]).reshape(0, 4), 100).may_meet(Box(0, 0, 1, 1))
    assert not Times.build(np.zeros((0, 2), dtype=np.int64), 100).may_meet(Interval(0, 1))
