"""`hansa organisation`: members, and ballots that are refused early where they cannot be right."""

from pathlib import Path

from hansa import rest
from hansa.cli.founding import Place, create_member
from hansa.system import SystemEntropy
from tests.unit.cli.conftest import Desk, committed

VIEW = rest.OrganisationView(
    name="water", title="Water works", status="active", node_key="ab" * 32, peer_address="w:1",
    api_url="https://water.example:7401", is_super_node=True, users=2, datasets=5, ballots=0, expelled_height=0,
)  # fmt: skip


def test_ls(desk: Desk) -> None:
    """Names, state, where the node is."""
    desk.answers["/v1/organisations"] = [VIEW]
    text = desk("organisation", "ls").stdout
    assert "Water works" in text
    assert "https://water.example:7401" in text
    assert desk.json("organisation", "ls")[0]["status"] == "active"


def test_admit_takes_a_candidate_file(desk: Desk, tmp_path: Path) -> None:
    """The file's bytes go to the client, and the name of whom it is about is told."""
    place = Place("127.0.0.1:1", "127.0.0.1:2")
    create_member(tmp_path / "water", "water", "Water", place, entropy=SystemEntropy())
    file = tmp_path / "water" / "water.candidate"
    desk.answers["admit"] = committed()
    assert desk.json("organisation", "admit", file)["organisation"] == "water"
    assert desk.client.calls[0][1] == (file.read_bytes(),)


def test_admit_refuses_what_is_no_candidate(desk: Desk, tmp_path: Path) -> None:
    """Exit code 3, the file is named, nothing is sent."""
    file = tmp_path / "stops.csv"
    file.write_text("id\n1\n")
    done = desk("organisation", "admit", file)
    assert done.exit_code == 3
    assert f"{file} is no candidate file" in done.stderr
    assert desk.client.calls == []


def test_suspend_needs_a_reason(desk: Desk) -> None:
    """The ballot names the member and a public reason."""
    desk.answers["suspend"] = committed()
    desk.answers["/v1/super-nodes/preflight"] = rest.PreflightView([], [])
    assert desk("organisation", "suspend", "water").exit_code == 2
    told = desk.json("organisation", "suspend", "water", "--reason", "key lost")
    assert told["organisation"] == "water"
    assert desk.client.calls[1][1] == ("water", "key lost")
