"""`hansa store`: the own organisation's store, seen through its node; `migrate` where the node is stopped."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

from hansa import limits
from hansa.cli.acting import Acting, acting
from hansa.cli.show import (
    bytes_text,
    clean,
    print_fields,
    print_table,
    time_text,
    transfer_progress,
    work_progress,
)
from hansa.errors import CorruptError, InvalidError, UnavailableError
from hansa.rest import (
    CheckReport,
    CollectReport,
    HurtDataset,
    RepairReport,
    StoreJob,
    StoreJobRequest,
    StoreStats,
)

if TYPE_CHECKING:
    from hansa.client.client import HansaClient

_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
NOT_READ = "lengths, footers, manifests and the journal; bytes of packs not read: use --read-data"


@click.group()
def store() -> None:
    """Look at and look after the own store."""


# --- stats --------------------------------------------------------------------------------------


@store.command("stats", epilog="\b\nExample:\n  hansa store stats --datasets")
@click.option("--datasets", is_flag=True, help="Also by dataset.")
@click.option("--clusters", is_flag=True, help="Also by cluster of the index.")
@acting
def stats(acting: Acting, datasets: bool, clusters: bool) -> None:
    """Show what is stored and what deduplication and compression saved."""
    view = acting.run(lambda client: client.get("/v1/store", StoreStats))
    if acting.as_json:
        acting.print_json(view)
        return
    sealed = view.stored_bytes + view.duplicate_bytes
    ratio = f"{view.content_bytes / sealed:.2f} to 1" if sealed and view.content_bytes else ""
    quota = f" of {bytes_text(view.quota_bytes)}" if view.quota_bytes else ""
    print_fields(
        (
            ("store", view.url),
            ("datasets, versions", f"{view.datasets}, {view.versions}"),
            ("data, as published", bytes_text(view.logical_bytes)),
            ("stored, sealed", bytes_text(view.stored_bytes)),
            ("not stored again, sealed", bytes_text(view.duplicate_bytes)),
            ("compressed", ratio),
            ("chunks", view.chunks),
            ("packs", f"{view.packs}, {bytes_text(view.packed_bytes)}"),
            ("waiting for a pack", bytes_text(view.journal_bytes)),
            ("manifests", bytes_text(view.manifest_bytes)),
            ("counts against the quota", bytes_text(view.used_bytes) + quota),
            ("dead, kept for now", _dead(view.condemned_chunks, "chunks", view.condemned_bytes)),
            (
                "of no version",
                _dead(view.unreferenced_manifests, "manifests", view.unreferenced_bytes),
            ),
            ("marked as damaged", view.damaged_chunks and f"{view.damaged_chunks} chunks"),
            ("last collection", time_text(view.collected_ms) or "none yet"),
            ("memory of the table", bytes_text(view.table_memory_bytes)),
            ("room left", "no quota" if view.free_bytes is None else bytes_text(view.free_bytes)),
        )
    )
    if clusters:
        click.echo()
        print_table(
            ("cluster", "packs", "bytes", "words"),
            [
                (use.cluster or "none", use.packs, bytes_text(use.bytes), " ".join(use.words[:5]))
                for use in view.cluster_uses
            ],
        )
    if datasets:
        click.echo()
        print_table(
            ("dataset", "title", "versions", "published", "sealed", "new with it"),
            [
                (
                    use.dataset,
                    use.title,
                    use.versions,
                    bytes_text(use.logical_bytes),
                    bytes_text(use.stored_bytes),
                    bytes_text(use.new_bytes),
                )
                for use in view.dataset_uses
            ],
        )


def _dead(count: int, what: str, size: int) -> str:
    return f"{count} {what}, {bytes_text(size)}" if count else ""


# --- lanes --------------------------------------------------------------------------------------


@store.command("lanes", epilog="\b\nExample:\n  hansa store lanes --build")
@click.option("--build", is_flag=True, help="Compile it, if it is not there; needs a C compiler.")
@acting
def lanes(acting: Acting, build: bool) -> None:
    """Say whether this machine fingerprints several chunks at once; asks no node.

    With the profile md5+sha1 publishing is then faster; its results are the same.
    """
    from hansa.lanes import build_lanes, find_lanes  # noqa: PLC0415 - brings numpy

    found = build_lanes() if build else find_lanes()
    width = 0 if found.lanes is None else found.lanes.width
    if acting.as_json:
        acting.print_json({"lanes": width, "told": found.told})
    else:
        print_fields((("lanes", found.told),))
    if build and not width:
        raise UnavailableError(
            f"Lanes: {found.told}.", remedy="Publishing works without, with the same results."
        )


# --- check --------------------------------------------------------------------------------------


@store.command("check", epilog="\b\nExample:\n  hansa store check --read-data")
@click.option("--read-data", is_flag=True, help="Read every pack back and compare its digests.")
@acting
def check(acting: Acting, read_data: bool) -> None:
    """Check that everything published is there; with --read-data, that every byte is as it was stored."""
    job = _run(acting, StoreJobRequest(work="check", read_data=read_data))
    report = job.check
    assert report is not None
    if acting.as_json:
        acting.print_json(report)
    else:
        _print_check(report)
    if report.problems or report.hurt:
        raise CorruptError(
            f"The check found {len(report.problems)} problems, {_hurt_text(report.hurt)}.",
            remedy="Run `hansa store repair`; then publish the damaged datasets again from their"
            " source, and check once more.",
        )


def _print_check(report: CheckReport) -> None:
    print_fields(
        (
            ("packs", report.packs),
            ("manifests", report.manifests),
            ("chunks", report.chunks),
            ("looked at", "every byte" if report.read_data else NOT_READ),
            ("read", bytes_text(report.bytes_read)),
            ("problems", len(report.problems) or "none"),
        )
    )
    for problem in report.problems:
        click.echo(f"  {clean(problem)}")
    _print_hurt(report.hurt)


def _print_hurt(hurt: list[HurtDataset]) -> None:
    if hurt:
        click.echo()
        print_table(
            ("damaged dataset", "version", "title", "lost chunks", "lost bytes", "files"),
            [
                (
                    one.dataset,
                    one.version,
                    one.title,
                    one.chunks or "all: its manifest",
                    bytes_text(one.bytes),
                    f"some of {one.files}" if one.chunks else one.files,
                )
                for one in hurt
            ],
        )


def _hurt_text(hurt: list[HurtDataset]) -> str:
    count = len({one.dataset for one in hurt})
    return f"{count} datasets are hurt" if count else "no dataset is hurt"


# --- collect ------------------------------------------------------------------------------------


class Duration(click.ParamType[int]):
    """A length of time in words: 90m, 24h, 7d; in milliseconds inside."""

    name = "TIME"

    @override
    def convert(
        self, value: Any, _param: click.Parameter | None, _ctx: click.Context | None
    ) -> int:
        """Return milliseconds."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,6})([mhd])", str(value))
        if not found:
            self.fail(f"{value!r} is no time: write 90m, 24h or 7d.")
        return int(found[1]) * _UNITS_MS[found[2]]


