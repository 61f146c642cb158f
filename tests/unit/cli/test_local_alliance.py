"""An alliance in one folder, as files: made whole or not at all, found again, profiles by name."""

import asyncio
import json
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from hansa import rest
from hansa.chain.genesis import decode_genesis
from hansa.cli import local_alliance, processes
from hansa.cli.local_alliance import LocalAlliance
from hansa.client.profile import list_profiles, load_profile, profile_path
from hansa.errors import ConflictError, InvalidError, MissingError, UnavailableError
from hansa.node.config import load_config

NAMES = ["zoo", "air"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Profiles of a home of their own."""
    monkeypatch.setenv("HANSA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HANSA_PASSPHRASE", raising=False)
    return tmp_path / "home"


def test_create_and_open(tmp_path: Path) -> None:
    """Members, genesis and state; each node has ports and a store of its own."""
    made = LocalAlliance.create(tmp_path / "city", NAMES, 1, "")
    found = LocalAlliance.open(tmp_path / "city")
    assert found.state == made.state
    assert found.state.organisations == NAMES
    ports = [port for pair in found.state.ports.values() for port in pair]
    assert len(set(ports)) == 4
    for name in NAMES:
        assert (found.node_folder(name) / "genesis.hansa").exists()
        assert found.profile(name).organisation == name


def test_each_store_url_has_a_folder_below(tmp_path: Path) -> None:
    """One URL for all becomes one root for each."""
    made = LocalAlliance.create(tmp_path / "city", NAMES, 1, f"file://{tmp_path}/stores/")
    for name in NAMES:
        config = (made.node_folder(name) / "node.toml").read_text()
        assert f"{tmp_path}/stores/{name}" in config


class _Cluster:
    """Stands for a HDFS: notes what is asked of it."""

    def __init__(self, folder: Path, *, tied: bool) -> None:
        self.folder, self.tied, self.done = folder, tied, []
        self.url = "hdfs://127.0.0.1:9"
        self.web = SimpleNamespace(make_folder=lambda path, owner: self.done.append((path, owner)))

    def start(self, **_: int) -> None:
        self.done.append("start")

    def stop(self) -> None:
        self.done.append("stop")


def test_an_hdfs_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started in the folder; each member is a user of its own there, with a root of its own."""
    monkeypatch.setattr(local_alliance, "HdfsCluster", _Cluster)
    made = LocalAlliance.create(tmp_path / "city", NAMES, 1, "hdfs", tied=True)
    assert made.hdfs.folder == tmp_path / "city" / "hdfs"
    assert made.hdfs.tied
    assert made.hdfs.done == ["start", ("/zoo", "zoo"), ("/air", "air")]
    for name in NAMES:
        section = load_config(made.node_folder(name)).store
        assert (section.url, section.user) == (f"hdfs://127.0.0.1:9/{name}", name)
        assert section.replication == 2
    made.hdfs.done.clear()
    made.stop(["zoo"])
    assert made.hdfs.done == []
    made.stop()
    assert made.hdfs.done == ["stop"]
    assert not LocalAlliance.open(tmp_path / "city").hdfs.tied
    with pytest.raises(InvalidError, match="seats"):
        LocalAlliance.create(tmp_path / "other", NAMES, 4, "hdfs")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("names", "seats", "told"),
    [(["air", "air"], 1, "twice"), (["air", "B"], 1, "no organisation name"), (NAMES, 4, "seats")],
)
def test_what_cannot_be_made_leaves_nothing(
    tmp_path: Path, names: list[str], seats: int, told: str
) -> None:
    """A half-made devnet would refuse the next try."""
    with pytest.raises(InvalidError, match=told):
        LocalAlliance.create(tmp_path / "city", names, seats, "")
    assert not (tmp_path / "city").exists()


def test_interrupted_while_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C half way leaves nothing either."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(local_alliance, "complete_member", interrupted)
    with pytest.raises(KeyboardInterrupt):
        LocalAlliance.create(tmp_path / "city", NAMES, 1, "")
    assert not (tmp_path / "city").exists()


def test_folders_that_are_not_ours(tmp_path: Path) -> None:
    """Not empty, no devnet, damaged: each told for what it is."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConflictError, match="not empty"):
        LocalAlliance.create(tmp_path, NAMES, 1, "")
    with pytest.raises(MissingError, match="holds no devnet"):
        LocalAlliance.open(tmp_path)
    (tmp_path / "devnet.json").write_text("{")
    with pytest.raises(InvalidError, match="damaged"):
        LocalAlliance.open(tmp_path)


def test_profiles_by_name(tmp_path: Path) -> None:
    """Installed for each; another devnet's are replaced, one made by hand never."""
    first = LocalAlliance.create(tmp_path / "one", NAMES, 1, "")
    first.install_profiles()
    assert sorted(list_profiles()) == sorted(NAMES)
    second = LocalAlliance.create(tmp_path / "two", NAMES, 1, "")
    second.install_profiles()
    assert load_profile("air").alliance == second.profile("air").alliance
    assert second.profile("air").alliance != first.profile("air").alliance

    profile_path("air").write_text("by hand")
    with pytest.raises(ConflictError, match="no devnet made"):
        first.install_profiles()
    assert profile_path("air").read_text() == "by hand"
    assert load_profile("zoo").alliance == second.profile("zoo").alliance, "none was touched"


