"""Contents: the reader's part of a manifest: names of files and keys of chunks.

Sealed under the version's data key (DEK): only who was granted that key can read it. Each redundant
field is compared at decode, so a reader never meets two answers to one question.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from typing_extensions import override

from hansa import limits
from hansa.data.columns import (
    Numbers,
    Rows,
    few_u32,
    pack_u16,
    pack_u32,
    pack_u64,
    read_digest,
    read_u16,
    read_u32,
    read_u64,
    running_sums,
    running_sums_u32,
    sum_u32,
    sum_u64,
    unpack_u16,
    unpack_u32,
)
from hansa.data.directory import validate_chunks
from hansa.errors import InvalidError
from hansa.types import ChunkId

_UNWRITABLE = re.compile("[\x00-\x1f\ud800-\udfff]")
"""Control characters, and halves of pairs that no UTF-8 has."""
_DOUBTFUL = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff\\\\]")
"""In names that stand in lines: those, and what separates names elsewhere."""
_DOUBTFUL_PARTS = [
    before + part + after for part in ("", ".", "..") for before in "/\n" for after in "/\n"
]
_UTF8_BYTES_MAX = 4
_NAMES_DICTIONARY = "The contents' sequence names a dictionary."
_OUT_OF_ORDER = "The contents' sequence names chunks out of order."
_NOT_LISTED = "The contents' sequence names a chunk that is not listed."
_NOT_USED = "The contents list a chunk that no file uses."


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
    dictionary: int = 0
    """0, or 1 + number of the dictionary that it was compressed with."""

    @override
    def __repr__(self) -> str:
        return f"ContentChunk({self.chunk.hex()[:16]}…)"


@dataclass(frozen=True, slots=True)
class ListedDictionary:
    """What chunks of this version were compressed with (`dictionary.py`)."""

    chunks: range
    """Which of the listed chunks hold it."""
    offset: int
    """Where their sealed bytes start in the content."""
    covers: tuple[range, ...]
    """Places of the plain stream whose chunks, joined, have all that it keeps; at least one."""


class Contents(_Value, frozen=True):
    """The reader's part: columns of f files, n distinct chunks and m places; prints without keys."""

    format: Literal[3]
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
    chunk_dictionaries: bytes
    """n × 2 bytes, little-endian: 0, or 1 + number of the dictionary a chunk was compressed with."""
    dictionary_counts: bytes
    """d × 4 bytes, little-endian: of how many chunks each dictionary is made; theirs come first."""
    covers: bytes
    """w × 12 bytes, little-endian: number of a dictionary, first place and count of places, in order."""

    @classmethod
    def of(
        cls,
        files: Sequence[FileEntry],
        chunks: Sequence[ContentChunk],
        sequence: Sequence[int],
        dictionaries: Sequence[tuple[int, Sequence[range]]] = (),
    ) -> "Contents":
        """Return contents of these values; `validate_contents` judges them.

        Args:
            files: in order.
            chunks: those of dictionaries first.
            sequence: of places.
            dictionaries: of each how many chunks, and its covers.
        """
        return cls(
            3,
            tuple(file.name for file in files),
            pack_u64(file.size for file in files),
            b"".join(file.digest for file in files),
            b"".join(chunk.chunk for chunk in chunks),
            b"".join(chunk.key for chunk in chunks),
            pack_u32(chunk.sealed_bytes for chunk in chunks),
            pack_u32(chunk.plain_bytes for chunk in chunks),
            pack_u32(sequence),
            pack_u16(chunk.dictionary for chunk in chunks),
            pack_u32(count for count, _ in dictionaries),
            pack_u32(
                number
                for at, (_, covers) in enumerate(dictionaries)
                for places in covers
                for number in (at, places.start, len(places))
            ),
        )

    @property
    def files(self) -> Rows[FileEntry]:
        """The files in order, made when asked for."""
        return Rows(len(self.file_names), self._file)

    @property
    def chunks(self) -> Rows[ContentChunk]:
        """The distinct chunks: of dictionaries, then in order of first occurrence; made when asked for."""
        return Rows(len(self.plain_lengths) // 4, self._chunk)

    @property
    def sequence(self) -> Rows[int]:
        """Index into `chunks` for each chunk of the plain stream in order."""
        return Rows(len(self.places) // 4, lambda index: read_u32(self.places, index))

    @property
    def dictionaries(self) -> list[ListedDictionary]:
        """All dictionaries in order."""
        if not self.dictionary_counts:
            return []
        offsets = running_sums(unpack_u32(self.sealed_lengths)[: self.dictionary_chunks()])
        covers: list[list[range]] = [[] for _ in range(len(self.dictionary_counts) // 4)]
        for number, first, count in _cover_rows(self.covers):
            covers[number].append(range(first, first + count))
        bounds = running_sums_u32(self.dictionary_counts)
        return [
            ListedDictionary(range(start, stop), offsets[start], tuple(places))
            for start, stop, places in zip(bounds, bounds[1:], covers, strict=False)
        ]

    def dictionary_chunks(self) -> int:
        """Return how many chunks, the first ones, hold dictionaries."""
        return sum_u32(self.dictionary_counts)

    def content_bytes(self) -> int:
        """Return the plain bytes of all files."""
        return sum_u64(self.file_sizes)

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
            read_u16(self.chunk_dictionaries, index),
        )


def validate_contents(contents: Contents) -> None:
    """Check names, lengths, order and sums.

    Raises:
        InvalidError: the message says what is wrong.
    """
    names = list(contents.file_names)
    validate_names(names)
    if len(contents.file_sizes) != 8 * len(names) or len(contents.file_digests) != 32 * len(names):
        raise InvalidError("The contents' files do not all have a size and a digest.")
    count = validate_chunks(
        contents.chunk_ids, contents.sealed_lengths, contents.plain_lengths, "The contents"
    )
    if len(contents.chunk_keys) != 32 * count:
        raise InvalidError("Chunk keys have 32 bytes.")
    # Sizes are below 2^63, but their sum need not be: summed without bounds.
    if _validate_places(contents, count) != sum_u64(contents.file_sizes):
        raise InvalidError("The contents' chunks and files differ in length.")


def _validate_places(contents: Contents, count: int) -> int:
    """Check dictionaries and the order of places; return the plain bytes of all places.

    Raises:
        InvalidError: the message says what is wrong.
    """
    few, lengths = few_u32(contents.places), few_u32(contents.plain_lengths)
    if few is not None and lengths is not None:
        first = _validate_dictionaries(contents, count, len(few))
        _validate_few(few, first, count)
        return sum([lengths[place] for place in few])
    places = unpack_u32(contents.places)
    first = _validate_dictionaries(contents, count, len(places))
    _validate_order(places - first, count - first)
    return int(unpack_u32(contents.plain_lengths)[places].sum())


def validate_names(names: list[str]) -> None:
    """Check the names of a version's files: safe to write below a folder, and no two in conflict.

    Raises:
        InvalidError: the message names the first bad one.
    """
    if len(names) > limits.FILES_PER_VERSION_MAX:
        raise InvalidError(f"A version holds at most {limits.FILES_PER_VERSION_MAX} files.")
    if not _are_plain(names):
        for name in names:
            _validate_name(name)
    if len(set(names)) != len(names):
        raise InvalidError("Two files of a version have the same name.")
    # Of few folders, however many files lie in them.
    folders = {name.rpartition("/")[0] for name in names}
    for folder in list(folders):
        above = folder.rpartition("/")[0]
        while above and above not in folders:
            folders.add(above)
            above = above.rpartition("/")[0]
    for name in () if folders.isdisjoint(names) else names:
        if name in folders:
            raise InvalidError(f"{name[:200]!r} is both a file and a folder.")


def _are_plain(names: list[str]) -> bool:
    """Tell whether all names are sound at a glance; if not, each must be looked at."""
    joined = "\n".join(("", *names, ""))
    return (
        joined.count("\n") == len(names) + 1
        and max(map(len, names), default=0) <= limits.FILE_NAME_BYTES_MAX // _UTF8_BYTES_MAX
        and not _DOUBTFUL.search(joined)
        and not any(part in joined for part in _DOUBTFUL_PARTS)
    )


def _validate_name(name: str) -> None:
    """Check one name.

    Raises:
        InvalidError: nobody could write it safely.
    """
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


def _validate_dictionaries(contents: Contents, count: int, places: int) -> int:
    """Check dictionaries, their users and their covers; return how many chunks hold them.

    Raises:
        InvalidError: one is too long, is used by nobody, has no cover or uses one itself.
    """
    listed = contents.dictionary_counts or contents.covers
    if not listed and contents.chunk_dictionaries == bytes(2 * count):
        return 0  # Small versions have none; the checks below would take as long as all others.
    counts = unpack_u32(contents.dictionary_counts)
    first = int(counts.sum())
    if len(counts) > limits.DICTIONARIES_PER_VERSION_MAX or first > count:
        raise InvalidError("The contents have too many dictionaries.")
    lengths = unpack_u32(contents.plain_lengths)[:first]
    ends = np.cumsum(counts)
    sizes = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
    long = sizes[ends] - sizes[ends - counts] > limits.DICTIONARY_BYTES_MAX
    if (counts == 0).any() or long.any():
        raise InvalidError("A dictionary's length is impossible.")
    used = unpack_u16(contents.chunk_dictionaries)
    if len(used) != count or used[:first].any():
        raise InvalidError("The contents' chunks do not all tell their dictionary.")
    if not np.array_equal(np.unique(used[used > 0]), np.arange(1, len(counts) + 1)):
        raise InvalidError("The contents' chunks use other dictionaries than are listed.")
    _validate_covers(contents.covers, len(counts), places)
    return first


def _validate_covers(covers: bytes, dictionaries: int, places: int) -> None:
    """Check that every dictionary has covers among the places, not too many, in order.

    Raises:
        InvalidError: it has not.
    """
    rows = _cover_rows(covers)
    number, first, count = rows.T
    if (count == 0).any() or (first + count > places).any() or (np.diff(number) < 0).any():
        raise InvalidError("A cover of a dictionary is impossible.")
    if number.size and number[-1] >= dictionaries:
        raise InvalidError("A cover is of no dictionary.")
    found = np.bincount(number, minlength=dictionaries)
    if (found == 0).any() or (found > limits.COVERS_PER_DICTIONARY_MAX).any():
        raise InvalidError("A dictionary has no cover, or too many.")


def _cover_rows(covers: bytes) -> Numbers:
    """Return dictionary, first place and count of places of each, (w, 3)."""
    numbers = unpack_u32(covers)
    if len(numbers) % 3:
        raise InvalidError("A column does not hold whole covers.")
    return numbers.reshape(-1, 3)


def _validate_few(places: Sequence[int], first: int, count: int) -> None:
    """Check of few places what `_validate_order` checks; those of dictionaries are not yet left out."""
    if places and min(places) < first:
        raise InvalidError(_NAMES_DICTIONARY)
    used = first
    for place in places:
        if place > used:
            raise InvalidError(_OUT_OF_ORDER)
        used = max(used, place + 1)
    if used > count:
        raise InvalidError(_NOT_LISTED)
    if used < count:
        raise InvalidError(_NOT_USED)


def _validate_order(places: Numbers, count: int) -> None:
    """Check that first occurrences come in order 0, 1, 2 …: a version is written down in one way."""
    if places.size and places.min() < 0:
        raise InvalidError(_NAMES_DICTIONARY)
    furthest = np.maximum.accumulate(places) if places.size else places
    allowed = np.concatenate((np.zeros(1, np.int64), furthest[:-1] + 1)) if places.size else places
    if bool((places > allowed).any()):
        raise InvalidError(_OUT_OF_ORDER)
    used = int(furthest[-1]) + 1 if places.size else 0
    if used > count:
        raise InvalidError(_NOT_LISTED)
    if used < count:
        raise InvalidError(_NOT_USED)
