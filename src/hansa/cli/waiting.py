"""--wait and --no-wait, and how the end of a write is told."""

import click

from hansa import rest
from hansa.cli.acting import Acting
from hansa.cli.show import bytes_text, print_fields

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
    where = f" in block {status.height}" if status.height else ""
    told = [(name.replace("_", " "), _text(name, value)) for name, value in more.items()]
    print_fields([*told, ("transaction", status.transaction), ("status", status.status + where)])
    if not status.height:
        click.echo(f"Sent. See how it ends: hansa tx show {status.transaction}")


def _text(name: str, value: object) -> str:
    if isinstance(value, int) and name.startswith("bytes_"):
        return bytes_text(value)
    return str(value)
