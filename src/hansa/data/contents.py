"""Contents: the reader's part of a manifest: names of files and keys of chunks.

Sealed under the version's data key (DEK): only who was granted that key can read it. Each redundant
field is compared at decode, so a reader never meets two answers to one question.
"""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from typing_extensions import override

from hansa import limits
from hansa.data.columns import (
    Numbers,
    Rows,
    pack_u32,
    pack_u64,
    read_digest,
    read_u32,
    read_u64,
    unpack_u32,
    unpack_u64,
)
from hansa.data.directory import validate_chunks
from hansa.errors import InvalidError
from hansa.types import ChunkId

_UNWRITABLE = re.compile("[\x00-\x1f\ud800-\udfff]")
"""Control characters, and halves of pairs that no UTF-8 has."""


class _Value(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of the stored values here."""


class FileEntry(_Value, frozen=True):
    """One file: the next `size` bytes of the plain stream."""

    name: str
    """Relative path with slashes, at most FILE_NAME_BYTES_MAX bytes of UTF-8."""
    size: int
    """Plain bytes, from 0."""
    digest: bytes
    """BLAKE3 of the file, 32 bytes."""


class ContentChunk(_Value, frozen=True):
    """One stored chunk, as a reader needs it; prints without its key."""

    chunk: ChunkId
    key: bytes
    """The chunk's own key, 32 bytes."""
    sealed_bytes: int
    plain_bytes: int

    @override
    def __repr__(self) -> str:
        return f"ContentChunk({self.chunk.hex()[:16]}…)"


class Contents(_Value, frozen=True):
    """The reader's part: columns of f files, n distinct chunks and m places; prints without keys."""

    format: Literal[2]
    file_names: tuple[str, ...]
    file_sizes: bytes
    """f × 8 bytes, little-endian."""
    file_digests: bytes
    """f × 32 bytes."""
    chunk_ids: bytes
    """n × 32 bytes, as in the directory."""
    chunk_keys: bytes
    """n × 32 bytes."""
    sealed_lengths: bytes
    """n × 4 bytes, little-endian."""
    plain_lengths: bytes
    """n × 4 bytes, little-endian."""
    places: bytes
    """m × 4 bytes, little-endian: which chunk each place of the plain stream holds."""

    @classmethod
    def of(
        cls, files: Sequence[FileEntry], chunks: Sequence[ContentChunk], sequence: Sequence[int]
    ) -> "Contents":
        """Return contents of these values; `validate_contents` judges them."""
        return cls(
            2,
            tuple(file.name for file in files),
            pack_u64(file.size for file in files),
            b"".join(file.digest for file in files),
            b"".join(chunk.chunk for chunk in chunks),
            b"".join(chunk.key for chunk in chunks),
            pack_u32(chunk.sealed_bytes for chunk in chunks),
            pack_u32(chunk.plain_bytes for chunk in chunks),
            pack_u32(sequence),
        )

    @property
    def files(self) -> Rows[FileEntry]:
        """The files in order, made when asked for."""
        return Rows(len(self.file_names), self._file)

    @property
    def chunks(self) -> Rows[ContentChunk]:
        """The distinct chunks in order of first occurrence, made when asked for."""
        return Rows(len(self.plain_lengths) // 4, self._chunk)

    @property
    def sequence(self) -> Rows[int]:
        """Index into `chunks` for each chunk of the plain stream in order."""
        return Rows(len(self.places) // 4, lambda index: read_u32(self.places, index))

    def content_bytes(self) -> int:
        """Return the plain bytes of all files."""
        return int(unpack_u64(self.file_sizes).sum())

    @override
    def __repr__(self) -> str:
        return f"Contents({len(self.file_names)} files, {len(self.chunks)} chunks)"

    def _file(self, index: int) -> FileEntry:
        return FileEntry(
            self.file_names[index],
            read_u64(self.file_sizes, index),
            read_digest(self.file_digests, index),
        )

    def _chunk(self, index: int) -> ContentChunk:
        return ContentChunk(
            ChunkId(read_digest(self.chunk_ids, index)),
            read_digest(self.chunk_keys, index),
            read_u32(self.sealed_lengths, index),
            read_u32(self.plain_lengths, index),
        )


def validate_contents(contents: Contents) -> None:
    """Check names, lengths, order and sums.

    Raises:
        InvalidError: the message says what is wrong.
    """
    names = list(contents.file_names)
    validate_names(names)
    sizes = unpack_u64(contents.file_sizes)
    if len(sizes) != len(names) or len(contents.file_digests) != 32 * len(names):
        raise InvalidError("The contents' files do not all have a size and a digest.")
    count = validate_chunks(
        contents.chunk_ids, contents.sealed_lengths, contents.plain_lengths, "The contents"
    )
    if len(contents.chunk_keys) != 32 * count:
        raise InvalidError("Chunk keys have 32 bytes.")
    places = unpack_u32(contents.places)
    _validate_order(places, count)
    plain = int(unpack_u32(contents.plain_lengths)[places].sum())
    # Sizes are below 2^63, but their sum need not be: summed without bounds.
    if plain != sum(sizes.tolist()):
        raise InvalidError("The contents' chunks and files differ in length.")


def validate_names(names: list[str]) -> None:
    """Check the names of a version's files: safe to write below a folder, and no two in conflict.

    Raises:
        InvalidError: the message names the first bad one.
    """
    if len(names) > limits.FILES_PER_VERSION_MAX:
        raise InvalidError(f"A version holds at most {limits.FILES_PER_VERSION_MAX} files.")
    folders: set[str] = set()
    for name in names:
        parts = name.split("/")
        # A backslash separates where a reader's system says so: look through both eyes.
        pieces = name.replace("\\", "/").split("/")
        if (
            "" in parts
            or "." in parts
            or ".." in pieces
            or _UNWRITABLE.search(name)
            or len(name.encode("utf-8", "replace")) > limits.FILE_NAME_BYTES_MAX
        ):
            raise InvalidError(
                f"{name[:200]!r} cannot be a file's name in a version.",
                remedy="Use a relative path without '..', control characters or invalid UTF-8.",
            )
        while len(parts) > 1:
            parts.pop()
            folders.add("/".join(parts))
    if len(set(names)) != len(names):
        raise InvalidError("Two files of a version have the same name.")
    for name in names:
        if name in folders:
            raise InvalidError(f"{name[:200]!r} is both a file and a folder.")


def _validate_order(places: Numbers, count: int) -> None:
    """Check that first occurrences come in order 0, 1, 2 …: a version is written down in one way."""
    furthest = np.maximum.accumulate(places) if places.size else places
    allowed = np.concatenate((np.zeros(1, np.int64), furthest[:-1] + 1)) if places.size else places
    if bool((places > allowed).any()):
        raise InvalidError("The contents' sequence names chunks out of order.")
    used = int(furthest[-1]) + 1 if places.size else 0
    if used > count:
        raise InvalidError("The contents' sequence names a chunk that is not listed.")
    if used < count:
        raise InvalidError("The contents list a chunk that no file uses.")
