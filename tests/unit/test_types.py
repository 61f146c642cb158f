"""The small types: immutable, encoded as arrays."""

import pytest

from hansa.codec import decode, encode
from hansa.types import NO_DIGEST, Address, Box, Interval


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (Interval(1, 2), "920102"),
        (Box(-1, 0, 1, 2), "94ff000102"),
        (Address(b"p", 3, 4), "93c401700304"),
    ],
)
def test_bytes(value: object, data: str) -> None:
    """Fields in order, nothing else."""
    assert bytes.fromhex(data) == encode(value)
    assert value == decode(type(value), bytes.fromhex(data))


def test_immutable() -> None:
    """A signed value cannot change under its signature."""
    interval = Interval(1, 2)
    with pytest.raises(AttributeError):
        interval.start_ms = 3


def test_no_digest() -> None:
    """Thirty-two zero bytes."""
    assert bytes(32) == NO_DIGEST
