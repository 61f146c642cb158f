"""Descriptions: within the chain's bounds, with words and features that others can check."""

import math

import pytest

from hansa import limits
from hansa.client.describe import (
    Sniffed,
    Subject,
    complete,
    describe,
    to_box,
    to_interval,
    to_subject,
)
from hansa.errors import InvalidError
from hansa.index.features import FEATURES
from hansa.types import Box, Interval


def test_a_description_holds_what_was_said():
    """Texts cleaned, lists each once, words sorted, features of the model's length."""
    made = describe(
        Subject(
            title="  Bus \n stops ",
            keywords=["Bus", "bus stop", "Bus", ""],
            themes=["transport"],
            bbox=[-0.5, 39.3, -0.2, 39.6],
            from_ms=5,
            rhythm="R/P3M",
        ),
        Sniffed(
            ("CSV", "geojson", "csv", "no format"),
            ("stop\tid", "name", "stop  id", " ", "lines"),
            ("integer", "text", "text", "date"),
        ),
        1,
    )
    assert (made.rhythm, made.column_types) == ("quarterly", ("", "text", ""))
    assert "quarterly" in made.words
    assert (made.title, made.keywords) == ("Bus stops", ("Bus", "bus stop"))
    assert (made.formats, made.columns) == (("csv", "geojson"), ("stop id", "name", "lines"))
    assert made.box == Box(-500_000, 39_300_000, -200_000, 39_600_000)
    assert made.interval == Interval(5, 5)
    assert list(made.words) == sorted(set(made.words))
    assert len(made.features) == FEATURES


@pytest.mark.parametrize(
    "change",
    [
        {"title": ""},
        {"title": "x" * (limits.TITLE_CHARACTERS_MAX + 1)},
        {"description": "x" * (limits.DESCRIPTION_CHARACTERS_MAX + 1)},
        {"keywords": ["x" * (limits.KEYWORD_CHARACTERS_MAX + 1)]},
        {"keywords": [str(index) for index in range(limits.KEYWORDS_MAX + 1)]},
        {"themes": [str(index) for index in range(limits.THEMES_MAX + 1)]},
        {"place": "\ud800"},
        {"bbox": [1, 2, 3]},
        {"rhythm": "now and then"},
    ],
)
def test_what_the_chain_would_refuse_is_refused_here(change):
    """Each with a message that names the field."""
    with pytest.raises(InvalidError):
        describe(Subject(**{"title": "T", **change}), Sniffed(), 1)


@pytest.mark.parametrize(
    "box", [[181, 0, 182, 1], [1, 0, 0, 1], [0, 1, 1, 0], [math.nan, 0, 1, 1], [0, 0, math.inf, 1]]
)
def test_impossible_boxes(box):
    """Out of range, turned about, or no number."""
    with pytest.raises(InvalidError):
        to_box(box)


def test_intervals():
    """One side stands for both; the end is not before the start."""
    assert to_interval(None, None) is None
    assert to_interval(None, 7) == Interval(7, 7)
    for start, end in ((2, 1), (0, 10**16)):
        with pytest.raises(InvalidError):
            to_interval(start, end)


def test_a_next_version_keeps_what_is_left_out():
    """Empty fields come from the earlier version, others replace it."""
    earlier = Subject(title="T", place="P", from_ms=0, keywords=["k"])
    made = complete(to_subject({"title": None, "place": "Q"}), earlier)
    assert (made.title, made.place, made.from_ms, made.keywords) == ("T", "Q", 0, ["k"])
