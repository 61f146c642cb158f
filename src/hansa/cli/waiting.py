"""--wait and --no-wait, and how the end of a write is told."""

import click

from hansa import rest
from hansa.cli.acting import Acting

wait_option = click.option(
    "--wait/--no-wait", default=True, help="Wait for the block (default), or only send."
)


def print_settled(acting: Acting, status: rest.TransactionStatus, **more: object) -> None:
    """Print where a write stands, with the ids that the next command takes."""
    if acting.as_json:
        acting.print_json(
            {**more, "transaction": status.transaction, "status": status.status}
            | ({"height": status.height} if status.height else {})
        )
        return
    for name, value in more.items():
        click.echo(f"{name.replace('_', ' ')}: {value}")
    where = f" in block {status.height}" if status.height else ""
    click.echo(f"transaction {status.transaction}: {status.status}{where}")
