"""Ed25519: RFC 8032 vectors, domain tags, and the edge cases on which libraries differ."""

import nacl.bindings
import nacl.exceptions
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.crypto import signing
from hansa.crypto.signing import (
    FIELD_PRIME,
    GROUP_ORDER,
    SigningKey,
    is_signed,
    is_signed_somewhere,
    is_sound_point,
    sign_for_many,
)
from hansa.errors import InvalidError

RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_rfc_8032(monkeypatch, seed: str, public: str, message: str, signature: str) -> None:
    """Without our tag, keys and signatures are the RFC's."""
    monkeypatch.setattr(signing, "_tagged", lambda _, text: text)
    key = SigningKey(bytes.fromhex(seed))
    assert bytes.fromhex(public) == key.public
    assert bytes.fromhex(signature) == key.sign("", bytes.fromhex(message))
    assert is_signed("", bytes.fromhex(message), bytes.fromhex(signature), key.public)


def test_tags_separate_uses() -> None:
    """A signature for one use is none for another, nor for another message or key."""
    key, other = SigningKey(bytes([1]) * 32), SigningKey(bytes([2]) * 32)
    signature = key.sign("vote", b"yes")
    assert is_signed("vote", b"yes", signature, key.public)
    assert not is_signed("voter", b"yes", signature, key.public)
    assert not is_signed("vot", b"eyes", signature, key.public)
    assert not is_signed("vote", b"no", signature, key.public)
    assert not is_signed("vote", b"yes", signature, other.public)


def test_any_flipped_bit_breaks_a_signature() -> None:
    """All 512 of them."""
    key = SigningKey(bytes([1]) * 32)
    signature = key.sign("t", b"m")
    for bit in range(512):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        assert not is_signed("t", b"m", bytes(changed), key.public)


@given(
    message=st.binary(max_size=300),
    flipped=st.none() | st.integers(0, 8 * 64 - 1),
    other=st.none() | st.binary(min_size=32, max_size=32),
)
def test_what_is_called_says_what_the_binding_says(
    message: bytes, flipped: int | None, other: bytes | None
) -> None:
    """The library is called without its binding's copies: the same verdict on whatever comes."""
    key = nacl.bindings.crypto_sign_seed_keypair(bytes([3]) * 32)
    signed = bytearray(nacl.bindings.crypto_sign(message, key[1]))
    if flipped is not None:
        signed[flipped // 8] ^= 1 << flipped % 8
    public = key[0] if other is None else other
    try:
        expected = message == nacl.bindings.crypto_sign_open(bytes(signed), public)
    except nacl.exceptions.BadSignatureError:
        expected = False
    assert expected == signing.opens(bytes(signed), public)
    assert expected == (flipped is None and other is None)


def test_a_scalar_beyond_the_order_is_refused() -> None:
    """S + L is the same point and another encoding: not one of ours."""
    key = SigningKey(bytes([1]) * 32)
    signature = key.sign("t", b"m")
    scalar = int.from_bytes(signature[32:], "little") + GROUP_ORDER
    malleable = signature[:32] + scalar.to_bytes(32, "little")
    assert not is_signed("t", b"m", malleable, key.public)


SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    # and their other encodings
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


@pytest.mark.parametrize("encoded", SMALL_ORDER)
def test_small_order_points_are_refused(encoded: str) -> None:
    """As a key and as a signature's first half, canonical or not."""
    point = bytes.fromhex(encoded)
    key = SigningKey(bytes([1]) * 32)
    assert not is_sound_point(point)
    assert not is_signed("t", b"m", point + bytes(32), key.public)
    assert not is_signed("t", b"m", key.sign("t", b"m"), point)


def test_non_canonical_points_are_refused() -> None:
    """A y of p or more encodes nothing."""
    for y in range(FIELD_PRIME, 2**255):
        assert not is_sound_point(y.to_bytes(32, "little"))
    assert is_sound_point((FIELD_PRIME - 2).to_bytes(32, "little"))


def test_wrong_lengths() -> None:
    """Wrong lengths are false, not errors; a seed of wrong length is one."""
    key = SigningKey(bytes([1]) * 32)
    signature = key.sign("t", b"m")
    assert not is_signed("t", b"m", signature[:-1], key.public)
    assert not is_signed("t", b"m", signature, key.public[:-1])
    assert not is_sound_point(b"")
    with pytest.raises(InvalidError):
        SigningKey(b"short")


def test_keys_print_masked() -> None:
    """Neither repr nor str shows the seed."""
    key = SigningKey(bytes([1]) * 32)
    assert key.seed().hex() not in repr(key) + str(key)
    assert bytes([1]) * 32 == key.seed()


def test_what_was_sound_is_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once by the library; after that by all of its bytes, and nothing else passes."""
    checked = count_checks(monkeypatch)
    key, other = SigningKey(bytes([7]) * 32), SigningKey(bytes([8]) * 32)
    signature = key.sign("t", b"met again")
    for _ in range(3):
        assert is_signed_somewhere("t", b"met again", signature, key.public)
    assert 1 == len(checked)
    changed = bytes([signature[0] ^ 1]) + signature[1:]
    for _ in range(2):
        assert not is_signed_somewhere("u", b"met again", signature, key.public)
        assert not is_signed_somewhere("t", b"met agaim", signature, key.public)
        assert not is_signed_somewhere("t", b"met again", changed, key.public)
        assert not is_signed_somewhere("t", b"met again", signature, other.public)
    assert 1 + 2 * 4 == len(checked), "what is wrong is never remembered"


def test_what_was_signed_here_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes back inside of blocks."""
    checked = count_checks(monkeypatch)
    key = SigningKey(bytes([9]) * 32)
    signature = sign_for_many(key, "t", b"own")
    assert key.sign("t", b"own") == signature
    assert is_signed_somewhere("t", b"own", signature, key.public)
    assert not checked
    assert is_signed("t", b"own", signature, key.public), "and it is right"


def test_the_memory_of_signatures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In number, and each in length: the oldest half goes, and is checked again."""
    checked = count_checks(monkeypatch)
    key = SigningKey(bytes([10]) * 32)
    first = sign_for_many(key, "t", b"first")
    for number in range(signing.REMEMBERED_MAX):
        # What is entered is not looked at, so this needs no keys.
        signing._remember(number.to_bytes(4, "big"))
        assert len(signing._newer | signing._older) <= signing.REMEMBERED_MAX
    assert is_signed_somewhere("t", b"first", first, key.public)
    assert 1 == len(checked)
    long = bytes(signing.REMEMBERED_BYTES_MAX)
    signature = sign_for_many(key, "t", long)
    for _ in range(2):
        assert is_signed_somewhere("t", long, signature, key.public)
    assert 3 == len(checked)


def count_checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Begin with an empty memory; return the list that each question to the library is added to."""
    checked: list[bytes] = []
    plain = signing.opens

    def opens(signed: bytes, public: bytes) -> bool:
        checked.append(signed)
        return plain(signed, public)

    monkeypatch.setattr(signing, "opens", opens)
    monkeypatch.setattr(signing, "_newer", set())
    monkeypatch.setattr(signing, "_older", set())
    return checked
