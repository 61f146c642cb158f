"""`hansa dataset`: the way in and the way out."""

from itertools import zip_longest
from pathlib import Path
from typing import Any, TextIO

import click

from hansa import rest
from hansa.cli.acting import Acting, acting
from hansa.cli.asking import build_question, question_options
from hansa.cli.fetching import get_many, read_ids
from hansa.cli.getting import Wanted, get_file, get_folder
from hansa.cli.show import bytes_text, print_fields, print_table, time_text, transfer_progress
from hansa.cli.values import BOX, FROM, ID, TO
from hansa.cli.waiting import print_settled, wait_option


@click.group()
def dataset() -> None:
    """Publish, find, show and fetch datasets."""


@dataset.command(
    "publish",
    epilog="""\b
Examples:
  hansa dataset publish stops.csv --title "Bus stops" --theme transport --place Oakland
  hansa dataset publish counts/ --title "Counts" --from 2026-01-01 --to 2026-06-30
  hansa dataset publish stops-may.csv --dataset ID          (the next version)
  zcat big.csv.gz | hansa dataset publish - --name big.csv --title "Big"
""",
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--title", help="Name of the dataset for people; needed for a new one.")
@click.option("--description", help="What it holds, in public words.")
@click.option("--keyword", "keywords", multiple=True, help="May be given many times.")
@click.option("--theme", "themes", multiple=True, help="May be given many times.")
@click.option("--place", help="Name of the place covered.")
@click.option("--bbox", type=BOX, help="Bounds of the place, in degrees.")
@click.option("--from", "from_ms", type=FROM, help="First time covered.")
@click.option("--to", "to_ms", type=TO, help="Last time covered.")
@click.option(
    "--rhythm", help="How often it is brought up to date: daily, monthly, …, irregular, never."
)
@click.option("--licence", help="Licence of the data.")
@click.option("--dataset", "dataset_id", type=ID, help="Add the next version of this dataset.")
@click.option("--name", help="File name for standard input.")
@click.option(
    "--columns/--no-columns",
    default=False,
    help="Publish names and types of columns found in the data.",
)
@click.option("--follow-links", is_flag=True, help="Publish what symbolic links point at.")
@wait_option
@acting
def publish(
    acting: Acting, /, paths: tuple[str, ...], dataset_id: str | None, wait: bool, **options: Any
) -> None:
    """Publish files, folders or standard input (-): encrypted, without duplicates, registered."""
    if dataset_id is None and not options["title"]:
        raise click.UsageError("A new dataset needs --title.")
    with transfer_progress(hidden=acting.as_json) as progress:
        task = progress.add_task("publishing", total=None)

        def advance(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        published = acting.run(
            lambda client: client.publish(
                paths,
                dataset=bytes.fromhex(dataset_id) if dataset_id else None,
                progress=advance,
                wait=wait,
                **options,
            )
        )
    print_settled(
        acting,
        published.status,
        dataset=published.dataset.hex(),
        version=published.version,
        files=published.files,
        chunks=published.chunks,
        duplicates=published.duplicates,
        bytes_in=published.bytes_in,
        bytes_stored=published.bytes_stored,
    )


@dataset.command(
    "find",
    epilog="""\b
Examples:
  hansa dataset find bus stops
  hansa dataset find "air quality" --from 2026-01-01 --bbox -0.5,39.3,-0.2,39.6
  hansa dataset find --like ID --limit 5 --json
  hansa dataset find trees --ids | hansa dataset fetch --list - --output data/
""",
)
@question_options
@click.option("--ids", is_flag=True, help="Print the ids alone, one a line: for `dataset fetch`.")
@acting
def find(acting: Acting, /, *, ids: bool, **options: Any) -> None:
    """Find datasets of all organisations by words, place, time, theme, format or likeness."""
    question = build_question(**options)
    answer = acting.run(lambda client: client.post("/v1/questions", question, rest.Answer))
    if ids:
        for item in answer.matches:
            click.echo(item.id)
        return
    if acting.as_json:
        acting.print_json(answer)
        return
    print_table(
        ("id", "title", "owner", "themes", "formats", "place"),
        (
            (
                item.id,
                item.title,
                item.owner,
                ", ".join(item.themes),
                ", ".join(item.formats),
                item.place,
            )
            for item in answer.matches
        ),
        none="Nothing found.",
    )
    read = "the disk was read" if answer.read_from_disk else "nothing was read from disk"
    click.echo(f"{answer.total} found at height {answer.height}; {read}.")


@dataset.command("show", epilog="\b\nExample:\n  hansa dataset show ID")
@click.argument("dataset_id", metavar="ID", type=ID)
@acting
def show(acting: Acting, dataset_id: str) -> None:
    """Show what the alliance knows about a dataset."""
    view = acting.run(lambda client: client.get(f"/v1/datasets/{dataset_id}", rest.DatasetView))
    if acting.as_json:
        acting.print_json(view)
        return
    print_fields(
        (
            ("id", view.id),
            ("title", view.title),
            ("owner", view.owner),
            ("status", view.status),
            ("description", view.description),
            ("keywords", view.keywords),
            ("themes", view.themes),
            ("place", view.place),
            ("bounds", view.bbox),
            ("from (UTC)", time_text(view.from_ms)),
            ("to (UTC)", time_text(view.to_ms)),
            ("brought up to date", view.rhythm),
            ("licence", view.licence),
            ("formats", view.formats),
            ("columns", _columns(view)),
            ("cluster", view.cluster),
        )
    )
    print_table(
        ("version", "files", "size", "at (UTC)", "transaction"),
        (
            (
                item.number,
                item.files,
                bytes_text(item.content_bytes),
                time_text(item.time_ms),
                item.transaction,
            )
            for item in view.versions
        ),
        none="no version",
    )


@dataset.command("ls", epilog="\b\nExample:\n  hansa dataset ls --organisation transport")
@click.option("--organisation", help="Only of this organisation.")
@click.option("--retired", is_flag=True, help="Retired ones too.")
@acting
def ls(acting: Acting, organisation: str | None, retired: bool) -> None:
    """List datasets of the alliance."""
    query = ({"organisation": organisation} if organisation else {}) | (
        {"retired": "true"} if retired else {}
    )
    views = acting.run(lambda client: client.get("/v1/datasets", list[rest.DatasetView], query))
    if acting.as_json:
        acting.print_json(views)
        return
    print_table(
        ("id", "title", "owner", "versions", "size", "status"),
        (
            (
                item.id,
                item.title,
                item.owner,
                len(item.versions),
                bytes_text(item.versions[-1].content_bytes) if item.versions else "",
                item.status,
            )
            for item in views
        ),
        none="no datasets",
    )


@dataset.command("files", epilog="\b\nExample:\n  hansa dataset files ID")
@click.argument("dataset_id", metavar="ID", type=ID)
@click.option("--version", type=click.IntRange(1), help="Version; default: the last.")
@acting
def files(acting: Acting, dataset_id: str, version: int | None) -> None:
    """List the files of a dataset that you may read: own, or granted."""
    opened = acting.run(lambda client: client.open(bytes.fromhex(dataset_id), version=version))
    found = [(name, opened.size(name)) for name in opened.names]
    if acting.as_json:
        acting.print_json([{"name": name, "bytes": size} for name, size in found])
        return
    print_table(
        ("file", "size"), ((name, bytes_text(size)) for name, size in found), none="no files"
    )


@dataset.command(
    "get",
    epilog="""\b
Examples:
  hansa dataset get ID --output data/
  hansa dataset get ID --version 1 --output old/
  hansa dataset get ID --file counts/may.csv > may.csv
  hansa dataset get ID --file counts/may.csv --range 0-99        (the first hundred bytes)
""",
)
@click.argument("dataset_id", metavar="ID", type=ID)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Folder to write the files into, under their names; with --file the file to write"
    " (default: standard output).",
)
@click.option("--file", "file", metavar="NAME", help="One file alone; `dataset files` lists them.")
@click.option(
    "--range",
    "extent",
    metavar="A-B",
    help="Of that file only bytes A to B, both included, from 0; A- to the end, -N the last N.",
)
@click.option("--version", type=click.IntRange(1), help="Version; default: the last.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there and differ.")
@acting
def get(
    acting: Acting,
    /,
    dataset_id: str,
    output: Path | None,
    file: str | None,
    extent: str | None,
    version: int | None,
    *,
    overwrite: bool,
) -> None:
    """Fetch a dataset: own, or granted. Every chunk and file is verified; goes on where it stopped."""
    wanted = Wanted(bytes.fromhex(dataset_id), version)
    if file is not None or extent is not None:
        get_file(acting, wanted, file, extent, output, overwrite=overwrite)
        return
    if output is None or str(output) == "-":
        raise click.UsageError("Name a folder with --output, or one file with --file.")
    get_folder(acting, wanted, output, overwrite=overwrite)


@dataset.command(
    "fetch",
    epilog="""\b
Examples:
  hansa dataset fetch ID ID ID --output data/
  hansa dataset fetch --list ids.txt --output data/
  hansa dataset find trees --ids | hansa dataset fetch --list - --output data/
""",
)
@click.argument("dataset_ids", metavar="[ID]...", type=ID, nargs=-1)
@click.option(
    "--list",
    "listed",
    type=click.File("r"),
    help="Also those in this file, one id a line; - reads standard input.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder that gets a folder for each dataset, named by its id.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there and differ.")
@acting
def fetch(
    acting: Acting,
    /,
    dataset_ids: tuple[str, ...],
    listed: TextIO | None,
    output: Path,
    *,
    overwrite: bool,
) -> None:
    """Fetch many datasets, the newest version of each: own, or granted. Small ones come together.

    One that cannot be had is told, and the others are fetched; the exit code is then of the first failure.
    """
    wanted = list(dict.fromkeys([*dataset_ids, *(read_ids(listed) if listed else ())]))
    if not wanted:
        raise click.UsageError("Name datasets, or a list of them with --list.")
    get_many(acting, [bytes.fromhex(one) for one in wanted], output, overwrite=overwrite)


@dataset.command("retire", epilog="\b\nExample:\n  hansa dataset retire ID")
@click.argument("dataset_id", metavar="ID", type=ID)
@wait_option
@acting
def retire(acting: Acting, dataset_id: str, wait: bool) -> None:
    """Retire an own dataset: no longer found, no longer served."""
    status = acting.run(lambda client: client.retire(bytes.fromhex(dataset_id), wait=wait))
    print_settled(acting, status, dataset=dataset_id)


def _columns(view: rest.DatasetView) -> list[str]:
    """Return names of columns, with their types where they are known."""
    pairs = zip_longest(view.columns, view.column_types, fillvalue="")
    return [f"{name} ({kind})" if kind else name for name, kind in pairs]