@store.command("collect", epilog="\b\nExample:\n  hansa store collect --grace 24h")
@click.option(
    "--grace",
    type=Duration(),
    default="24h",
    show_default=True,
    help="What an earlier run found dead this long ago is deleted.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would be done; change nothing.")
@click.option(
    "--compact",
    is_flag=True,
    help="Write packs anew that hold dead data or data of other clusters.",
)
@acting
def collect(acting: Acting, grace: int, dry_run: bool, compact: bool) -> None:
    """Free what no version needs, in two runs with a grace period between; needs the role admin."""
    if grace > limits.COLLECT_GRACE_MS_MAX:
        raise InvalidError("--grace is at most 366d.")
    request = StoreJobRequest(work="collect", grace_ms=grace, dry_run=dry_run, compact=compact)
    report = _run(acting, request).collect
    assert report is not None
    if acting.as_json:
        acting.print_json(report)
    else:
        _print_collect(report)


def _print_collect(report: CollectReport) -> None:
    would = "would be " if report.dry_run else ""
    print_fields(
        (
            ("chunks", f"{report.chunks}, of them needed {report.chunks_needed}"),
            ("not needed, but fresh", report.chunks_fresh or ""),
            (
                f"{would}marked dead",
                _dead(report.chunks_condemned, "chunks", report.bytes_condemned) or "none",
            ),
            (
                "dead, in their grace period",
                _dead(report.chunks_waiting, "chunks", report.bytes_waiting),
            ),
            (
                f"{would}forgotten",
                _dead(report.chunks_forgotten, "chunks", report.bytes_forgotten) or "none",
            ),
            (f"manifests {would}deleted", report.manifests_deleted),
            ("keys destroyed", report.keys_destroyed + report.wraps_destroyed),
            (
                f"packs {would}deleted, {would}written anew",
                f"{report.packs_deleted}, {report.packs_rewritten}",
            ),
            ("freed", bytes_text(max(0, report.bytes_freed))),
        )
    )
    if report.chunks_condemned and not report.dry_run:
        click.echo("What was marked dead goes with a run after the grace period.")


