"""Authenticated encryption of stored bytes: AES-256-GCM (NIST SP 800-38D).

The caller gives key and nonce: a pure function cannot make its own randomness. Each key of ours
seals one object or carries random 96-bit nonces over far fewer than 2^32 objects.
"""

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hansa.errors import CorruptError

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES

Buffer = bytes | bytearray | memoryview


def derive_key(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """Return 32 bytes of HKDF-SHA256 (RFC 5869) of a secret for one use.

    Args:
        secret: 32 bytes nobody can guess.
        salt: public, of any length.
        info: what the key is for.
    """
    extracted = hmac.digest(salt, secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def seal(key: bytes, nonce: bytes, plaintext: Buffer, associated: bytes) -> bytes:
    """Return nonce ‖ ciphertext ‖ tag.

    Args:
        key: 32 bytes.
        nonce: 12 bytes, never used twice with this key.
        plaintext: what to hide.
        associated: what the reader must expect: type, id, version. Not stored.
    """
    assert len(key) == KEY_BYTES
    assert len(nonce) == NONCE_BYTES
    return nonce + AESGCM(key).encrypt(nonce, plaintext, associated)


def open_sealed(key: bytes, sealed: Buffer, associated: bytes) -> bytes:
    """Return the plaintext of what `seal` made.

    Raises:
        CorruptError: another key, other associated data, or changed bytes.
    """
    assert len(key) == KEY_BYTES
    if len(sealed) < OVERHEAD_BYTES:
        raise CorruptError("Sealed bytes are too short to be whole.")
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated)
    except InvalidTag as error:
        raise CorruptError(
            "Sealed bytes do not open: wrong key, wrong place or damaged."
        ) from error


def open_into(key: bytes, sealed: Buffer, associated: bytes, place: memoryview) -> None:
    """Write the plaintext of what `seal` made to a place of exactly its length.

    Raises:
        CorruptError: as `open_sealed`; the place is then zeros.
    """
    assert len(key) == KEY_BYTES
    if len(sealed) != len(place) + OVERHEAD_BYTES:
        raise CorruptError("Sealed bytes have another length than was expected.")
    try:
        AESGCM(key).decrypt_into(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated, place)
    except InvalidTag as error:
        # Nothing that was not authenticated is left for anybody to read.
        place[:] = bytes(len(place))
        raise CorruptError(
            "Sealed bytes do not open: wrong key, wrong place or damaged."
        ) from error


def open_into_buffer(key: bytes, sealed: bytes, associated: bytes) -> bytearray:
    """Return the plaintext of what `seal` made, in a buffer that its reader can overwrite.

    Raises:
        CorruptError: as `open_sealed`.
    """
    assert len(key) == KEY_BYTES
    if len(sealed) < OVERHEAD_BYTES:
        raise CorruptError("Sealed bytes are too short to be whole.")
    plain = bytearray(len(sealed) - OVERHEAD_BYTES)
    with memoryview(plain) as place:
        open_into(key, sealed, associated, place)
    return plain


class Pages:
    """Seals the pages of one object, each by itself, under a key that seals nothing else.

    The page's number is its nonce, so that none is stored and no page stands for another.
    """

    def __init__(self, key: bytes) -> None:
        """Take the object's key, 32 bytes."""
        assert len(key) == KEY_BYTES
        self._cipher = AESGCM(key)

    def seal(self, number: int, plaintext: Buffer, associated: bytes) -> bytes:
        """Return ciphertext ‖ tag.

        Args:
            number: the page's, from 0; each is sealed once.
            plaintext: what to hide.
            associated: what the reader must expect. Not stored.
        """
        return self._cipher.encrypt(number.to_bytes(NONCE_BYTES, "big"), plaintext, associated)

    def open(self, number: int, sealed: Buffer, associated: bytes) -> bytes:
        """Return the plaintext of what `seal` made.

        Raises:
            CorruptError: another key, page or associated data, or changed bytes.
        """
        if len(sealed) < TAG_BYTES:
            raise CorruptError("A sealed page is too short to be whole.")
        try:
            return self._cipher.decrypt(number.to_bytes(NONCE_BYTES, "big"), sealed, associated)
        except InvalidTag as error:
            raise CorruptError(
                "A sealed page does not open: wrong key, wrong place or damaged."
            ) from error
