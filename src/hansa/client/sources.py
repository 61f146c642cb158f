"""Sources: the files, folders and standard input that a publisher names, checked before they are read.

Whatever cannot be published is refused here, before anything is stored: missing or unreadable files,
broken links, devices, names that no reader could write. A file that changes while it is read ends the
publishing with nothing registered.

Names in a version: a file goes under its own name, a folder's files under the folder's name and their
path below it (publishing "." leaves the folder's name out), standard input under a name given.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from hansa import limits
from hansa.client.describe import Sniffed
from hansa.client.sniff import SNIFF_BYTES_MAX, SNIFF_FILES_MAX, join_sniffed, sniff_file
from hansa.data.manifest import validate_names
from hansa.data.pipeline import SourceFile
from hansa.errors import (
    ConflictError,
    DeniedError,
    HansaError,
    InvalidError,
    MissingError,
    UnavailableError,
)

STANDARD_INPUT = "-"
STANDARD_INPUT_NAME = "stdin"


@dataclass(frozen=True, slots=True)
class Source:
    """One file to publish, as it was when it was found."""

    name: str
    """Name in the version."""
    path: Path | None
    """None for standard input."""
    size: int
    """Bytes; 0 for standard input, whose size nobody knows."""
    stamp: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Device, inode, size and time of change: all must still hold after reading."""


class Sources:
    """What is published at once; opened one after the other, in the order of their names."""

    def __init__(self, found: Sequence[Source], standard_input: BinaryIO | None) -> None:
        self.found = tuple(found)
        self._standard_input = standard_input
        self._head = b""
        self.bytes_read = 0
        """Plain bytes read so far; written by the reading thread alone."""
        self._open: BinaryIO | None = None

    @property
    def bytes_total(self) -> int | None:
        """Return the bytes there are to read; None if nobody knows."""
        if any(source.path is None for source in self.found):
            return None
        return sum(source.size for source in self.found)

    def sniff(self) -> Sniffed:
        """Return what the files tell of themselves; reads the head of standard input, once."""
        parts = []
        for source in self.found[:SNIFF_FILES_MAX]:
            if source.path is None:
                assert self._standard_input is not None
                self._head = self._head or self._standard_input.read(SNIFF_BYTES_MAX)
                parts.append(sniff_file(source.name, self._head))
            else:
                with _explained(source.path), source.path.open("rb") as file:
                    head = file.read(SNIFF_BYTES_MAX)
                parts.append(sniff_file(source.name, head, source.path))
        return join_sniffed(parts)

    def files(self) -> Iterator[SourceFile]:
        """Yield the files for the pipeline."""
        for source in self.found:
            # Standard input may be of any size: it gets chunks of its own.
            hint = limits.CHUNK_BYTES_MAX if source.path is None else source.size
            yield SourceFile(source.name, hint, partial(self._reader, source))

    def close(self) -> None:
        """Close the file that was being read, if publishing ended early."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _reader(self, source: Source) -> "_Reader":
        if source.path is None:
            assert self._standard_input is not None
            return _Reader(self, source, self._standard_input, self._head)
        with _explained(source.path):
            self._open = source.path.open("rb")
        return _Reader(self, source, self._open, b"")


class _Reader:
    """Reads one source and judges at its end whether it stayed the same."""

    def __init__(self, sources: Sources, source: Source, file: BinaryIO, head: bytes) -> None:
        self._sources = sources
        self._source = source
        self._file = file
        self._head = head
        self._count = 0
        self._is_at_end = False

    def read(self, size: int, /) -> bytes:
        """Return 1 to `size` bytes, none at the end."""
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
        else:
            with _explained(self._source.path):
                data = self._file.read(size)
        self._count += len(data)
        self._is_at_end = not data
        self._sources.bytes_read += len(data)
        return data

    def close(self) -> None:
        """Close the file, read to its end or, if publishing ended early, not.

        Raises:
            ConflictError: it was read to its end and changed since it was found.
        """
        if self._source.path is None:
            return
        try:
            same = _stamp(os.fstat(self._file.fileno())) == self._source.stamp
        finally:
            self._sources.close()
        if self._is_at_end and (not same or self._count != self._source.size):
            raise ConflictError(
                f"{self._source.path} changed while it was read; nothing was registered.",
                remedy="Publish it again when nobody writes to it, or publish a copy.",
            )


def collect(
    paths: Sequence[str | Path],
    *,
    follow_links: bool = False,
    standard_input: BinaryIO | None = None,
    standard_input_name: str = STANDARD_INPUT_NAME,
) -> Sources:
    """Find what is to be published, and check that it can be.

    Args:
        paths: files, folders (with all below them), or "-" for standard input.
        follow_links: take what symbolic links below a folder point to, instead of refusing them.
        standard_input: what "-" stands for.
        standard_input_name: the name it gets in the version.

    Raises:
        MissingError: a path is not there, or a link leads nowhere.
        DeniedError: it may not be read.
        InvalidError: a special file, a link not to be followed, a name that cannot be used, nothing.
    """
    found: list[Source] = []
    for path in paths:
        if str(path) == STANDARD_INPUT:
            if standard_input is None:
                raise InvalidError("Standard input cannot be read here.")
            found.append(Source(standard_input_name, None, 0))
        else:
            found.extend(_walk(Path(path), _base_name(Path(path)), (), follow_links=follow_links))
        if len(found) > limits.FILES_PER_VERSION_MAX:
            raise InvalidError(f"A version holds at most {limits.FILES_PER_VERSION_MAX} files.")
    if not found:
        raise InvalidError("There is no file to publish.", remedy="Name at least one file.")
    found.sort(key=lambda source: source.name.encode("utf-8", "surrogateescape"))
    validate_names([source.name for source in found])
    return Sources(found, standard_input)


def _base_name(path: Path) -> str:
    """Return the name a path's files go under; empty for "." and the like."""
    name = path.name
    return "" if name in ("", ".", "..") else name


