"""The README's way, by the commands alone: publish, find, be refused, ask, grant, fetch, prove."""

import os
import random
import socket
from pathlib import Path

import pytest

from hansa.cli.local_alliance import LocalAlliance
from tests.e2e.harness import Shell, files_with, wait_for

ORGANISATIONS = ["transport", "environment", "health", "safety"]
MARKER = "MARKER-7f3a-of-a-planted-secret"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Commands with a home of their own."""
    return Shell(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def city(shell: Shell, tmp_path_factory: pytest.TempPathFactory):
    """An alliance made by `devnet up`, stopped by `devnet down`."""
    folder = tmp_path_factory.mktemp("devnet") / "city"
    made = shell.ok(
        "devnet", "up", "--dir", folder, "--organisations", ",".join(ORGANISATIONS),
        "--super-nodes", "4",
    )  # fmt: skip
    yield made
    assert shell.ok("devnet", "down", "--dir", folder)["stopped"] == len(ORGANISATIONS)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of odd and ordinary files, each with the marker inside."""
    folder = tmp_path_factory.mktemp("files") / "counts"
    rows = random.Random(7)
    (folder / "deep" / "er").mkdir(parents=True)
    table = "\n".join(f"{i},{rows.randint(0, 999)},{MARKER}" for i in range(60_000))
    (folder / "counts.csv").write_text(f"id,count,note\n{table}\n")
    (folder / "deep" / "noise.bin").write_bytes(rows.randbytes(700_000) + MARKER.encode())
    (folder / "deep" / "er" / "Übersicht über alles.txt").write_text(MARKER)
    (folder / "empty.txt").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def published(shell: Shell, city: dict, files: Path) -> dict:
    """The folder, published by transport."""
    return shell.ok(
        "--profile", "transport", "dataset", "publish", files, "--title", "Bicycle counts",
        "--description", "Counts of bicycles at bridges", "--keyword", "bicycle", "--theme",
        "transport", "--place", "Oakland", "--bbox=-122.36,37.70,-122.11,37.89", "--from",
        "2026-01-01", "--to", "2026-06-30", "--licence", "CC-BY-4.0",
    )  # fmt: skip


def test_devnet_makes_ready_profiles(shell: Shell, city: dict) -> None:
    """One ready profile for each organisation, one process each, super nodes that hold votes."""
    assert [member["profile"] for member in city["members"]] == ORGANISATIONS
    assert len({member["pid"] for member in city["members"]}) == len(ORGANISATIONS)
    view = shell.ok("--profile", "safety", "supernode", "ls")
    assert all(item["votes"] == 4 for item in view["candidates"] if item["is_super_node"])


def test_publish_tells_bytes(published: dict, files: Path) -> None:
    """Ids, bytes in, bytes stored."""
    size = sum(path.stat().st_size for path in files.rglob("*") if path.is_file())
    assert published["bytes_in"] == size
    assert 700_000 < published["bytes_stored"] < size
    assert published["status"] == "committed"
    assert len(published["dataset"]) == 32


def test_find_from_another_organisation(shell: Shell, published: dict) -> None:
    """By words, place, time, theme; and what is absent reads nothing from disk."""
    found = published["dataset"]
    for words in (
        ["bicycle"],
        ["--theme", "transport"],
        ["--bbox=-122.3,37.8,-122.2,37.85"],
        ["--from", "2026-03-01", "--to", "2026-03-02"],
        ["bicy*", "--format", "csv"],
    ):
        answer = shell.ok("--profile", "health", "dataset", "find", *words)
        assert found in [match["id"] for match in answer["matches"]], words
    absent = shell.ok("--profile", "health", "dataset", "find", "submarine")
    assert absent["total"] == 0
    assert absent["read_from_disk"] is False


