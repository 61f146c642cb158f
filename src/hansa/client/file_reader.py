"""File reader: one file from its first byte to its last, over its holes, seen to stay the same.

A hole of a sparse file is not read from the disk: the file system says where it ends. Nothing here
blocks on what became a pipe, and nothing reads past the size that the file was found with.
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hansa import limits
from hansa.client.walk import Stamp, explain, explained, refuse_special, stamp_of
from hansa.errors import ConflictError

_ZEROS = bytes(limits.MIB)
_SPARSE_BYTES_MIN = limits.MIB
SMALL_BYTES_MAX = limits.CHUNK_BYTES_MAX
"""Up to so many bytes a file is read at once (`read_small`)."""
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

assert SMALL_BYTES_MAX < _SPARSE_BYTES_MIN


class FileReader:
    """Reads one file, over its holes, and judges before and after whether it stayed the same."""

    def __init__(self, path: str | Path, stamp: Stamp, count: Callable[[int], object]) -> None:
        """Open the file.

        Args:
            path: where it lies.
            stamp: as it was found.
            count: told of the bytes read.

        Raises:
            ConflictError: it is no longer what was found.
        """
        self._path = path
        self._stamp = stamp
        self._size = stamp[2]
        self._count = count
        self._offset = 0
        self._is_at_end = False
        self._descriptor = open_plain(path)
        status = os.fstat(self._descriptor)
        if stamp_of(status) != stamp:
            self.abandon()
            raise _changed(path)
        is_sparse = self._size >= _SPARSE_BYTES_MIN and status.st_blocks * 512 < self._size
        self._data_until = 0 if is_sparse else self._size
        """Up to here there is data on the disk; past it is to be asked again."""
        self._hole_until = 0

    def readinto(self, place: memoryview, /) -> int:
        """Write 1 to len(place) bytes to its start and return how many; 0 at the end of what was found.

        Raises:
            ConflictError: there is more than was found.
        """
        size = min(len(place), self._size - self._offset)
        with explained(self._path):
            if size <= 0:
                # One byte too many tells what a size cannot: files whose size is never told.
                self._is_at_end = True
                if os.pread(self._descriptor, 1, self._offset):
                    raise _changed(self._path)
                return 0
            filled = self._fill_hole(place[:size])
            filled = filled or os.preadv(self._descriptor, [place[:size]], self._offset)
        self._is_at_end = not filled
        self._offset += filled
        self._count(filled)
        return filled

    def _fill_hole(self, place: memoryview) -> int:
        """Write zeros if a hole is next; return how many."""
        if self._offset >= max(self._hole_until, self._data_until):
            self._look_ahead()
        if self._offset >= self._hole_until:
            return 0
        length = min(len(place), self._hole_until - self._offset, len(_ZEROS))
        place[:length] = _ZEROS[:length]
        return length

    def _look_ahead(self) -> None:
        """Ask the file system where the next data begins, or where it ends."""
        try:
            data = os.lseek(self._descriptor, self._offset, os.SEEK_DATA)
        except OSError:
            data = self._size  # No data from here on; if it was cut short, its stamp tells.
        if data > self._offset:
            self._hole_until = min(data, self._size)
            return
        with suppress(OSError):
            self._data_until = os.lseek(self._descriptor, self._offset, os.SEEK_HOLE)
        self._data_until = max(self._data_until, self._offset + 1)

    def close(self) -> None:
        """Close the file, read to its end or, if publishing ended early, not.

        Raises:
            ConflictError: it was read to its end and changed since it was found.
        """
        if self._descriptor < 0:
            return
        try:
            is_same = stamp_of(os.fstat(self._descriptor)) == self._stamp
        finally:
            self.abandon()
        if self._is_at_end and (not is_same or self._offset != self._size):
            raise _changed(self._path)

    def abandon(self) -> None:
        """Close the file and judge nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read_small(path: str | Path, stamp: Stamp, place: memoryview) -> int:
    """Read a whole file at once, judged as `FileReader` does, in the fewest calls; return its bytes.

    Args:
        path: where it lies.
        stamp: as it was found; at most SMALL_BYTES_MAX bytes.
        place: room for one byte more than it has: so its end is seen.

    Raises:
        ConflictError: it is not what was found, or did not stay so.
        InvalidError: it is no plain file any more.
    """
    size = stamp[2]
    assert size < len(place)
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        raise explain(error, path) from error
    try:
        try:
            filled = os.readv(descriptor, (place[: size + 1],))
            while filled < size and (more := os.readv(descriptor, (place[filled : size + 1],))):
                filled += more
        finally:
            # Judged once, afterwards: what has its stamp now had it all the while, and is a plain file.
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise refuse_special(path, status)
        if filled != size or stamp_of(status) != stamp:
            raise _changed(path)
    except OSError as error:
        raise explain(error, path) from error
    finally:
        os.close(descriptor)
    return size


def open_plain(path: str | Path) -> int:
    """Open a file for reading, and nothing that could block; return its descriptor.

    Raises:
        InvalidError: it is no plain file any more.
    """
    with explained(path):
        descriptor = os.open(path, _FLAGS)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise refuse_special(path, status)
    return descriptor


def _changed(path: str | Path) -> ConflictError:
    return ConflictError(
        f"{path} changed while it was read; nothing was registered.",
        remedy="Publish it again when nobody writes to it, publish a copy, or pipe it into '-'.",
    )
