"""Directory: the node's part of a manifest: enough to store, serve, count and collect; nothing to read with.

Sealed to the organisation's directory key, which its own node has. Each redundant field is compared at
decode, so nobody meets two answers to one question.
"""

from array import array
from collections.abc import Sequence
from typing import Literal

import msgspec

from hansa import limits
from hansa.data.columns import (
    Rows,
    are_distinct,
    few_u32,
    pack_u32,
    read_digest,
    read_u32,
    running_sums_u32,
    sum_u32,
    unpack_u32,
)
from hansa.errors import InvalidError
from hansa.types import ChunkId


class _Value(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of the stored values here."""


class DirectoryEntry(_Value, frozen=True):
    """One stored chunk, as the own node sees it."""

    chunk: ChunkId
    """Keyed digest of the plain bytes, 32 bytes."""
    sealed_digest: bytes
    """BLAKE3 of the sealed bytes, 32 bytes: which sealing of the chunk this version uses."""
    sealed_bytes: int
    """Length of the sealed bytes."""
    plain_bytes: int
    """Length of the plain bytes, 1 to CHUNK_BYTES_MAX."""


class Directory(_Value, frozen=True):
    """The node's part: enough to store, serve, count and collect; nothing to read with.

    Columns of n distinct chunks, those of dictionaries before all others, which come in order of first
    occurrence: their sealed bytes, joined, are the content.
    """

    format: Literal[3]
    content_bytes: int
    """Plain bytes of all files."""
    files: int
    """How many files."""
    dictionary_chunks: int
    """How many chunks, the first ones, are no part of a file but what others were compressed with."""
    chunk_ids: bytes
    """n × 32 bytes."""
    sealed_digests: bytes
    """n × 32 bytes."""
    sealed_lengths: bytes
    """n × 4 bytes, little-endian."""
    plain_lengths: bytes
    """n × 4 bytes, little-endian."""

    @classmethod
    def of(
        cls,
        content_bytes: int,
        files: int,
        entries: Sequence[DirectoryEntry],
        dictionary_chunks: int = 0,
    ) -> "Directory":
        """Return a directory of these entries; `validate_directory` judges it."""
        return cls(
            3,
            content_bytes,
            files,
            dictionary_chunks,
            b"".join(entry.chunk for entry in entries),
            b"".join(entry.sealed_digest for entry in entries),
            pack_u32(entry.sealed_bytes for entry in entries),
            pack_u32(entry.plain_bytes for entry in entries),
        )

    @property
    def entries(self) -> Rows[DirectoryEntry]:
        """The chunks, one value each, made when asked for."""
        return Rows(len(self.plain_lengths) // 4, self._entry, self._some)

    @property
    def stored_bytes(self) -> int:
        """Sealed bytes of all its chunks."""
        return sum_u32(self.sealed_lengths)

    @property
    def plain_bytes(self) -> int:
        """Plain bytes of all its chunks, each once; dictionaries are not counted."""
        return sum_u32(self.plain_lengths[4 * self.dictionary_chunks :])

    def offsets(self) -> "array[int]":
        """Return where each sealed chunk starts in the content, and the content's end, (n + 1,)."""
        return running_sums_u32(self.sealed_lengths)

    def _some(self, start: int, stop: int) -> list[DirectoryEntry]:
        digests = range(32 * start, 32 * stop, 32)
        return list(
            map(
                DirectoryEntry,
                [ChunkId(self.chunk_ids[at : at + 32]) for at in digests],
                [self.sealed_digests[at : at + 32] for at in digests],
                unpack_u32(self.sealed_lengths[4 * start : 4 * stop]).tolist(),
                unpack_u32(self.plain_lengths[4 * start : 4 * stop]).tolist(),
            )
        )

    def _entry(self, index: int) -> DirectoryEntry:
        return DirectoryEntry(
            ChunkId(read_digest(self.chunk_ids, index)),
            read_digest(self.sealed_digests, index),
            read_u32(self.sealed_lengths, index),
            read_u32(self.plain_lengths, index),
        )


def validate_directory(directory: Directory) -> None:
    """Check lengths and uniqueness.

    Raises:
        InvalidError: the message says what is wrong.
    """
    if not 0 <= directory.files <= limits.FILES_PER_VERSION_MAX or directory.content_bytes < 0:
        raise InvalidError("A directory's counts are impossible.")
    count = validate_chunks(
        directory.chunk_ids, directory.sealed_lengths, directory.plain_lengths, "A directory"
    )
    if len(directory.sealed_digests) != 32 * count:
        raise InvalidError("A directory's sealed digests have 32 bytes.")
    if not 0 <= directory.dictionary_chunks <= count:
        raise InvalidError("A directory's number of dictionary chunks is impossible.")
    plain = directory.plain_bytes
    if plain > directory.content_bytes or (directory.content_bytes > 0) != (plain > 0):
        raise InvalidError("A directory's chunks do not make up its content.")


def validate_chunks(
    chunk_ids: bytes, sealed_lengths: bytes, plain_lengths: bytes, whose: str
) -> int:
    """Check the columns that both parts of a manifest have; return how many chunks they list.

    Raises:
        InvalidError: the message says what is wrong, and `whose` it is.
    """
    count, odd = divmod(len(plain_lengths), 4)
    if odd:
        raise InvalidError("A column does not hold whole numbers.")
    if len(chunk_ids) != 32 * count or len(sealed_lengths) != 4 * count:
        raise InvalidError(f"{whose} has columns of different lengths.")
    if not _are_within(plain_lengths, limits.CHUNK_BYTES_MAX):
        raise InvalidError("A chunk's plain length is impossible.")
    if not _are_within(sealed_lengths, limits.SEALED_CHUNK_BYTES_MAX):
        raise InvalidError("A chunk's sealed length is impossible.")
    if not are_distinct(chunk_ids):
        raise InvalidError(f"{whose} lists a chunk twice.")
    return count


def _are_within(lengths: bytes, most: int) -> bool:
    """Tell whether all numbers of a column lie between 1 and `most`."""
    if not lengths:
        return True
    few = few_u32(lengths)
    if few is not None:
        return min(few) > 0 and max(few) <= most
    numbers = unpack_u32(lengths)
    return bool(numbers.min() > 0 and numbers.max() <= most)
