"""Sealing of one chunk: compress if that helps, then AES-256-GCM under a random key of its own.

The key is random, never derived from the content: a derived key can be derived again, and then
nothing can ever be erased. The associated data binds type, format, chunk id and dictionary, so a
sealed chunk put in another's place, or opened with another dictionary, does not open.

Form: nonce (12) ‖ ciphertext of the body ‖ tag (16). A body as long as the chunk is the chunk; a
shorter one is a zstd frame of it.
"""

from collections.abc import Iterable

from blake3 import blake3

from hansa.crypto.sealing import (
    KEY_BYTES,
    NONCE_BYTES,
    OVERHEAD_BYTES,
    Buffer,
    open_into,
    open_sealed,
    seal,
)
from hansa.data.compression import PLAIN_PACKER, PLAIN_UNPACKER, Packer, Unpacker
from hansa.errors import CorruptError
from hansa.limits import CHUNK_BYTES_MAX, SEALED_CHUNK_BYTES_MAX
from hansa.types import ChunkId

FORMAT = 2
SECRET_BYTES = KEY_BYTES + NONCE_BYTES
"""Random bytes one sealing takes: key ‖ nonce."""

_SEALED_BYTES_MIN = OVERHEAD_BYTES + 1
_USE = b"hansa.chunk" + FORMAT.to_bytes(2, "big")

assert CHUNK_BYTES_MAX + OVERHEAD_BYTES <= SEALED_CHUNK_BYTES_MAX


def seal_chunk(
    chunk_id: ChunkId, chunk: Buffer, key: bytes, nonce: bytes, packer: Packer = PLAIN_PACKER
) -> bytes:
    """Compress and seal a chunk.

    Args:
        chunk_id: its keyed digest, 32 bytes.
        chunk: 1 to CHUNK_BYTES_MAX plain bytes.
        key: 32 random bytes, for this chunk alone.
        nonce: 12 random bytes.
        packer: what compresses it.

    Returns:
        At most len(chunk) + 28 bytes.
    """
    assert 0 < len(chunk) <= CHUNK_BYTES_MAX
    packed = packer.pack(chunk)
    body = chunk if packed is None else packed
    return seal(key, nonce, body, _USE + chunk_id + packer.dictionary_id)


def open_chunk(
    chunk_id: ChunkId,
    sealed: Buffer,
    key: bytes,
    plain_length: int,
    unpacker: Unpacker = PLAIN_UNPACKER,
) -> bytes:
    """Open a sealed chunk and check that it has the length its manifest says.

    Raises:
        CorruptError: changed, of another chunk, under another key or dictionary, or not of that
            length. What is expanded never exceeds `plain_length` + 1 bytes.
    """
    _validate_lengths(sealed, plain_length)
    body = open_sealed(key, sealed, _USE + chunk_id + unpacker.dictionary_id)
    if len(body) == plain_length:
        return body
    return unpacker.unpack(body, plain_length)


def open_chunk_into(
    chunk_id: ChunkId,
    sealed: Buffer,
    key: bytes,
    place: memoryview,
    unpacker: Unpacker = PLAIN_UNPACKER,
) -> None:
    """Open a sealed chunk to a place of the length that its manifest says.

    Raises:
        CorruptError: as `open_chunk`; nothing unverified is left in the place.
    """
    _validate_lengths(sealed, len(place))
    associated = _USE + chunk_id + unpacker.dictionary_id
    if len(sealed) == len(place) + OVERHEAD_BYTES:
        open_into(key, sealed, associated, place)
    else:
        place[:] = unpacker.unpack(open_sealed(key, sealed, associated), len(place))


def _validate_lengths(sealed: Buffer, plain_length: int) -> None:
    if not _SEALED_BYTES_MIN <= len(sealed) <= SEALED_CHUNK_BYTES_MAX:
        raise CorruptError("A sealed chunk has an impossible length.")
    if not 0 < plain_length <= CHUNK_BYTES_MAX:
        raise CorruptError("A chunk's plain length is impossible.")
    if len(sealed) > plain_length + OVERHEAD_BYTES:
        raise CorruptError("A chunk is longer than its manifest says.")


def compute_dictionary_id(chunks: Iterable[ChunkId]) -> bytes:
    """Return what names a dictionary in associated data: BLAKE3 of its chunks' ids, 32 bytes."""
    return blake3(b"".join(chunks)).digest()


def compute_sealed_digest(sealed: Buffer) -> bytes:
    """Return BLAKE3 of sealed bytes, 32 bytes: names this sealing of a chunk, and checks it."""
    return blake3(sealed).digest()
