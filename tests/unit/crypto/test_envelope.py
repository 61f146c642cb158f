"""HPKE against a second implementation written from RFC 9180, itself held to the RFC's vector."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hansa.crypto.envelope import DecryptionKey, wrap
from hansa.errors import CorruptError, InvalidError

KEM = b"KEM" + (0x20).to_bytes(2, "big")


def extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    """Return LabeledExtract of RFC 9180 section 4."""
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + material, hashlib.sha256)


def expand(suite: bytes, secret: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """Return LabeledExpand of RFC 9180 section 4, up to 32 bytes."""
    text = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(secret, text + b"\x01", hashlib.sha256)[:length]


def open_by_the_book(
    seed: bytes, enc: bytes, cipher: bytes, info: bytes, associated: bytes, key_bytes: int
) -> bytes:
    """Open a base-mode message: DHKEM(X25519), HKDF-SHA256, AES-GCM with that key length."""
    private = X25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw()
    shared = private.exchange(X25519PublicKey.from_public_bytes(enc))
    pseudorandom = extract(KEM, b"", b"eae_prk", shared)
    secret = expand(KEM, pseudorandom, b"shared_secret", enc + public, 32)
    aead = {16: 1, 32: 2}[key_bytes]
    suite = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (0x20, 1, aead))
    context = (
        b"\x00" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    )
    schedule = extract(suite, secret, b"secret", b"")
    key = expand(suite, schedule, b"key", context, key_bytes)
    nonce = expand(suite, schedule, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, cipher, associated)


def test_the_book_is_right() -> None:
    """RFC 9180 appendix A.1.1, sequence number 0."""
    opened = open_by_the_book(
        bytes.fromhex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8"),
        bytes.fromhex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"),
        bytes.fromhex(
            "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9"
            "6d8770ac83d07bea87e13c512a"
        ),
        bytes.fromhex("4f6465206f6e2061204772656369616e2055726e"),
        bytes.fromhex("436f756e742d30"),
        16,
    )
    assert b"Beauty is truth, truth beauty" == opened


def test_wraps_are_hpke() -> None:
    """What we wrap opens by the book: enc (32 bytes) ‖ ciphertext, AES-256-GCM, no associated data."""
    key = DecryptionKey(bytes(range(32)))
    wrapped = wrap(key.public, b"use", b"a key")
    assert b"a key" == open_by_the_book(key.seed(), wrapped[:32], wrapped[32:], b"use", b"", 32)
    assert b"a key" == key.unwrap(b"use", wrapped)
    assert wrapped != wrap(key.public, b"use", b"a key"), "fresh randomness each time"


def test_only_for_this_key_and_use() -> None:
    """Another key, another use, any changed bit, any cut: does not open."""
    key, other = DecryptionKey(bytes(range(32))), DecryptionKey(bytes(range(1, 33)))
    wrapped = wrap(key.public, b"use", b"a key")
    with pytest.raises(CorruptError):
        other.unwrap(b"use", wrapped)
    with pytest.raises(CorruptError):
        key.unwrap(b"abuse", wrapped)
    for index in range(len(wrapped)):
        changed = wrapped[:index] + bytes([wrapped[index] ^ 1]) + wrapped[index + 1 :]
        with pytest.raises(CorruptError):
            key.unwrap(b"use", changed)
    for length in (0, 31, 32, len(wrapped) - 1):
        with pytest.raises(CorruptError):
            key.unwrap(b"use", wrapped[:length])


def test_wrong_recipients() -> None:
    """A key that is none is refused with the expected error, all zeros included."""
    for recipient in (b"short", bytes(32)):
        with pytest.raises(InvalidError):
            wrap(recipient, b"use", b"a key")
    with pytest.raises(InvalidError):
        DecryptionKey(b"short")


def test_keys_print_masked() -> None:
    """The private half is not shown."""
    key = DecryptionKey(bytes(range(32)))
    assert key.seed().hex() not in repr(key) + str(key)
