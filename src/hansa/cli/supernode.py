"""`hansa supernode`: who agrees on blocks, and the votes that elect them."""

import click

from hansa import rest
from hansa.cli.acting import Acting, acting
from hansa.cli.preflight import anyway_option, check_quorum
from hansa.cli.show import print_fields, print_table
from hansa.cli.waiting import print_settled, wait_option


@click.group()
def supernode() -> None:
    """See super nodes and vote for them."""


@supernode.command("ls", epilog="\b\nExample:\n  hansa supernode ls")
@acting
def ls(acting: Acting) -> None:
    """List the super nodes and the tally of the next election."""
    view = acting.run(lambda client: client.get("/v1/super-nodes", rest.SuperNodesView))
    if acting.as_json:
        acting.print_json(view)
        return
    print_fields(
        (
            ("epoch", f"{view.epoch}, ends at height {view.epoch_ends_at}"),
            ("seats", view.seats),
            ("bears faults", view.faults),
            ("quorum", view.quorum),
            ("lead that takes a seat", view.lead),
        )
    )
    weights = {item.organisation: item.weight for item in view.candidates}
    print_table(
        ("organisation", "super node", "elected next", "votes", "from", "there"),
        (
            (
                item.organisation,
                "yes" if item.is_super_node else "",
                "yes" if item.is_next else "",
                item.votes,
                ", ".join(_weighed(name, weights.get(name, 1)) for name in item.voters),
                _presence(item),
            )
            for item in view.candidates
        ),
    )


def _weighed(name: str, weight: int) -> str:
    """Return a voter, with the weight of its vote where that is more than one."""
    return name if weight == 1 else f"{name} ×{weight}"


def _presence(item: rest.CandidateView) -> str:
    """Return how often a super node was there in this epoch, of how often it was owed."""
    if not item.owed:
        return ""
    text = f"voted {item.voted}, erased {item.acknowledged} of {item.owed}"
    return f"{text}: sits out" if item.sits_out else text


@supernode.command(
    "vote", epilog="\b\nExample:\n  hansa supernode vote transport health safety energy"
)
@click.argument("organisations", nargs=-1)
@click.option("--withdraw", is_flag=True, help="Take the organisation's vote back.")
@anyway_option
@wait_option
@acting
def vote(
    acting: Acting, organisations: tuple[str, ...], withdraw: bool, anyway: bool, wait: bool
) -> None:
    """Approve of organisations as super nodes; replaces the own organisation's earlier vote.

    Refused where it would elect a set of whose nodes, as seen from the own one, too few are up.
    """
    if withdraw == bool(organisations):
        raise click.UsageError("Name at least one organisation, or --withdraw.")
    if not anyway:
        check_quorum(acting, vote=organisations)
    status = acting.run(lambda client: client.vote_super_nodes(organisations, wait=wait))
    print_settled(acting, status)
