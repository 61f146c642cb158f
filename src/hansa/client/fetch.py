"""Fetch: the way out: grant, key, manifest, ranges, chunks opened and verified, files under their names.

Bytes reach the disk only after their chunk was authenticated; each file is checked whole before it gets
its name. What is not yet whole lies in a hidden folder inside the output, named by the manifest's
root, so a fetch that was cut short goes on where it stopped and never mixes versions.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hansa.client.find import choose_version, get_dataset
from hansa.client.output import Output
from hansa.client.part import FileCheck
from hansa.client.ranges import VersionReader
from hansa.client.session import Session
from hansa.client.transfers import Progress, no_progress
from hansa.client.versions import OpenVersion, open_version
from hansa.client.windows import Opened, Unreadable, Windows
from hansa.data.layout import ContentLayout
from hansa.errors import CorruptError, HansaError, InvalidError
from hansa.types import DatasetId

Write = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched."""

    dataset: DatasetId
    version: int
    files: tuple[Path, ...]
    """Written, or found there whole."""
    bytes: int
    """Plain bytes of all files."""
    bytes_fetched: int
    """Plain bytes that were fetched now; the rest was there already."""


async def fetch(
    session: Session,
    dataset: str,
    output: Path,
    *,
    version: int | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Fetched:
    """Fetch a version's files into a folder; go on where an earlier attempt stopped.

    A cancel leaves what was verified so far for the next attempt.

    Args:
        session: of who may read: an own user, or one with a grant.
        dataset: its id.
        output: folder to write into; made if absent. Nothing is ever written outside of it.
        version: number of the version; the newest by default.
        overwrite: replace files that are there with other contents.
        progress: told of plain bytes, those already there included.

    Raises:
        DeniedError: no grant, or it ended.
        ConflictError: another file of that name is there.
        CorruptError: what came is not what was published; nothing unverified keeps a name.
    """
    opened = await _open(session, dataset, version)
    windows = Windows(session, opened, is_gathered=True)
    target = Output(output, opened.version.manifest_root, opened.contents, overwrite=overwrite)
    try:
        filling = _Filling(session, windows, target, progress)
        await filling.run()
    finally:
        await session.workers.run(target.close)
    names = [file.name for file in opened.contents.files]
    fetched = Fetched(
        DatasetId(bytes.fromhex(opened.dataset.id)),
        opened.version.number,
        tuple(
            output.joinpath(*name.split("/"))
            for index, name in enumerate(names)
            if index not in filling.lost
        ),
        windows.layout.plain_bytes,
        filling.fetched,
    )
    if filling.lost:
        lost = {names[index]: error for index, error in sorted(filling.lost.items())}
        raise IncompleteError(opened, fetched, lost)
    return fetched


class IncompleteError(CorruptError):
    """Some files of a version cannot be read; the others were fetched."""

    def __init__(self, opened: OpenVersion, fetched: Fetched, lost: dict[str, HansaError]) -> None:
        view = opened.dataset
        first, error = next(iter(lost.items()))
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        super().__init__(
            f"{first!r}{more} of dataset {view.id} ({view.title!r}, version {fetched.version}) of"
            f" {view.owner} cannot be read: {error.message}"
            f" {len(fetched.files)} of {len(opened.contents.files)} files are there, whole.",
            remedy=f"Tell {view.owner}: `hansa store check --read-data` finds what is damaged, and"
            " publishing the data again heals it. Then the same command fetches the rest.",
        )
        self.fetched = fetched
        """What is there; its bytes count all files."""
        self.lost = lost
        """Name of each file that could not be read → why."""

    def reasons(self) -> dict[str, str]:
        """Return why each file could not be read."""
        return {name: error.message for name, error in self.lost.items()}


class _Filling:
    """Fetches what is missing in an output; goes on with the other files where one cannot be read."""

    def __init__(
        self, session: Session, windows: Windows, target: Output, progress: Progress
    ) -> None:
        self._run = session.workers.run
        self._windows = windows
        self._target = target
        self._progress = progress
        self._present = 0
        self.fetched = 0
        """Plain bytes fetched now."""
        self.lost: dict[int, HansaError] = {}

    async def run(self) -> None:
        """Fetch, check and name the files."""
        missing = await self._run(self._target.prepare)
        layout, total = self._windows.layout, self._windows.layout.plain_bytes
        # A part left by an earlier attempt may have been damaged since: then once more, from its start.
        for _ in range(2):
            self._present = total - sum(stop - start for start, stop in _gaps(layout, missing))
            await self._windows.stream(_gaps(layout, missing), self._take, self._target.is_wanted)
            missing = await self._run(self._target.finish)
            if not missing:
                break
        else:
            raise CorruptError("A file is not as published, though each of its chunks is.")
        self._progress(total, total)

    async def _take(self, part: Opened | Unreadable) -> None:
        if isinstance(part, Unreadable):
            given = self._target.give_up(part.start, part.stop)
            self.lost |= dict.fromkeys(given, part.error)
            return
        await self._run(self._target.write, part.start, part.pieces)
        self.fetched += part.stop - part.start
        self._present += part.stop - part.start
        self._progress(self._present, self._windows.layout.plain_bytes)


async def fetch_stream(
    session: Session,
    dataset: str,
    write: Write,
    *,
    version: int | None = None,
    file: str | None = None,
    progress: Progress = no_progress,
) -> Fetched:
    """Fetch one file of a version into a function, such as standard output's `write`.

    What was written before an error must be thrown away: the file's digest is judged at its end.

    Raises:
        InvalidError: the version has several files and none was named, or none of that name.
        CorruptError: the file is not as published.
    """
    opened = await _open(session, dataset, version)
    names = [entry.name for entry in opened.contents.files]
    if file is None and len(names) != 1:
        raise InvalidError(
            f"The version has {len(names)} files.", remedy="Name one, or fetch into a folder."
        )
    if file is not None and file not in names:
        raise InvalidError(f"The version has no file {file!r}.")
    index = names.index(file) if file is not None else 0
    windows = Windows(session, opened)
    span = windows.layout.file_range(index)
    entry = opened.contents.files[index]
    checked = FileCheck(entry.digest)

    def pass_on(pieces: Sequence[bytes] | Sequence[memoryview]) -> None:
        for piece in pieces:
            checked.update(piece)
            write(bytes(piece))

    async def take(part: Opened | Unreadable) -> None:
        if isinstance(part, Unreadable):
            raise part.error
        await session.workers.run(pass_on, part.pieces)
        progress(part.stop - span[0], entry.size)

    await windows.stream([span], take)
    if not checked.is_whole():
        raise CorruptError(f"File {entry.name!r} is not as published; throw away what was written.")
    identity = DatasetId(bytes.fromhex(opened.dataset.id))
    return Fetched(identity, opened.version.number, (Path(entry.name),), entry.size, entry.size)


async def open_reader(
    session: Session, dataset: str, *, version: int | None = None
) -> VersionReader:
    """Open a version for reading anywhere in it.

    Raises:
        DeniedError: no grant, or it ended. CorruptError: what came is not what the chain names.
    """
    return VersionReader(session, await _open(session, dataset, version))


async def _open(session: Session, dataset: str, number: int | None) -> OpenVersion:
    view = await get_dataset(session, dataset)
    return await open_version(session, view, choose_version(view, number))


def _gaps(layout: ContentLayout, missing: dict[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the stretches of the plain stream that are missing, joined where they adjoin.

    Args:
        layout: of the version.
        missing: index of each file that is not whole → how many of its bytes are there.
    """
    pending: tuple[int, int] | None = None
    for index in sorted(missing):
        start, stop = layout.file_range(index)
        start += missing[index]
        if start == stop:
            continue
        if pending is not None and pending[1] == start:
            pending = (pending[0], stop)
            continue
        if pending is not None:
            yield pending
        pending = (start, stop)
    if pending is not None:
        yield pending
