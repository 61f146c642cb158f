"""`hansa devnet`: an alliance on this machine, for trying, developing and testing."""

import asyncio
from pathlib import Path

import click
import msgspec

from hansa.cli.acting import Acting, acting, warn_of_bare_keys
from hansa.cli.local_alliance import OWN_HDFS, LocalAlliance
from hansa.cli.show import print_table
from hansa.errors import InvalidError

_folder = click.option(
    "--dir",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the devnet; it holds everything, members, keys and stores.",
)


@click.group()
def devnet() -> None:
    """Run an alliance on this machine, in one folder."""


@devnet.command(
    "up",
    epilog="""\b
Examples:
  hansa devnet up --dir city --organisations transport,health,safety,energy
  hansa devnet up --dir city                       (resumes it)
  hansa devnet up --dir city --organisations north,south --store hdfs
""",
)
@_folder
@click.option("--organisations", help="Names, comma-separated; for a new devnet.")
@click.option(
    "--super-nodes",
    type=click.IntRange(min=1),
    help="Seats: 1, 4, 7, …; default 4, or 1 for fewer than 4.",
)
@click.option(
    "--store",
    default="file",
    show_default=True,
    help="file, hdfs (a real one, started in the folder), or a store URL.",
)
@acting
def up(
    acting: Acting, folder: Path, organisations: str | None, super_nodes: int | None, store: str
) -> None:
    """Start an alliance: one node process for each organisation, super nodes elected, profiles made."""
    url = store_url(store)
    if LocalAlliance.exists(folder):
        alliance = LocalAlliance.open(folder)
        _refuse_change(alliance, organisations, super_nodes)
    else:
        names = [name.strip() for name in (organisations or "").split(",") if name.strip()]
        if not names:
            raise click.UsageError("A new devnet needs --organisations.")
        warn_of_bare_keys()
        seats = super_nodes or (4 if len(names) >= 4 else 1)
        alliance = LocalAlliance.create(folder, names, seats, url)
    replaced = alliance.install_profiles()
    for name in [] if acting.as_json else replaced:
        click.echo(f"The profile {name} of another devnet is replaced by this one's.", err=True)
    asyncio.run(alliance.up(lambda text: None if acting.as_json else click.echo(text)))
    _show(acting, alliance, replaced_profiles=replaced)
    if not acting.as_json:
        first = alliance.state.organisations[0]
        click.echo(f"\nTry: hansa --profile {first} alliance status")


@devnet.command("down", epilog="\b\nExample:\n  hansa devnet down --dir city")
@_folder
@acting
def down(acting: Acting, folder: Path) -> None:
    """Stop the nodes of a devnet, and its HDFS; the folder stays, `devnet up` resumes it."""
    alliance = LocalAlliance.open(folder)
    stopped = alliance.stop()
    if acting.as_json:
        acting.print_json({"stopped": stopped})
    else:
        hdfs = " HDFS is stopped." if alliance.hdfs is not None else ""
        click.echo(f"{stopped} node{'' if stopped == 1 else 's'} stopped.{hdfs}")


@devnet.command("status", epilog="\b\nExample:\n  hansa devnet status --dir city --json")
@_folder
@acting
def status(acting: Acting, folder: Path) -> None:
    """Show which nodes of a devnet run."""
    _show(acting, LocalAlliance.open(folder))


def store_url(store: str) -> str:
    """Return where the members store, as `DevnetState.store` has it: a root of its own for each.

    Raises:
        InvalidError: not a store.
    """
    if store == "file":
        return ""
    if store == OWN_HDFS or store.startswith(("file:///", "hdfs://")):
        return store
    raise InvalidError(
        f"{store!r} is no store.",
        remedy="Use file, hdfs, or a URL: file:///FOLDER, hdfs://HOST:PORT/FOLDER.",
    )


def _refuse_change(
    alliance: LocalAlliance, organisations: str | None, super_nodes: int | None
) -> None:
    state = alliance.state
    named = [name.strip() for name in (organisations or "").split(",") if name.strip()]
    if (named and named != state.organisations) or (
        super_nodes is not None and super_nodes != state.super_nodes
    ):
        raise InvalidError(
            f"This folder holds a devnet of {', '.join(state.organisations)} with "
            f"{state.super_nodes} super nodes.",
            remedy="Resume it without --organisations and --super-nodes, or choose a new folder.",
        )


def _show(acting: Acting, alliance: LocalAlliance, **more: object) -> None:
    views = alliance.views()
    if acting.as_json:
        acting.print_json(
            {
                "dir": str(alliance.folder),
                "genesis": str(alliance.folder / "genesis.hansa"),
                "super_nodes": alliance.state.super_nodes,
                "members": [msgspec.to_builtins(view) for view in views],
                "hdfs": msgspec.to_builtins(alliance.hdfs.view()) if alliance.hdfs else None,
                **more,
            }
        )
        return
    print_table(
        ("organisation", "profile", "node", "pid"),
        (
            (
                v.organisation,
                v.profile if v.profile_is_ours else f"{v.profile} (not this devnet's)",
                v.node_url,
                v.pid or "stopped",
            )
            for v in views
        ),
    )
    if alliance.hdfs is not None:
        found = alliance.hdfs.view()
        what = (
            f"{found.datanodes_live} of {found.datanodes} DataNodes" if found.running else "stopped"
        )
        click.echo(f"HDFS {found.url}: {what}")