def _walk(
    path: Path, name: str, above: tuple[tuple[int, int], ...], *, follow_links: bool
) -> Iterator[Source]:
    """Yield the files of a path; `above` are the folders it lies in, to find circles of links."""
    with _explained(path):
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            with path.open("rb"):
                pass
            yield Source(name or path.resolve().name, path, status.st_size, _stamp(status))
            return
    if not stat.S_ISDIR(status.st_mode):
        raise InvalidError(
            f"{path} is neither a file nor a folder.", remedy="Publish what it yields through '-'."
        )
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        raise InvalidError(f"{path} is a link to a folder it lies in.", remedy="Remove the link.")
    with _explained(path), os.scandir(path) as listing:
        entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
    for entry in entries:
        if entry.is_symlink() and not follow_links:
            raise InvalidError(
                f"{path / entry.name} is a symbolic link.",
                remedy="Remove it, or have links followed: --follow-links.",
            )
        below = f"{name}/{entry.name}" if name else entry.name
        yield from _walk(path / entry.name, below, (*above, identity), follow_links=follow_links)


def _stamp(status: os.stat_result) -> tuple[int, int, int, int]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class _explained:  # noqa: N801 - reads as a word in `with`
    """Turns the system's errors about a path into ours."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise explain(error, self._path) from error


def explain(error: OSError, path: Path | None) -> HansaError:
    """Return what a failure of the file system means to a person."""
    what = str(path) if path is not None else "Standard input"
    make: Callable[..., HansaError] = UnavailableError
    if isinstance(error, FileNotFoundError):
        make, told = MissingError, "is not there, or is a link that leads nowhere"
    elif isinstance(error, PermissionError):
        make, told = DeniedError, "may not be read"
    else:
        told = f"cannot be read: {error.strerror}"
    return make(f"{what!r} {told}.", remedy="Nothing was registered; correct it and try again.")
