"""--anyway, and the look at the quorum before a vote or a ballot is signed (`node.preflight`)."""

import click

from hansa import rest
from hansa.cli.acting import Acting
from hansa.errors import ConflictError

anyway_option = click.option(
    "--anyway", is_flag=True, help="Send it even if it could cost the quorum."
)


def check_quorum(acting: Acting, *, vote: tuple[str, ...] = (), suspend: str = "") -> None:
    """Ask the own node what a vote (none: withdrawn) or a suspension would do to the quorum.

    Raises:
        ConflictError: blocks could stop; says whose nodes would be wanting.
    """
    query = {"suspend": suspend} if suspend else {"vote": ",".join(vote)}
    found = acting.run(
        lambda client: client.get("/v1/super-nodes/preflight", rest.PreflightView, query)
    )
    if found.objections:
        raise ConflictError(
            "This could stop the alliance. " + " ".join(found.objections),
            remedy="Have those nodes started first (`hansa alliance status` shows who is reached),"
            " or name others; --anyway sends it nevertheless.",
        )
