"""Times, boxes and ids as people type them."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.cli.values import BOX, DIGEST, FROM, ID, TO


def test_a_date_is_its_first_or_last_millisecond() -> None:
    """--from takes the start of the day, --to its end; a time with a zone is that instant."""
    assert FROM.convert("1970-01-02", None, None) == 86_400_000
    assert TO.convert("1970-01-01", None, None) == 86_399_999
    assert FROM.convert("1970-01-01T01:00:00+01:00", None, None) == 0
    assert FROM.convert("1970-01-01T00:00:01", None, None) == 1_000


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-02-30", "20x6-01-01"])
def test_no_time_is_refused(text: str) -> None:
    """What is no time says how to write one."""
    with pytest.raises(click.BadParameter, match="2026-03-01"):
        FROM.convert(text, None, None)


def test_a_box() -> None:
    """Four numbers in order; the edges of the world are inside."""
    assert BOX.convert("-180,-90,180,90", None, None) == [-180, -90, 180, 90]
    for text in ("1,2,3", "a,b,c,d", "2,0,1,0", "0,2,0,1", "0,0,181,0", "nan,0,1,1"):
        with pytest.raises(click.BadParameter):
            BOX.convert(text, None, None)


@given(st.binary(min_size=16, max_size=16))
def test_ids_round_trip(raw: bytes) -> None:
    """32 hex digits, any case, are an id; one less is none; a digest has 64."""
    assert ID.convert(raw.hex().upper(), None, None) == raw.hex()
    assert DIGEST.convert(raw.hex() * 2, None, None) == raw.hex() * 2
    for kind, text in ((ID, raw.hex()[1:]), (DIGEST, raw.hex())):
        with pytest.raises(click.BadParameter):
            kind.convert(text, None, None)
