"""What people type becomes words, prefixes and phrases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.errors import InvalidError
from hansa.index.question import Question, parse_words, validate_question


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ((("bus", "stops"), (), ()), "Bus stops"),
        ((("bus",), ("stop",), ()), "bus stop*"),
        ((("air", "quality", "no2"), (), (("air", "quality"),)), '"Air quality" NO2'),
        ((("air", "quality"), (), (("air", "quality"),)), "“air-quality"),
        ((("air",), (), ()), '"air"'),
        ((("bus", "stop"), (), ()), "bus-stop*"),
        ((("空气",), (), (("空", "气"),)), '"空气"'),
        (((), ("空气",), ()), "空气*"),
        (((), (), ()), ' * "" — '),
    ],
)
def test_parse_words(expected, text):
    """Words, words with a star, and words between quotation marks."""
    assert expected == parse_words(text)


@given(st.text(max_size=200))
def test_any_text_parses(text):
    """Whatever is typed gives a question or nothing, never a failure."""
    words, prefixes, phrases = parse_words(text)
    assert all(words)
    assert all(prefixes)
    assert all(len(phrase) > 1 for phrase in phrases)


def test_too_long_is_invalid():
    """A text of absurd size is refused before it is cut into words."""
    with pytest.raises(InvalidError):
        parse_words("x" * 5_000)


def test_nearness_alone():
    """Only a question for nearness and nothing else may stop before it has seen all rows."""
    assert Question(like=bytes(16)).is_nearness_alone
    assert Question(like_features=(0,) * 20).is_nearness_alone
    assert not Question(like=bytes(16), phrases=(("a", "b"),)).is_nearness_alone
    assert not Question().is_nearness_alone


def test_both_kinds_of_likeness_are_invalid():
    """Like a dataset, or like features: each is valid alone."""
    validate_question(Question(like=bytes(16)))
    validate_question(Question(like_features=(0,) * 20))
    with pytest.raises(InvalidError):
        validate_question(Question(like=bytes(16), like_features=(0,) * 20))
