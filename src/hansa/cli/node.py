"""`hansa node`: run the own organisation's node, and ask it how it is."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hansa import rest
from hansa.cli.acting import Acting, acting, ask_passphrase
from hansa.cli.show import print_fields
from hansa.keyfile import is_protected
from hansa.node.config import KEY_FILE, PASSPHRASE_VARIABLE, load_config, read_passphrase

if TYPE_CHECKING:
    from hansa.client.client import HansaClient


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
@click.option(
    "--checkpoint",
    default="",
    help="HEIGHT:DIGEST of a block on the chain: a new node takes a snapshot, not all blocks.",
)
@acting
def start(acting: Acting, folder: Path, checkpoint: str) -> None:  # noqa: ARG001 - the frame gives it to all
    """Run the node in the foreground until SIGTERM or Ctrl-C."""
    # Heavy, and only this command needs it.
    from hansa.bootstrap.running import run_node  # noqa: PLC0415

    _ask_for_passphrase(folder)
    raise SystemExit(run_node(folder, checkpoint))


def _ask_for_passphrase(folder: Path) -> None:
    """Ask at a terminal if the node's key needs a passphrase and none is set."""
    key = folder / KEY_FILE
    if not key.exists() or not is_protected(key):
        return
    if read_passphrase(load_config(folder), folder) is None and (typed := ask_passphrase()):
        # The node and its store read it from there; the process's own environment is shown to nobody.
        os.environ[PASSPHRASE_VARIABLE] = typed.decode()


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


@node.command("why", epilog="\b\nExample:\n  hansa node why")
@acting
def why(acting: Acting) -> None:
    """Say why there is no new block, and the safe thing to do."""
    view = acting.run(lambda client: client.get("/v1/progress", rest.ProgressView))
    if acting.as_json:
        acting.print_json(view)
        return
    print_fields(
        (
            ("why", view.explanation),
            ("do", view.remedy),
            ("height, round, step", f"{view.height}, {view.round}, {view.step}"),
            ("master", view.master or "unknown"),
            (
                "last block",
                f"{view.last_block_ms / 1000:.0f} s ago" if view.last_block_ms else "none",
            ),
            ("reviewed", f"{len(view.reviewed)} of {view.quorum} needed: {_list(view.reviewed)}"),
            (
                "confirmed",
                f"{len(view.confirmed)} of {view.quorum} needed: {_list(view.confirmed)}",
            ),
            ("not reached", _list(view.unreachable)),
            ("passed over", view.absence or "none"),
            ("own transactions waiting", view.unsettled_submissions),
        )
    )


def _list(names: list[str]) -> str:
    return ", ".join(names) or "none"


async def _ask(client: "HansaClient") -> tuple[rest.Health, rest.NodeStatus]:
    return await client.health(), await client.get("/v1/status", rest.NodeStatus)
