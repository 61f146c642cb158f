"""Careful use of a local disk: whole files, synced, with errors that say what to do.

A file appears under its name only when all its bytes are synced: temporary name, fsync, rename, fsync
of the folder. After a failed fsync nothing is believed to be written and nothing is retried (the
kernel may have dropped the dirty pages; "Can applications recover from fsync failures?", ATC 2020).
"""

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hansa.errors import DeniedError, DiskFullError, HansaError, UnavailableError
from hansa.limits import MIB

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PIECES_AT_ONCE = 1_000
"""Pieces one call may carry; systems take 1,024 (IOV_MAX)."""
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


def explain(error: OSError, what: str) -> HansaError:
    """Return the expected failure that an operating system error stands for."""
    if error.errno in _FULL:
        return DiskFullError(
            f"The disk is full: {what} was not written.",
            remedy="Free or add space, then try again; nothing was left half done.",
        )
    if error.errno in _DENIED:
        return DeniedError(
            f"The operating system refuses access: {what}.",
            remedy="Give the node's user read and write access to its folder.",
        )
    return UnavailableError(
        f"The disk failed at {what}: {error.strerror or error}.",
        remedy="Look at the system's log; the disk may be dying or gone.",
    )


@contextlib.contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn any OSError of the block into an expected failure that names `what`."""
    try:
        yield
    except OSError as error:
        raise explain(error, what) from error


def write_all(descriptor: int, data: bytes, offset: int) -> int:
    """Write all bytes at an offset; return how many they were."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        offset += written
        view = view[written:]
    return len(data)


def write_pieces(descriptor: int, pieces: Sequence[bytes], offset: int) -> int:
    """Write pieces one behind the other at an offset, without joining them; return their bytes."""
    start = offset
    for at in range(0, len(pieces), _PIECES_AT_ONCE):
        some = pieces[at : at + _PIECES_AT_ONCE]
        length = sum(map(len, some))
        written = os.pwritev(descriptor, some, offset)
        if written < length:
            write_all(descriptor, b"".join(some)[written:], offset + written)
        offset += length
    return offset - start


def sync_file(descriptor: int) -> None:
    """Make a file's bytes and length durable."""
    os.fdatasync(descriptor)


def cut_file(descriptor: int, size: int) -> None:
    """Shorten (or lengthen) a file; not durable before it is synced."""
    os.ftruncate(descriptor, size)


def read_exactly(descriptor: int, offset: int, length: int) -> bytes:
    """Read bytes at a position; fewer only if the file ends before."""
    data = os.pread(descriptor, length, offset)
    if len(data) == length or not data:
        return data
    pieces = [data]
    at = offset + len(data)
    while at < offset + length:
        piece = os.pread(descriptor, offset + length - at, at)
        if not piece:
            break
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)


def move_file(source: Path, target: Path) -> None:
    """Rename a complete, synced file durably; a file of the new name is replaced.

    Raises:
        OSError: EXDEV if the two lie on different file systems; nothing was moved.
    """
    source.rename(target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def remove_file(path: Path) -> None:
    """Remove a file durably; absent is fine."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def read_pieces(path: Path, piece_bytes: int = MIB) -> Iterator[bytes]:
    """Yield a file's bytes in order."""
    with path.open("rb", buffering=0) as file:
        while piece := file.read(piece_bytes):
            yield piece


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(folder: Path) -> None:
    """Make a folder and its parents, durable, for the owner only."""
    missing: list[Path] = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        sync_folder(path.parent)


def write_whole(path: Path, temporary: Path, parts: Iterable[bytes]) -> int:
    """Write a file so that it appears whole and durable or not at all; return its bytes.

    Args:
        path: the final name; its folder exists; a file of that name is replaced.
        temporary: a name on the same file system that nobody else uses.
        parts: the bytes in order.

    Raises:
        OSError: nothing appeared under the final name, and the temporary file is gone.
    """
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    size = 0
    try:
        try:
            for part in parts:
                size += write_all(descriptor, part, size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return size
