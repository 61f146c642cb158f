"""`hansa node`: run the own organisation's node, and ask it how it is."""

from pathlib import Path

import click

from hansa import rest
from hansa.cli.acting import Acting, acting
from hansa.cli.show import print_fields


@click.group()
def node() -> None:
    """Run this organisation's node."""


@node.command("start", epilog="\b\nExample:\n  hansa node start --dir /srv/hansa/node")
@click.option(
    "--dir",
    "folder",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The node's folder, made by `alliance join` or `devnet up`.",
)
@acting
def start(acting: Acting, folder: Path) -> None:  # noqa: ARG001 - the frame gives it to all
    """Run the node in the foreground until SIGTERM or Ctrl-C."""
    from hansa.bootstrap import run_node  # noqa: PLC0415 - heavy, and only this command needs it

    raise SystemExit(run_node(folder))


@node.command("status", epilog="\b\nExample:\n  hansa node status")
@acting
def status(acting: Acting) -> None:
    """Show whether the own node is well, and if not, why."""
    health, view = acting.run(_ask)
    if acting.as_json:
        acting.print_json({"health": health, "node": view})
        return
    print_fields(
        (
            ("ready", "yes" if health.ready else "no"),
            ("because", health.reasons),
            ("organisation", view.organisation),
            ("version", view.version),
            ("height", view.height),
            ("index height", view.index_height),
            ("super node", "yes" if view.is_super_node else "no"),
            ("peers reached", f"{sum(p.connected for p in view.peers)} of {len(view.peers)}"),
            ("up", f"{view.uptime_ms / 1000:.0f} s"),
            ("node key", view.node_key),
        )
    )


async def _ask(client: object) -> tuple[rest.Health, rest.NodeStatus]:
    from hansa.client.client import HansaClient  # noqa: PLC0415 - for the type alone

    assert isinstance(client, HansaClient)
    return await client.health(), await client.get("/v1/status", rest.NodeStatus)
