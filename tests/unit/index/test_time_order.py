"""Orders of starts and ends say what comparing every interval says."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.index.bits import rows_of, words_of
from hansa.index.columns import Room
from hansa.index.time_order import TimeOrder
from hansa.types import Interval

ROWS = 400
SPANS = st.tuples(st.integers(-50, 50), st.integers(0, 60)).map(lambda s: (s[0], s[0] + s[1]))
INTERVALS = st.dictionaries(st.integers(0, ROWS - 1), SPANS, max_size=200)


def order_of(intervals, room=1 << 20):
    rows = np.array(sorted(intervals), dtype=np.uint32)
    table = np.array([intervals[row] for row in rows.tolist()], dtype=np.int64).reshape(-1, 2)
    return TimeOrder(rows, table, ROWS, Room(room))


def meeting(intervals, asked):
    return {row for row, (start, end) in intervals.items() if start <= asked[1] and end >= asked[0]}


@settings(max_examples=150)
@given(INTERVALS, SPANS, st.sets(st.integers(0, ROWS - 1)))
def test_places_say_what_intervals_say(intervals, asked, rows):
    """Count, membership in an array and one by one are those of a plain comparison."""
    times, expected = order_of(intervals), meeting(intervals, asked)
    window = times.window(Interval(*asked))
    assert len(expected) == max(0, window.end - window.first_end)
    array = np.array(sorted(rows), dtype=np.uint32)
    assert sorted(expected & rows) == times.among(window, array).tolist()
    assert sorted(expected & rows) == times.among_few(window, sorted(rows))


@settings(max_examples=150)
@given(INTERVALS, SPANS, st.lists(st.sets(st.integers(0, ROWS - 1)), min_size=1, max_size=3))
def test_bits_in_the_order_of_starts_meet_once(intervals, asked, sets):
    """Bits and the places beside them are what is in all sets and meets, none twice, kept or not."""
    expected = sorted(meeting(intervals, asked).intersection(*sets))
    for room in (0, 1 << 20):
        times = order_of(intervals, room)
        window = times.window(Interval(*asked))
        if window.end <= window.first_end:
            assert [] == expected
            continue
        bits = [times.bits(np.array(sorted(rows), dtype=np.uint32)) for rows in sets]
        for _ in range(2):
            start, part, edge = times.among_bits(window, bits)
            places = np.concatenate((rows_of(part) + np.uint32(start), edge))
            assert expected == sorted(times.rows_at(places).tolist())


def test_a_step_with_many_ends_is_parted_exactly():
    """Marks lie many ends apart; what lies between a mark and the time asked for is told one by one."""
    intervals = {row: (row // 7, row // 7 + row % 5) for row in range(ROWS)}
    times = order_of(intervals)
    everything = [words_of(np.arange(ROWS), ROWS)]
    for first in range(0, 60, 3):
        window = times.window(Interval(first, first + 1))
        start, part, edge = times.among_bits(window, everything)
        found = len(rows_of(part)) + len(edge)
        assert len(meeting(intervals, (first, first + 1))) == found == window.end - window.first_end
        assert start % 64 == 0
