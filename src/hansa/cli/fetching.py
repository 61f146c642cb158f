"""What `hansa dataset fetch` does: many datasets, each into a folder of its own, each told by itself."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hansa.cli.acting import Acting
from hansa.cli.show import bytes_text, clean
from hansa.cli.values import ID

if TYPE_CHECKING:  # the client brings the network and the ciphers; --help needs neither
    from hansa.client.client import HansaClient
    from hansa.client.several import FetchedOne
    from hansa.errors import HansaError


def read_ids(lines: Iterable[str]) -> Iterator[str]:
    """Yield the ids of a list, one a line; empty lines and those that begin with # are left out.

    Raises:
        click.UsageError: a line is no id.
    """
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            yield ID.convert(text, None, None)
        except click.BadParameter as error:
            raise click.UsageError(f"Line {number} of the list: {error.message}") from error


def get_many(acting: Acting, datasets: Sequence[bytes], output: Path, *, overwrite: bool) -> None:
    """Fetch datasets and tell what became of each.

    Raises:
        HansaError: of the first dataset that could not be had, after all the others were tried.
    """
    told: list[dict[str, object]] = []
    failures: list[HansaError] = []

    async def work(client: "HansaClient") -> None:
        async for one in client.fetch_many(datasets, output, overwrite=overwrite):
            if one.error is not None:
                failures.append(one.error)
            if acting.as_json:
                told.append(_as_json(one))
            else:
                _tell(one)

    try:
        acting.run(work)
    except KeyboardInterrupt:
        click.echo("What was fetched is kept: the same command goes on there.", err=True)
        raise
    if acting.as_json:
        acting.print_json(told)
    else:
        click.echo(
            f"{len(datasets) - len(failures)} of {len(datasets)} datasets, every file verified."
        )
    if failures:
        raise failures[0]


def _tell(one: "FetchedOne") -> None:
    if one.error is not None:
        click.echo(f"{one.dataset.hex()}: {clean(one.error.message)}", err=True)
    elif one.fetched is not None:
        fetched = one.fetched
        count = len(fetched.files)
        files = "1 file" if count == 1 else f"{count} files"
        size = bytes_text(fetched.bytes)
        click.echo(f"{one.dataset.hex()}: version {fetched.version}, {files}, {size}")


def _as_json(one: "FetchedOne") -> dict[str, object]:
    found: dict[str, object] = {"dataset": one.dataset.hex()}
    if one.fetched is not None:
        found |= {
            "version": one.fetched.version,
            "files": [str(path) for path in one.fetched.files],
            "bytes": one.fetched.bytes,
            "bytes_fetched": one.fetched.bytes_fetched,
            "verified": True,
        }
    if one.error is not None:
        found |= {"error": one.error.code, "detail": one.error.message, "remedy": one.error.remedy}
    return found
