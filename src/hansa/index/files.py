"""What the index needs from outside: named files that appear whole, and append-only logs.

The index is a cache of the chain: a file that is missing, cut or corrupt is rebuilt, so durability
is wanted for speed of a restart only, and never at the price of a wrong answer.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from hansa.errors import CorruptError, InvalidError, MissingError


class IndexFile(Protocol):
    """An immutable file open for reading at positions."""

    @property
    def size(self) -> int:
        """Bytes of its contents."""
        ...

    @property
    def bytes_read(self) -> int:
        """Bytes handed out by `read` so far: what questions cost."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes.

        Raises:
            InvalidError: the range lies outside of the file.
        """
        ...

    def close(self) -> None:
        """Release it; the bytes returned earlier stay valid."""
        ...


class IndexFiles(Protocol):
    """A folder of index files; names are lower-case words with dots and hyphens."""

    def write(self, name: str, parts: Iterable[bytes]) -> None:
        """Write a file whole, or not at all; replaces an older one of the name.

        Raises:
            DiskFullError, UnavailableError: it could not be written; nothing changed.
        """
        ...

    def open(self, name: str) -> IndexFile:
        """Open a file for reading; it stays readable when it is replaced or deleted.

        Raises:
            MissingError: no such file.
            CorruptError: it was cut, or is no index file.
        """
        ...

    def append(self, name: str, record: bytes) -> None:
        """Append a record to a log; a crash may lose the last ones, never reorder or mix them."""
        ...

    def records(self, name: str) -> Iterator[bytes]:
        """Yield a log's records up to the first that is cut or corrupt; nothing if there is no log.

        What follows the last good record is cut off.
        """
        ...

    def list(self) -> list[str]:
        """Return the names there are, sorted."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file; absent is fine."""
        ...


class MemoryIndexFile:
    """A file held in memory."""

    def __init__(self, contents: bytes) -> None:
        self._contents = contents
        self.bytes_read = 0

    @property
    def size(self) -> int:
        """Bytes of its contents."""
        return len(self._contents)

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes, counted."""
        validate_range(offset, length, len(self._contents))
        self.bytes_read += length
        return self._contents[offset : offset + length]

    def close(self) -> None:
        """Nothing to release."""


class MemoryIndexFiles:
    """Index files held in memory: for the simulator, for tests, for a catalogue tried out."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[bytes, bytes]] = {}
        self.logs: dict[str, list[bytes]] = {}

    def write(self, name: str, parts: Iterable[bytes]) -> None:
        """Keep a file with its digest."""
        contents = b"".join(parts)
        self.files[name] = (hashlib.sha256(contents).digest(), contents)

    def open(self, name: str) -> IndexFile:
        """Return a file, checked against its digest."""
        if name not in self.files:
            raise MissingError(f"There is no index file {name}.")
        expected, contents = self.files[name]
        if hashlib.sha256(contents).digest() != expected:
            raise CorruptError(f"Index file {name} is corrupt.")
        return MemoryIndexFile(contents)

    def append(self, name: str, record: bytes) -> None:
        """Append a record."""
        self.logs.setdefault(name, []).append(record)

    def records(self, name: str) -> Iterator[bytes]:
        """Yield the records."""
        yield from tuple(self.logs.get(name, ()))

    def list(self) -> list[str]:
        """Return all names, sorted."""
        return sorted((*self.files, *self.logs))

    def delete(self, name: str) -> None:
        """Forget a file or log."""
        self.files.pop(name, None)
        self.logs.pop(name, None)


def validate_range(offset: int, length: int, size: int) -> None:
    """Check that a read lies within a file.

    Raises:
        InvalidError: it does not.
    """
    if offset < 0 or length < 0 or offset + length > size:
        raise InvalidError(f"Bytes {offset} to {offset + length} lie outside of {size} bytes.")
