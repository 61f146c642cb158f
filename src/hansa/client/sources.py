"""Sources: the files, folders and standard input that a publisher names, checked before they are read.

Whatever cannot be published is refused here, before anything is stored: missing or unreadable files,
broken links, devices, names that no reader could write. A file that changes while it is read ends the
publishing with nothing registered; one that grows for ever is read to the size it was found with.
Holes of sparse files are not read from the disk.

Names in a version: a file goes under its own name, a folder's files under the folder's name and their
path below it (publishing "." leaves the folder's name out), standard input under a name given.
"""

import os
from array import array
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from hansa import limits
from hansa.client.file_reader import SMALL_BYTES_MAX, FileReader, open_plain, read_small
from hansa.client.walk import Stamp, explained, walk
from hansa.data.manifest import validate_names
from hansa.data.stream import SourceFile
from hansa.errors import InvalidError

if TYPE_CHECKING:
    from hansa.client.describe import Sniffed

STANDARD_INPUT = "-"
STANDARD_INPUT_NAME = "stdin"
_STAMP_WORDS = 4


class Source(NamedTuple):
    """One file to publish, as it was when it was found."""

    name: str
    """Name in the version."""
    path: str | None
    """None for standard input."""
    stamp: Stamp = (0, 0, 0, 0)
    """Must still hold when it is opened and when it was read."""

    @property
    def size(self) -> int:
        """Return its bytes; 0 for standard input, whose size nobody knows."""
        return self.stamp[2]


