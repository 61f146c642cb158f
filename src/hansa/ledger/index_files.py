"""Index files on a node's own disk: whole or not at all, read at positions, logs that survive a torn end.

Counterpart of `hansa.index.files`. A file is written under a temporary name, synced, renamed, and the
folder synced. A log record is its length, its CRC-32 and its bytes; logs are not synced, for the index
is a cache of the chain and a lost end is applied again.
"""

import contextlib
import errno
import os
import re
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hansa.errors import (
    CorruptError,
    DiskFullError,
    HansaError,
    InvalidError,
    MissingError,
    UnavailableError,
)
from hansa.index.files import IndexFile, validate_range

LOG_RECORD_BYTES_MAX = 64 * 1024 * 1024
_HEAD_BYTES = 8
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_TEMPORARY = ".tmp"


class LocalIndexFile:
    """A file read at positions; reads are counted.

    Positioned reads rather than a memory map: a page that the disk cannot deliver, or a file cut by
    somebody else, is an error here and not a signal that ends the node.
    """

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            MissingError: no such file.
            CorruptError: it is empty.
        """
        self._name = path.name
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise MissingError(f"There is no index file {path.name}.") from error
        except OSError as error:
            raise _translate(error, f"read {path.name}") from error
        # Questions may still hold a file that was replaced, so it closes with the last of them.
        self._closing = weakref.finalize(self, os.close, self._descriptor)
        self._size = os.fstat(self._descriptor).st_size
        if not self._size:
            raise CorruptError(f"Index file {path.name} is empty.")
        self.bytes_read = 0

    @property
    def size(self) -> int:
        """Bytes of its contents."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes, counted.

        Raises:
            InvalidError: the range lies outside of the file.
            CorruptError: the file was cut since it was opened.
            UnavailableError: the disk does not deliver.
        """
        validate_range(offset, length, self._size)
        parts: list[bytes] = []
        while length:
            try:
                part = os.pread(self._descriptor, length, offset)
            except OSError as error:
                raise _translate(error, f"read {self._name}") from error
            if not part:
                raise CorruptError(f"Index file {self._name} was cut.")
            parts.append(part)
            self.bytes_read += len(part)
            offset, length = offset + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close it; bytes returned earlier stay."""
        self._closing()


class LocalIndexFiles:
    """A folder of index files; one node's, one writer."""

    def __init__(self, folder: Path) -> None:
        """Make the folder if it is not there; sweep what a crash left half written."""
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(f"*{_TEMPORARY}"):
                leftover.unlink()
        except OSError as error:
            raise _translate(error, "open the folder of the index") from error

    def write(self, name: str, parts: Iterable[bytes]) -> None:
        """Write a file whole and durably, or not at all."""
        path = self._path(name)
        temporary = path.with_name(name + _TEMPORARY)
        try:
            with temporary.open("wb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            self._sync_folder()
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise _translate(error, f"write {name}") from error

    def open(self, name: str) -> IndexFile:
        """Open a file; it stays readable when it is replaced or deleted."""
        return LocalIndexFile(self._path(name))

    def append(self, name: str, record: bytes) -> None:
        """Append a record; if that fails the log is as before, or has a torn end that is cut."""
        if len(record) > LOG_RECORD_BYTES_MAX:
            raise InvalidError(f"A record of {len(record)} bytes is too long for the index's log.")
        head = len(record).to_bytes(4, "little") + zlib.crc32(record).to_bytes(4, "little")
        path = self._path(name)
        try:
            before = path.stat().st_size if path.exists() else 0
            with path.open("ab") as file:
                try:
                    file.write(head + record)
                    file.flush()
                except OSError:
                    os.ftruncate(file.fileno(), before)
                    raise
        except OSError as error:
            raise _translate(error, f"write {name}") from error

    def records(self, name: str) -> Iterator[bytes]:
        """Yield a log's records up to the first that is cut or corrupt, and cut the rest off."""
        path = self._path(name)
        if not path.exists():
            return
        good = 0
        try:
            with path.open("r+b") as file:
                while (record := _read_record(file.read(_HEAD_BYTES), file.read)) is not None:
                    good += _HEAD_BYTES + len(record)
                    yield record
                file.truncate(good)
        except OSError as error:
            raise _translate(error, f"read {name}") from error

    def list(self) -> list[str]:
        """Return the names there are, sorted."""
        try:
            found = [path.name for path in self._folder.iterdir() if _NAME.fullmatch(path.name)]
        except OSError as error:
            raise _translate(error, "list the folder of the index") from error
        return sorted(found)

    def delete(self, name: str) -> None:
        """Remove a file; absent is fine."""
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise _translate(error, f"delete {name}") from error

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise InvalidError(f"{name!r} is no name of an index file.")
        return self._folder / name

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read_record(head: bytes, read: Callable[[int], bytes]) -> bytes | None:
    """Return the record after a head, or None at the end of what is whole."""
    if len(head) < _HEAD_BYTES:
        return None
    length = int.from_bytes(head[:4], "little")
    if length > LOG_RECORD_BYTES_MAX:
        return None
    record = read(length)
    if len(record) < length or zlib.crc32(record) != int.from_bytes(head[4:], "little"):
        return None
    return record


def _translate(error: OSError, what: str) -> HansaError:
    """Return what an error of the operating system means to the caller."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"No room left to {what}.", remedy="Free disk space in the node's folder."
        )
    return UnavailableError(
        f"The index could not {what}: {error.strerror or error}.",
        remedy="Check that the node's folder is there, and may be read and written.",
    )
