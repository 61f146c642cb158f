"""`hansa alliance`: the way from candidate files to a genesis and to members, on real files."""

import json
from pathlib import Path

import pytest

from hansa import rest
from hansa.chain.genesis import decode_genesis
from hansa.client.profile import list_profiles
from tests.unit.cli.conftest import Desk

STATUS = rest.NodeStatus(
    alliance="ab" * 32, alliance_name="City", organisation="health", node_key="cd" * 32,
    version="0", height=9, tip="ef" * 32, state_root="aa" * 32, round=0, epoch=1, epoch_blocks=8,
    master="safety", is_super_node=True, is_synced=True, super_nodes=["health", "safety"],
    pending_transactions=0, copies_held=0,
    peers=[rest.PeerView(organisation="safety", connected=False, address="s:1", height=8)],
    index_height=9, uptime_ms=1,
)  # fmt: skip


def _join(desk: Desk, folder: Path, name: str, *more: str | Path) -> Path:
    told = desk.json(
        "alliance", "join", "--organisation", name, "--dir", folder,
        "--peer", "127.0.0.1:7400", "--api", "127.0.0.1:7401", *more,
    )  # fmt: skip
    return Path(told["candidate"])


def _init(desk: Desk, output: Path, *candidates: Path) -> dict[str, object]:
    told = desk.json(
        "alliance", "init", "--name", "City", "--super-nodes", "1", "-o", output, *candidates
    )
    assert isinstance(told, dict)
    return told


def test_from_candidates_to_members(desk: Desk, tmp_path: Path) -> None:
    """Join, init, join again with the genesis: profiles by name, and what to start next."""
    candidates = [_join(desk, tmp_path / name, name) for name in ("water", "parks")]
    made = _init(desk, tmp_path / "genesis.hansa", *candidates)
    assert made["organisations"] == ["parks", "water"]
    assert made["super_nodes"] == ["parks"]
    told = desk.json(
        "alliance", "join", "--dir", tmp_path / "water", "--genesis", tmp_path / "genesis.hansa"
    )
    assert told["alliance"] == made["alliance"]
    assert told["profile"] == "water"
    assert told["start"] == f"hansa node start --dir {tmp_path / 'water' / 'node'}"
    assert list_profiles() == ["water"]


def test_a_taken_profile_name_is_left_alone(desk: Desk, tmp_path: Path) -> None:
    """A second alliance's member of the same name has its profile in its own folder."""
    for folder in ("one", "two"):
        candidate = _join(desk, tmp_path / folder, "water")
        _init(desk, tmp_path / f"{folder}.hansa", candidate)
    first, second = (
        desk.json(
            "alliance", "join", "--dir", tmp_path / folder,
            "--genesis", tmp_path / f"{folder}.hansa",
        )["profile"]
        for folder in ("one", "two")
    )  # fmt: skip
    assert first == "water"
    assert second == str(tmp_path / "two" / "profile.toml")


def test_bare_keys_are_warned_of(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, on standard error, and not where a passphrase is set."""
    words = ("alliance", "join", "--organisation", "water", "--peer", "a:1", "--api", "a:2")
    bare = desk(*words, "--dir", tmp_path / "a")
    assert bare.stderr.count("HANSA_PASSPHRASE") == 1
    monkeypatch.setenv("HANSA_PASSPHRASE", "long enough")
    assert desk(*words, "--dir", tmp_path / "b").stderr == ""


def test_an_existing_genesis_is_kept(desk: Desk, tmp_path: Path) -> None:
    """A second genesis under the same name would be a second alliance."""
    candidate = _join(desk, tmp_path / "m", "water")
    _init(desk, tmp_path / "g", candidate)
    before = (tmp_path / "g").read_bytes()
    again = desk(
        "alliance", "init", "--name", "X", "--super-nodes", "1", "-o", tmp_path / "g", candidate
    )
    assert again.exit_code == 6
    assert (tmp_path / "g").read_bytes() == before


def test_too_few_founders(desk: Desk, tmp_path: Path) -> None:
    """Four seats need four organisations."""
    candidate = _join(desk, tmp_path / "m", "water")
    done = desk("alliance", "init", "--name", "X", "-o", tmp_path / "g", candidate)
    assert done.exit_code == 3
    assert "cannot fill 4 seats" in done.stderr
    assert not (tmp_path / "g").exists()


def test_join_says_what_is_missing(desk: Desk, tmp_path: Path) -> None:
    """Addresses for a new member; an organisation or a genesis at least."""
    lacking = desk("alliance", "join", "--dir", tmp_path / "m", "--organisation", "water", "--json")
    assert lacking.exit_code == 2
    assert "--peer and --api" in json.loads(lacking.stderr)["detail"]
    assert desk("alliance", "join", "--dir", tmp_path / "m").exit_code == 2
    assert not (tmp_path / "m").exists()


def test_status(desk: Desk) -> None:
    """Height, master and who is not reached."""
    desk.answers["/v1/status"] = STATUS
    text = desk("alliance", "status").stdout
    for word in ("City", "safety (round 0)", "health, safety", "no"):
        assert word in text
    assert desk.json("alliance", "status")["height"] == 9


def test_rules_of_election(desk: Desk, tmp_path: Path) -> None:
    """Weights, their cap and the lead stand in the genesis; what makes no sense is refused."""
    founders = [_join(desk, tmp_path / name, name) for name in ("parks", "roads", "water")]
    output = tmp_path / "g"
    words = ("alliance", "init", "--name", "City", "--super-nodes", "1", "-o", output, *founders)
    assert desk(*words, "--weight", "water").exit_code == 2
    refused = desk(*words, "--weight", "water=3")
    assert refused.exit_code == 3
    assert "have no effect" in refused.stderr
    assert desk(*words, "--weight", "water=3", "--weight-cap", "3").exit_code == 3
    assert not output.exists()
    desk.json(
        *words, "--weight", "water=3", "--weight", "roads=2", "--weight-cap", "2", "--lead", "2"
    )
    rules = decode_genesis(output.read_bytes()).election_rules
    assert ({"roads": 2, "water": 2}, 2) == (rules.counted(), rules.lead)