def test_refused_then_granted_then_identical(
    shell: Shell, published: dict, files: Path, tmp_path: Path
) -> None:
    """The whole way out, and back: revoked reads stop."""
    dataset = published["dataset"]
    refused = shell("-p", "health", "dataset", "get", dataset, "--output", tmp_path / "no")
    assert refused.code == 4
    assert "grant" in refused.err

    asked = shell.ok("-p", "health", "access", "request", dataset, "--purpose", f"Why: {MARKER}")
    (seen,) = shell.ok("-p", "transport", "access", "ls", "--role", "owner", "--status", "open")
    assert MARKER in seen["justification"]
    granted = shell.ok("-p", "transport", "access", "grant", asked["request"])
    assert granted["status"] == "committed"

    shell.ok("-p", "health", "dataset", "get", dataset, "--output", tmp_path / "got")
    _same(files, tmp_path / "got")
    again = shell.ok("-p", "health", "dataset", "get", dataset, "--output", tmp_path / "got")
    assert again["bytes_fetched"] == 0, "what is there whole is not fetched again"
    other = shell("-p", "safety", "dataset", "get", dataset, "--output", tmp_path / "other")
    assert other.code == 4, "a grant is for who asked"

    shell.ok("-p", "transport", "access", "revoke", asked["request"], "--reason", "over")
    late = shell("-p", "health", "dataset", "get", dataset, "--output", tmp_path / "late")
    assert late.code == 4
    _receipt(shell, granted["transaction"], tmp_path)


def _same(files: Path, fetched: Path) -> None:
    expected = {p.relative_to(files): p.read_bytes() for p in files.rglob("*") if p.is_file()}
    roots = [path for path in (fetched, fetched / files.name) if path.is_dir()]
    got = {p.relative_to(roots[-1]): p.read_bytes() for p in roots[-1].rglob("*") if p.is_file()}
    assert got == expected


def _receipt(shell: Shell, transaction: str, folder: Path) -> None:
    receipt = folder / "grant.receipt"
    shell.ok("-p", "health", "receipt", "export", transaction, "-o", receipt)
    told = shell.ok("-p", "health", "receipt", "verify", receipt)
    assert told["valid"]
    assert told["transaction"] == transaction
    data = bytearray(receipt.read_bytes())
    data[100] ^= 1
    receipt.write_bytes(data)
    assert shell("-p", "health", "receipt", "verify", receipt).code != 0


def test_second_version_and_standard_input(shell: Shell, city: dict, tmp_path: Path) -> None:
    """A next version stores what changed; standard input goes in; the old version stays."""
    rows = random.Random(1)
    first = rows.randbytes(1_500_000)
    made = shell.ok(
        "-p", "environment", "dataset", "publish", "-", "--name", "air.bin", "--title", "Air",
        stdin=first,
    )  # fmt: skip
    second = first[:800_000] + b"changed" + first[800_000:]
    more = shell.ok(
        "-p", "environment", "dataset", "publish", "-", "--name", "air.bin",
        "--dataset", made["dataset"], stdin=second,
    )  # fmt: skip
    assert more["version"] == 2
    assert 0 < more["bytes_stored"] < 600_000
    for version, data in ((1, first), (2, second)):
        out = tmp_path / str(version)
        shell.ok(
            "-p", "environment", "dataset", "get", made["dataset"], "--version", str(version),
            "--output", out,
        )  # fmt: skip
        assert (out / "air.bin").read_bytes() == data


def test_denied_retired_revoked(shell: Shell, city: dict, tmp_path: Path) -> None:
    """A denied request stays denied; a retired dataset is gone; a revoked user is refused."""
    source = tmp_path / "x.csv"
    source.write_text("a,b\n1,2\n")
    made = shell.ok("-p", "safety", "dataset", "publish", source, "--title", "Hydrants near water")
    asked = shell.ok("-p", "health", "access", "request", made["dataset"], "--purpose", "audit")
    shell.ok("-p", "safety", "access", "deny", asked["request"], "--reason", "not now")
    assert shell("-p", "safety", "access", "grant", asked["request"]).code == 6
    shell.ok("-p", "safety", "dataset", "retire", made["dataset"])
    assert shell.ok("-p", "health", "dataset", "find", "hydrants")["total"] == 0

    added = shell.ok(
        "-p", "safety", "user", "add", "Desk", "--role", "reader", "--new-profile", "desk"
    )
    assert shell("-p", "desk", "dataset", "ls").code == 0
    denied = shell("-p", "desk", "dataset", "publish", source, "--title", "No publisher")
    assert denied.code == 4
    shell.ok("-p", "safety", "user", "revoke", added["key"])
    assert shell("-p", "desk", "dataset", "ls").code == 4


