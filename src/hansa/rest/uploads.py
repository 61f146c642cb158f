"""The REST contract: chunks, manifests and wraps, in the canonical encoding. See `rest`."""

from hansa.chain.transactions import Attestation
from hansa.codec import digest, encode
from hansa.rest.base import Octets
from hansa.types import Digest

WRAPS_TAG = "hansa.wraps.1"


class LookupRequest(Octets, frozen=True):
    """Chunk ids (keyed digests) the publisher has, in order; at most 4,096."""

    chunks: tuple[bytes, ...]


class KnownChunk(Octets, frozen=True):
    """A chunk that the own store already holds."""

    dataset: bytes
    """A living dataset version that uses it, 16 bytes: its manifest gives the chunk key."""
    version: int


class LookupAnswer(Octets, frozen=True):
    """For each chunk asked, in order, who uses it, or None if it is to be uploaded."""

    known: tuple[KnownChunk | None, ...]


class ChunkItem(Octets, frozen=True):
    """One new sealed chunk."""

    chunk: bytes
    """Keyed BLAKE3 digest, 32 bytes."""
    fingerprint: bytes
    """Keyed MD5 ‖ SHA-1, 36 bytes; empty under profile blake3."""
    sealed: bytes


class ChunkUpload(Octets, frozen=True):
    """A batch of new chunks; durable when answered. Sending one again is harmless."""

    cluster: str
    """Hint: which run of packs they belong to."""
    items: tuple[ChunkItem, ...]


class ManifestUpload(Octets, frozen=True):
    """A manifest and the wrap of its data key, to be made durable and attested."""

    dataset: bytes
    """16 bytes; empty for a new dataset, whose id is not known before its transaction is signed."""
    manifest: bytes
    key_wrap: bytes
    """The data key sealed to the organisation's publishing key."""
    content_bytes: int
    files: int


class ManifestAnswer(Octets, frozen=True):
    """The node's word that all is stored, durable and leased."""

    attestation: Attestation


class WrapSet(Octets, frozen=True):
    """Data keys of a dataset's versions, wrapped to the requester (HPKE); its digest is in the grant."""

    request: bytes
    salt: bytes
    """32 random bytes."""
    wraps: tuple[tuple[int, bytes], ...]
    """(version number, wrapped data key), sorted."""


def compute_wrap_digest(wraps: WrapSet) -> Digest:
    """Return what a grant says of its wraps: the salt is inside, so a guess cannot be confirmed."""
    return digest(WRAPS_TAG, encode(wraps))
