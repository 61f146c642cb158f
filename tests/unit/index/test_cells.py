"""Keys: whatever meets shares one, so a filter over keys never loses a match."""

from hypothesis import given
from hypothesis import strategies as st

from hansa.index.cells import facet_keys, filter_keys, key_of, needs_of, strong_words, word_keys
from hansa.index.question import Question
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


def may_match(made, record, question):
    keys = filter_keys(record)
    return all(any(key in keys for key in need.keys) for need in needs_of(question))


@given(boxes(), boxes())
def test_boxes_that_meet_share_a_key(made, one, other):
    """Places: no pair of boxes that meet is told apart, whatever their sizes."""
    record = made.make_record(1, box=one)
    meet = not (
        one.east < other.west
        or other.east < one.west
        or one.north < other.south
        or other.north < one.south
    )
    if meet:
        assert may_match(made, record, Question(box=other))
    assert may_match(made, record, Question(box=one))


@given(intervals(), intervals())
def test_intervals_that_meet_share_a_key(made, one, other):
    """Times: no pair of intervals that meet is told apart."""
    record = made.make_record(1, interval=one)
    if not (one.end_ms < other.start_ms or other.end_ms < one.start_ms):
        assert may_match(made, record, Question(interval=other))


def test_far_boxes_do_not_share_a_key(made):
    """Small boxes far apart, and small times far apart, are told apart."""
    record = made.make_record(1, box=Box(0, 0, 10, 10), interval=Interval(0, 10))
    far = Box(5_000_000, 5_000_000, 5_000_010, 5_000_010)
    assert not may_match(made, record, Question(box=far))
    assert not may_match(made, record, Question(interval=Interval(10**11, 10**11)))


@given(st.integers(0, 40), st.data())
def test_own_words_stems_and_facets_are_found(made, number, data):
    """A record answers to its words, their beginnings, and its facets in any case."""
    record = made.make_record(number)
    word = data.draw(st.sampled_from(record.words))
    stem = word[: data.draw(st.integers(1, len(word)))]
    question = Question(
        words=(word,),
        prefixes=(stem,),
        theme=record.themes[0].upper(),
        format=record.formats[0].upper(),
        owner=record.owner,
        title=record.title.upper(),
        dataset=record.dataset,
    )
    assert 7 == len(needs_of(question))
    assert may_match(made, record, question)


def test_strong_words_are_listed_words(made):
    """Words of the title count as strong only if the description lists them."""
    record = made.make_record(3)
    assert strong_words(record) <= set(record.words)
    assert set() == strong_words(made.make_record(3, words=()))
    assert key_of("W", min(strong_words(record))) in word_keys(record)
    assert key_of("o", record.owner) in facet_keys(record)
