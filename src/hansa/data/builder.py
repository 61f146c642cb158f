"""Builder: writes down what a version is made of, while it comes in.

Some 250 bytes of memory for each distinct chunk, 4 for each further place that holds it.
"""

from array import array
from collections.abc import Iterator

import numpy as np

from hansa import limits
from hansa.data.columns import pack_u16, pack_u32
from hansa.data.contents import Contents, validate_names
from hansa.data.directory import Directory
from hansa.data.known import Dictionary, KnownChunk
from hansa.errors import InvalidError
from hansa.types import ChunkId

_UNKNOWN = bytes(32)


class VersionBuilder:
    """Lists files, chunks and dictionaries of one version in order."""

    def __init__(self) -> None:
        self.places: dict[ChunkId, int] = {}
        """Each listed chunk → its number."""
        self._names: list[str] = []
        self._sizes = array("Q")
        self._digests = bytearray()
        self._sealed_digests = bytearray()
        self._keys = bytearray()
        self._sealed_lengths = array("I")
        self._plain_lengths = array("I")
        self._sequence = array("I")
        self._first = array("I")
        self._used = array("H")
        self._dictionaries: list[Dictionary] = []
        self._numbers: dict[tuple[bytes, ...], int] = {}

    def add_file(self, name: str, size: int, digest: bytes) -> None:
        """List the next file of the plain stream.

        Raises:
            InvalidError: it is one too many.
        """
        if len(self._names) >= limits.FILES_PER_VERSION_MAX:
            raise InvalidError(f"A version holds at most {limits.FILES_PER_VERSION_MAX} files.")
        self._names.append(name)
        self._sizes.append(size)
        self._digests += digest

    def place(self, chunk: ChunkId, plain_bytes: int) -> bool:
        """Put a chunk at the next place; tell whether it was not listed before.

        Then how it is sealed must be told (`complete`) before the end.
        """
        count = len(self._plain_lengths)
        index = self.places.setdefault(chunk, count)
        self._sequence.append(index)
        if index < count:
            return False
        self._first.append(len(self._sequence) - 1)
        self._used.append(0)
        self._plain_lengths.append(plain_bytes)
        self._sealed_lengths.append(0)
        self._sealed_digests += _UNKNOWN
        self._keys += _UNKNOWN
        return True

    def complete(self, known: KnownChunk) -> None:
        """Tell how a listed chunk is sealed; its dictionary must be listed (`add_dictionary`)."""
        index = self.places[known.entry.chunk]
        at = 32 * index
        self._keys[at : at + 32] = known.key
        self._sealed_digests[at : at + 32] = known.entry.sealed_digest
        self._sealed_lengths[index] = known.entry.sealed_bytes
        if known.dictionary is not None:
            self._used[index] = 1 + self._numbers[known.dictionary.sealing]

    def has_dictionary(self, dictionary: Dictionary) -> bool:
        """Tell whether this sealing of a dictionary is listed."""
        return dictionary.sealing in self._numbers

    def is_covered(self, dictionary: Dictionary) -> bool:
        """Tell whether the content so far has a cover of a dictionary."""
        return any(self._find_run(cover) for cover in dictionary.covers)

    def add_dictionary(self, dictionary: Dictionary) -> bool:
        """List a dictionary that `is_covered`; tell whether there was room for one more."""
        assert self.is_covered(dictionary)
        count = len(self._numbers)
        if count == limits.DICTIONARIES_PER_VERSION_MAX:
            return False
        self._numbers[dictionary.sealing] = count
        self._dictionaries.append(dictionary)
        return True

    def finish(self) -> tuple[Contents, Directory]:
        """Return both parts of the manifest.

        Raises:
            InvalidError: a name cannot be used, or two collide.
        """
        validate_names(self._names)
        assert 0 not in self._sealed_lengths, "a chunk was listed and never sealed"
        used = np.unique(np.asarray(self._used))
        kept = [self._dictionaries[number - 1] for number in used.tolist() if number]
        first = [known for dictionary in kept for known in dictionary.chunks]
        ids = b"".join((*(known.entry.chunk for known in first), *self.places))
        sealed_lengths = pack_u32(known.entry.sealed_bytes for known in first)
        sealed_lengths += to_bytes(self._sealed_lengths)
        plain_lengths = pack_u32(known.entry.plain_bytes for known in first)
        plain_lengths += to_bytes(self._plain_lengths)
        # Those that nobody came to use are left out, and the others get new numbers.
        numbers = np.searchsorted(used[used > 0], self._used) + (np.asarray(self._used) > 0)
        contents = Contents(
            3,
            tuple(self._names),
            to_bytes(self._sizes),
            bytes(self._digests),
            ids,
            b"".join(known.key for known in first) + bytes(self._keys),
            sealed_lengths,
            plain_lengths,
            pack_u32((np.asarray(self._sequence) + len(first)).tolist()),
            pack_u16([0] * len(first) + numbers.tolist()),
            pack_u32(len(dictionary.chunks) for dictionary in kept),
            pack_u32(self._covers_of(kept)),
        )
        directory = Directory(
            3,
            contents.content_bytes(),
            len(self._names),
            len(first),
            ids,
            b"".join(known.entry.sealed_digest for known in first) + bytes(self._sealed_digests),
            sealed_lengths,
            plain_lengths,
        )
        return contents, directory

    def _covers_of(self, dictionaries: list[Dictionary]) -> Iterator[int]:
        """Yield number, first place and count of places of each cover that this version has."""
        for number, dictionary in enumerate(dictionaries):
            for cover in dictionary.covers:
                places = self._find_run(cover)
                if places:
                    yield from (number, places.start, len(places))

    def _find_run(self, chunks: tuple[ChunkId, ...]) -> range:
        """Return at which places chunks stand side by side, the first at its first; none if not."""
        index = self.places.get(chunks[0])
        if index is None:
            return range(0)
        start = self._first[index]
        places = range(start, start + len(chunks))
        if places.stop > len(self._sequence):
            return range(0)
        are_there = all(
            self.places.get(chunk) == self._sequence[place]
            for chunk, place in zip(chunks, places, strict=True)
        )
        return places if are_there else range(0)


def to_bytes(numbers: "array[int]") -> bytes:
    """Return a column: numbers little-endian, in the width of the array."""
    return np.asarray(numbers).astype(f"<u{numbers.itemsize}").tobytes()
