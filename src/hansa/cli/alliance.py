"""`hansa alliance`: found one, join one, see how it is."""

from pathlib import Path

import click
import msgspec

from hansa import rest
from hansa.chain.genesis import FULL, ElectionRules, VoteWeight
from hansa.cli.acting import Acting, acting, warn_of_bare_keys
from hansa.cli.founding import Place, complete_member, create_member, found_alliance, read_candidate
from hansa.cli.show import print_fields, print_table
from hansa.client.profile import list_profiles, passphrase_from_environment, profile_path
from hansa.codec import encode
from hansa.errors import ConflictError
from hansa.system import SystemClock, SystemEntropy
from hansa.types import OrganisationName


@click.group()
def alliance() -> None:
    """Found, join and look at an alliance."""


@alliance.command(
    "init",
    epilog="""\b
Example:
  hansa alliance init --name "Our city" --super-nodes 4 -o genesis.hansa *.candidate
""",
)
@click.argument(
    "candidates",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--name", required=True, help="Name of the alliance, for people.")
@click.option("--super-nodes", type=int, default=4, show_default=True, help="1, 4, 7, … seats.")
@click.option(
    "--epoch-blocks",
    type=int,
    default=FULL.epoch_blocks,
    show_default=True,
    help="Blocks of an epoch, a multiple of the super nodes; votes count at its end.",
)
@click.option(
    "--lead",
    type=int,
    default=1,
    show_default=True,
    help="By how many votes a challenger must lead a sitting super node to take its seat.",
)
@click.option(
    "--weight",
    "weights",
    multiple=True,
    metavar="NAME=N",
    help="A founder's vote for super nodes counts N times, up to --weight-cap; else once.",
)
@click.option(
    "--weight-cap", type=int, default=1, show_default=True, help="No vote counts more than this."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("genesis.hansa"),
    show_default=True,
    help="File to write; one that is there is kept.",
)
@acting
def init(
    acting: Acting,
    candidates: tuple[Path, ...],
    name: str,
    super_nodes: int,
    epoch_blocks: int,
    lead: int,
    weights: tuple[str, ...],
    weight_cap: int,
    output: Path,
) -> None:
    """Make the genesis from the founders' candidate files (from `alliance join`)."""
    if output.exists():
        raise ConflictError(f"{output} exists.", remedy="Name another file with --output.")
    parameters = msgspec.structs.replace(FULL, super_nodes=super_nodes, epoch_blocks=epoch_blocks)
    genesis = found_alliance(
        name,
        [read_candidate(path) for path in candidates],
        parameters,
        clock=SystemClock(),
        rules=ElectionRules(_weights(weights), weight_cap, lead),
    )
    output.write_bytes(encode(genesis))
    told = {
        "alliance": genesis.digest().hex(),
        "genesis": str(output),
        "organisations": [item.name for item in genesis.organisations],
        "super_nodes": list(genesis.super_nodes),
    }
    if acting.as_json:
        acting.print_json(told)
    else:
        print_fields(told.items())
        click.echo(
            "Give every founder a copy; each runs `hansa alliance join --dir D --genesis …`."
        )


def _weights(given: tuple[str, ...]) -> tuple[VoteWeight, ...]:
    """Return NAME=N options, sorted by name; whether they make sense is the genesis' to say."""
    found = []
    for text in given:
        name, _, number = text.partition("=")
        if not number.isdecimal():
            raise click.UsageError(f"--weight takes NAME=N, not {text!r}.")
        found.append(VoteWeight(OrganisationName(name), int(number)))
    return tuple(sorted(found, key=lambda item: item.organisation))


@alliance.command(
    "join",
    epilog="""\b
Examples:
  hansa alliance join --organisation water --title "Water works" \\
      --peer water.example:7400 --api water.example:7401 --dir /srv/hansa
  hansa alliance join --dir /srv/hansa --genesis genesis.hansa
""",
)
@click.option(
    "--dir",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The member's folder: its node, its first user's keys, its candidate file.",
)
@click.option("--organisation", help="Name of the member: lower-case letters, digits, hyphens.")
@click.option("--title", help="Its name for people.")
@click.option("--peer", help="host:port where its node is reached by other nodes.")
@click.option("--api", help="host:port where its node is reached by its own users.")
@click.option("--listen-peer", default="", help="host:port to bind, if other than --peer.")
@click.option("--listen-api", default="", help="host:port to bind, if other than --api.")
@click.option("--store", default="", help="Store URL, file:///…; default: inside the folder.")
@click.option(
    "--genesis",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The alliance's genesis file: completes the member and makes its profile.",
)
@acting
def join(
    acting: Acting,
    folder: Path,
    organisation: str | None,
    title: str | None,
    peer: str | None,
    api: str | None,
    listen_peer: str,
    listen_api: str,
    store: str,
    genesis: Path | None,
) -> None:
    """Make a member with fresh keys, or give one its genesis; both at once if all is given.

    Keys are protected by the passphrase in HANSA_PASSPHRASE, or, without one, by file modes alone.
    """
    told: dict[str, object] = {"folder": str(folder)}
    if organisation:
        if not (peer and api):
            raise click.UsageError("A new member needs --peer and --api.")
        warn_of_bare_keys()
        place = Place(peer, api, store, listen_peer, listen_api)
        create_member(
            folder,
            organisation,
            title or organisation,
            place,
            entropy=SystemEntropy(),
            passphrase=passphrase_from_environment(),
        )
        told["candidate"] = str(folder / f"{organisation}.candidate")
    elif genesis is None:
        raise click.UsageError("Give --organisation for a new member, or --genesis, or both.")
    if genesis is not None:
        told |= _complete(folder, genesis)
    if acting.as_json:
        acting.print_json(told)
    else:
        print_fields(told.items())


def _complete(folder: Path, genesis: Path) -> dict[str, object]:
    """Complete a member; its profile also goes among the named ones unless the name is taken."""
    profile = complete_member(folder, genesis.read_bytes())
    told: dict[str, object] = {
        "alliance": profile.alliance.hex(),
        "profile": str(folder / "profile.toml"),
        "start": f"hansa node start --dir {folder / 'node'}",
    }
    if profile.name not in list_profiles():
        complete_member(folder, genesis.read_bytes(), profile_path(profile.name))
        told["profile"] = profile.name
    return told


@alliance.command("status", epilog="\b\nExample:\n  hansa alliance status --json")
@acting
def status(acting: Acting) -> None:
    """Show the alliance as the own node sees it: height, master, super nodes, who is reached."""
    view = acting.run(lambda client: client.get("/v1/status", rest.NodeStatus))
    if acting.as_json:
        acting.print_json(view)
        return
    print_fields(
        (
            ("alliance", f"{view.alliance_name} ({view.alliance})"),
            ("own organisation", view.organisation),
            ("height", view.height),
            ("tip", view.tip),
            ("epoch", f"{view.epoch} ({view.epoch_blocks} blocks each)"),
            ("next master", f"{view.master} (round {view.round})"),
            ("super nodes", view.super_nodes),
            ("synced", "yes" if view.is_synced else "no"),
            ("pending transactions", str(view.pending_transactions)),
            ("copies held", str(view.copies_held)),
        )
    )
    print_table(
        ("node", "reached", "height", "address"),
        (
            (item.organisation, "yes" if item.connected else "no", item.height, item.address)
            for item in view.peers
        ),
        none="no other nodes",
    )
