"""Part: a fetched file on its way: appended to, judged as it grows, long runs of zeros left as holes."""

import os
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from blake3 import blake3

from hansa import limits
from hansa.data.manifest import FileEntry

_READ_BYTES = limits.MIB
_HOLE_BYTES = 64 * limits.KIB
"""So many zeros side by side, from a multiple of it in what was taken at once, are a hole."""
_VECTORS_MAX = 512
"""Pieces handed to the system at once; every system takes as many."""


class FileCheck:
    """Judges whether bytes that pass by are those of a published file."""

    def __init__(self, digest: bytes) -> None:
        self._digest = digest
        self._state = blake3()

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._state.update(data)

    def is_whole(self) -> bool:
        """Tell whether the bytes so far are the whole file."""
        return bool(self._state.digest() == self._digest)


class Part:
    """A file on its way: appended to, and judged as it grows."""

    def __init__(self, index: int, path: Path, entry: FileEntry, size: int) -> None:
        """Open it; `size` bytes of an earlier attempt are there and are judged with the rest."""
        self.index = index
        self.path = path
        self._pending: list[memoryview] = []
        self._check = FileCheck(entry.digest)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(path, flags, 0o600)
        for offset in range(0, size, _READ_BYTES):
            self._check.update(os.pread(self._file, min(_READ_BYTES, size - offset), offset))

    def take(self, data: memoryview) -> None:
        """Take the next bytes; they are written by `flush`."""
        self._pending.append(data)

    def flush(self) -> None:
        """Write what was taken.

        Raises:
            OSError: what was written before stays; the rest is not counted as there.
        """
        pending, self._pending = self._pending, []
        run: list[memoryview] = []
        for data in pending:
            self._check.update(data)
            for piece, is_hole in _split(data):
                if is_hole:
                    self._write(run)
                    run = []
                    os.ftruncate(self._file, os.fstat(self._file).st_size + len(piece))
                else:
                    run.append(piece)
        self._write(run)

    def _write(self, run: list[memoryview]) -> None:
        left = deque(run)
        while left:
            written = os.writev(self._file, list(islice(left, _VECTORS_MAX)))
            while written:
                first = left.popleft()
                if written < len(first):
                    left.appendleft(first[written:])
                written -= min(written, len(first))

    def is_whole(self) -> bool:
        """Tell whether the bytes so far are the published file."""
        return self._check.is_whole()

    def close(self) -> None:
        """Close it."""
        os.close(self._file)


def _split(data: memoryview) -> Iterator[tuple[memoryview, bool]]:
    """Yield pieces that joined are `data`, in turn to be written and zeros alone."""
    begin, was_hole = 0, False
    for at in range(0, len(data), _HOLE_BYTES):
        is_hole = _is_hole(data[at : at + _HOLE_BYTES])
        if is_hole != was_hole:
            if at > begin:
                yield data[begin:at], was_hole
            begin, was_hole = at, is_hole
    yield data[begin:], was_hole


def _is_hole(data: memoryview) -> bool:
    """Tell whether a piece is zeros alone, and long enough not to be written."""
    # Both ends tell most others at a glance.
    if len(data) < _HOLE_BYTES or data[0] or data[-1]:
        return False
    return bytes(data) == bytes(len(data))


def compute_digest(path: Path) -> bytes:
    """Return BLAKE3 of a file, 32 bytes."""
    state = blake3()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            state.update(data)
    return state.digest()
