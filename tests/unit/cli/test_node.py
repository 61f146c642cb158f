"""`hansa node`: starting a folder, asking for a passphrase only where one is needed, the node's health."""

from pathlib import Path

import pytest

import hansa.bootstrap.running
from hansa import rest
from hansa.cli import node
from hansa.cli.founding import Place, create_member, found_alliance, read_candidate
from hansa.codec import encode
from hansa.node.folder import install_genesis
from hansa.system import SystemClock, SystemEntropy
from tests.unit.cli.conftest import Desk
from tests.unit.cli.test_alliance import STATUS
from tests.unit.cli.test_founding import ONE

PASSPHRASE = b"long enough"


def _node(folder: Path, passphrase: bytes | None) -> Path:
    place = Place("127.0.0.1:1", "127.0.0.1:2")
    create_member(folder, "water", "Water", place, entropy=SystemEntropy(), passphrase=passphrase)
    return folder / "node"


def test_start_runs_the_folder_and_leaves_with_its_code(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is the node's process."""
    ran: list[Path] = []
    monkeypatch.setattr(
        hansa.bootstrap.running, "run_node", lambda folder, checkpoint: ran.append(folder) or 7
    )
    folder = _node(tmp_path / "m", None)
    assert desk("node", "start", "--dir", folder).exit_code == 7
    assert ran == [folder]
    assert desk("node", "start", "--dir", tmp_path / "none").exit_code == 2


def test_a_folder_without_a_node(desk: Desk, tmp_path: Path) -> None:
    """An empty folder is told, with what to do; no trace of the program."""
    done = desk("node", "start", "--dir", tmp_path)
    assert done.exit_code == 5
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("protected", [True, False])
def test_the_passphrase_is_asked_for_if_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protected: bool
) -> None:
    """A bare key asks for nothing; a protected one has what was typed."""
    asked: list[bytes] = []
    monkeypatch.delenv("HANSA_PASSPHRASE", raising=False)
    monkeypatch.setattr(node, "ask_passphrase", lambda: asked.append(PASSPHRASE) or PASSPHRASE)
    monkeypatch.setenv("HANSA_PASSPHRASE", "")  # so that what is set here is taken back afterwards
    node._ask_for_passphrase(_node(tmp_path / "m", PASSPHRASE if protected else None))
    assert asked == ([PASSPHRASE] if protected else [])


def test_without_terminal_and_passphrase(desk: Desk, tmp_path: Path) -> None:
    """A protected key and nobody to ask: exit code 4, and how to give it."""
    folder = _node(tmp_path / "m", PASSPHRASE)
    candidate = read_candidate(tmp_path / "m" / "water.candidate")
    genesis = found_alliance("City", [candidate], ONE, clock=SystemClock())
    install_genesis(folder, encode(genesis))
    done = desk("node", "start", "--dir", folder)
    assert done.exit_code == 4
    assert "HANSA_PASSPHRASE" in done.stderr


def test_status_tells_why_it_is_not_ready(desk: Desk) -> None:
    """Reasons in words; both parts in JSON."""
    desk.answers |= {
        "health": rest.Health(ready=False, reasons=["no quorum reached"]),
        "/v1/status": STATUS,
    }
    text = desk("node", "status").stdout
    assert "no quorum reached" in text
    assert "0 of 1" in text
    told = desk.json("node", "status")
    assert told["health"] == {"ready": False, "reasons": ["no quorum reached"]}
    assert told["node"]["height"] == 9


def test_why_there_is_no_block(desk: Desk) -> None:
    """The sentence first, then what to do; all of it in JSON."""
    view = rest.ProgressView(
        cause="no-quorum",
        explanation="Only 2 of 4 super nodes are reached.",
        remedy="Start the others.",
        needs_attention=True,
        height=7,
        round=3,
        step="confirm",
        master="",
        quorum=3,
        super_nodes=["a", "b", "c", "d"],
        reviewed=["a", "b"],
        confirmed=[],
        unreachable=["c", "d"],
        absent=[rest.AbsenceView(organisation="d", since=3, until=8, is_heard=False)],
        absence="d is passed over as master since height 3.",
        locked_round=-1,
        waiting_transactions=1,
        unsettled_submissions=1,
        last_block_ms=61_000,
    )
    desk.answers |= {"/v1/progress": view}
    text = desk("node", "why").stdout
    for told in (
        "Only 2 of 4",
        "Start the others",
        "2 of 3 needed: a, b",
        "c, d",
        "61 s ago",
        "d is passed over",
    ):
        assert told in text
    told = desk.json("node", "why")
    assert ("no-quorum", "d") == (told["cause"], told["absent"][0]["organisation"])
