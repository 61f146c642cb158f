"""`hansa tx`: one transaction, its result, and who acknowledged that its copies are gone."""

from collections.abc import Iterator, Mapping

import click

from hansa import rest
from hansa.cli.acting import Acting, acting
from hansa.cli.show import print_fields, print_table, time_text
from hansa.cli.values import DIGEST


@click.group()
def tx() -> None:
    """Look at transactions."""


@tx.command("show", epilog="\b\nExample:\n  hansa tx show TRANSACTION --json")
@click.argument("transaction", type=DIGEST)
@acting
def show(acting: Acting, transaction: str) -> None:
    """Show a transaction: its place on the chain, operations, result, erasures."""
    detail = acting.run(
        lambda client: client.get(f"/v1/transactions/{transaction}/detail", rest.TransactionDetail)
    )
    if acting.as_json:
        acting.print_json(detail)
        return
    print_fields(
        (
            ("transaction", detail.transaction),
            ("block", f"{detail.height}, number {detail.index}"),
            ("result", "accepted" if detail.accepted else f"refused: {detail.code}"),
            ("author", f"{detail.author_name} ({detail.organisation})"),
            ("key", detail.author),
            ("time (UTC)", time_text(detail.time_ms)),
            ("datasets", detail.dataset_ids),
            ("requests", detail.request_ids),
        )
    )
    for operation in detail.operations:
        click.echo()
        print_fields(_flat(operation))
    click.echo()
    print_table(
        ("copies erased by", "copies", "outcome", "on the chain at", "time (UTC)"),
        (
            (
                item.organisation,
                item.copies,
                item.outcome,
                item.recorded_at or "not yet",
                time_text(item.recorded_ms) if item.recorded_ms else "",
            )
            for item in detail.erasures
        ),
        none="No erasure of its copies is known here.",
    )
    if not detail.acknowledgements_kept:
        click.echo(
            f"What blocks up to {detail.acknowledgements_end} said of the others is no longer kept on"
            " this node. Ask one that has all blocks."
        )
    if detail.not_acknowledged:
        click.echo(
            f"Not acknowledged by: {', '.join(detail.not_acknowledged)}"
            f" (a block up to {detail.acknowledgements_end} may carry it)"
        )


def _flat(value: Mapping[str, object], within: str = "") -> Iterator[tuple[str, object]]:
    """Yield the parts of an operation, those inside others by their path."""
    for name, part in value.items():
        if isinstance(part, Mapping):
            yield from _flat(part, f"{within}{name}.")
        else:
            yield f"{within}{name}", part
