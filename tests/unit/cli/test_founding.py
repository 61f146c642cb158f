"""Members and genesis as real files: keys apart from the node, protected, never written over."""

import stat
from pathlib import Path

import msgspec
import pytest

from hansa.chain.genesis import FULL, SMALL, Parameters
from hansa.chain.transactions import Candidate
from hansa.cli.founding import (
    Place,
    complete_member,
    create_member,
    found_alliance,
    read_candidate,
)
from hansa.client.profile import load_profile
from hansa.codec import encode
from hansa.errors import ConflictError, HansaError, InvalidError, MissingError
from hansa.keyfile import is_protected
from hansa.system import SystemClock, SystemEntropy

PLACE = Place("127.0.0.1:7400", "127.0.0.1:7401")
ONE = msgspec.structs.replace(SMALL, super_nodes=1)


def _member(folder: Path, name: str, passphrase: bytes | None = None) -> Candidate:
    return create_member(
        folder, name, name.title(), PLACE, entropy=SystemEntropy(), passphrase=passphrase
    )


def _genesis(*candidates: Candidate, parameters: Parameters = ONE) -> bytes:
    return encode(found_alliance("City", list(candidates), parameters, clock=SystemClock()))


def test_a_member_has_its_keys_outside_of_its_node(tmp_path: Path) -> None:
    """The user's keys and the publishing secrets lie beside the node's folder, not in it."""
    candidate = _member(tmp_path / "m", "water")
    at_node = {path.name for path in (tmp_path / "m" / "node").iterdir()}
    assert "node.key" in at_node
    assert not {"user.key", "encryption.key", "publishing.key", "dedup.key"} & at_node
    for path in (tmp_path / "m").rglob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    public = (tmp_path / "m" / "water.candidate").read_bytes()
    assert read_candidate(tmp_path / "m" / "water.candidate") == candidate
    assert b"PRIVATE" not in public


def test_a_passphrase_protects_every_key(tmp_path: Path) -> None:
    """The node's and the user's alike."""
    _member(tmp_path / "m", "water", b"long enough")
    keys = list((tmp_path / "m").rglob("*.key"))
    assert len(keys) >= 6
    assert all(is_protected(path) for path in keys)


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    """A second member in one folder would lose the first one's keys."""
    _member(tmp_path / "m", "water")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ConflictError, match="not empty"):
        _member(tmp_path / "m", "parks")
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["Water", "w", "1st", "water works", ""])
def test_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    """Names of organisations are lower-case slugs; nothing is made for another."""
    with pytest.raises(InvalidError, match="is no organisation name"):
        _member(tmp_path / "m", name)
    assert not (tmp_path / "m").exists()


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """A folder with half a member would refuse the next try."""
    for place in (Place("nowhere", "127.0.0.1:1"), Place("127.0.0.1:1", "127.0.0.1:2", "gopher:x")):
        with pytest.raises(InvalidError):
            create_member(tmp_path / "m", "water", "Water", place, entropy=SystemEntropy())
        assert not (tmp_path / "m").exists()


def test_genesis_seats_the_first_by_name(tmp_path: Path) -> None:
    """Whatever the order of the files; too few organisations are told."""
    names = ["zoo", "air", "mid", "bus", "car"]
    candidates = [_member(tmp_path / name, name) for name in names]
    genesis = found_alliance("City", candidates, SMALL, clock=SystemClock())
    assert genesis.super_nodes == ("air", "bus", "car", "mid")
    with pytest.raises(InvalidError, match="cannot fill"):
        found_alliance("City", candidates[:3], FULL, clock=SystemClock())


def test_a_founder_given_twice(tmp_path: Path) -> None:
    """Said so, by name."""
    candidate = _member(tmp_path / "zoo", "zoo")
    with pytest.raises(InvalidError, match="zoo is given twice"):
        found_alliance("City", [candidate, candidate], ONE, clock=SystemClock())


def test_a_completed_member_has_a_profile(tmp_path: Path) -> None:
    """It names the alliance, the own node and its certificate, and can be done again."""
    candidate = _member(tmp_path / "m", "water")
    data = _genesis(candidate)
    named = tmp_path / "profiles" / "water.toml"
    for _ in range(2):
        profile = complete_member(tmp_path / "m", data, named)
    assert (profile.node_key, profile.node_url) == (candidate.node_key, "https://127.0.0.1:7401")
    assert load_profile(str(named)) == load_profile(str(tmp_path / "m" / "profile.toml"))
    assert (tmp_path / "m" / "node" / "genesis.hansa").read_bytes() == data


def test_another_genesis_is_refused(tmp_path: Path) -> None:
    """A member belongs to one alliance."""
    candidate = _member(tmp_path / "m", "water")
    complete_member(tmp_path / "m", _genesis(candidate))
    other = msgspec.structs.replace(ONE, epoch_blocks=9)
    with pytest.raises(ConflictError):
        complete_member(tmp_path / "m", _genesis(candidate, parameters=other))


def test_what_is_no_member_and_no_candidate(tmp_path: Path) -> None:
    """An empty folder, a missing file and a wrong file are told for what they are."""
    genesis = _genesis(_member(tmp_path / "m", "water"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingError, match="holds no member"):
        complete_member(tmp_path / "empty", genesis)
    with pytest.raises(MissingError, match="no candidate file"):
        read_candidate(tmp_path / "none.candidate")
    (tmp_path / "x").write_bytes(b"id,name\n")
    with pytest.raises(InvalidError, match="is no candidate file"):
        read_candidate(tmp_path / "x")
    with pytest.raises(HansaError):
        complete_member(tmp_path / "m", b"no genesis")
