"""Coverage: the ways in which catalogues write places and times, and what makes no sense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.cli.trying.coverage import parse_box, parse_interval
from hansa.types import Box

ZURICH = Box(8_400_000, 47_300_000, 8_600_000, 47_500_000)


@pytest.mark.parametrize(
    "value",
    [
        [8.4, 47.3, 8.6, 47.5],
        "8.4,47.3,8.6,47.5",
        "8.4 47.3 8.6 47.5",
        "ENVELOPE(8.4, 8.6, 47.5, 47.3)",
        "POLYGON((8.4 47.3, 8.6 47.3, 8.6 47.5, 8.4 47.3))",
        {"west": 8.4, "south": 47.3, "east": 8.6, "north": "47.5"},
        {"bbox": [8.4, 47.3, 8.6, 47.5]},
        {"type": "Polygon", "coordinates": [[[8.4, 47.3], [8.6, 47.3], [8.6, 47.5]]]},
        '{"type": "MultiPoint", "coordinates": [[8.4, 47.3, 400], [8.6, 47.5, 400]]}',
        {"type": "Feature", "geometry": {"coordinates": [[8.4, 47.3], [8.6, 47.5]]}},
    ],
)
def test_places_in_numbers(value):
    """One box in ten spellings."""
    assert ZURICH == parse_box(value)


@pytest.mark.parametrize(
    "value",
    [None, "", "Chicago", "5th Avenue 10, 20", 7, True, [], [9, 9, 1, 1], [1, 2, 3, 400],
     ["a", 1, 2, 3], {"west": 1}, "{broken", "[" * 100_000, {"bbox": None}, [[[[]]]],
     "POINT()", [True, 2], [float("nan")] * 4, {"coordinates": {"coordinates": [{}]}}, ["1", "2", "1e999", "3"]],
)  # fmt: skip
def test_places_that_are_not_told_in_numbers(value):
    """A name, an address, nonsense: no box, no error."""
    assert parse_box(value) is None


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2005", "2017", 4_748),
        ("2010", None, 365),
        (None, "2012-02", 29),
        ("2012-02-29", "2012-02-29", 1),
        ("20120229", "2012-03-01T10:00:00Z", 2),
        (2005, 2006, 730),
    ],
)
def test_times(start, end, days):
    """Years, months, days, instants; the end of one is its last millisecond."""
    interval = parse_interval(start, end)
    assert days * 86_400_000 == interval.end_ms - interval.start_ms + 1


@pytest.mark.parametrize(
    ("start", "end"),
    [(None, None), ("never", ""), ("2012", "2010"), ("2012-13-40", None), (1.5, []), ("0000", None),
     (True, None)],
)  # fmt: skip
def test_times_that_make_no_sense(start, end):
    """Counted as not known."""
    assert parse_interval(start, end) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["west", "south", "east", "north", "bbox", "geometry", "coordinates"]),
        inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON, JSON)
def test_nothing_stops_it(one, two):
    """Any value at all is read as a box or an interval within bounds, or as nothing."""
    box = parse_box(one)
    assert box is None or -180_000_000 <= box.west <= box.east <= 180_000_000
    interval = parse_interval(one, two)
    assert interval is None or interval.start_ms <= interval.end_ms
