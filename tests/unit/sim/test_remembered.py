"""Remembered answers are the true ones, and are forgotten outside."""

import nacl.bindings

from hansa.chain import authenticated
from hansa.crypto.signing import SigningKey, is_signed
from hansa.sim.remembered import remembered


def test_signatures_are_judged_alike() -> None:
    """Sound ones, forged ones, each twice; the functions are put back afterwards."""
    key = SigningKey(b"k" * 32)
    plain = nacl.bindings.crypto_sign_open, nacl.bindings.crypto_sign, authenticated.place_of
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
        nacl.bindings.crypto_sign_open,
        nacl.bindings.crypto_sign,
        authenticated.place_of,
    )
