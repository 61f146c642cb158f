"""Rhythms: what catalogues write in several ways is one word, or a clear refusal."""

import pytest

from hansa.chain.transactions import Rhythm
from hansa.client.rhythm import parse_rhythm
from hansa.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" Daily ", "daily"),
        ("ANNUAL", "annual"),
        ("ANNUAL_2", "semiannual"),
        ("UPDATE_CONT", "continuous"),
        ("http://publications.europa.eu/resource/authority/frequency/MONTHLY", "monthly"),
        ("http://publications.europa.eu/resource/authority/frequency/IRREG", "irregular"),
        ("R/P1W", "weekly"),
        ("R/P3M", "quarterly"),
    ],
)
def test_rhythms(text, expected):
    """Words, codes and addresses of the EU's vocabulary, intervals of ISO 8601."""
    assert expected == parse_rhythm(text)


def test_every_word_is_itself():
    """So what a node shows can be said again."""
    for word in Rhythm.__args__:
        assert word == parse_rhythm(word)


@pytest.mark.parametrize("text", ["sometimes", "R/P5D", "frequency/DAILY/x", "x" * 10_000])
def test_what_is_none_is_refused(text):
    """With the words there are, and not the whole of what was said."""
    with pytest.raises(InvalidError) as caught:
        parse_rhythm(text)
    assert "monthly" in caught.value.remedy
    assert len(caught.value.message) < 100
