"""The look at the quorum before a vote or a ballot is signed."""

from hansa import rest
from tests.unit.cli.conftest import Desk, committed

PATH = "/v1/super-nodes/preflight"
STOP = rest.PreflightView(["health"], ["2 would be left and 3 are needed."])


def test_what_could_stop_the_alliance_is_not_sent(desk: Desk) -> None:
    """Exit code 6, the reason is told, nothing is signed; --anyway does not even ask."""
    desk.answers[PATH] = STOP
    done = desk("supernode", "vote", "health", "safety")
    assert done.exit_code == 6
    assert "2 would be left and 3 are needed." in done.stderr
    assert "--anyway" in done.stderr
    assert desk("organisation", "suspend", "water", "--reason", "x").exit_code == 6
    asked = [(PATH, ({"vote": "health,safety"},), {}), (PATH, ({"suspend": "water"},), {})]
    assert desk.client.calls == asked
    desk.answers["vote_super_nodes"] = committed()
    desk.json("supernode", "vote", "health", "safety", "--anyway")
    assert [name for name, *_ in desk.client.calls[2:]] == ["vote_super_nodes"]
