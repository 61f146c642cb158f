"""Questions from a file: words, or JSON with the fields that the help names."""

import pytest

from hansa.cli.trying.asked import parse_line
from hansa.cli.trying.dump import id_of
from hansa.errors import InvalidError
from hansa.index.question import Circle
from hansa.types import Box


def test_words_as_typed():
    """Words, beginnings and phrases."""
    question = parse_line('bus stop* "air quality"', 1)
    assert ("stop",) == question.prefixes
    assert (("air", "quality"),) == question.phrases
    assert "bus" in question.words


def test_fields():
    """Every field reaches the question."""
    question = parse_line(
        '{"words": "bus", "theme": "T", "format": "csv", "publisher": "City", "title": "x",'
        ' "bbox": [8.4, 47.3, 8.6, 47.5], "near": [8.5, 47.4, 500], "from": "2005", "to": "2006",'
        ' "id": "a", "limit": 5, "offset": 2}', 1
    )  # fmt: skip
    assert Box(8_400_000, 47_300_000, 8_600_000, 47_500_000) == question.box
    assert Circle(8_500_000, 47_400_000, 500) == question.near
    assert (id_of("a"), "City", 5, 2) == (
        question.dataset, question.owner, question.limit, question.offset)  # fmt: skip
    assert 730 * 86_400_000 == question.interval.end_ms - question.interval.start_ms + 1
    assert parse_line('{"to": "2006"}', 1).interval.start_ms < 0
    assert id_of("b") == parse_line('{"like": "b"}', 1).like


@pytest.mark.parametrize(
    "line",
    ["{broken", '{"colour": 1}', '{"bbox": 7}', '{"near": [1]}', '{"limit": "x"}', '{"limit": 0}',
     '{"words": 3}', '{"from": "x"}', " ".join(f"w{n}" for n in range(70)), "x" * 10_000, '{"near": [999, 0, 1]}'],
)  # fmt: skip
def test_nonsense_names_its_line(line):
    """A clear error with the number of the line."""
    with pytest.raises(InvalidError, match="Line 9"):
        parse_line(line, 9)
