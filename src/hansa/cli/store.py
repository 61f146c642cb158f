"""`hansa store`: the own organisation's store, seen through its node."""

import click

from hansa import rest
from hansa.cli.acting import Acting, acting
from hansa.cli.show import bytes_text, print_fields
from hansa.errors import CorruptError


@click.group()
def store() -> None:
    """Look at and check the own store."""


@store.command("stats", epilog="\b\nExample:\n  hansa store stats")
@acting
def stats(acting: Acting) -> None:
    """Show what is stored and what deduplication saved."""
    view = acting.run(lambda client: client.get("/v1/store", rest.StoreStats))
    if acting.as_json:
        acting.print_json(view)
        return
    print_fields(
        (
            ("store", view.url),
            ("datasets, versions", f"{view.datasets}, {view.versions}"),
            ("data, as published", bytes_text(view.logical_bytes)),
            ("stored, sealed", bytes_text(view.stored_bytes)),
            ("not stored again, sealed", bytes_text(view.duplicate_bytes)),
            ("chunks", view.chunks),
            ("packs", view.packs),
            ("waiting for a pack", bytes_text(view.journal_bytes)),
            ("room left", "no quota" if view.free_bytes is None else bytes_text(view.free_bytes)),
        )
    )


@store.command("check", epilog="\b\nExample:\n  hansa store check --read-data")
@click.option("--read-data", is_flag=True, help="Read every pack back and compare its digests.")
@acting
def check(acting: Acting, read_data: bool) -> None:
    """Check that everything published is there; with --read-data, that every byte is as it was stored."""
    report = acting.run(
        lambda client: client.post(
            "/v1/store/check", rest.CheckRequest(read_data=read_data), rest.CheckReport
        )
    )
    if acting.as_json:
        acting.print_json(report)
    else:
        print_fields(
            (
                ("packs", report.packs),
                ("chunks", report.chunks),
                ("read", bytes_text(report.bytes_read)),
                ("problems", report.problems or "none"),
                ("damaged datasets", report.damaged_datasets),
            )
        )
    if report.problems:
        raise CorruptError(
            f"The check found {len(report.problems)} problems.",
            remedy="Publish the damaged datasets again from their source, then check once more.",
        )
