"""Tests of node.api.octets: ranges as in RFC 9110."""

from types import SimpleNamespace

import pytest

from hansa.node.api.octets import (
    ByteRange,
    UnsatisfiableRangeError,
    choose_range,
    is_unchanged,
    parse_range,
    parse_short_range,
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", ByteRange(0, 0)),
        ("bytes=0-", ByteRange(0, 99)),
        ("bytes=10-19", ByteRange(10, 19)),
        ("bytes=90-1000", ByteRange(90, 99)),
        ("bytes=-5", ByteRange(95, 99)),
        ("bytes=-1000", ByteRange(0, 99)),
        (None, None),
        ("items=0-1", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=a-b", None),
        ("bytes=0-1,3-4", None),
        ("bytes=٣-٤", None),
        ("bytes=99999999999999999999-", None),
    ],
)
def test_parse_range(header, expected) -> None:
    """Single ranges are served, everything else is the whole."""
    assert expected == parse_range(header, 100)


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_outside(header) -> None:
    """A range outside of the object cannot be served."""
    with pytest.raises(UnsatisfiableRangeError) as caught:
        parse_range(header, 100)
    assert caught.value.http_status == 416


def test_empty_object() -> None:
    """Nothing can be a range of nothing."""
    with pytest.raises(UnsatisfiableRangeError):
        parse_range("bytes=0-", 0)
    assert parse_range(None, 0) is None


def request(**headers: str) -> object:
    """Return a request with headers."""
    return SimpleNamespace(headers={name.replace("_", "-"): text for name, text in headers.items()})


def test_conditions() -> None:
    """If-Range must name the object; If-None-Match may list it or be a star."""
    assert ByteRange(0, 1).length == 2
    assert ByteRange(0, 1) == choose_range(request(range="bytes=0-1", if_range='"a"'), '"a"', 9)
    assert choose_range(request(range="bytes=0-1", if_range='"b"'), '"a"', 9) is None
    assert choose_range(request(), '"a"', 9) is None
    assert is_unchanged(request(if_none_match='"b", "a"'), '"a"')
    assert is_unchanged(request(if_none_match="*"), '"a"')
    assert not is_unchanged(request(if_none_match='"b"'), '"a"')
    assert not is_unchanged(request(), '"a"')


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-9", ByteRange(0, 9)),
        ("bytes=5-5", ByteRange(5, 5)),
        ("bytes=0-10", None),
        ("bytes=9-5", None),
        ("bytes=5-", None),
        ("bytes=-5", None),
        ("bytes=0-1,3-4", None),
        ("bytes=" + "9" * 19 + "-" + "9" * 19, None),
        (None, None),
    ],
)
def test_short_ranges(header: str | None, expected: ByteRange | None) -> None:
    """Only one range of known, bounded length is answered with one read."""
    assert expected == parse_short_range(header, 10)
