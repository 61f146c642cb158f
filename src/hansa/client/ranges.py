"""Ranges: any bytes of a version's files without fetching the rest.

A version is opened once (manifest, key, layout) and read from as often as wanted: each range costs the
chunks that it overlaps and nothing else, each of them authenticated under the manifest that the chain
names. The node checks the grant at every call, so a revocation ends the reading, however long ago the
version was opened.

Ranges are written as in HTTP (RFC 9110 section 14.1.2): `0-99` are the first hundred bytes, `100-` all from
the hundredth on, `-100` the last hundred.
"""

import re
from collections.abc import Callable

from hansa import limits
from hansa.client.session import Session
from hansa.client.transfers import Progress, no_progress
from hansa.client.versions import OpenVersion
from hansa.client.windows import Opened, Unreadable, Windows
from hansa.errors import HansaError, InvalidError

_RANGE = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")


class VersionReader:
    """One version, open for reading anywhere; good for any number of reads at once."""

    def __init__(self, session: Session, opened: OpenVersion) -> None:
        """Take a version that was opened; nothing more is fetched for it."""
        self.opened = opened
        self._windows = Windows(session, opened)
        self._places = {file.name: index for index, file in enumerate(opened.contents.files)}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the version's files, in their order."""
        return tuple(self._places)

    def size(self, file: str | None = None) -> int:
        """Return a file's bytes; of the only one if none is named.

        Raises:
            InvalidError: no such file, or several and none named.
        """
        start, stop = self._extent(file)
        return stop - start

    async def read(self, offset: int, length: int, *, file: str | None = None) -> bytes:
        """Return `length` bytes of a file from `offset` on; fewer where the file ends before.

        Args:
            offset: from 0, at most the file's size.
            length: at most CLIENT_READ_BYTES_MAX.
            file: its name; may be left out where the version has one file.

        Raises:
            InvalidError: no such file, or the range lies outside of it.
            CorruptError, MissingError: a chunk of this range is damaged or gone.
        """
        if not 0 <= length <= limits.CLIENT_READ_BYTES_MAX:
            raise InvalidError(
                f"Read at most {limits.CLIENT_READ_BYTES_MAX} bytes at once.",
                remedy="Stream a longer range.",
            )
        start, stop = self._clip(offset, length, file)
        windows = list(self._windows.layout.plan(start, stop))
        if len(windows) == 1:  # No queue for what is one call.
            return b"".join(await self._windows.read(windows[0]))
        found: list[bytes] = []
        await self._stream(start, stop, found.append)
        return b"".join(found)

    async def stream(
        self,
        write: Callable[[bytes], object],
        offset: int = 0,
        length: int | None = None,
        *,
        file: str | None = None,
        progress: Progress = no_progress,
    ) -> int:
        """Give a range of a file to `write`, piece by piece; return how many bytes.

        What was written before an error is sound: each chunk was authenticated before.

        Args:
            write: takes the pieces in order; called on the event loop.
            offset: from 0, at most the file's size.
            length: to the file's end if none is given.
            file: its name; may be left out where the version has one file.
            progress: told of the bytes given.

        Raises:
            InvalidError: as `read`. CorruptError, MissingError: a chunk is damaged or gone.
        """
        size = self.size(file)
        start, stop = self._clip(offset, size if length is None else length, file)
        done = 0

        def pass_on(piece: bytes) -> None:
            nonlocal done
            write(piece)
            done += len(piece)
            progress(done, stop - start)

        await self._stream(start, stop, pass_on)
        return done

    async def _stream(self, start: int, stop: int, give: Callable[[bytes], object]) -> None:
        async def take(part: Opened | Unreadable) -> None:
            if isinstance(part, Unreadable):
                raise part.error
            for piece in part.pieces:
                give(bytes(piece))

        await self._windows.stream([(start, stop)], take)

    def _extent(self, file: str | None) -> tuple[int, int]:
        """Return where a file lies in the plain stream."""
        if file is None and len(self._places) != 1:
            raise InvalidError(
                f"The version has {len(self._places)} files.",
                remedy="Name one: `hansa dataset files ID` lists them.",
            )
        index = 0 if file is None else self._places.get(file)
        if index is None:
            raise InvalidError(
                f"The version has no file {file!r}.",
                remedy="`hansa dataset files ID` lists them.",
            )
        return self._windows.layout.file_range(index)

    def _clip(self, offset: int, length: int, file: str | None) -> tuple[int, int]:
        first, end = self._extent(file)
        if not 0 <= offset <= end - first or length < 0:
            raise InvalidError(
                f"The file has {end - first} bytes; there are none from {offset} on.",
                remedy="Choose a range inside of it.",
            )
        return first + offset, min(first + offset + length, end)


def parse_range(text: str, size: int) -> tuple[int, int]:
    """Return offset and length of a range written as in HTTP, clipped to the file's size.

    Raises:
        InvalidError: no range, or none of the file's bytes lies in it.
    """
    found = _RANGE.fullmatch(text.strip())
    if found is None or found.group(0) == "-":
        raise _no_range(text)
    first, last = found.groups()
    if not first:
        offset = max(0, size - int(last))
        length = size - offset
    else:
        offset = int(first)
        length = (min(int(last) + 1, size) if last else size) - offset
        if last and int(last) < offset:
            raise _no_range(text)
    if length <= 0:
        raise InvalidError(
            f"The file has {size} bytes: none of them lies in {text.strip()}.",
            remedy="Choose a range inside of it.",
        )
    return offset, length


def _no_range(text: str) -> HansaError:
    return InvalidError(
        f"{text[:60]!r} is no range of bytes.",
        remedy="Write 0-99 for the first hundred, 100- for all after them, -100 for the last.",
    )
