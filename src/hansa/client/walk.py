"""Walk: the files below what a publisher names, each looked at once and never opened.

Whatever is no plain file is refused by name before anything is read: a pipe would block, a device never
ends, a link below a folder may lead anywhere. Nothing here recurses, so depth costs memory alone; the
number of files and of folders is bounded, so that links which multiply folders come to an end.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hansa import limits
from hansa.errors import (
    DeniedError,
    HansaError,
    InvalidError,
    MissingError,
    UnavailableError,
)

Stamp = tuple[int, int, int, int]
"""Device, inode, size and time of the last change: while they hold, the contents do."""


class Found(NamedTuple):
    """One plain file."""

    tail: str
    """Its path below what was named, with slashes; empty if it is what was named."""
    stamp: Stamp


def walk(root: Path, *, follow_links: bool = False) -> Iterator[Found]:
    """Yield a file, or all files below a folder; folders without files yield nothing.

    Args:
        root: what was named; if it is a link, what it leads to.
        follow_links: take what symbolic links below it lead to, instead of refusing them.

    Raises:
        MissingError: it is not there, or a link leads nowhere.
        DeniedError: a file or folder may not be read.
        InvalidError: a special file, a link not to be followed, a circle of links, too much.
    """
    with explained(root):
        status = root.stat()
    if not stat.S_ISDIR(status.st_mode):
        yield Found("", _check_file(root, status))
        return
    above = {_identity(status)}
    """The folders that the one being listed lies in, itself included."""
    inside: list[_Folder] = []
    yield from _list(root, "", inside, follow_links=follow_links)
    stack = [(_identity(status), iter(inside))]
    folders = 1
    while stack:
        identity, waiting = stack[-1]
        folder = next(waiting, None)
        if folder is None:
            stack.pop()
            above.discard(identity)
            continue
        path = root / folder.tail
        if folder.identity in above:
            raise InvalidError(
                f"{path} is a link to a folder it lies in.", remedy="Remove the link."
            )
        folders += 1
        if folders > limits.FILES_PER_VERSION_MAX:
            raise InvalidError(
                f"{root} holds more than {limits.FILES_PER_VERSION_MAX} folders.",
                remedy="Publish parts of it; if links are followed, look where they lead.",
            )
        inside = []
        yield from _list(path, f"{folder.tail}/", inside, follow_links=follow_links)
        above.add(folder.identity)
        stack.append((folder.identity, iter(inside)))


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder that is still to be listed."""

    tail: str
    identity: tuple[int, int]


def _list(path: Path, tail: str, inside: list[_Folder], *, follow_links: bool) -> Iterator[Found]:
    """Yield the files of one folder, and note the folders in it: one listing is open at a time."""
    with explained(path), os.scandir(path) as listing:
        for entry in listing:
            if entry.is_symlink() and not follow_links:
                raise InvalidError(
                    f"{entry.path} is a symbolic link.",
                    remedy="Remove it, or have links followed: --follow-links.",
                )
            try:
                status = entry.stat()
            except OSError as error:
                raise explain(error, entry.path) from error
            if stat.S_ISDIR(status.st_mode):
                inside.append(_Folder(tail + entry.name, _identity(status)))
            else:
                yield Found(tail + entry.name, _check_file(entry.path, status))


def stamp_of(status: os.stat_result) -> Stamp:
    """Return what tells whether a file is still the same."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return (status.st_dev, status.st_ino)


def _check_file(path: str | Path, status: os.stat_result) -> Stamp:
    """Return the stamp of a plain file that may be read.

    Raises:
        InvalidError: it is something else. DeniedError: it may not be read.
    """
    if not stat.S_ISREG(status.st_mode):
        raise refuse_special(path, status)
    # What everybody may read needs no question; if a finer rule forbids it, opening it tells.
    if status.st_mode & _READ_BITS != _READ_BITS and not os.access(path, os.R_OK):
        raise explain(PermissionError(), path)
    return stamp_of(status)


def refuse_special(path: str | Path, status: os.stat_result) -> InvalidError:
    """Return the refusal of what is neither a file nor a folder."""
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "neither a file nor a folder")
    return InvalidError(
        f"{path} is {kind}.",
        remedy="Remove it, or publish what it yields through standard input: '-'.",
    )


_READ_BITS = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class explained:  # noqa: N801 - reads as a word in `with`
    """Turns the system's errors about a path into ours."""

    def __init__(self, path: str | Path | None) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise explain(error, self._path) from error


def explain(error: OSError, path: str | Path | None) -> HansaError:
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
