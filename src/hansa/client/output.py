"""Output: where fetched files go. Never outside the folder, never under their name before they are whole.

A file that is not whole lies in `.hansa-<root>/<number>.part`; when its BLAKE3 digest is right it is
synced and renamed to its place. The folder goes when all are done. Long runs of zeros are left as holes.
"""

import fcntl
import os
import stat
import weakref
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

from hansa.client.part import Part, compute_digest
from hansa.client.places import Places, explain_write, make_folders
from hansa.data.manifest import Contents, FileEntry
from hansa.errors import ConflictError, DeniedError

_SUFFIX = ".part"
_SYNC_EACH_MAX = 64
"""Up to so many files are synced one by one; more by one sync of all disks."""


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
        self._whole: set[int] = set()
        """Files whose part was seen to be as published while it was written."""
        self._current: Part | None = None
        self._places = Places(self._folder, [entry.name for entry in contents.files])
        self._release: Callable[[], object] = lambda: None

    def close(self) -> None:
        """Let other fetches write there."""
        self._leave_part()
        self._release()

    def prepare(self) -> dict[int, int]:
        """Make the folder, and return the files that are not whole → how many bytes are there.

        Raises:
            ConflictError: another file of that name is there, and it is not to be replaced; or
                another fetch is writing the same files there now.
            DeniedError: a link would lead outside of the folder.
        """
        try:
            make_folders(self._folder)
            if self._parts.is_symlink():
                raise DeniedError(
                    f"{self._parts} is a link: what is fetched would be written elsewhere.",
                    remedy="Remove the link, or choose an empty folder.",
                )
            self._parts.mkdir(exist_ok=True, mode=0o700)
            self._lock()
            left = {name for name in os.listdir(self._parts) if name.endswith(_SUFFIX)}  # noqa: PTH208
            for index, entry in enumerate(self._files):
                if not self._is_there(entry):
                    has_part = f"{index}{_SUFFIX}" in left
                    self._missing[index] = self._part_bytes(index, entry) if has_part else 0
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

    def files_between(self, start: int, stop: int) -> range:
        """Return the files that have bytes between two places of the plain stream."""
        first = bisect_right(self._starts, start, hi=len(self._files)) - 1
        return range(first, bisect_left(self._starts, stop, hi=len(self._files)))

    def give_up(self, start: int, stop: int) -> list[int]:
        """Stop writing the files between two places; return those not given up before.

        What is there of them is kept for the next attempt.
        """
        given = [index for index in self.files_between(start, stop) if index in self._missing]
        for index in given:
            del self._missing[index]
        return given

    def is_wanted(self, start: int, stop: int) -> bool:
        """Tell whether some file between two places is still to be written."""
        return any(index in self._missing for index in self.files_between(start, stop))

    def write(self, start: int, pieces: Sequence[bytes] | Sequence[memoryview]) -> None:
        """Append verified plain bytes, which begin at `start` of the plain stream, to their files.

        Raises:
            DiskFullError: no room; what is there is kept for the next attempt.
        """
        index = self.files_between(start, start + 1).start
        for piece in pieces:
            data = memoryview(piece)
            while data:
                # The last file that starts by then: empty ones that start there come before it.
                while self._starts[index + 1] <= start:
                    index += 1
                part = data[: self._starts[index + 1] - start]
                if index in self._missing:
                    self._append(index, part)
                start += len(part)
                data = data[len(part) :]
        if self._current is not None:
            self._flush(self._current)

    def _append(self, index: int, data: memoryview) -> None:
        if self._current is None or self._current.index != index:
            self._leave_part()
            path = self._part(index)
            try:
                self._current = Part(index, path, self._files[index], self._missing[index])
            except OSError as error:
                raise explain_write(error, path) from error
        self._current.take(data)
        self._missing[index] += len(data)
        if self._missing[index] == self._files[index].size:
            self._leave_part()

    def _flush(self, part: Part) -> None:
        try:
            part.flush()
        except OSError as error:
            raise explain_write(error, part.path) from error

    def _leave_part(self) -> None:
        """Close the part being written, and remember if it is whole."""
        part, self._current = self._current, None
        if part is None:
            return
        try:
            self._flush(part)
            if part.is_whole():
                self._whole.add(part.index)
        finally:
            part.close()

    def finish(self) -> dict[int, int]:
        """Check and rename what is whole; return the files that must be fetched again from their start.

        Raises:
            ConflictError: another file of that name appeared meanwhile.
        """
        again: dict[int, int] = {}
        try:
            self._leave_part()
            self._places.forget()
            ready: list[int] = []
            for index in self._missing:
                if self._is_ready(index):
                    ready.append(index)
                else:
                    self._part(index).unlink()
                    again[index] = 0
            self._sync(ready)
            for index in ready:
                self._settle(self._part(index), self._files[index])
            if not again and not os.listdir(self._parts):  # noqa: PTH208 - names alone
                self._parts.rmdir()
        except OSError as error:
            raise explain_write(error, self._folder) from error
        self._missing = again
        return dict(again)

    def _is_ready(self, index: int) -> bool:
        """Tell whether a part is the whole file."""
        if index in self._whole:
            return True
        entry, part = self._files[index], self._part(index)
        part.touch(mode=0o600)
        return part.stat().st_size == entry.size and compute_digest(part) == entry.digest

    def _sync(self, ready: list[int]) -> None:
        """Have the bytes on the disk before any of these files gets its name."""
        if len(ready) > _SYNC_EACH_MAX:
            os.sync()  # Thousands of single syncs would take longer than the fetch.
            return
        for index in ready:
            descriptor = os.open(self._part(index), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _part(self, index: int) -> Path:
        return self._parts / f"{index}{_SUFFIX}"

    def _is_there(self, entry: FileEntry) -> bool:
        """Tell whether a file is there, whole.

        Raises:
            ConflictError: another one is, and it is not to be replaced.
        """
        place = self._places.of(entry.name)
        try:
            status = place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        is_file = stat.S_ISREG(status.st_mode)
        if is_file and status.st_size == entry.size and compute_digest(place) == entry.digest:
            return True
        if not self._overwrite or stat.S_ISDIR(status.st_mode):
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
        """Give a whole and synced file its name."""
        place = self._places.of(entry.name)
        make_folders(place.parent)
        self._places.of(entry.name)
        self._places.claim(entry.name)
        if self._is_there(entry):
            part.unlink()
            return
        part.chmod(0o644)
        part.replace(place)