def test_views_of_what_does_not_run(tmp_path: Path) -> None:
    """A process file whose process is another one's does not count as running."""
    made = LocalAlliance.create(tmp_path / "city", NAMES, 1, "")
    record = made.node_folder("zoo") / processes.PROCESS_FILE
    record.write_text(json.dumps([1, 0.0]))
    views = made.views()
    assert [view.organisation for view in views] == NAMES
    assert all(view.pid is None and not view.running for view in views)
    assert views[0].node_url == f"https://127.0.0.1:{made.state.ports['zoo'][1]}"
    assert made.stop() == 0


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    """A name is checked before a folder is named after it."""
    with pytest.raises(InvalidError, match="no organisation name"):
        LocalAlliance.create(tmp_path / "city", ["air", "../../out"], 1, "")
    assert list(tmp_path.iterdir()) == []


def test_seven_seats(tmp_path: Path) -> None:
    """An epoch is a whole number of turns of the super nodes."""
    names = [f"m{i}" for i in range(7)]
    made = LocalAlliance.create(tmp_path / "city", names, 7, "")
    genesis = decode_genesis((made.folder / "genesis.hansa").read_bytes())
    assert genesis.parameters.epoch_blocks == 14


def test_replaced_profiles_are_told(tmp_path: Path) -> None:
    """The second devnet of the same names says whose profiles it took; the first one sees it."""
    first = LocalAlliance.create(tmp_path / "one", NAMES, 1, "")
    assert first.install_profiles() == []
    assert first.install_profiles() == [], "its own are not replaced"
    second = LocalAlliance.create(tmp_path / "two", NAMES, 1, "")
    assert second.install_profiles() == NAMES
    assert [view.profile_is_ours for view in first.views()] == [False, False]
    assert [view.profile_is_ours for view in second.views()] == [True, True]


class _Node:
    """Answers as a node of given health does."""

    def __init__(self, reasons: list[str], suspended: tuple[str, ...] = ()) -> None:
        self.reasons, self.suspended = reasons, suspended

    async def health(self) -> rest.Health:
        """Say whether it is ready."""
        return rest.Health(ready=not self.reasons, reasons=self.reasons)

    async def get(self, path: str, _kind: object) -> object:
        """Say who is suspended."""
        assert path == "/v1/organisations"
        return [SimpleNamespace(name=name, status="suspended") for name in self.suspended]


def _wait(made: LocalAlliance, nodes: dict[str, _Node]) -> tuple[set[str], list[str]]:
    told: list[str] = []
    return asyncio.run(made.wait_all_ready(cast("Any", nodes), told.append)), told


@pytest.mark.parametrize(
    ("own_word", "others_word"),
    [([local_alliance.OWN_SUSPENSION], ()), (["no super node is reached"], ("zoo",))],
)
def test_a_suspended_member_blocks_nothing(
    tmp_path: Path, own_word: list[str], others_word: tuple[str, ...]
) -> None:
    """Its own node may know it or not, may run or not: the others go on, and it is told."""
    made = LocalAlliance.create(tmp_path / "city", NAMES, 1, "")
    suspended, told = _wait(made, {"zoo": _Node(own_word), "air": _Node([], others_word)})
    assert suspended == {"zoo"}
    assert told[0] == "air is ready"
    assert "zoo is suspended" in told[1]


def test_one_that_ended_is_told(tmp_path: Path) -> None:
    """A member that nobody suspended is not left out."""
    made = LocalAlliance.create(tmp_path / "city", NAMES, 1, "")
    with pytest.raises(UnavailableError, match="node of zoo ended"):
        _wait(made, {"zoo": _Node(["connection refused"]), "air": _Node([])})


def test_up_names_a_port_that_is_taken(tmp_path: Path) -> None:
    """Nothing is started when another program has a node's port."""
    made = LocalAlliance.create(tmp_path / "city", NAMES, 1, "")
    port = made.state.ports["air"][1]
    told = pytest.raises(ConflictError, match=f"air cannot listen on 127.0.0.1:{port}")
    with socket.create_server(("127.0.0.1", port)), told:
        asyncio.run(made.up(lambda _text: None))
    assert not any(view.running for view in made.views())


def test_the_seated_are_told(tmp_path: Path) -> None:
    """Whom the votes elected, whoever was wanted; nobody before they sit."""
    made = LocalAlliance.create(tmp_path / "city", NAMES, 1, "")

    def standing(name: str, *, sits: bool, wins: bool) -> rest.CandidateView:
        return rest.CandidateView(
            organisation=name, votes=1, voters=["air"], is_super_node=sits, is_next=wins
        )

    class Node:
        candidates: ClassVar[list[rest.CandidateView]] = []

        async def get(self, _path: str, _kind: object) -> object:
            return SimpleNamespace(candidates=self.candidates)

    node = Node()
    node.candidates[:] = [
        standing("zoo", sits=True, wins=False), standing("air", sits=False, wins=True)
    ]  # fmt: skip
    assert asyncio.run(made._seated(cast("Any", node))) == []
    node.candidates[:] = [
        standing("zoo", sits=False, wins=False), standing("air", sits=True, wins=True)
    ]  # fmt: skip
    assert asyncio.run(made._seated(cast("Any", node))) == ["air"]
