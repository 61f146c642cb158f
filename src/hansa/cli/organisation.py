"""`hansa organisation`: members, and the ballots that admit and suspend them."""

from pathlib import Path

import click

from hansa import rest
from hansa.cli.acting import Acting, acting
from hansa.cli.founding import read_candidate
from hansa.cli.preflight import anyway_option, check_quorum
from hansa.cli.show import print_table
from hansa.cli.waiting import print_settled, wait_option


@click.group()
def organisation() -> None:
    """See, admit and suspend members."""


@organisation.command("ls", epilog="\b\nExample:\n  hansa organisation ls --json")
@acting
def ls(acting: Acting) -> None:
    """List the members of the alliance."""
    members = acting.run(
        lambda client: client.get("/v1/organisations", list[rest.OrganisationView])
    )
    if acting.as_json:
        acting.print_json(members)
        return
    print_table(
        ("name", "title", "status", "super node", "users", "datasets", "ballots", "node"),
        (
            (
                item.name,
                item.title,
                _standing(item),
                "yes" if item.is_super_node else "",
                item.users,
                item.datasets,
                item.ballots or "",
                item.api_url,
            )
            for item in members
        ),
    )


def _standing(item: rest.OrganisationView) -> str:
    """Return a member's status in words."""
    if not item.expelled_height:
        return item.status
    return f"{item.status}, expelled from the election at height {item.expelled_height}"


@organisation.command("admit", epilog="\b\nExample:\n  hansa organisation admit water.candidate")
@click.argument("candidate", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@wait_option
@acting
def admit(acting: Acting, candidate: Path, wait: bool) -> None:
    """Cast the own organisation's ballot for admitting a candidate (file from `alliance join`).

    The candidate is a member once more than half of the active organisations have voted for it.
    """
    data = candidate.read_bytes()
    found = read_candidate(candidate)  # refused here, before anything is sent
    status = acting.run(lambda client: client.admit(data, wait=wait))
    print_settled(acting, status, organisation=found.name)


@organisation.command(
    "suspend", epilog="\b\nExample:\n  hansa organisation suspend water --reason 'key lost'"
)
@click.argument("name")
@click.option("--reason", required=True, help="Public reason; it stays on the chain.")
@anyway_option
@wait_option
@acting
def suspend(acting: Acting, name: str, reason: str, anyway: bool, wait: bool) -> None:
    """Cast the own organisation's ballot for suspending a member.

    It is suspended once more than half of the other active organisations have voted for it. Refused
    where too few super nodes would be left, or are up as seen from the own node.
    """
    if not anyway:
        check_quorum(acting, suspend=name)
    status = acting.run(lambda client: client.suspend(name, reason, wait=wait))
    print_settled(acting, status, organisation=name)
