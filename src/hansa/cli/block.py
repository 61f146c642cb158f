"""`hansa block`: the chain as it is read by people."""

import click

from hansa import rest
from hansa.cli.acting import Acting, acting
from hansa.cli.show import print_fields, print_table, short, time_text


@click.group()
def block() -> None:
    """Look at the chain's blocks."""


@block.command("ls", epilog="\b\nExample:\n  hansa block ls --limit 5")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many."
)
@click.option("--before", type=click.IntRange(1), help="Only blocks below this height.")
@acting
def ls(acting: Acting, limit: int, before: int | None) -> None:
    """List blocks, newest first."""
    query = {"limit": limit} | ({"before": before} if before else {})
    blocks = acting.run(lambda client: client.get("/v1/blocks", list[rest.BlockSummary], query))
    if acting.as_json:
        acting.print_json(blocks)
        return
    print_table(
        ("height", "time (UTC)", "master", "round", "epoch", "transactions", "erasures", "digest"),
        (
            (
                item.height,
                time_text(item.time_ms),
                item.master,
                item.round,
                item.epoch,
                item.transactions,
                item.erasures,
                short(item.digest),
            )
            for item in blocks
        ),
    )


@block.command("show", epilog="\b\nExample:\n  hansa block show 12")
@click.argument("height", type=click.IntRange(1))
@acting
def show(acting: Acting, height: int) -> None:
    """Show one block: who led, who signed, what it holds, which copies were erased, who rejected what."""
    detail = acting.run(lambda client: client.get(f"/v1/blocks/{height}", rest.BlockDetail))
    if acting.as_json:
        acting.print_json(detail)
        return
    summary = detail.summary
    print_fields(
        (
            ("height", summary.height),
            ("digest", summary.digest),
            ("parent", detail.parent),
            ("time (UTC)", time_text(summary.time_ms)),
            ("master", summary.master),
            ("decided in round", summary.round),
            ("epoch", summary.epoch),
            ("signed by", detail.signers),
            ("super nodes", detail.super_nodes),
            ("next super nodes", detail.next_super_nodes),
            ("state root", detail.state_root),
        )
    )
    print_table(
        ("transaction", "operations", "by", "result"),
        (
            (
                item.transaction,
                ", ".join(str(operation["operation"]) for operation in item.operations),
                f"{item.author_name} ({item.organisation})",
                "accepted" if item.accepted else f"refused: {item.code}",
            )
            for item in detail.transactions
        ),
        none="no transactions",
    )
    print_table(
        ("erased by", "height", "round", "outcome", "copies"),
        (
            (item.organisation, item.height, item.round, item.outcome, item.copies)
            for item in detail.erasures
        ),
        none="no erasures",
    )
    if detail.findings:
        print_table(
            (
                "rejected by",
                "height",
                "round",
                "why",
                "block",
                "transactions",
                "decided all the same",
            ),
            (
                (
                    item.organisation,
                    item.height,
                    item.round,
                    item.code,
                    short(item.digest) if item.digest.strip("0") else "none came",
                    ", ".join(item.rejected),
                    "yes" if item.is_settled else "",
                )
                for item in detail.findings
            ),
        )
