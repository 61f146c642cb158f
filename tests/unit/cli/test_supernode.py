"""`hansa supernode`: the present set, the tally, a vote or its withdrawal."""

from hansa import rest
from tests.unit.cli.conftest import TX, Desk, committed

VIEW = rest.SuperNodesView(
    epoch=2, epoch_ends_at=24, seats=4, faults=1, quorum=3,
    candidates=[
        rest.CandidateView(
            organisation="safety", votes=2, voters=["health", "safety"], is_super_node=True,
            is_next=False, owed=4, acknowledged=3, voted=1, sits_out=True, weight=2,
        )
    ],
    lead=3,
)  # fmt: skip


def test_ls(desk: Desk) -> None:
    """Seats, quorum, who voted for whom."""
    desk.answers["/v1/super-nodes"] = VIEW
    text = desk("supernode", "ls").stdout
    assert "2, ends at height 24" in text
    assert "health, safety ×2" in text
    assert "lead that takes a seat" in text
    assert "voted 1, erased 3 of 4: sits out" in text
    assert desk.json("supernode", "ls")["candidates"][0]["votes"] == 2


def test_vote(desk: Desk) -> None:
    """Names go as they are given; nothing and both are wrong usage."""
    desk.answers["vote_super_nodes"] = committed()
    desk.answers["/v1/super-nodes/preflight"] = rest.PreflightView(["health"], [])
    assert desk.json("supernode", "vote", "safety", "health")["transaction"] == TX
    assert desk.client.calls[1][1] == (("safety", "health"),)
    desk.json("supernode", "vote", "--withdraw", "--no-wait")
    assert desk.client.calls[3][1:] == (((),), {"wait": False})
    assert desk("supernode", "vote").exit_code == 2
    assert desk("supernode", "vote", "safety", "--withdraw").exit_code == 2
    assert len(desk.client.calls) == 4
