"""`hansa access`: requests for other organisations' data, and what their owners decide."""

import click

from hansa.cli.acting import Acting, acting
from hansa.cli.show import print_table, time_text
from hansa.cli.values import ID, TO
from hansa.cli.waiting import print_settled, wait_option


@click.group()
def access() -> None:
    """Request, grant, deny and revoke access."""


@access.command(
    "request",
    epilog="\b\nExample:\n  hansa access request DATASET --purpose 'heat plan for schools'",
)
@click.argument("dataset", type=ID)
@click.option(
    "--purpose",
    required=True,
    help="Why. A word of the vocabulary (planning, operations, emergency, research, statistics,"
    " public-service, maintenance, audit) is public; other text is confidential: only super nodes"
    " and the owner read it.",
)
@click.option("--code", default="", help="Public purpose word beside a confidential text.")
@click.option("--contact", default="", help="Whom the owner may ask; confidential.")
@wait_option
@acting
def request(
    acting: Acting, dataset: str, purpose: str, code: str, contact: str, wait: bool
) -> None:
    """Ask for a dataset; a grant is for the user who asks. Prints the id of the request."""
    asked = acting.run(
        lambda client: client.request_access(
            bytes.fromhex(dataset), purpose=purpose, code=code, contact=contact, wait=wait
        )
    )
    print_settled(acting, asked.status, request=asked.request.hex(), dataset=dataset)


@access.command("ls", epilog="\b\nExample:\n  hansa access ls --role owner --status open")
@click.option(
    "--role",
    type=click.Choice(["owner", "requester", "all"]),
    default="all",
    show_default=True,
    help="Requests for the own data, by the own organisation, or both.",
)
@click.option("--status", type=click.Choice(["open", "granted", "denied", "revoked", "expired"]))
@acting
def ls(acting: Acting, role: str, status: str | None) -> None:
    """List requests; owners' officers see the confidential purpose opened."""
    requests = acting.run(lambda client: client.list_requests(role=role))
    shown = [item for item in requests if status in (None, item.view.status)]
    if acting.as_json:
        acting.print_json(shown)
        return
    print_table(
        ("request", "dataset", "from", "purpose", "status", "at (UTC)"),
        (
            (
                item.view.id,
                f"{item.view.dataset_title} ({item.view.owner})",
                f"{item.view.requester_name} ({item.view.organisation})",
                item.justification or item.view.purpose,
                item.view.status,
                time_text(item.view.time_ms),
            )
            for item in shown
        ),
        none="no requests",
    )


@access.command("grant", epilog="\b\nExample:\n  hansa access grant REQUEST --until 2027-01-01")
@click.argument("request", type=ID)
@click.option("--until", type=TO, default=0, help="The grant ends then; default: no end.")
@wait_option
@acting
def grant(acting: Acting, request: str, until: int, wait: bool) -> None:
    """Grant a request to the user who asked, for its keys alone. Prints the dataset's id."""
    granted = acting.run(
        lambda client: client.grant_access(bytes.fromhex(request), expires_ms=until, wait=wait)
    )
    print_settled(
        acting, granted.status, request=request, grant=request, dataset=granted.dataset.hex()
    )


@access.command("deny", epilog="\b\nExample:\n  hansa access deny REQUEST --reason 'not needed'")
@click.argument("request", type=ID)
@click.option("--reason", required=True, help="Public reason; it stays on the chain.")
@wait_option
@acting
def deny(acting: Acting, request: str, reason: str, wait: bool) -> None:
    """Deny a request."""
    status = acting.run(
        lambda client: client.deny_access(bytes.fromhex(request), reason, wait=wait)
    )
    print_settled(acting, status, request=request)


@access.command("revoke", epilog="\b\nExample:\n  hansa access revoke REQUEST --reason 'over'")
@click.argument("request", type=ID)
@click.option("--reason", required=True, help="Public reason; it stays on the chain.")
@wait_option
@acting
def revoke(acting: Acting, request: str, reason: str, wait: bool) -> None:
    """End a grant: reads stop with the block."""
    status = acting.run(
        lambda client: client.revoke_access(bytes.fromhex(request), reason, wait=wait)
    )
    print_settled(acting, status, request=request)
