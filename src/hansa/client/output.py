"""Output: where fetched files go. Never outside the folder, never under their name before they are whole.

A file that is not whole lies in `.hansa-<root>/<number>.part`; when its BLAKE3 digest is right it is
synced and renamed to its place. The folder goes when all are done.
"""

import errno
import fcntl
import os
import weakref
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

from blake3 import blake3

from hansa import limits
from hansa.data.manifest import Contents, FileEntry
from hansa.errors import (
    ConflictError,
    DeniedError,
    DiskFullError,
    HansaError,
    InvalidError,
    UnavailableError,
)

_READ_BYTES = limits.MIB
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No room on the disk, in the quota, or under the limit of file sizes."""


class FileCheck:
    """Judges whether bytes that pass by are those of a published file."""

    def __init__(self, digest: bytes) -> None:
        self._digest = digest
        self._state = blake3()

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._state.update(data)

    def is_whole(self) -> bool:
        """Tell whether the bytes so far are the whole file."""
        return bool(self._state.digest() == self._digest)


class Output:
    """One version's files in one folder."""

    def __init__(self, folder: Path, root: str, contents: Contents, *, overwrite: bool) -> None:
        """Prepare; nothing is written yet.

        Args:
            folder: where the files go.
            root: manifest root in hex: names the hidden folder, so that versions never mix.
            contents: validated contents: their names are safe below a folder.
            overwrite: replace other files of the same names.
        """
        self._folder = folder.absolute()
        self._parts = self._folder / f".hansa-{root[:32]}"
        self._files = contents.files
        self._starts = list(accumulate((entry.size for entry in contents.files), initial=0))
        self._overwrite = overwrite
        self._missing: dict[int, int] = {}
        self._release: Callable[[], object] = lambda: None

    def close(self) -> None:
        """Let other fetches write there."""
        self._release()

    def prepare(self) -> dict[int, int]:
        """Make the folder, and return the files that are not whole → how many bytes are there.

        Raises:
            ConflictError: another file of that name is there, and it is not to be replaced; or
                another fetch is writing the same files there now.
            DeniedError: a link would lead outside of the folder.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if self._parts.is_symlink():
                raise DeniedError(
                    f"{self._parts} is a link: what is fetched would be written elsewhere.",
                    remedy="Remove the link, or choose an empty folder.",
                )
            self._parts.mkdir(exist_ok=True, mode=0o700)
            self._lock()
            for index, entry in enumerate(self._files):
                if not self._is_there(entry):
                    self._missing[index] = self._part_bytes(index, entry)
        except OSError as error:
            raise explain_write(error, self._folder) from error
        return dict(self._missing)

    def _lock(self) -> None:
        """Keep other fetches of this version out of this folder until `close`."""
        held = os.open(self._parts, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._release = weakref.finalize(self, os.close, held)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(
                f"Another fetch is writing the same files to {self._folder}.",
                remedy="Wait for it, or choose another folder.",
            ) from error

    def write(self, start: int, pieces: list[bytes]) -> None:
        """Append verified plain bytes, which begin at `start` of the plain stream, to their files.

        Raises:
            DiskFullError: no room; what is there is kept for the next attempt.
        """
        data = memoryview(b"".join(pieces))
        while data:
            # The last file that starts by then: empty ones that start there too come before it.
            index = bisect_right(self._starts, start, hi=len(self._files)) - 1
            stop = self._starts[index + 1]
            assert self._starts[index] <= start < stop
            part = data[: stop - start]
            try:
                with self._part(index).open("ab") as file:
                    file.write(part)
            except OSError as error:
                raise explain_write(error, self._part(index)) from error
            start += len(part)
            data = data[len(part) :]

    def finish(self) -> dict[int, int]:
        """Check and rename what is whole; return the files that must be fetched again from their start.

        Raises:
            ConflictError: another file of that name appeared meanwhile.
        """
        again: dict[int, int] = {}
        try:
            for index in self._missing:
                entry, part = self._files[index], self._part(index)
                part.touch(mode=0o600)
                if part.stat().st_size == entry.size and _digest(part) == entry.digest:
                    self._settle(part, entry)
                else:
                    part.unlink()
                    again[index] = 0
            if not again:
                self._parts.rmdir()
        except OSError as error:
            raise explain_write(error, self._folder) from error
        self._missing = again
        return dict(again)

    def _part(self, index: int) -> Path:
        return self._parts / f"{index}.part"

    def _place(self, entry: FileEntry) -> Path:
        """Return where a file goes.

        Raises:
            DeniedError: a link in its way leads outside of the folder.
        """
        place = self._folder.joinpath(*entry.name.split("/"))
        if not place.parent.resolve().is_relative_to(self._folder.resolve()):
            raise DeniedError(
                f"{place} would be written outside of {self._folder}.",
                remedy="Remove the symbolic link, or choose an empty folder.",
            )
        return place

    def _is_there(self, entry: FileEntry) -> bool:
        """Tell whether a file is there, whole."""
        place = self._place(entry)
        if not place.is_symlink() and not place.exists():
            return False
        is_file = place.is_file() and not place.is_symlink()
        if is_file and place.stat().st_size == entry.size and _digest(place) == entry.digest:
            return True
        if not self._overwrite or place.is_dir():
            raise ConflictError(
                f"{place} is there with other contents.",
                remedy="Choose another folder, or let it be replaced: --overwrite.",
            )
        return False

    def _part_bytes(self, index: int, entry: FileEntry) -> int:
        """Return how many bytes an earlier attempt left; a part that is too long is thrown away."""
        part = self._part(index)
        if part.is_symlink():
            part.unlink()  # Appended to, it would lead outside.
        if not part.is_file():
            return 0
        size = part.stat().st_size
        if size > entry.size:
            part.unlink()
            return 0
        return size

    def _settle(self, part: Path, entry: FileEntry) -> None:
        """Sync a whole file and give it its name."""
        descriptor = os.open(part, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        place = self._place(entry)
        place.parent.mkdir(parents=True, exist_ok=True)
        self._place(entry)
        if self._is_there(entry):
            part.unlink()
            return
        part.chmod(0o644)
        part.replace(place)


def _digest(path: Path) -> bytes:
    """Return BLAKE3 of a file, 32 bytes."""
    state = blake3()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            state.update(data)
    return state.digest()


def explain_write(error: OSError, path: Path) -> HansaError:
    """Return what a failure to write means to a person."""
    if error.errno in _FULL:
        return DiskFullError(
            f"There is no room left to write {path}.",
            remedy="Make room and give the same command again: it goes on where it stopped.",
        )
    if isinstance(error, PermissionError):
        return DeniedError(f"{path} may not be written.", remedy="Choose another folder.")
    if isinstance(error, NotADirectoryError | FileExistsError):
        return ConflictError(
            f"{error.filename or path} is a file where a folder is needed.",
            remedy="Choose another folder.",
        )
    if error.errno == 36:
        return InvalidError(
            f"A name in {path} is too long for this system.", remedy="Use another file system."
        )
    return UnavailableError(f"{path} cannot be written: {error.strerror}.")
