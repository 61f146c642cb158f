"""What a disk may hold after a crash: every operation is recorded, images are built from the record.

The model is as strict as POSIX allows: bytes are durable once their file is synced, names once their
folder is. Until then any of it may be lost, torn in the middle, kept, or kept in another order. A rename
is never half lost: the old name goes only where the new one is there.
"""

import contextlib
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hansa.storage.disk import disk_errors

SECTOR_BYTES = 64
"""Smaller than any disk's, so that small files are torn in many places."""
VARIANTS = ("lost", "kept", "torn", "zeros", "random", "random")


@dataclass(frozen=True)
class Operation:
    """One call that changes the disk."""

    kind: str
    """create, write, cut, sync, name, unname, folder, sync-folder, table."""
    inode: int = 0
    path: str = ""
    offset: int = 0
    data: bytes = b""
    moved_to: str = ""
    """Of an unname: where the file is named now."""
    rows: dict | None = None


@dataclass
class _File:
    """A file's durable bytes, and what was done since."""

    durable: bytes = b""
    pending: list[Operation] = field(default_factory=list)


class DiskRecorder:
    """Records what is done below a folder while it is entered."""

    def __init__(self, root: Path) -> None:
        """Take a folder that is empty."""
        self.root = str(root)
        self.operations: list[Operation] = []
        self.fail: Callable[[str], None] = lambda _kind: None
        """Called before each operation; may raise."""
        self._names: dict[str, int] = {}
        self._open: dict[int, tuple[str, int]] = {}
        self._inodes = 0
        self._real = {
            name: getattr(os, name)
            for name in (
                *("open", "close", "pwrite", "pwritev", "ftruncate", "fsync", "fdatasync"),
                *("rename", "replace", "unlink", "mkdir"),
            )
        }

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Record until the block ends."""
        with pytest.MonkeyPatch.context() as patch:
            for name in self._real:
                patch.setattr(os, name, getattr(self, "_os_" + name))
            yield

    def table_write(self, write: Callable[[list], None], rows: dict) -> Callable:
        """Return a table's `write` that is recorded as one atomic, durable operation."""

        def call(changes):
            changes = list(changes)
            with disk_errors("the table"):
                self._note(Operation("table"))
            write(changes)
            self.operations[-1] = Operation("table", rows=dict(rows))

        return call

    def _note(self, operation: Operation) -> None:
        self.fail(operation.kind)
        self.operations.append(operation)

    def _is_inside(self, path) -> bool:
        return str(path).startswith(self.root + "/")

    def _os_open(self, path, flags, mode=0o777, **named):
        name = str(path)
        if not self._is_inside(name) and name != self.root:
            return self._real["open"](path, flags, mode, **named)
        is_new = flags & os.O_CREAT and not os.path.lexists(name)
        if is_new:
            self.fail("create")
        descriptor = self._real["open"](path, flags, mode, **named)
        if flags & os.O_DIRECTORY:
            self._open[descriptor] = (name, 0)
            return descriptor
        if is_new:
            self._inodes += 1
            self._names[name] = self._inodes
            self.operations.append(Operation("name", self._inodes, name))
        self._open[descriptor] = (name, self._names.get(name, 0))
        return descriptor

    def _os_close(self, descriptor):
        self._open.pop(descriptor, None)
        return self._real["close"](descriptor)

    def _os_pwrite(self, descriptor, data, offset):
        _, inode = self._open.get(descriptor, ("", 0))
        if inode:
            data = bytes(data)
            short = self._fail_write(descriptor, data, offset, inode)
            if short is not None:
                return short
            self.operations.append(Operation("write", inode, offset=offset, data=data))
        return self._real["pwrite"](descriptor, data, offset)

    def _os_pwritev(self, descriptor, pieces, offset):
        return self._os_pwrite(descriptor, b"".join(pieces), offset)

    def _fail_write(self, descriptor, data, offset, inode):
        """Let a write fail after its first half, as a full disk does; or write it short."""
        try:
            self.fail("write")
        except ShortWrite:
            half = data[: max(1, len(data) // 2)]
            self.operations.append(Operation("write", inode, offset=offset, data=half))
            return self._real["pwrite"](descriptor, half, offset)
        except OSError:
            half = data[: len(data) // 2]
            self.operations.append(Operation("write", inode, offset=offset, data=half))
            self._real["pwrite"](descriptor, half, offset)
            raise
        return None

    def _os_ftruncate(self, descriptor, size):
        _, inode = self._open.get(descriptor, ("", 0))
        if inode:
            self._note(Operation("cut", inode, offset=size))
        return self._real["ftruncate"](descriptor, size)

    def _os_fsync(self, descriptor):
        name, inode = self._open.get(descriptor, ("", 0))
        if inode:
            self._note(Operation("sync", inode))
        elif name:
            self._note(Operation("sync-folder", path=name))

    def _os_fdatasync(self, descriptor):
        self._os_fsync(descriptor)

    def _os_rename(self, source, target, **named):
        if self._is_inside(source):
            self.fail("rename")
            self._real["rename"](source, target, **named)
            inode = self._names.pop(str(source))
            self._names[str(target)] = inode
            self.operations.append(Operation("name", inode, str(target)))
            self.operations.append(Operation("unname", inode, str(source), moved_to=str(target)))
        else:
            self._real["rename"](source, target, **named)

    def _os_replace(self, source, target, **named):
        self._os_rename(source, target, **named)

    def _os_unlink(self, path, **named):
        if self._is_inside(path) and os.path.lexists(path):
            self._note(Operation("unname", path=str(path)))
            self._names.pop(str(path), None)
        return self._real["unlink"](path, **named)

    def _os_mkdir(self, path, mode=0o777, **named):
        if self._is_inside(path):
            self._note(Operation("folder", path=str(path)))
        return self._real["mkdir"](path, mode, **named)


class ShortWrite(Exception):  # noqa: N818 - no error: the system took fewer bytes
    """Lets a write take fewer bytes than it was given."""


class DiskImage:
    """What may be there if the machine stopped after some operations."""

    def __init__(self, operations: list[Operation], root: str, chance: random.Random, how: str):
        """Choose what is kept of what was not durable."""
        self.rows: dict = {}
        """The table."""
        self._root = root
        self._chance = chance
        self._how = how
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}
        self._folders = {root}
        self._pending: list[Operation] = []
        for operation in operations:
            self._take(operation)
        for operation in self._pending:
            if self._keeps_name():
                self._apply_name(operation)

    def write(self, root: Path) -> None:
        """Make the image real below a folder."""
        for folder in sorted(self._folders):
            if self._is_reachable(folder):
                (root / folder[len(self._root) :].lstrip("/")).mkdir(parents=True, exist_ok=True)
        for name, inode in self._names.items():
            if self._is_reachable(str(Path(name).parent)):
                path = root / name[len(self._root) + 1 :]
                path.write_bytes(self._contents(self._files.get(inode, _File())))

    def _take(self, operation: Operation) -> None:
        file = self._files.setdefault(operation.inode, _File())
        if operation.kind in ("write", "cut"):
            file.pending.append(operation)
        elif operation.kind == "sync":
            file.durable = _apply(file.durable, file.pending)
            file.pending = []
        elif operation.kind == "table":
            self.rows = operation.rows if operation.rows is not None else self.rows
        elif operation.kind == "sync-folder":
            self._sync_folder(operation.path)
        else:
            self._pending.append(operation)

    def _sync_folder(self, folder: str) -> None:
        left: list[Operation] = []
        for operation in self._pending:
            # Moved away for good only together with its new name.
            here = str(Path(operation.path).parent) == folder
            moved = operation.kind == "name" and any(
                other.moved_to == operation.path and str(Path(other.path).parent) == folder
                for other in self._pending
            )
            if here or moved:
                self._apply_name(operation)
            else:
                left.append(operation)
        self._pending = left

    def _apply_name(self, operation: Operation) -> None:
        if operation.kind == "folder":
            self._folders.add(operation.path)
        elif operation.kind == "name":
            self._names[operation.path] = operation.inode
        elif not operation.moved_to or self._names.get(operation.moved_to) == operation.inode:
            self._names.pop(operation.path, None)

    def _keeps_name(self) -> bool:
        if self._how == "random":
            return self._chance.random() < 0.5
        return self._how != "lost"

    def _is_reachable(self, folder: str) -> bool:
        while folder != self._root:
            if folder not in self._folders:
                return False
            folder = str(Path(folder).parent)
        return True

    def _contents(self, file: _File) -> bytes:
        """Return a file's bytes: durable ones, and what is kept of the others."""
        pending = file.pending
        if self._how == "lost":
            pending = []
        elif self._how == "zeros":
            # The length was kept and the bytes were not.
            pending = [_blank(operation) for operation in pending]
        elif self._how == "torn" and pending:
            pending = [*pending[:-1], self._tear(pending[-1])]
        elif self._how == "random":
            pending = [piece for operation in pending for piece in self._scatter(operation)]
        return _apply(file.durable, pending)

    def _tear(self, operation: Operation) -> Operation:
        kept = operation.data[: self._chance.randrange(len(operation.data) + 1)]
        return Operation(operation.kind, operation.inode, offset=operation.offset, data=kept)

    def _scatter(self, operation: Operation) -> Iterator[Operation]:
        if operation.kind == "cut":
            if self._chance.random() < 0.5:
                yield operation
            return
        at = operation.offset
        for start in range(0, len(operation.data), SECTOR_BYTES):
            if self._chance.random() < 0.5:
                piece = operation.data[start : start + SECTOR_BYTES]
                yield Operation("write", operation.inode, offset=at + start, data=piece)


def _blank(operation: Operation) -> Operation:
    zeros = bytes(len(operation.data))
    return Operation(operation.kind, operation.inode, offset=operation.offset, data=zeros)


def _apply(data: bytes, operations: list[Operation]) -> bytes:
    found = bytearray(data)
    for operation in operations:
        if operation.kind == "cut":
            del found[operation.offset :]
            found.extend(bytes(operation.offset - len(found)))
        elif operation.data:
            found.extend(bytes(max(0, operation.offset - len(found))))
            found[operation.offset : operation.offset + len(operation.data)] = operation.data
    return bytes(found)