def test_bad_input_ends_clearly(shell: Shell, city: dict, tmp_path: Path) -> None:
    """Each wrong thing has its exit code and says what to do; nothing is registered."""
    before = len(shell.ok("-p", "health", "dataset", "ls"))
    missing = shell("-p", "health", "dataset", "publish", tmp_path / "none", "--title", "T")
    assert missing.code in {3, 5}
    assert str(tmp_path / "none") in missing.err
    unreadable = tmp_path / "pipe"
    os.mkfifo(unreadable)
    assert shell("-p", "health", "dataset", "publish", unreadable, "--title", "T").code == 3
    assert shell("-p", "health", "dataset", "publish", "x").code == 2
    assert shell("-p", "nobody", "dataset", "ls").code == 5
    assert shell("-p", "health", "dataset", "show", "0" * 32).code == 5
    assert shell("-p", "health", "tx", "show", "0" * 64).code == 5
    assert len(shell.ok("-p", "health", "dataset", "ls")) == before


def test_second_node_on_one_folder(shell: Shell, city: dict) -> None:
    """A second process on a node's folder is refused, and the first goes on."""
    folder = city["members"][0]["node_folder"]
    second = shell("node", "start", "--dir", folder)
    assert second.code == 6
    assert "another" in second.err.lower()
    assert shell.ok("-p", "transport", "node", "status")["health"]["ready"]


def test_port_in_use_and_wrong_genesis(shell: Shell, city: dict, tmp_path: Path) -> None:
    """A taken port and another alliance's genesis are told for what they are."""
    other = LocalAlliance.create(tmp_path / "other", ["a1"], 1, "")
    with socket.socket() as held:
        held.bind(("127.0.0.1", other.state.ports["a1"][1]))
        held.listen()
        taken = shell("node", "start", "--dir", other.node_folder("a1"))
    assert taken.code == 6
    assert str(other.state.ports["a1"][1]) in taken.err
    genesis = other.node_folder("a1") / "genesis.hansa"
    genesis.write_bytes(Path(city["genesis"]).read_bytes())
    wrong = shell("node", "start", "--dir", other.node_folder("a1"))
    assert wrong.code in {3, 6}
    assert "another alliance" in wrong.err


def test_only_its_own_store(city: dict) -> None:
    """No node has a file of another node's folder open, and each store lies in its own folder."""
    import psutil

    folders = {member["pid"]: member["node_folder"] for member in city["members"]}
    for pid, own in folders.items():
        opened = [file.path for file in psutil.Process(pid).open_files()]
        assert any(path.startswith(own) for path in opened)
        strangers = [f for f in folders.values() if f != own]
        assert not [p for p in opened for f in strangers if p.startswith(f"{f}/")]
    assert all((Path(folder) / "store").is_dir() for folder in folders.values())


def test_stop_resume_and_nothing_in_clear(
    shell: Shell, city: dict, published: dict, files: Path, tmp_path: Path
) -> None:
    """After down and up everything is there; the marker is in no node's folder, store or log."""
    height = shell.ok("-p", "health", "alliance", "status")["height"]
    assert shell.ok("devnet", "down", "--dir", city["dir"])["stopped"] == len(ORGANISATIONS)
    wait_for(
        lambda: (
            not any(
                m["running"] for m in shell.ok("devnet", "status", "--dir", city["dir"])["members"]
            )
        )
    )
    shell.ok("devnet", "up", "--dir", city["dir"])
    assert shell.ok("-p", "health", "alliance", "status")["height"] >= height
    own = shell.ok(
        "-p", "transport", "dataset", "get", published["dataset"], "--output", tmp_path / "own"
    )
    assert own["verified"]
    _same(files, tmp_path / "own")
    assert shell.ok("-p", "transport", "store", "check", "--read-data")["problems"] == []
    folders = [Path(member["node_folder"]) for member in city["members"]]
    assert files_with(MARKER.encode(), folders) == []
    assert files_with(b"bicycles at bridges", folders), "the scan finds what the chain holds"
