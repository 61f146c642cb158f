"""Fetch: the way out: grant, key, manifest, ranges, chunks opened and verified, files under their names.

Bytes reach the disk only after their chunk was authenticated; each file is checked whole before it gets
its name. What is not yet whole lies in a hidden folder inside the output, named by the manifest's
root, so a fetch that was cut short goes on where it stopped and never mixes versions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hansa.client.find import choose_version, get_dataset
from hansa.client.output import FileCheck, Output
from hansa.client.ranges import VersionReader
from hansa.client.session import Session
from hansa.client.transfers import Progress, no_progress
from hansa.client.versions import OpenVersion, open_version
from hansa.client.windows import Opened, Unreadable, Windows
from hansa.data.layout import ContentLayout
from hansa.errors import CorruptError, InvalidError
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
    windows = Windows(session, opened)
    layout = windows.layout
    target = Output(output, opened.version.manifest_root, opened.contents, overwrite=overwrite)
    try:
        fetched = await _fill(session, windows, target, progress)
    finally:
        target.close()
    progress(layout.plain_bytes, layout.plain_bytes)
    return Fetched(
        DatasetId(bytes.fromhex(opened.dataset.id)),
        opened.version.number,
        tuple(output.joinpath(*file.name.split("/")) for file in opened.contents.files),
        layout.plain_bytes,
        fetched,
    )


async def _fill(
    session: Session,
    windows: Windows,
    target: Output,
    progress: Progress,
) -> int:
    """Fetch what is missing in an output and settle it; return the plain bytes fetched."""
    layout = windows.layout
    missing = await session.workers.run(target.prepare)
    fetched = present = 0

    async def take(part: Opened | Unreadable) -> None:
        nonlocal fetched, present
        if isinstance(part, Unreadable):
            raise part.error
        await session.workers.run(target.write, part.start, part.pieces)
        fetched += part.stop - part.start
        present += part.stop - part.start
        progress(present, layout.plain_bytes)

    # A part left by an earlier attempt may have been damaged since: then once more, from its start.
    for _ in range(2):
        present = layout.plain_bytes - sum(stop - start for start, stop in _gaps(layout, missing))
        await windows.stream(_gaps(layout, missing), take)
        missing = await session.workers.run(target.finish)
        if not missing:
            break
    else:
        raise CorruptError("A file is not as published, though each of its chunks is.")
    return fetched


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

    def pass_on(pieces: list[bytes]) -> None:
        for piece in pieces:
            checked.update(piece)
            write(piece)

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
