"""`hansa devnet`: what is printed, what is refused before anything is made; no process is started."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hansa.cli.devnet import store_url
from hansa.cli.local_alliance import LocalAlliance
from hansa.errors import InvalidError
from tests.unit.cli.conftest import Desk


@pytest.fixture(autouse=True)
def _no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async def up(_self: LocalAlliance, tell: Callable[[str], None]) -> None:
        tell("a is ready")

    monkeypatch.setattr(LocalAlliance, "up", up)


def test_up_prints_profiles_urls_and_processes(desk: Desk, tmp_path: Path) -> None:
    """One member for each organisation in the given order; a second `up` resumes."""
    words = ("devnet", "up", "--dir", tmp_path / "d")
    told = desk.json(*words, "--organisations", "zoo, air")
    assert [item["profile"] for item in told["members"]] == ["zoo", "air"]
    assert all(item["node_url"].startswith("https://127.0.0.1:") for item in told["members"])
    assert {"pid", "node_folder", "profile_file", "running"} <= told["members"][0].keys()
    assert Path(told["genesis"]).exists()
    assert told["super_nodes"] == 1, "fewer than four organisations have one seat"
    again = desk(*words)
    assert again.exit_code == 0
    assert "hansa --profile zoo alliance status" in again.stdout
    assert desk.json("devnet", "status", "--dir", tmp_path / "d")["members"][1]["pid"] is None
    assert desk.json("devnet", "down", "--dir", tmp_path / "d") == {"stopped": 0}


def test_four_have_four_seats(desk: Desk, tmp_path: Path) -> None:
    """Four organisations bear one fault, without a word about it."""
    told = desk.json("devnet", "up", "--dir", tmp_path / "d", "--organisations", "aa,bb,cc,dd")
    assert told["super_nodes"] == 4


def test_a_resumed_devnet_keeps_its_members(desk: Desk, tmp_path: Path) -> None:
    """Other names or seats are refused; the same ones are not."""
    words = ("devnet", "up", "--dir", tmp_path / "d", "--organisations")
    assert desk(*words, "aa,bb").exit_code == 0
    assert desk(*words, "aa,bb").exit_code == 0
    assert desk(*words, "aa,cc").exit_code == 3
    assert desk(*words, "aa,bb", "--super-nodes", "4").exit_code == 3


def test_a_second_devnet_says_whose_profiles_it_takes(desk: Desk, tmp_path: Path) -> None:
    """Told as text and in JSON; the first one's status shows that its profiles are gone."""
    words = ("devnet", "up", "--organisations", "aa,bb", "--dir")
    assert desk.json(*words, tmp_path / "one")["replaced_profiles"] == []
    assert "profile aa of another devnet is replaced" in desk(*words, tmp_path / "two").stderr
    assert "aa (not this devnet's)" in desk("devnet", "status", "--dir", tmp_path / "one").stdout
    assert desk.json(*words, tmp_path / "one")["replaced_profiles"] == ["aa", "bb"]


def test_nothing_is_made_of_wrong_words(desk: Desk, tmp_path: Path) -> None:
    """No names, a store there is none of, too many seats."""
    folder = tmp_path / "d"
    assert desk("devnet", "up", "--dir", folder).exit_code == 2
    words = ("devnet", "up", "--dir", folder, "--organisations", "aa,bb")
    assert desk(*words, "--store", "tape").exit_code == 3
    assert desk(*words, "--super-nodes", "4").exit_code == 3
    assert desk(*words, "--super-nodes", "0").exit_code == 2
    assert not folder.exists()
    assert desk("devnet", "down", "--dir", folder).exit_code == 5


def test_store_urls() -> None:
    """The default is the member's own folder; an own HDFS, or a URL for all."""
    assert store_url("file") == ""
    assert store_url("file:///srv/x") == "file:///srv/x"
    assert store_url("hdfs") == "hdfs"
    assert store_url("hdfs://name:8020/x") == "hdfs://name:8020/x"
    with pytest.raises(InvalidError):
        store_url("relative/path")
