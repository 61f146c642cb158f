"""Tests of hansa.rest.base: JSON names its fields, octets are arrays; both are frozen and refuse more."""

import msgspec
import pytest

from hansa.codec import decode, encode
from hansa.errors import InvalidError
from hansa.rest.base import Json, Octets


class Named(Json, frozen=True):
    """A value with a name."""

    number: int


class Plain(Octets, frozen=True):
    """The same in octets."""

    number: int


def test_json():
    """By name, none more."""
    assert msgspec.json.encode(Named(number=3)) == b'{"number":3}'
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"number":3,"more":1}', type=Named)
    with pytest.raises(AttributeError):
        Named(number=3).number = 4


def test_octets():
    """By place, none more."""
    assert encode(Plain(3)) == b"\x91\x03"
    with pytest.raises(InvalidError):
        decode(Plain, b"\x92\x03\x01")
    with pytest.raises(AttributeError):
        Plain(3).number = 4
