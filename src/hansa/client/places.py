"""Places: where names of a version go below a folder, and what it means when the system refuses one."""

import errno
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hansa.errors import (
    ConflictError,
    DeniedError,
    DiskFullError,
    HansaError,
    InvalidError,
    UnavailableError,
)

_UNNAMEABLE = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No room on the disk, in the quota, or under the limit of file sizes."""


class Places:
    """Where names go below a folder: never outside of it, never two into one file."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        self._sound: set[Path] = set()
        """Folders found to lie inside, links and all."""
        alike = Counter(map(_fold, names))
        self._given: dict[str, list[str]] = {form: [] for form, count in alike.items() if count > 1}
        """Of names that some file systems hold for one: those given so far."""

    def forget(self) -> None:
        """Look anew where the folders lead."""
        self._sound.clear()

    def of(self, name: str) -> Path:
        """Return where a file goes.

        Raises:
            DeniedError: a link in its way leads outside of the folder.
        """
        place = self._folder.joinpath(*name.split("/"))
        parent = place.parent
        if parent not in self._sound:
            if not parent.resolve().is_relative_to(self._folder.resolve()):
                raise DeniedError(
                    f"{place} would be written outside of {self._folder}.",
                    remedy="Remove the symbolic link, or choose an empty folder.",
                )
            if parent.is_dir():
                self._sound.add(parent)
        return place

    def claim(self, name: str) -> None:
        """Note that a file is about to get this name.

        Raises:
            ConflictError: the file system takes it for a name that was given before.
        """
        given = self._given.get(_fold(name))
        if given is None:
            return
        place = self.of(name)
        for other in given:
            if place.exists() and place.samefile(self.of(other)):
                raise ConflictError(
                    f"This file system takes {name!r} and {other!r} for one name.",
                    remedy="Fetch into a folder whose file system tells them apart.",
                )
        given.append(name)


def make_folders(folder: Path) -> None:
    """Make a folder and those it lies in, where absent; however deep, for a name comes from others.

    Raises:
        OSError: one cannot be made, or something else is in its place.
    """
    absent = []
    while not folder.is_dir():
        absent.append(folder)
        folder = folder.parent
    for one in reversed(absent):
        one.mkdir(exist_ok=True)


def _fold(name: str) -> str:
    """Return what a file system may take a name for that knows no case and one form of accents."""
    return unicodedata.normalize("NFC", name).casefold()


def explain_write(error: OSError, path: Path) -> HansaError:
    """Return what a failure to write means to a person."""
    if error.errno in _FULL:
        return DiskFullError(
            f"There is no room left to write {path}.",
            remedy="Make room and give the same command again: it goes on where it stopped.",
        )
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return DeniedError(f"{path} may not be written.", remedy="Choose another folder.")
    if isinstance(error, NotADirectoryError | FileExistsError):
        return ConflictError(
            f"{error.filename or path} is a file where a folder is needed.",
            remedy="Choose another folder.",
        )
    if error.errno in _UNNAMEABLE:
        return InvalidError(
            f"{error.filename or path} is a name that this file system does not take.",
            remedy="Choose a folder on another file system.",
        )
    return UnavailableError(f"{path} cannot be written: {error.strerror}.")
