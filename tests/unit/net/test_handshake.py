"""Tests of hansa.net.handshake."""

import msgspec
import pytest

from hansa.codec import encode
from hansa.errors import ConflictError, DeniedError, ProtocolError
from hansa.net.handshake import Hello, decode_refusal, encode_refusal, judge_hello

ALLIANCE, OWN, OTHER = b"a" * 32, b"o" * 32, b"t" * 32
MINE = Hello(1, ALLIANCE, OWN, "bulk", bytes(16))
THEIRS = Hello(1, ALLIANCE, OTHER, "bulk", bytes(16))


def judge(hello, *, leaf=OTHER, expected=OTHER, member=True):
    """Judge a greeting."""
    data = hello if isinstance(hello, bytes) else encode(hello)
    return judge_hello(data, MINE, leaf=leaf, expected=expected, is_member=lambda _: member)


def test_a_right_greeting_stands():
    """For who dialled, and for who listens, whichever channel is asked for."""
    assert judge(THEIRS) == THEIRS
    other_channel = msgspec.structs.replace(THEIRS, channel="agreement")
    assert judge(other_channel, expected=None) == other_channel


@pytest.mark.parametrize(
    ("changes", "options", "kind", "words"),
    [
        ({"protocol": 2}, {}, ProtocolError, "protocols 1 and 2"),
        ({"alliance": b"b" * 32}, {}, ConflictError, "wrong genesis"),
        ({}, {"leaf": OWN}, ProtocolError, "certificate"),
        ({"nonce": b"short"}, {}, ProtocolError, "certificate"),
        ({"node_key": OWN}, {"leaf": OWN}, ConflictError, "met itself"),
        ({"channel": "agreement"}, {}, ProtocolError, "Another node"),
        ({}, {"expected": b"x" * 32}, ProtocolError, "Another node"),
        ({}, {"member": False}, DeniedError, "no active member"),
    ],
)
def test_a_wrong_greeting_is_refused_with_the_reason(changes, options, kind, words):
    """Each field is compared with what TLS and the chain say."""
    with pytest.raises(kind, match=words):
        judge(msgspec.structs.replace(THEIRS, **changes), **options)


@pytest.mark.parametrize("data", [b"", b"\xff", encode((1, 2)), encode(THEIRS) + b"\0"])
def test_a_malformed_greeting_is_a_protocol_error(data):
    """Never another exception."""
    with pytest.raises(ProtocolError, match="malformed"):
        judge(data)
    with pytest.raises(ProtocolError, match="malformed"):
        judge(msgspec.structs.replace(THEIRS, nonce=bytes(2_000)))


def test_a_refusal_carries_its_reason():
    """Class, words and remedy arrive; unknown codes and garbage are protocol errors."""
    error = decode_refusal(encode_refusal(ConflictError("wrong genesis", remedy="Compare.")))
    assert isinstance(error, ConflictError)
    assert "wrong genesis" in error.message
    assert error.remedy == "Compare."
    assert isinstance(decode_refusal(encode(("unheard-of", "x", ""))), ProtocolError)
    with pytest.raises(ProtocolError):
        decode_refusal(b"garbage")
