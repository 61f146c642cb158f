"""A store in a local folder: the embedded default.

    root/
    ├─ lock       held while a node has the store open
    ├─ owner      which organisation's store this is
    ├─ tmp/       being written; swept when the store is opened
    └─ objects/   immutable, complete, synced

Upon put: write to tmp, fsync, rename, fsync the folder. What cannot be written leaves nothing behind.
"""

import errno
import fcntl
import itertools
import os
import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from hansa.errors import ConflictError, CorruptError, InvalidError, MissingError
from hansa.limits import MIB
from hansa.storage.disk import (
    disk_errors,
    explain,
    make_folders,
    move_file,
    read_exactly,
    read_pieces,
    sync_folder,
    write_whole,
)
from hansa.storage.names import validate_name

_PATHS_KEPT = 4_096


class LocalStore:
    """Implements `ports.Store` on a folder that one node has for itself."""

    def __init__(self, root: Path, owner: str) -> None:
        """Open or make the store, and sweep what a crash left in tmp.

        Args:
            root: the folder; made if it is not there.
            owner: one line that names the alliance and the organisation.

        Raises:
            ConflictError: another node has it open, or it belongs to another organisation.
            DeniedError, DiskFullError, UnavailableError: the folder cannot be used.
        """
        self._objects = root / "objects"
        self._tmp = root / "tmp"
        self._counter = itertools.count()
        self._making = threading.Lock()
        # Random reads ask for the same packs again and again: a path costs more than its look-up.
        self._where = lru_cache(_PATHS_KEPT)(lambda name: str(self._path(name)))
        with disk_errors(f"the store's folder {root}"):
            make_folders(root)
            self._lock = _take_lock(root / "lock", root)
            try:
                make_folders(self._tmp)
                for leftover in self._tmp.iterdir():
                    leftover.unlink()
                self._claim(root / "owner", owner)
                make_folders(self._objects)
            except BaseException:
                os.close(self._lock)
                raise

    def close(self) -> None:
        """Give the folder free for another node."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def put(self, name: str, parts: Iterable[bytes]) -> int:
        """Write an object whole and durably; return its bytes."""
        path = self._path(name)
        with disk_errors(f"object {name}"):
            if path.exists():
                size = _compare(path, parts, name)
                sync_folder(path.parent)
                return size
            # One at a time: nobody may find a folder whose own name is not durable yet.
            with self._making:
                make_folders(path.parent)
            return write_whole(path, self._tmp / f"{next(self._counter):x}", parts)

    def put_file(self, name: str, path: Path) -> int:
        """Take a complete, synced file as an object: renamed if it lies on this file system."""
        target = self._path(name)
        with disk_errors(f"object {name}"):
            if target.exists():
                # A repeated call: of an earlier one the rename or its sync may have failed.
                pieces = read_pieces(path) if path.exists() else read_pieces(target)
                size = _compare(target, pieces, name)
                sync_folder(target.parent)
                return size
            size = path.stat().st_size
            with self._making:
                make_folders(target.parent)
            try:
                move_file(path, target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                temporary = self._tmp / f"{next(self._counter):x}"
                write_whole(target, temporary, read_pieces(path))
            return size

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes at a position; to the end if no length is given."""
        path = self._where(name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise _missing(name) from None
        except OSError as error:
            raise explain(error, f"object {name}") from error
        try:
            if length is not None and length > 0 and offset >= 0:
                # What lies inside needs no look at the object's length.
                data = os.pread(descriptor, length, offset)
                if len(data) == length:
                    return data
            return _read_inside(descriptor, offset, length, name)
        except OSError as error:
            raise explain(error, f"object {name}") from error
        finally:
            os.close(descriptor)

    def size(self, name: str) -> int:
        """Return an object's bytes."""
        path = self._path(name)
        with disk_errors(f"object {name}"):
            try:
                return path.stat().st_size
            except FileNotFoundError:
                raise _missing(name) from None

    def exists(self, name: str) -> bool:
        """Tell whether the object is there."""
        path = self._path(name)
        with disk_errors(f"object {name}"):
            try:
                path.stat()
            except FileNotFoundError:
                return False
            return True

    def list(self, prefix: str) -> Iterator[str]:
        """Yield all names under a prefix, in order; an unreadable folder raises."""
        above = prefix.rpartition("/")[0]
        if above:
            validate_name(above)
        with disk_errors(f"the list of objects {prefix}"):
            if not (self._objects / above).is_dir() and self._objects.is_dir():
                return iter(())
            before = f"{above}/" if above else ""
            found = _walk(self._objects / above, before)
            return iter([name for name in found if name.startswith(prefix)])

    def delete(self, name: str) -> None:
        """Remove an object; absent is fine."""
        path = self._path(name)
        with disk_errors(f"object {name}"):
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        validate_name(name)
        return self._objects / name

    def _claim(self, marker: Path, owner: str) -> None:
        """Check or write whose store this is."""
        wanted = owner.encode() + b"\n"
        try:
            found = marker.read_bytes()
        except FileNotFoundError:
            write_whole(marker, self._tmp / "owner", [wanted])
            return
        if found != wanted:
            raise ConflictError(
                f"The store {marker.parent} belongs to {found.decode(errors='replace').strip()}.",
                remedy="Give each node a folder of its own.",
            )


def _missing(name: str) -> MissingError:
    return MissingError(f"There is no object {name} in the store.")


def _take_lock(path: Path, root: Path) -> int:
    """Return a descriptor that holds the store's lock until it is closed."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConflictError(
            f"Another node has the store {root} open.",
            remedy="Stop that node, or give this one a folder of its own.",
        ) from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _read_inside(descriptor: int, offset: int, length: int | None, name: str) -> bytes:
    """Read a range after a look at the object's length.

    Raises:
        InvalidError: the range leaves the object.
        CorruptError: the object became shorter meanwhile.
    """
    size = os.fstat(descriptor).st_size
    if length is None:
        length = size - offset
    if offset < 0 or length < 0 or offset + length > size:
        raise InvalidError(f"Bytes {offset} + {length} lie outside of object {name}.")
    data = read_exactly(descriptor, offset, length)
    if len(data) != length:
        raise CorruptError(f"Object {name} became shorter while it was read.")
    return data


def _compare(path: Path, parts: Iterable[bytes], name: str) -> int:
    """Check that an object holds exactly these parts; return its bytes."""
    size = 0
    with path.open("rb", buffering=MIB) as file:
        for part in parts:
            if file.read(len(part)) != part:
                raise _other_bytes(name)
            size += len(part)
        if file.read(1):
            raise _other_bytes(name)
    return size


def _other_bytes(name: str) -> CorruptError:
    return CorruptError(
        f"Object {name} is there already with other bytes.",
        remedy="Run `hansa store check`: a name that follows from its bytes means damage.",
    )


def _walk(folder: Path, before: str) -> Iterator[str]:
    """Yield the names of all files below a folder, in the order of the whole names."""
    with os.scandir(folder) as found:
        entries = [
            (entry.name + "/" * entry.is_dir(follow_symlinks=False), entry) for entry in found
        ]
    for word, entry in sorted(entries, key=lambda pair: pair[0]):
        if word.endswith("/"):
            yield from _walk(folder / entry.name, before + word)
        else:
            yield before + word
