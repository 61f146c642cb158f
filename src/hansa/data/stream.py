"""Streams: the files of a version in order, joined to runs that are cut each for itself.

Small files share chunks; a file of CHUNK_BYTES_MAX or more starts and ends its own run of chunks, so
that it meets its duplicates whatever lies around it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from blake3 import blake3

from hansa import limits
from hansa.data.partition import Filler, Reader, as_filler

Note = Callable[[str, int, bytes], None]
"""note(name, size, digest): told of each file as it ends."""


class SourceFile(NamedTuple):
    """One file to publish."""

    name: str
    """Its name in the version."""
    size_hint: int
    """Bytes expected; only steers how files are grouped and read."""
    open: Callable[[], Reader | Filler]
    """Called once, when its turn comes; what it returns is closed if it has `close`."""
    fill: Callable[[memoryview], int] | None = None
    """Called instead where there is room for more than `size_hint` bytes: writes the whole file to the
    start of a place and returns its bytes. For files of which there may be many."""


@dataclass(frozen=True, slots=True)
class Run:
    """Files that are cut as one stream."""

    size_hint: int
    """Bytes expected in all, as far as that is known beforehand."""
    files: Iterator[SourceFile]


def group(files: Iterable[SourceFile]) -> Iterator[Run]:
    """Yield runs of files: each large one alone, neighbouring small ones together."""
    source = iter(files)
    held = next(source, None)

    def small() -> Iterator[SourceFile]:
        nonlocal held
        while held is not None and held.size_hint < limits.CHUNK_BYTES_MAX:
            file, held = held, next(source, None)
            yield file

    while held is not None:
        if held.size_hint < limits.CHUNK_BYTES_MAX:
            yield Run(limits.MIB, small())
        else:
            file, held = held, next(source, None)
            yield Run(file.size_hint, iter((file,)))


class Stream:
    """Reads a run of files as one, and notes each as it ends."""

    def __init__(self, files: Iterator[SourceFile], note: Note) -> None:
        """Take the files and who is told of each."""
        self._files = files
        self._note = note
        self._current: SourceFile | None = None
        self._reader: Reader | Filler | None = None
        self._fill: Filler | None = None
        self._digest = blake3()
        self._size = 0

    def readinto(self, place: memoryview, /) -> int:
        """Write up to len(place) bytes of the run; 0 at its end."""
        done = 0
        while True:
            if self._current is None or self._fill is None:
                file = next(self._files, None)
                if file is None:
                    return done
                if file.fill is not None and file.size_hint < len(place) - done:
                    whole = place[done:]
                    count = file.fill(whole)
                    self._note(file.name, count, blake3(whole[:count]).digest())
                    done += count
                    continue
                self._reader = file.open()
                self._fill = as_filler(self._reader)
                self._current, self._digest, self._size = file, blake3(), 0
            count = self._fill.readinto(place[done:])
            if count:
                self._digest.update(place[done : done + count])
                self._size += count
                return done + count
            name = self._current.name
            self.close()
            self._note(name, self._size, self._digest.digest())

    def close(self) -> None:
        """Close the file being read, if any."""
        close = getattr(self._reader, "close", None)
        self._current = self._reader = self._fill = None
        if close is not None:
            close()
