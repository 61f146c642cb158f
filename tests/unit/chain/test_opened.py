"""Opened transactions: judged as the structs say, without ever being more than an erasable buffer."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hansa import limits
from hansa.chain.opened import (
    OpenedTransaction,
    erase,
    is_confidential_sound,
    split_contents,
)
from hansa.chain.sealed import ConfidentialPart, SealedContents
from hansa.codec import decode, encode
from hansa.errors import InvalidError

LENGTHS = (0, 1, 31, 32, 255, 256, 65_535, 65_536)


def is_sound_by_struct(data: bytes) -> bool:
    """Judge by the definition: what the erasable way must agree with."""
    try:
        part = decode(ConfidentialPart, data, bytes_max=limits.CONFIDENTIAL_BYTES_MAX)
    except InvalidError:
        return False
    return len(part.salt) == 32 and len(part.justification) <= limits.JUSTIFICATION_CHARACTERS_MAX


@pytest.mark.parametrize("length", LENGTHS)
def test_contents_are_split_as_encoded(length: int) -> None:
    """Both parts come out whole at each width of their lengths; the joined bytes are erased."""
    contents = SealedContents(b"t" * length, b"c" * length)
    plain = bytearray(encode(contents))
    opened = split_contents(plain)
    assert (contents.transaction, contents.confidential) == (
        opened.transaction,
        opened.confidential,
    )
    assert bytes(len(plain)) == plain


@given(some.binary(max_size=80), some.binary(max_size=80), some.data())
def test_only_the_canonical_encoding_is_split(public: bytes, private: bytes, data) -> None:
    """What the codec refuses is refused here, and erased; what it takes gives the same parts."""
    plain = bytearray(encode(SealedContents(public, private)))
    for _ in range(data.draw(some.integers(0, 2))):
        at = data.draw(some.integers(0, len(plain) - 1))
        plain[at] = data.draw(some.integers(0, 255))
    plain = plain[: data.draw(some.integers(0, len(plain)))] + data.draw(some.binary(max_size=2))
    try:
        wanted = decode(SealedContents, bytes(plain))
    except InvalidError:
        with pytest.raises(InvalidError):
            split_contents(plain)
    else:
        opened = split_contents(plain)
        assert (wanted.transaction, wanted.confidential) == (
            opened.transaction,
            opened.confidential,
        )
    assert bytes(len(plain)) == plain


@given(some.text(max_size=90), some.text(max_size=90), some.data())
def test_parts_are_judged_as_by_their_struct(why: str, contact: str, data) -> None:
    """Any part, whole or with bytes changed, is judged as decoding and encoding it would."""
    part = bytearray(encode(ConfidentialPart(bytes(32), why, contact)))
    assert is_confidential_sound(part)
    for _ in range(data.draw(some.integers(1, 3))):
        part[data.draw(some.integers(0, len(part) - 1))] = data.draw(some.integers(0, 255))
    assert is_sound_by_struct(bytes(part)) == is_confidential_sound(part)


def test_bounds_of_a_part() -> None:
    """Salt, characters of the justification and bytes in all are bounded."""
    longest = limits.JUSTIFICATION_CHARACTERS_MAX
    for expected, part in (
        (True, ConfidentialPart(bytes(32), "ü" * longest, "")),
        (False, ConfidentialPart(bytes(32), "ü" * (longest + 1), "")),
        (False, ConfidentialPart(bytes(31), "why", "")),
        (True, ConfidentialPart(bytes(32), "why", "x" * 60_000)),
        (False, ConfidentialPart(bytes(32), "why", "x" * limits.CONFIDENTIAL_BYTES_MAX)),
    ):
        data = encode(part)
        assert expected == is_sound_by_struct(data)
        assert expected == is_confidential_sound(bytearray(data))


def test_other_bytes_are_no_part() -> None:
    """Nothing, other kinds, something behind."""
    part = encode(ConfidentialPart(bytes(32), "why", ""))
    for data in (b"", b"\x93", b"\x92\xc4\x00", part + b"\x00", part[:-1], b"\xc0" * 40):
        assert not is_confidential_sound(bytearray(data))


def test_erasing_is_in_place_and_printing_is_masked() -> None:
    """The very buffer is overwritten; neither repr nor str tells it."""
    buffer = bytearray(b"secret")
    opened = OpenedTransaction(b"public", buffer)
    assert "secret" not in f"{opened} {opened!r}"
    opened.erase()
    assert bytes(6) == buffer
    other = bytearray(b"x")
    erase(other)
    assert b"\x00" == other


@pytest.mark.parametrize(
    "parts",
    [
        b"\xc5\x00\x01tc\xc4\x00",  # a length that has room in a shorter form
        b"\xc6\x00\x00\x00\x01t\xc4\x00",
        b"\xa1t\xc4\x00",  # text where bytes belong
        b"\xc4\x05t",  # shorter than it says
        b"\xc4\x01t",  # one part
    ],
)
def test_other_forms_of_the_same_contents_are_refused(parts: bytes) -> None:
    """One value has one encoding; what is refused is erased all the same."""
    plain = bytearray(b"\x92" + parts)
    with pytest.raises(InvalidError):
        decode(SealedContents, bytes(plain))
    with pytest.raises(InvalidError):
        split_contents(plain)
    assert bytes(len(plain)) == plain
