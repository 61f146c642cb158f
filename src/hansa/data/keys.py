"""Keys an organisation derives from its dedup secret: for the chunker, the fingerprint and the digest.

The secret never leaves the organisation's clients; whoever knows it can tell whether a guessed
content is stored. One label for each use, so that no derived key says anything about another.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from typing_extensions import override

from hansa.errors import InvalidError

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, repr=False)
class DedupKeys:
    """What partition and fingerprint are keyed by; prints masked."""

    chunker_seed: int
    """1 to 2^63 − 1: mixed into the chunker's table, so that cut points tell strangers less."""
    md5_key: bytes
    """32 bytes, for HMAC-MD5."""
    sha1_key: bytes
    """32 bytes, for HMAC-SHA1."""
    digest_key: bytes
    """32 bytes, for keyed BLAKE3: makes chunk ids."""

    @override
    def __repr__(self) -> str:
        return "DedupKeys(…)"


def derive_dedup_keys(secret: bytes) -> DedupKeys:
    """Derive the keys from the organisation's dedup secret.

    Args:
        secret: 32 random bytes, the same at all clients of the organisation.

    Raises:
        InvalidError: the secret is not 32 bytes.
    """
    if len(secret) != SECRET_BYTES:
        raise InvalidError(
            "A dedup secret has 32 bytes.", remedy="Restore the organisation's keys."
        )
    # The chunker takes a seed below 2^63, and 0 would mean "not keyed".
    seed = int.from_bytes(_derive(secret, "chunker", 8), "big") >> 1
    return DedupKeys(
        chunker_seed=max(seed, 1),
        md5_key=_derive(secret, "hmac-md5", 32),
        sha1_key=_derive(secret, "hmac-sha1", 32),
        digest_key=_derive(secret, "digest", 32),
    )


def _derive(secret: bytes, label: str, length: int) -> bytes:
    """Return HKDF-SHA256 (RFC 5869) of the secret for one labelled use."""
    return HKDF(SHA256(), length, salt=None, info=b"hansa.dedup.1 " + label.encode()).derive(secret)
