"""Builder: writes down what a version is made of, while it comes in.

Some 250 bytes of memory for each distinct chunk, 4 for each further place that holds it.
"""

from array import array

import numpy as np

from hansa import limits
from hansa.data.contents import Contents, validate_names
from hansa.data.directory import Directory, DirectoryEntry
from hansa.errors import InvalidError
from hansa.types import ChunkId

_UNKNOWN = bytes(32)


class VersionBuilder:
    """Lists files and chunks of one version in order."""

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
        self._plain_lengths.append(plain_bytes)
        self._sealed_lengths.append(0)
        self._sealed_digests += _UNKNOWN
        self._keys += _UNKNOWN
        return True

    def complete(self, entry: DirectoryEntry, key: bytes) -> None:
        """Tell how a listed chunk is sealed."""
        index = self.places[entry.chunk]
        at = 32 * index
        self._keys[at : at + 32] = key
        self._sealed_digests[at : at + 32] = entry.sealed_digest
        self._sealed_lengths[index] = entry.sealed_bytes

    def finish(self) -> tuple[Contents, Directory]:
        """Return both parts of the manifest.

        Raises:
            InvalidError: a name cannot be used, or two collide.
        """
        validate_names(self._names)
        assert 0 not in self._sealed_lengths, "a chunk was listed and never sealed"
        ids = b"".join(self.places)
        sealed_lengths = to_bytes(self._sealed_lengths)
        plain_lengths = to_bytes(self._plain_lengths)
        contents = Contents(
            2,
            tuple(self._names),
            to_bytes(self._sizes),
            bytes(self._digests),
            ids,
            bytes(self._keys),
            sealed_lengths,
            plain_lengths,
            to_bytes(self._sequence),
        )
        directory = Directory(
            2,
            contents.content_bytes(),
            len(self._names),
            ids,
            bytes(self._sealed_digests),
            sealed_lengths,
            plain_lengths,
        )
        return contents, directory


def to_bytes(numbers: "array[int]") -> bytes:
    """Return a column: numbers little-endian, in the width of the array."""
    return np.asarray(numbers).astype(f"<u{numbers.itemsize}").tobytes()
