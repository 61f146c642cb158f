"""Tests of bootstrap.running: what a node's process says and refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

from hansa.bootstrap import running
from hansa.errors import InvalidError, MissingError


def test_refuses_without_asserts(tmp_path: Path) -> None:
    """Under python -O the safety checks would be off: the node does not run."""
    assert callable(running.run_node)
    done = subprocess.run(
        [sys.executable, "-O", "-m", "hansa.bootstrap", str(tmp_path)],
        capture_output=True,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[3] / "src"), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == InvalidError.exit_code
    assert b"python -O" in done.stderr


def test_a_failure_is_said_with_its_remedy(monkeypatch, capsys) -> None:
    """The message, what to do if there is something, and the exit code of its kind."""
    for remedy, expected in (
        ("Do this.", "Error: It is gone.\n  Do this.\n"),
        ("", "Error: It is gone.\n"),
    ):

        def fail(_folder, remedy=remedy):
            raise MissingError("It is gone.", remedy=remedy)

        monkeypatch.setattr(running, "run_node", fail)
        assert MissingError.exit_code == running.main("nowhere")
        assert expected == capsys.readouterr().err


def test_a_node_that_answers_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on standard error, for whoever started it by hand."""

    class Listening:
        async def run(self) -> None:
            self.on_listening(running.ReadyRecord(1, "water", 7400, 7401))

    monkeypatch.setattr(running, "harden", lambda: None)
    monkeypatch.setattr(running, "build_node", lambda *_: Listening())
    assert running.run_node(tmp_path) == 0
    told = capsys.readouterr().err
    assert told.startswith("ready: node of water, listening on port 7400")
    assert told.count("\n") == 1
