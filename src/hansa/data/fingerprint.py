"""Fingerprint: the keyed names by which equal chunks are known (paper 4.1 step 1, MD5 + SHA1).

The keyed BLAKE3 digest is the chunk's id and judges what is a duplicate; it is computed for every
chunk. The paper's MD5+SHA1 pair is computed for new chunks only, as HMACs, because plain MD5 and SHA1
collide and let anybody confirm a guess; it is the hash index table's second, unique key.

Several chunks are fingerprinted in one call, so that whoever has something faster for many (`lanes`) can
hand it in.
"""

import hmac
from collections.abc import Sequence
from typing import Literal, Protocol

from blake3 import blake3

from hansa.crypto.sealing import Buffer
from hansa.data.keys import DedupKeys
from hansa.types import ChunkId

Profile = Literal["md5+sha1", "blake3"]
"""Genesis parameter: whether the pair is kept at all."""

FINGERPRINT_BYTES = 36
NO_FINGERPRINT = b""


def compute_chunk_id(keys: DedupKeys, chunk: Buffer) -> ChunkId:
    """Return the keyed BLAKE3 digest of a chunk's plain bytes, 32 bytes."""
    return ChunkId(blake3(chunk, key=keys.digest_key).digest())


def compute_fingerprint(keys: DedupKeys, chunk: Buffer, profile: Profile = "md5+sha1") -> bytes:
    """Return HMAC-MD5 ‖ HMAC-SHA1 of a chunk's plain bytes, 36 bytes; none in profile `blake3`."""
    if profile == "blake3":
        return NO_FINGERPRINT
    return hmac.digest(keys.md5_key, chunk, "md5") + hmac.digest(keys.sha1_key, chunk, "sha1")


class Hmacs(Protocol):
    """Something that does many messages at once."""

    def __call__(
        self, md5_key: bytes, sha1_key: bytes, messages: Sequence[Buffer], /
    ) -> list[bytes]:
        """Return HMAC-MD5 ‖ HMAC-SHA1 of each message, 36 bytes, in order."""
        ...


def compute_fingerprints(
    keys: DedupKeys, chunks: Sequence[Buffer], profile: Profile, hmacs: Hmacs | None = None
) -> list[bytes]:
    """Return `compute_fingerprint` of each chunk, in order; by `hmacs` where it is given."""
    if hmacs is None or profile == "blake3":
        return [compute_fingerprint(keys, chunk, profile) for chunk in chunks]
    found = hmacs(keys.md5_key, keys.sha1_key, chunks)
    assert len(found) == len(chunks)
    return found