# --- repair -------------------------------------------------------------------------------------


@store.command("repair", epilog="\b\nExample:\n  hansa store repair --dry-run")
@click.option("--dry-run", is_flag=True, help="Tell what is wrong; change nothing.")
@click.option(
    "--rebuild-table", is_flag=True, help="Compare every row of the table with packs and manifests."
)
@acting
def repair(acting: Acting, dry_run: bool, rebuild_table: bool) -> None:
    """Store anew what is sound of damaged packs; deletes nothing; needs the role admin."""
    request = StoreJobRequest(work="repair", dry_run=dry_run, rebuild_table=rebuild_table)
    report = _run(acting, request).repair
    assert report is not None
    if acting.as_json:
        acting.print_json(report)
    else:
        _print_repair(report)
    if report.hurt:
        raise CorruptError(
            f"What is lost stays lost: {_hurt_text(report.hurt)}.",
            remedy="Publish these again from their source as new versions.",
        )


def _print_repair(report: RepairReport) -> None:
    would = "would be " if report.dry_run else ""
    print_fields(
        (
            (f"packs {would}written anew", report.packs_rewritten),
            ("packs the table did not know", report.packs_adopted or ""),
            (f"chunks {would}saved", report.chunks_saved),
            ("chunks lost", report.chunks_lost),
            ("parts of the journal taken up", report.segments_adopted or ""),
            ("versions the table did not know", report.versions_bound or ""),
            ("wrong", len(report.problems) or "nothing"),
        )
    )
    for problem in report.problems:
        click.echo(f"  {clean(problem)}")
    _print_hurt(report.hurt)


# --- migrate ------------------------------------------------------------------------------------


@store.command(
    "migrate",
    epilog="\b\nExample:\n  hansa store migrate city/transport/node --to hdfs://n:8020/transport",
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--to", "url", required=True, metavar="URL", help="file:///FOLDER or hdfs://…")
@acting
def migrate(acting: Acting, folder: Path, url: str) -> None:
    """Copy the store of a stopped node to another place and switch to it; cut short, it goes on.

    Every object is read back from the new place and compared. The old store is left as it is.
    """
    from hansa.bootstrap.opening import migrate_store  # noqa: PLC0415 - brings the whole node
    from hansa.node.config import load_config  # noqa: PLC0415

    old = load_config(folder).store.url
    with transfer_progress(hidden=acting.as_json) as display:
        task = display.add_task("copy", total=None)

        def progress(phase: str, done: int, total: int) -> None:
            display.update(task, description=phase, completed=done, total=total)

        report = migrate_store(folder, url, progress)
    if acting.as_json:
        acting.print_json({
            "from": old, "to": url, "objects": report.objects, "bytes": report.bytes,
            "copied": report.copied, "damaged": report.damaged,
        })  # fmt: skip
    else:
        print_fields(
            (
                ("objects, compared", f"{report.objects}, {bytes_text(report.bytes)}"),
                ("copied now", report.copied),
                ("damaged, copied as they are", report.damaged),
                ("the node uses", url),
                ("left as it is, to be removed by hand", old),
            )
        )
    if report.damaged:
        raise CorruptError(
            f"{len(report.damaged)} objects were damaged in the old store already.",
            remedy="Start the node and run `hansa store repair`.",
        )


# --- the job ------------------------------------------------------------------------------------


def _run(acting: Acting, request: StoreJobRequest) -> StoreJob:
    """Have the node do the work, with a progress display at a terminal."""
    from hansa.client.keeping import keep_store  # noqa: PLC0415 - brings the network

    with work_progress(hidden=acting.as_json) as display:
        task = display.add_task(request.work, total=None)

        def watch(job: StoreJob) -> None:
            total = job.total or None
            display.update(task, description=job.phase, completed=job.done, total=total)

        async def work(client: "HansaClient") -> StoreJob:
            return await keep_store(client, request, watch)

        return acting.run(work)
