"""`hansa demo`: its exit code and document follow the checks; nothing is left behind. No node runs."""

import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hansa.cli import demo
from hansa.cli.local_alliance import LocalAlliance
from hansa.cli.main import main
from hansa.errors import UnavailableError


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, Any, str]]:
    """Run the demo with one step of our own, in a folder of its own."""
    monkeypatch.setattr(demo, "ORGANISATIONS", ["aa"])
    monkeypatch.setattr(demo, "SUPER_NODES", 1)
    monkeypatch.setattr(demo.sharing_steps, "STEPS", ())
    monkeypatch.setattr(demo.tempfile, "mkdtemp", lambda prefix: str(_made(tmp_path, prefix)))
    monkeypatch.setenv("HANSA_HOME", str(tmp_path / "home"))

    async def up(_self: LocalAlliance, tell: Callable[[str], None]) -> None:
        tell("ready")

    @asynccontextmanager
    async def clients(_self: LocalAlliance):
        yield {}

    monkeypatch.setattr(LocalAlliance, "up", up)
    monkeypatch.setattr(LocalAlliance, "clients", clients)

    def run(step: Callable[..., Any], *words: str) -> tuple[int, Any, str]:
        monkeypatch.setattr(demo.data_steps, "STEPS", (step,))
        document = tmp_path / "checks.json"
        done = CliRunner().invoke(main, ["demo", "--json", str(document), *words])
        return done.exit_code, json.loads(document.read_bytes()), done.output

    return run


def _made(folder: Path, prefix: str) -> Path:
    path = folder / f"{prefix}x"
    path.mkdir()
    return path


async def _holds(stage: Any) -> None:
    stage.checks.begin("One")
    stage.checks.that(True, "fine", "1")


async def _breaks(stage: Any) -> None:
    stage.checks.begin("One")
    stage.checks.that(False, "broken")


async def _ends(stage: Any) -> None:
    stage.checks.begin("One")
    raise UnavailableError("The node is gone.")


def test_all_held(told: Callable[..., tuple[int, Any, str]], tmp_path: Path) -> None:
    """Exit code 0, every check in the document, no folder left."""
    code, document, text = told(_holds)
    assert code == 0
    assert document["all_held"]
    assert document["checks"] == [{"step": "One", "claim": "fine", "held": True, "measured": "1"}]
    assert "1 of 1 checks held" in text
    assert list(tmp_path.glob("hansa-demo-*")) == []


@pytest.mark.parametrize("step", [_breaks, _ends])
def test_one_that_fails(told: Callable[..., tuple[int, Any, str]], step: Any) -> None:
    """Exit code 1, whether a claim is false or a step cannot be done; the document says so."""
    code, document, _ = told(step)
    assert code == 1
    assert not document["all_held"]
    assert [check["held"] for check in document["checks"]] == [False]


def test_keep_says_how_to_go_on(told: Callable[..., tuple[int, Any, str]], tmp_path: Path) -> None:
    """The folder stays, and the commands to use and to end it are printed."""
    code, _, text = told(_holds, "--keep")
    assert code == 0
    folder = tmp_path / "hansa-demo-x"
    assert LocalAlliance.exists(folder)
    assert f"hansa devnet down --dir {folder}" in text.replace("\n", "")


def test_keep_says_where_the_command_is(
    told: Callable[..., tuple[int, Any, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way to `hansa` is printed if it is not on the PATH."""
    (tmp_path / "hansa").touch()
    monkeypatch.setattr(demo.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(demo.shutil, "which", lambda _name: None)
    assert f"export PATH={tmp_path}:$PATH" in told(_holds, "--keep")[2].replace("\n", "")


def test_a_document_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told before any node starts."""
    monkeypatch.setattr(LocalAlliance, "create", lambda *_: pytest.fail("it started"))
    done = CliRunner().invoke(main, ["demo", "--json", str(tmp_path / "none" / "x.json")])
    assert done.exit_code == 5
    assert "Check the path" in done.output


def test_no_node_stays_when_the_document_fails(
    told: Callable[..., tuple[int, Any, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nodes are stopped before the document is written: a full disk leaves none behind."""
    ended: list[str] = []
    monkeypatch.setattr(LocalAlliance, "stop", lambda _self: ended.append("stopped"))
    write = demo._write

    def refused(*given: Any, **named: Any) -> None:
        write(*given, **named)
        assert ended == ["stopped"]
        ended.append("written")

    monkeypatch.setattr(demo, "_write", refused)
    assert told(_holds)[0] == 0
    assert ended == ["stopped", "written"]


def test_a_store_there_is_none_of(tmp_path: Path) -> None:
    """Told before anything is made."""
    done = CliRunner().invoke(main, ["demo", "--store", "tape"])
    assert done.exit_code == 3
