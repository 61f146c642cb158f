"""Writing that lasts: sync of files and folders, and what a disk's refusals mean to a caller.

A failed sync is never repeated: after it the kernel may have dropped the pages and call the next
sync a success (Rebello et al., USENIX ATC 2020). Whoever meets one stops writing for good.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from hansa.errors import ConflictError, DeniedError, DiskFullError, HansaError, UnavailableError

Sync = Callable[[int], None]
"""Makes a file's bytes durable, given its descriptor; raises OSError. Tests hand in their own."""

sync_file: Sync = getattr(os, "fdatasync", os.fsync)
"""What is used where nothing else is handed in; macOS has no fdatasync."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: needed after a file in it is made or renamed.

    Raises:
        OSError: the folder cannot be opened or synced.
    """
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of `data` at a position; the system may take it in pieces.

    Raises:
        OSError: the disk refused; some of the bytes may be there.
    """
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written


def replace_file(path: Path, data: bytes, sync: Sync = sync_file) -> None:
    """Put `data` at `path`, durably: whole, or (after a crash) as it was before.

    Raises:
        OSError: the disk refused; what was at `path` is untouched.
    """
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, data, 0)
        sync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync_folder(path.parent)


def as_hansa_error(error: OSError, doing: str) -> HansaError:
    """Return what a disk's refusal means; `doing` completes "Cannot …"."""
    what = f"Cannot {doing}: {error.strerror or error}."
    if error.errno in _FULL:
        return DiskFullError(what, remedy="Free disk space, then start the node again.")
    if error.errno in _DENIED:
        return DeniedError(what, remedy="Give the node's user the right to read and write there.")
    if error.errno in {errno.EEXIST, errno.EISDIR, errno.ENOTDIR}:
        return ConflictError(what, remedy="Move away what is there under that name.")
    return UnavailableError(what, remedy="Check the disk and its mount, then start the node again.")
