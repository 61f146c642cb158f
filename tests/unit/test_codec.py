"""The codec: one value, one encoding; digests whose parts cannot be moved."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.codec import JOINED_BYTES_MAX, decode, derived, digest, encode
from hansa.errors import InvalidError
from hansa.types import Interval


class Pair(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Some struct."""

    number: int
    text: str


@given(number=st.integers(-(2**63), 2**64 - 1), text=st.text())
def test_round_trip(number: int, text: str) -> None:
    """Decoding gives what was encoded; text that is no Unicode cannot be encoded."""
    value = Pair(number, text)
    assert value == decode(Pair, encode(value))


@given(data=st.binary(max_size=40))
def test_any_bytes_are_canonical_or_refused(data: bytes) -> None:
    """Whatever arrives decodes to a value with exactly these bytes, or raises the one error."""
    try:
        value = decode(Pair, data)
    except InvalidError:
        return
    assert data == encode(value)


@pytest.mark.parametrize(
    "data",
    [
        "92cc01a161",  # an integer longer than it must be
        "dc000201a161",  # an array header longer than it must be
        "9201d90161",  # a text header longer than it must be
        "9201a16100",  # a byte too many
        "9201",  # a field too few
        "9301a16101",  # a field too many
        "9201a1ff",  # no Unicode
        "92cb3ff0000000000000a161",  # a float
        "82a66e756d62657201a474657874a161",  # a map
        "92c0a161",  # nothing where a number belongs
        "",
    ],
)
def test_not_canonical(data: str) -> None:
    """Other encodings of the same value are refused, and so is everything else."""
    assert Pair(1, "a") == decode(Pair, bytes.fromhex("9201a161"))
    with pytest.raises(InvalidError):
        decode(Pair, bytes.fromhex(data))


def test_length_first() -> None:
    """What is too long is refused before it is decoded."""
    data = encode(Interval(1, 2))
    assert Interval(1, 2) == decode(Interval, data, bytes_max=len(data))
    with pytest.raises(InvalidError, match="longer"):
        decode(Interval, data, bytes_max=len(data) - 1)


def test_deep_nesting_is_refused() -> None:
    """A million open brackets are an error of the sender, not ours."""
    with pytest.raises(InvalidError):
        decode(Pair, b"\x91" * 1_000_000)


def test_digest_by_hand() -> None:
    """Tag with its length, then each part with its length."""
    expected = hashlib.sha256(
        b"\x03tag" + (2).to_bytes(8, "big") + b"ab" + (0).to_bytes(8, "big")
    ).digest()
    assert expected == digest("tag", b"ab", b"")


def test_digest_separates() -> None:
    """Neither tags nor parts can be moved into each other."""
    found = {
        digest("t", b"ab"),
        digest("t", b"a", b"b"),
        digest("t", b"ab", b""),
        digest("t", b"", b"ab"),
        digest("ta", b"b"),
        digest("u", b"ab"),
    }
    assert 6 == len(found)


@given(
    tag=st.sampled_from(["hansa.one.1", "hansa.two.1"]),
    parts=st.lists(st.binary(max_size=40), max_size=3),
    is_buffer=st.booleans(),
)
def test_a_digest_is_over_tag_and_lengths_and_parts(
    tag: str, parts: list[bytes], *, is_buffer: bool
) -> None:
    """However it is computed: in one call or several, from bytes or from a buffer."""
    plain = bytes([len(tag)]) + tag.encode()
    plain += b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    given_parts = [bytearray(part) for part in parts] if is_buffer else parts
    assert hashlib.sha256(plain).digest() == digest(tag, *given_parts)


@pytest.mark.parametrize("size", [JOINED_BYTES_MAX, JOINED_BYTES_MAX + 1])
def test_a_long_part_has_the_digest_of_its_buffer(size: int) -> None:
    """On both sides of the length up to which it is joined."""
    assert digest("hansa.one.1", bytearray(size)) == digest("hansa.one.1", bytes(size))


class Derives(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """A value that something is derived from."""

    number: int

    @derived
    def half(self) -> list[int]:
        """Half of it."""
        return [self.number // 2]


def test_what_is_derived_is_derived_once() -> None:
    """It is no part of the value: neither of its encoding nor of comparison."""
    value = Derives(8)
    assert value.half is value.half
    assert [4] == value.half
    assert value == Derives(8)
    assert encode(Derives(8)) == encode(value)
    assert "Half of it." == Derives.half.__doc__