class Catalogue:
    """Sources in the order of their names; a hundred bytes of memory for each, besides the names."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._tails = array("L")
        """How many last characters of the name are the path below its root; 0 for a root itself."""
        self._roots = array("L")
        self._stamps = array("Q")
        self._order = array("L")
        self._paths: list[str | None] = []

    def __len__(self) -> int:
        return len(self._names)

    def add_root(self, path: Path | None) -> None:
        """Begin with a path that was named; None for standard input."""
        self._paths.append(None if path is None else str(path))

    def add(self, name: str, tail: str, stamp: Stamp) -> None:
        """Add a file of the last root.

        Raises:
            InvalidError: too many files.
        """
        if len(self._names) >= limits.FILES_PER_VERSION_MAX:
            raise InvalidError(
                f"A version holds at most {limits.FILES_PER_VERSION_MAX} files.",
                remedy="Publish several datasets, or an archive of them: `tar c … | hansa … -`.",
            )
        self._names.append(name)
        self._tails.append(len(tail))
        self._roots.append(len(self._paths) - 1)
        self._stamps.extend(stamp)

    def sort(self) -> None:
        """Put them in order and check their names.

        Raises:
            InvalidError: a name cannot be used, or two are the same.
        """
        validate_names(self._names)
        names = self._names
        # In the order of code points, which is that of their bytes in UTF-8.
        self._order = array("L", sorted(range(len(names)), key=names.__getitem__))

    def __getitem__(self, place: int) -> Source:
        """Return the source at a place of the order."""
        at = self._order[place]
        name, tail, root = self._names[at], self._tails[at], self._paths[self._roots[at]]
        path = _join(root, name[-tail:]) if root is not None and tail else root
        stamp = self._stamps[at * _STAMP_WORDS : (at + 1) * _STAMP_WORDS]
        return Source(name, path, (stamp[0], stamp[1], stamp[2], stamp[3]))

    def __iter__(self) -> Iterator[Source]:
        return map(self.__getitem__, range(len(self)))

    @property
    def bytes_total(self) -> int | None:
        """Return the bytes of all; None if nobody knows."""
        return None if None in self._paths else sum(self._stamps[2::_STAMP_WORDS])


class Sources:
    """What is published at once; opened one after the other, in the order of their names."""

    def __init__(self, found: Catalogue, standard_input: BinaryIO | None) -> None:
        self.found = found
        self.bytes_total = found.bytes_total
        """Bytes there are to read; None if nobody knows."""
        self.bytes_read = 0
        """Plain bytes read so far; written by the reading thread alone."""
        self._standard_input = standard_input
        self._head = b""
        self._open: FileReader | None = None

    def sniff(self) -> "Sniffed":
        """Return what the files tell of themselves; reads the head of standard input, once."""
        # The readers of many formats, which reading the files themselves does not need.
        from hansa.client.sniff import (  # noqa: PLC0415
            SNIFF_BYTES_MAX,
            SNIFF_FILES_MAX,
            join_sniffed,
            sniff_file,
        )

        parts = []
        for place in range(min(len(self.found), SNIFF_FILES_MAX)):
            source = self.found[place]
            if source.path is None:
                assert self._standard_input is not None
                self._head = self._head or self._standard_input.read(SNIFF_BYTES_MAX)
                parts.append(sniff_file(source.name, self._head))
                continue
            descriptor = open_plain(source.path)
            try:
                with explained(source.path):
                    head = os.pread(descriptor, SNIFF_BYTES_MAX, 0)
                    read = partial(_read_at, descriptor)
                    parts.append(sniff_file(source.name, head, read, source.size))
            finally:
                os.close(descriptor)
        return join_sniffed(parts)

    def files(self) -> Iterator[SourceFile]:
        """Yield the files for the pipeline."""
        for source in self.found:
            # Standard input may be of any size: it gets chunks of its own.
            hint = limits.CHUNK_BYTES_MAX if source.path is None else source.size
            fill = None
            if source.path is not None and hint < SMALL_BYTES_MAX:
                fill = partial(self._fill, source.path, source.stamp)
            yield SourceFile(source.name, hint, partial(self._reader, source), fill)

    def close(self) -> None:
        """Close the file that was being read, if publishing ended early."""
        if self._open is not None:
            self._open.abandon()
            self._open = None

    def _reader(self, source: Source) -> "FileReader | _StreamReader":
        if source.path is None:
            assert self._standard_input is not None
            return _StreamReader(self, self._standard_input, self._head)
        self._open = FileReader(source.path, source.stamp, self.count)
        return self._open

    def _fill(self, path: str, stamp: Stamp, place: memoryview) -> int:
        read = read_small(path, stamp, place)
        self.bytes_read += read
        return read

    def count(self, read: int) -> None:
        """Note that so many bytes were read."""
        self.bytes_read += read


class _StreamReader:
    """Reads standard input, its head first."""

    def __init__(self, sources: Sources, file: BinaryIO, head: bytes) -> None:
        self._sources = sources
        self._file = file
        self._head = head

    def read(self, size: int, /) -> bytes:
        """Return 1 to `size` bytes, none at the end."""
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
        else:
            with explained(None):
                data = self._file.read(size)
        self._sources.bytes_read += len(data)
        return data


def collect(
    paths: Sequence[str | Path],
    *,
    follow_links: bool = False,
    standard_input: BinaryIO | None = None,
    standard_input_name: str = STANDARD_INPUT_NAME,
) -> Sources:
    """Find what is to be published, and check that it can be.

    Args:
        paths: files, folders (with all below them), or "-" for standard input. A path that is a link
            stands for what it leads to.
        follow_links: take what symbolic links below a folder point to, instead of refusing them.
        standard_input: what "-" stands for.
        standard_input_name: the name it gets in the version.

    Raises:
        MissingError: a path is not there, or a link leads nowhere.
        DeniedError: it may not be read.
        InvalidError: a special file, a link not to be followed, a name that cannot be used, nothing.
    """
    found = Catalogue()
    for path in paths:
        if str(path) == STANDARD_INPUT:
            if standard_input is None:
                raise InvalidError("Standard input cannot be read here.")
            found.add_root(None)
            found.add(standard_input_name, "", (0, 0, 0, 0))
            continue
        root = Path(path)
        name = _base_name(root)
        found.add_root(root)
        for file in walk(root, follow_links=follow_links):
            if not file.tail:
                found.add(name or root.resolve().name, "", file.stamp)
            else:
                found.add(f"{name}/{file.tail}" if name else file.tail, file.tail, file.stamp)
    if not len(found):
        raise InvalidError(
            "There is no file to publish.",
            remedy="Name at least one file, or a folder with files: empty folders are not published.",
        )
    found.sort()
    return Sources(found, standard_input)


def _read_at(descriptor: int, offset: int, length: int) -> bytes:
    """Return bytes of an open file, fewer at its end; one that shrank since tells nothing more."""
    return os.pread(descriptor, length, offset)


def _join(root: str, tail: str) -> str:
    """Return a path below a root that `str` made of a path; faster than paths are joined."""
    if root == ".":
        return tail
    return root + tail if root.endswith("/") else f"{root}/{tail}"


def _base_name(path: Path) -> str:
    """Return the name a path's files go under; empty for "." and the like."""
    name = path.name
    return "" if name in ("", ".", "..") else name
