"""Wrapping a key or a note to one reader: HPKE base mode (RFC 9180), X25519, HKDF-SHA256, AES-256-GCM.

Base mode names no sender: whatever is wrapped is bound to its use by `info`, and where the sender
matters a signature stands beside it.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from typing_extensions import override

from hansa.errors import CorruptError, InvalidError
from hansa.types import EncryptionKey

_suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class DecryptionKey:
    """An X25519 private key; prints masked."""

    __slots__ = ("_key", "public")

    public: EncryptionKey
    """The key others wrap to, 32 bytes."""

    def __init__(self, seed: bytes) -> None:
        """Take 32 random bytes as the private key.

        Raises:
            InvalidError: the seed is not 32 bytes.
        """
        if len(seed) != 32:
            raise InvalidError("A decryption key needs 32 bytes.")
        self._key = X25519PrivateKey.from_private_bytes(seed)
        self.public = EncryptionKey(self._key.public_key().public_bytes_raw())

    @override
    def __repr__(self) -> str:
        return f"DecryptionKey(public={self.public.hex()[:16]}…)"

    def seed(self) -> bytes:
        """Return the 32 secret bytes; for the keystore only."""
        return self._key.private_bytes_raw()

    def unwrap(self, info: bytes, wrapped: bytes) -> bytes:
        """Return what was wrapped to this key for the use `info`.

        Raises:
            CorruptError: wrapped to another key, for another use, or changed.
        """
        try:
            return _suite.decrypt(wrapped, self._key, info=info)
        except (InvalidTag, ValueError) as error:
            raise CorruptError("The wrapped key does not open with this key.") from error


def wrap(recipient: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Wrap `plaintext` so that only the holder of `recipient` can open it, for the use `info`.

    Raises:
        InvalidError: the recipient is not an X25519 public key.
    """
    try:
        public = X25519PublicKey.from_public_bytes(recipient)
        return bytes(_suite.encrypt(plaintext, public, info=info))
    except ValueError as error:
        raise InvalidError("Not an encryption key: it must be 32 bytes of X25519.") from error
