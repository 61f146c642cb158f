"""Compression of chunks by zstd (RFC 8878), with contexts that are used again.

A fresh compressor costs more than compressing 64 KiB with it: its tables are new memory each time, and
a fresh decompressor half as much as what it expands. `Packer` and `Unpacker` keep those that are not in
use; several threads may share one (a list's `pop` and `append` are atomic), and each takes a context of
its own for a chunk. The standard library's decompressors end with their frame, so those of `zstandard`
expand (decision 0026).

With a *dictionary* (`dictionary.py`) a chunk is compressed as if the dictionary's bytes stood before it.
"""

import sys

import zstandard

from hansa.crypto.sealing import Buffer
from hansa.errors import CorruptError
from hansa.limits import CHUNK_BYTES_MAX, KIB

if sys.version_info >= (3, 14):  # pragma: no cover - the interpreter decides
    from compression import zstd
else:
    from backports import zstd

COMPRESSION_LEVEL = 1
_WINDOW_LOG = 20
"""Window of 1 MiB: the longest dictionary and the longest chunk."""
_FORCE_ATTACH_DICTIONARY = 1001
"""ZSTD_c_forceAttachDict: not among the parameters that the binding names, but long stable."""
_COPY_TABLES = 2
"""Copy the dictionary's tables for each chunk: dearer than to refer to them, but matches are found
faster and better, which pays from some 16 KiB on."""
_WITH_DICTIONARY: dict[int, int] = {
    zstd.CompressionParameter.compression_level: COMPRESSION_LEVEL,
    zstd.CompressionParameter.strategy: zstd.Strategy.fast,
    # Tables that stay in the nearer cache: one bit more saves a fiftieth, and takes a tenth longer.
    zstd.CompressionParameter.hash_log: 16,
    zstd.CompressionParameter.min_match: 6,
    zstd.CompressionParameter.window_log: _WINDOW_LOG,
    _FORCE_ATTACH_DICTIONARY: _COPY_TABLES,
}
_EMPTY_FRAME = bytes.fromhex("28b52ffd2000010000")
_NOT_TOLD = -1
"""What the library says of a frame that does not tell its content's length: nobody here makes one."""
_PROBE_BYTES = 2 * KIB
_PROBED_BYTES_MIN = 16 * KIB
_GLANCE_BYTES = 64
_DISTINCT_BYTES_MIN = 46
"""Noise has 57 different values among 64 bytes, give or take two: text is told at a glance."""


class Packer:
    """Compresses chunks, with one dictionary or none. Thread-safe."""

    def __init__(self, dictionary: bytes = b"", dictionary_id: bytes = b"") -> None:
        """Take a dictionary's plain bytes and id (32 bytes), or nothing for plain frames."""
        self.dictionary_id = dictionary_id
        self._dictionary = zstd.ZstdDict(dictionary, is_raw=True) if dictionary else None
        self._spare: list[zstd.ZstdCompressor] = []
        self._probes: list[zstd.ZstdCompressor] = []

    def pack(self, chunk: Buffer) -> bytes | None:
        """Return one frame that is shorter than the chunk, or None where it would not be."""
        if len(chunk) >= _PROBED_BYTES_MIN and self.is_noise(chunk):
            return None
        try:
            compressor = self._spare.pop()
        except IndexError:
            compressor = self._make()
        packed = compressor.compress(chunk, zstd.ZstdCompressor.FLUSH_FRAME)
        self._spare.append(compressor)
        return packed if len(packed) < len(chunk) else None

    def is_noise(self, chunk: Buffer) -> bool:
        """Tell whether a piece of the chunk's start with one of its middle does not shrink."""
        middle = len(chunk) // 2
        piece = bytes(chunk[middle : middle + _GLANCE_BYTES])
        if piece.isascii() or len(set(piece)) < _DISTINCT_BYTES_MIN:
            return False
        try:
            compressor = self._probes.pop()
        except IndexError:
            compressor = zstd.ZstdCompressor(level=COMPRESSION_LEVEL)
        # Both in one call: a call costs as much as what it does here.
        probe = bytes(chunk[:_PROBE_BYTES]) + bytes(chunk[middle : middle + _PROBE_BYTES])
        packed = compressor.compress(probe, zstd.ZstdCompressor.FLUSH_FRAME)
        self._probes.append(compressor)
        return len(packed) >= len(probe)

    def _make(self) -> zstd.ZstdCompressor:
        if self._dictionary is None:
            return zstd.ZstdCompressor(level=COMPRESSION_LEVEL)
        # Given undigested, the library digests it once for each context, by the parameters here.
        return zstd.ZstdCompressor(
            options=_WITH_DICTIONARY, zstd_dict=self._dictionary.as_undigested_dict
        )


class Unpacker:
    """Expands frames, with one dictionary or none. Thread-safe, as a `Packer` is."""

    def __init__(self, dictionary: bytes = b"", dictionary_id: bytes = b"") -> None:
        """Take a dictionary's plain bytes and id (32 bytes), or nothing for plain frames."""
        self.dictionary_id = dictionary_id
        self._dictionary: zstandard.ZstdCompressionDict | None = None
        if dictionary:
            kind = zstandard.DICT_TYPE_RAWCONTENT
            self._dictionary = zstandard.ZstdCompressionDict(dictionary, dict_type=kind)
        first = self._make()
        # The library digests the dictionary at its first use: here, where no two threads can.
        first.decompress(_EMPTY_FRAME)
        self._spare = [first]

    def unpack(self, packed: Buffer, plain_length: int) -> bytes:
        """Return the one frame's content, which has `plain_length` bytes (1 to CHUNK_BYTES_MAX).

        Never more than that is expanded: a bomb does not go off.

        Raises:
            CorruptError: no such frame, another length, or bytes after it.
        """
        assert 0 < plain_length <= CHUNK_BYTES_MAX
        try:
            decompressor = self._spare.pop()
        except IndexError:
            decompressor = self._make()
        try:
            # Room is made for what a frame says it holds: that is judged before.
            chunk = b""
            if zstandard.frame_content_size(packed) in (plain_length, _NOT_TOLD):
                chunk = decompressor.decompress(packed, plain_length, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise CorruptError("A chunk does not decompress.") from error
        finally:
            self._spare.append(decompressor)
        if len(chunk) != plain_length:
            raise CorruptError("A chunk does not decompress to the length its manifest says.")
        return chunk

    def _make(self) -> zstandard.ZstdDecompressor:
        return zstandard.ZstdDecompressor(
            dict_data=self._dictionary, max_window_size=1 << _WINDOW_LOG
        )


PLAIN_PACKER, PLAIN_UNPACKER = Packer(), Unpacker()
