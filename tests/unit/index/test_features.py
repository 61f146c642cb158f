"""Features: small integers, the same everywhere, alike for what is alike."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa import limits
from hansa.errors import InvalidError
from hansa.index.features import (
    FEATURES,
    Described,
    compute_features,
    compute_words,
    count_words,
    validate_features,
)
from hansa.types import Box, Interval

BUS = Described(
    title="Bus stops",
    description="Location of every bus stop with routes and timetable, GTFS",
    keywords=("bus", "transit"),
    themes=("Transport",),
    formats=("csv",),
)
GOLDEN_BUS = (14, -31, 90, 23, -7, 8, 11, -1, -3, -1, -4, 1, -1, 3, 1, 0, 0, 0, 0, 0)


def distance(left, right):
    return sum((a - b) ** 2 for a, b in zip(left, right, strict=True))


def test_golden_features():
    """Feature model 1 gives these numbers, on every machine and for ever."""
    assert GOLDEN_BUS == compute_features(BUS)


def test_like_is_near():
    """A second transit dataset is nearer than a restaurant inspection."""
    tram = Described(title="Tram timetable", description="Public transit stops and routes")
    food = Described(title="Restaurant inspections", description="Food hygiene violations, grades")
    here, near, far = map(compute_features, (BUS, tram, food))
    assert 2 * distance(here, near) < distance(here, far)


@settings(max_examples=60)
@given(
    st.text(max_size=80),
    st.text(max_size=300),
    st.lists(st.text(max_size=20), max_size=5),
    st.integers(-(2**61), 2**61),
)
def test_any_text_is_in_range(title, description, keywords, start):
    """Whatever is described, the features are valid and their number is fixed."""
    box = Box(-180_000_000, -90_000_000, 180_000_000, 90_000_000)
    described = Described(
        title, description, keywords, box=box, interval=Interval(start, start + 5), formats=keywords
    )
    validate_features(compute_features(described))


def test_place_time_and_kind_have_their_own_features():
    """The last four features are middle longitude, latitude, year and kind of data."""
    box = Box(16_000_000, 48_000_000, 16_000_000, 48_000_000)
    interval = Interval(1_577_836_800_000, 1_577_836_800_000)
    described = Described("", box=box, interval=interval, formats=("GeoJSON",))
    assert (2, 8, 10, 12) == compute_features(described)[-4:]
    south = Described("", box=Box(-16_000_000, -48_000_000, -16_000_000, -48_000_000))
    assert (-2, -8, 0, 0) == compute_features(south)[-4:]
    assert (0,) * FEATURES == compute_features(Described(""))


def test_hostile_descriptions_are_bounded():
    """Words beyond 512 are not counted; a word counts a bounded number of times."""
    described = Described("x " * 500, "y " * 9_000 + " ".join(f"w{n}" for n in range(9_000)))
    weights = count_words(described)
    assert 512 == len(weights)
    assert (3, 7) == (weights["x"], weights["y"])


def test_words_are_bounded():
    """At most WORDS_MAX words; those of title, keywords and themes first."""
    text = " ".join(f"w{number}" for number in range(9_000))
    words = compute_words(Described("title words", text, themes=("theme",)))
    assert limits.WORDS_MAX == len(words)
    assert {"title", "words", "theme"} <= set(words)
    assert list(words) == sorted(set(words))


def test_words_of_all_texts():
    """Words are of every public text, sorted."""
    described = Described(
        "Bus", "b c", ("d",), ("E",), "Lübeck", columns=("stop_id",), rhythm="monthly"
    )
    assert ("b", "bus", "c", "d", "e", "id", "lübeck", "monthly", "stop") == compute_words(
        described
    )


def test_the_rhythm_counts_as_a_word():
    """Datasets brought up to date as often lie a little nearer; none told changes nothing."""
    plain, daily = Described("Air quality"), Described("Air quality", rhythm="daily")
    assert compute_features(plain) == compute_features(Described("Air quality", rhythm=""))
    assert compute_features(plain) != compute_features(daily)
    assert compute_features(Described("Air quality", "daily")) == compute_features(daily)


@pytest.mark.parametrize(
    ("features", "model"),
    [((0,) * 19, 1), ((128,) + (0,) * 19, 1), ((-128,) + (0,) * 19, 1), ((0,) * 20, 2)],
)
def test_bad_features_are_invalid(features, model):
    """Length, range and model are checked; the neighbour of each bad case is good."""
    validate_features((-127, 127, *(0,) * 18))
    with pytest.raises(InvalidError):
        validate_features(features, model)
