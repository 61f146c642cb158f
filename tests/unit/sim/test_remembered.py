"""Remembered answers are the true ones, and are forgotten outside."""

import nacl.bindings
import pytest

from hansa.chain import authenticated
from hansa.codec import encode
from hansa.consensus import dialogue
from hansa.consensus.messages import GetBlocks
from hansa.crypto import signing
from hansa.crypto.signing import SigningKey, is_signed
from hansa.errors import InvalidError
from hansa.sim import checkers
from hansa.sim.remembered import remembered


def test_signatures_are_judged_alike() -> None:
    """Sound ones, forged ones, each twice; the functions are put back afterwards."""
    key = SigningKey(b"k" * 32)
    plain = signing.opens, nacl.bindings.crypto_sign, authenticated.place_of
    outside = key.sign("tag", b"message")
    with remembered():
        assert outside == key.sign("tag", b"message") == key.sign("tag", b"message")
        for _ in range(2):
            assert is_signed("tag", b"message", outside, key.public)
            assert not is_signed("tag", b"another", outside, key.public)
            assert not is_signed("other", b"message", outside, key.public)
            assert not is_signed("tag", b"message", outside[:32] + bytes(32), key.public)
        assert authenticated.place_of(b"key") == plain[2](b"key")
    assert plain == (
        signing.opens,
        nacl.bindings.crypto_sign,
        authenticated.place_of,
    )


def test_messages_are_decoded_alike() -> None:
    """The same bytes are one value to all who read them; what is malformed is so each time."""
    data, plain = encode(GetBlocks(1, 2)), dialogue.decode_message
    with remembered():
        first = dialogue.decode_message(data)
        assert plain(data) == first
        assert (
            first
            is dialogue.decode_message(bytes(bytearray(data)))
            is checkers.decode_message(data)
        )
        for _ in range(2):
            with pytest.raises(InvalidError):
                dialogue.decode_message(data + b"x")
    assert plain is dialogue.decode_message is checkers.decode_message
