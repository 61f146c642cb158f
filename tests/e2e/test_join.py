"""Members on their own: three found an alliance by hand, a fourth is voted in, shares, is suspended."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hansa.cli import processes
from tests.e2e.harness import Shell, wait_for

FOUNDERS = ["water", "parks", "trams"]
INTERRUPTED_TRIES = 5
"""On a busy machine a fetch may be through before the signal reaches it."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Commands with a home of their own."""
    return Shell(tmp_path_factory.mktemp("home"))


def _make(shell: Shell, folder: Path, name: str) -> Path:
    """Make a member by `alliance join`; return its candidate file."""
    peer, api = processes.free_ports(2)
    told = shell.ok(
        "alliance", "join", "--organisation", name, "--title", f"City {name}", "--dir", folder,
        "--peer", f"127.0.0.1:{peer}", "--api", f"127.0.0.1:{api}",
    )  # fmt: skip
    return Path(told["candidate"])


@contextmanager
def _running(shell: Shell, folders: list[Path]) -> Iterator[dict[Path, subprocess.Popen[bytes]]]:
    """Run `node start` for each folder in the foreground of a process of its own."""
    command = [sys.executable, "-m", "hansa.cli.main", "node", "start", "--dir"]
    started: dict[Path, subprocess.Popen[bytes]] = {}
    try:
        for folder in folders:
            started[folder] = subprocess.Popen(
                [*command, str(folder / "node")],
                env=shell.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        yield started
    finally:
        for process in started.values():
            process.terminate()
        for process in started.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _is_ready(shell: Shell, profile: str) -> bool:
    done = shell("-p", profile, "node", "status", "--json")
    return done.code == 0 and bool(done.json["health"]["ready"])


def _same_tip(shell: Shell, profiles: list[str]) -> bool:
    views = [shell.ok("-p", name, "alliance", "status") for name in profiles]
    return len({(view["height"], view["tip"]) for view in views}) == 1


@pytest.fixture(scope="module")
def city(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Three founders, one super node, each node started by hand."""
    root = tmp_path_factory.mktemp("city")
    candidates = [_make(shell, root / name, name) for name in FOUNDERS]
    genesis = root / "genesis.hansa"
    made = shell.ok(
        "alliance", "init", "--name", "Our city", "--super-nodes", "1", "--epoch-blocks", "4",
        "--output", genesis, *candidates,
    )  # fmt: skip
    assert made["organisations"] == sorted(FOUNDERS)
    for name in FOUNDERS:
        done = shell.ok("alliance", "join", "--dir", root / name, "--genesis", genesis)
        assert (done["profile"], done["alliance"]) == (name, made["alliance"])
    with _running(shell, [root / name for name in FOUNDERS]):
        for name in FOUNDERS:
            wait_for(lambda name=name: _is_ready(shell, name), 40)
        yield root


def test_a_second_genesis_is_not_written_over(shell: Shell, city: Path) -> None:
    """`alliance init` keeps what is there, and `join` keeps a folder that is not empty."""
    again = shell(
        "alliance", "init", "--name", "Other", "--super-nodes", "1", "--output",
        city / "genesis.hansa", city / "water" / "water.candidate",
    )  # fmt: skip
    assert again.code == 6
    twice = shell(
        "alliance", "join", "--organisation", "water", "--dir", city / "water",
        "--peer", "127.0.0.1:1", "--api", "127.0.0.1:2",
    )  # fmt: skip
    assert twice.code == 6
    assert "not empty" in twice.err


def test_a_newcomer_is_voted_in_shares_and_is_suspended(
    shell: Shell, city: Path, tmp_path: Path
) -> None:
    """Two of three ballots admit; the newcomer publishes, reads; suspended, it is refused."""
    candidate = _make(shell, city / "library", "library")
    first = shell.ok("-p", "water", "organisation", "admit", candidate)
    assert first["organisation"] == "library"
    assert "library" not in {item["name"] for item in shell.ok("-p", "water", "organisation", "ls")}
    shell.ok("-p", "trams", "organisation", "admit", candidate)
    members = {
        item["name"]: item["status"] for item in shell.ok("-p", "parks", "organisation", "ls")
    }
    assert members["library"] == "active"

    shell.ok("alliance", "join", "--dir", city / "library", "--genesis", city / "genesis.hansa")
    with _running(shell, [city / "library"]) as started:
        wait_for(lambda: _is_ready(shell, "library"), 40)
        _share_both_ways(shell, tmp_path)
        _get_interrupted_and_resumed(shell, tmp_path)
        dataset = shell.ok("-p", "library", "dataset", "ls", "--organisation", "water")[0]["id"]
        for name in ("water", "parks"):
            shell.ok("-p", name, "organisation", "suspend", "library", "--reason", "key lost")
        _refused_everywhere(shell, dataset, tmp_path)
        process = started[city / "library"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0


def _share_both_ways(shell: Shell, tmp_path: Path) -> None:
    """The newcomer publishes and is read; and reads what a founder published."""
    source = tmp_path / "loans.csv"
    source.write_text("month,loans\n" + "\n".join(f"2026-{n:02},{n * 311}" for n in range(1, 13)))
    made = shell.ok("-p", "library", "dataset", "publish", source, "--title", "Loans")
    wait_for(lambda: _same_tip(shell, ["library", "parks"]))
    asked = shell.ok("-p", "parks", "access", "request", made["dataset"], "--purpose", "planning")
    wait_for(lambda: _same_tip(shell, ["library", "parks"]))
    shell.ok("-p", "library", "access", "grant", asked["request"])
    wait_for(lambda: _same_tip(shell, ["library", "parks"]))
    shell.ok("-p", "parks", "dataset", "get", made["dataset"], "--output", tmp_path / "parks")
    assert (tmp_path / "parks" / "loans.csv").read_bytes() == source.read_bytes()


def _get_interrupted_and_resumed(shell: Shell, tmp_path: Path) -> None:
    """Ctrl-C in the middle of a fetch ends with 130 and no file; the next call goes on."""
    source = tmp_path / "scans.bin"
    source.write_bytes(random.Random(3).randbytes(120_000_000))
    made = shell.ok("-p", "water", "dataset", "publish", source, "--title", "Scans")
    wait_for(lambda: _same_tip(shell, ["library", "water"]))
    asked = shell.ok("-p", "library", "access", "request", made["dataset"], "--purpose", "audit")
    wait_for(lambda: _same_tip(shell, ["library", "water"]))
    shell.ok("-p", "water", "access", "grant", asked["request"])
    wait_for(lambda: _same_tip(shell, ["library", "water"]))

    for attempt in range(INTERRUPTED_TRIES):
        out = tmp_path / f"fetched-{attempt}"
        words = ["-p", "library", "dataset", "get", made["dataset"], "--output", str(out)]
        code, told = _interrupt(shell, words, out)
        if code != 0:
            break  # it was not through before the signal came
    assert code == 130, told.decode()
    assert b"Traceback" not in told
    assert not (out / "scans.bin").exists()
    resumed = shell.ok(*words)
    assert 0 < resumed["bytes_fetched"] < 110_000_000, "what was there is not fetched again"
    assert (out / "scans.bin").read_bytes() == source.read_bytes()


def _interrupt(shell: Shell, words: list[str], out: Path) -> tuple[int, bytes]:
    """Send Ctrl-C to a fetch when a part of it is there; return how it ended and what it told."""
    fetching = subprocess.Popen(
        [sys.executable, "-m", "hansa.cli.main", *words],
        env=shell.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    end = time.monotonic() + 60
    while _written(out) < 20_000_000 and fetching.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    fetching.send_signal(signal.SIGINT)
    _, told = fetching.communicate(timeout=30)
    return fetching.returncode, told


def _written(folder: Path) -> int:
    """Return how many bytes of parts lie on the disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*.part"))


def _refused_everywhere(shell: Shell, dataset: str, tmp_path: Path) -> None:
    """From the next block no node serves the suspended: neither its own nor the owner's."""
    members = {
        item["name"]: item["status"] for item in shell.ok("-p", "parks", "organisation", "ls")
    }
    assert members["library"] == "suspended"
    late = shell("-p", "library", "dataset", "get", dataset, "--output", tmp_path / "late")
    assert late.code == 4, late.err
    assert not any(path.is_file() for path in (tmp_path / "late").rglob("*"))
    source = tmp_path / "loans.csv"
    denied = shell("-p", "library", "dataset", "publish", source, "--title", "After the end")
    assert denied.code == 4, denied.err
    titles = {item["title"] for item in shell.ok("-p", "parks", "dataset", "ls")}
    assert "After the end" not in titles
