"""Sealing of one chunk: compress if that helps, then AES-256-GCM under a random key of its own.

The key is random, never derived from the content: a derived key can be derived again, and then
nothing can ever be erased. The associated data binds type, format and chunk id, so a sealed chunk put
in another's place does not open.

Form: nonce (12) ‖ ciphertext of (mark (1) ‖ body) ‖ tag (16); mark 0 = body is the chunk, 1 = zstd.
"""

import sys

from blake3 import blake3

from hansa.crypto.sealing import KEY_BYTES, NONCE_BYTES, OVERHEAD_BYTES, open_sealed, seal
from hansa.errors import CorruptError
from hansa.limits import CHUNK_BYTES_MAX, SEALED_CHUNK_BYTES_MAX
from hansa.types import ChunkId

if sys.version_info >= (3, 14):  # pragma: no cover - the interpreter decides
    from compression import zstd
else:
    from backports import zstd

FORMAT = 1
COMPRESSION_LEVEL = 1
SECRET_BYTES = KEY_BYTES + NONCE_BYTES
"""Random bytes one sealing takes: key ‖ nonce."""

_STORED, _ZSTD = b"\x00", b"\x01"
_SEALED_BYTES_MIN = OVERHEAD_BYTES + 2

assert CHUNK_BYTES_MAX + 1 + OVERHEAD_BYTES <= SEALED_CHUNK_BYTES_MAX


def seal_chunk(chunk_id: ChunkId, chunk: bytes, key: bytes, nonce: bytes) -> bytes:
    """Compress and seal a chunk.

    Args:
        chunk_id: its keyed digest, 32 bytes.
        chunk: 1 to CHUNK_BYTES_MAX plain bytes.
        key: 32 random bytes, for this chunk alone.
        nonce: 12 random bytes.

    Returns:
        At most len(chunk) + 29 bytes.
    """
    assert 0 < len(chunk) <= CHUNK_BYTES_MAX
    packed = zstd.compress(chunk, COMPRESSION_LEVEL)
    body = _ZSTD + packed if len(packed) < len(chunk) else _STORED + chunk
    return seal(key, nonce, body, _associated(chunk_id))


def open_chunk(chunk_id: ChunkId, sealed: bytes, key: bytes, plain_length: int) -> bytes:
    """Open a sealed chunk and check that it has the length its manifest says.

    Raises:
        CorruptError: changed, of another chunk, under another key, or not of that length. What is
            expanded never exceeds `plain_length` + 1 bytes.
    """
    if not _SEALED_BYTES_MIN <= len(sealed) <= SEALED_CHUNK_BYTES_MAX:
        raise CorruptError("A sealed chunk has an impossible length.")
    if not 0 < plain_length <= CHUNK_BYTES_MAX:
        raise CorruptError("A chunk's plain length is impossible.")
    body = open_sealed(key, sealed, _associated(chunk_id))
    mark, rest = body[:1], body[1:]
    if mark == _ZSTD:
        rest = _expand(rest, plain_length)
    elif mark != _STORED:
        raise CorruptError("A sealed chunk has an unknown form.", remedy="Upgrade Hansa.")
    if len(rest) != plain_length:
        raise CorruptError("A chunk does not have the length its manifest says.")
    return rest


def compute_sealed_digest(sealed: bytes | memoryview) -> bytes:
    """Return BLAKE3 of sealed bytes, 32 bytes: names this sealing of a chunk, and checks it."""
    return blake3(sealed).digest()


def _associated(chunk_id: bytes) -> bytes:
    return b"hansa.chunk" + FORMAT.to_bytes(2, "big") + chunk_id


def _expand(packed: bytes, plain_length: int) -> bytes:
    """Decompress at most `plain_length` + 1 bytes: a bomb goes off small."""
    decompressor = zstd.ZstdDecompressor()
    try:
        chunk = decompressor.decompress(packed, plain_length + 1)
    except zstd.ZstdError as error:
        raise CorruptError("A chunk does not decompress.") from error
    if not decompressor.eof or decompressor.unused_data:
        raise CorruptError("A chunk does not decompress to the length its manifest says.")
    return chunk
