"""`hansa receipt`: files are not written over, and what proves nothing is refused by name."""

from pathlib import Path

from hansa.cli.founding import Place, create_member, found_alliance
from hansa.codec import encode
from hansa.system import SystemClock, SystemEntropy
from tests.unit.cli.conftest import TX, Desk
from tests.unit.cli.test_founding import ONE


def _genesis(folder: Path) -> Path:
    place = Place("127.0.0.1:1", "127.0.0.1:2")
    candidate = create_member(folder / "m", "water", "Water", place, entropy=SystemEntropy())
    path = folder / "genesis.hansa"
    path.write_bytes(encode(found_alliance("City", [candidate], ONE, clock=SystemClock())))
    return path


def test_export_writes_what_the_client_verified(desk: Desk, tmp_path: Path) -> None:
    """The file holds the receipt's bytes; a second export does not replace it."""
    desk.answers["export_receipt"] = b"receipt"
    path = tmp_path / "a.receipt"
    told = desk.json("receipt", "export", TX, "-o", path)
    assert told == {"receipt": str(path), "bytes": 7, "transaction": TX}
    assert path.read_bytes() == b"receipt"
    again = desk("receipt", "export", TX, "-o", path)
    assert again.exit_code == 6
    assert len(desk.client.calls) == 1


def test_export_into_no_folder(desk: Desk, tmp_path: Path) -> None:
    """A path that cannot be written is told, without a trace of the program."""
    desk.answers["export_receipt"] = b"receipt"
    done = desk("receipt", "export", TX, "-o", tmp_path / "none" / "a.receipt")
    assert done.exit_code == 5
    assert "Check the path" in done.stderr
    assert desk.client.calls == [], "told before a node is asked"


def test_an_empty_file_is_no_receipt(desk: Desk, tmp_path: Path) -> None:
    """Said so, rather than where its bytes end."""
    (tmp_path / "empty").touch()
    done = desk("receipt", "verify", tmp_path / "empty", "--genesis", _genesis(tmp_path))
    assert done.exit_code == 3
    assert "is no receipt" in done.stderr


def test_verify_refuses_what_is_no_receipt(desk: Desk, tmp_path: Path) -> None:
    """The file and the alliance are named; nothing is asked of any node."""
    file = tmp_path / "stops.csv"
    file.write_text("id\n")
    done = desk("receipt", "verify", file, "--genesis", _genesis(tmp_path))
    assert done.exit_code == 3
    assert f"{file} is no valid receipt of 'City'" in done.stderr
    assert desk.client.calls == []


def test_verify_takes_the_profile_s_genesis(desk: Desk, tmp_path: Path) -> None:
    """Without --genesis the profile's is trusted; a missing one is told."""
    file = tmp_path / "x"
    file.write_bytes(b"x")
    assert desk("receipt", "verify", file).exit_code == 5
    _genesis(tmp_path)
    assert desk("receipt", "verify", file).exit_code == 3
