"""What `hansa dataset get` does: a version into a folder, or a file or some bytes of it into a stream.

A single file is written beside its place and gets its name when it is whole; standard output gets the
bytes as they come, and the exit code tells whether they were all.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hansa.cli.acting import Acting
from hansa.cli.show import bytes_text, transfer_progress
from hansa.errors import ConflictError

if TYPE_CHECKING:  # the client brings the network and the ciphers; --help needs neither
    from hansa.client.client import HansaClient


@dataclass(frozen=True, slots=True)
class Wanted:
    """A dataset's version that is fetched."""

    dataset: bytes
    version: int | None
    """None for the last."""


@contextmanager
def _progress(
    acting: Acting, *, hidden: bool = False
) -> Iterator[Callable[[int, int | None], None]]:
    with transfer_progress(hidden=acting.as_json or hidden) as progress:
        task = progress.add_task("fetching", total=None)

        def advance(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield advance


def get_folder(acting: Acting, wanted: Wanted, output: Path, *, overwrite: bool) -> None:
    """Fetch a version into a folder; what could be had is told also where some files could not.

    Raises:
        IncompleteError: some files could not be read.
    """
    from hansa.client.fetch import IncompleteError  # noqa: PLC0415 - with the client, see the head

    failure: IncompleteError | None = None
    with _progress(acting) as advance:
        try:
            fetched = acting.run(
                lambda client: client.fetch(
                    wanted.dataset,
                    output,
                    version=wanted.version,
                    overwrite=overwrite,
                    progress=advance,
                )
            )
        except IncompleteError as error:
            failure, fetched = error, error.fetched
        except KeyboardInterrupt:
            click.echo("What was fetched is kept: the same command goes on there.", err=True)
            raise
    if acting.as_json:
        acting.print_json(
            {
                "dataset": wanted.dataset.hex(),
                "version": fetched.version,
                "files": [str(path) for path in fetched.files],
                "bytes": fetched.bytes,
                "bytes_fetched": fetched.bytes_fetched,
                "verified": True,
            }
            | ({"failed": failure.reasons()} if failure else {})
        )
    else:
        for path in fetched.files:
            click.echo(str(path))
        if failure is None:
            size = bytes_text(fetched.bytes)
            click.echo(f"version {fetched.version}: {size}, every file verified.")
    if failure is not None:
        raise failure


def get_file(
    acting: Acting,
    wanted: Wanted,
    file: str | None,
    extent: str | None,
    output: Path | None,
    *,
    overwrite: bool,
) -> None:
    """Fetch one file, or a range of it, into a file or to standard output.

    Raises:
        ConflictError: the file to write is there, and is not to be replaced.
    """
    if output is None or str(output) == "-":
        if acting.as_json:
            raise click.UsageError("Standard output has the bytes: name a file with --output.")
        with _progress(acting, hidden=sys.stdout.isatty()) as advance:
            _pour(acting, wanted, file, extent, sys.stdout.buffer.write, advance)
        sys.stdout.buffer.flush()
        return
    if output.is_dir():
        raise click.UsageError(f"{output} is a folder: with --file, --output names a file.")
    if output.exists() and not overwrite:
        raise ConflictError(
            f"{output} is there already.",
            remedy="Choose another, or let it be replaced: --overwrite.",
        )
    part = output.with_name(f".{output.name}.hansa-part")
    try:
        with _progress(acting) as advance, part.open("wb") as target:
            count = _pour(acting, wanted, file, extent, target.write, advance)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    if acting.as_json:
        acting.print_json(
            {"dataset": wanted.dataset.hex(), "file": str(output), "bytes": count, "verified": True}
        )
        return
    click.echo(f"{output}: {bytes_text(count)}, verified.")


def _pour(
    acting: Acting,
    wanted: Wanted,
    file: str | None,
    extent: str | None,
    write: Callable[[bytes], object],
    advance: Callable[[int, int | None], None],
) -> int:
    """Give a file's bytes, or those of a range, to `write`; return how many."""

    async def whole(client: "HansaClient") -> int:
        done = await client.fetch_stream(
            wanted.dataset, write, version=wanted.version, file=file, progress=advance
        )
        return done.bytes

    async def part(client: "HansaClient") -> int:
        from hansa.client.ranges import parse_range  # noqa: PLC0415 - with the client, see the head

        assert extent is not None
        reader = await client.open(wanted.dataset, version=wanted.version)
        offset, length = parse_range(extent, reader.size(file))
        return await reader.stream(write, offset, length, file=file, progress=advance)

    return acting.run(whole if extent is None else part)
