"""AES-256-GCM: the published vectors, and that nothing changed opens."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hansa.crypto.sealing import (
    OVERHEAD_BYTES,
    Pages,
    derive_key,
    open_into_buffer,
    open_sealed,
    seal,
)
from hansa.errors import CorruptError

VECTORS = [
    # Test cases 13, 14 and 16 of the GCM specification submitted to NIST.
    ("00" * 32, "00" * 12, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
    (
        "00" * 32,
        "00" * 12,
        "00" * 16,
        "",
        "cea7403d4d606b6e074ec5d3baf39d18",
        "d0d1c8a799996bf0265b98b5d48ab919",
    ),
    (
        "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
        "cafebabefacedbaddecaf888",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
        "76fc6ece0f4e1768cddf8853bb2d551b",
    ),
]


@pytest.mark.parametrize(("key", "nonce", "plain", "associated", "cipher", "tag"), VECTORS)
def test_vectors(key: str, nonce: str, plain: str, associated: str, cipher: str, tag: str) -> None:
    """Nonce ‖ ciphertext ‖ tag as published, and back."""
    parts = [bytes.fromhex(text) for text in (key, nonce, plain, associated)]
    sealed = seal(*parts)
    assert bytes.fromhex(nonce + cipher + tag) == sealed
    assert len(sealed) == len(parts[2]) + OVERHEAD_BYTES
    assert parts[2] == open_sealed(parts[0], sealed, parts[3])


def test_nothing_changed_opens() -> None:
    """Each bit, the key, the associated data, the length."""
    key, nonce = bytes(32), bytes(12)
    sealed = seal(key, nonce, b"secret", b"place")
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptError):
            open_sealed(key, bytes(changed), b"place")
    for wrong in ((bytes([1]) * 32, sealed, b"place"), (key, sealed, b"other")):
        with pytest.raises(CorruptError):
            open_sealed(*wrong)
    for length in (0, 27, len(sealed) - 1):
        with pytest.raises(CorruptError):
            open_sealed(key, sealed[:length], b"place")


def test_lengths_are_our_own_duty() -> None:
    """A key or nonce of wrong length is a mistake of the caller."""
    with pytest.raises(AssertionError):
        seal(bytes(16), bytes(12), b"", b"")
    with pytest.raises(AssertionError):
        seal(bytes(32), bytes(8), b"", b"")


def test_opened_into_a_buffer() -> None:
    """The same plaintext, in bytes that can be overwritten; what is damaged or short does not open."""
    key, nonce = bytes(32), bytes(12)
    sealed = seal(key, nonce, b"secret", b"use")
    found = open_into_buffer(key, sealed, b"use")
    assert isinstance(found, bytearray)
    assert b"secret" == found
    for damaged, use in ((sealed, b"other"), (sealed[:-1], b"use"), (sealed[:20], b"use")):
        with pytest.raises(CorruptError):
            open_into_buffer(key, damaged, use)


def test_pages_open_at_their_own_place() -> None:
    """As the library seals under the page's number; another page, mark, key, or a byte changed does not open."""
    pages = Pages(bytes(32))
    sealed = pages.seal(7, b"page", b"inner")
    assert AESGCM(bytes(32)).encrypt(bytes(11) + b"\x07", b"page", b"inner") == sealed
    assert b"page" == pages.open(7, sealed, b"inner")
    for number, changed, mark in (
        (8, sealed, b"inner"),
        (7, sealed, b"last"),
        (7, sealed[:-1], b"inner"),
        (7, bytes([sealed[0] ^ 1]) + sealed[1:], b"inner"),
        (7, sealed[:15], b"inner"),
    ):
        with pytest.raises(CorruptError):
            pages.open(number, changed, mark)
    with pytest.raises(CorruptError):
        Pages(bytes([1]) * 32).open(7, sealed, b"inner")
    with pytest.raises(AssertionError):
        Pages(bytes(16))


def test_derived_keys_are_hkdf() -> None:
    """The same as the library's HKDF, and as RFC 5869, case 1, for its first 32 bytes."""
    for secret, salt, info in (
        (b"s" * 32, b"n" * 12, b"use"),
        (b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA))),
    ):
        oracle = HKDF(SHA256(), 32, salt=salt, info=info).derive(secret)
        assert oracle == derive_key(secret, salt, info)
    assert oracle.hex().startswith(
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
    )
