"""What every command shares: who acts, and errors as messages and exit codes."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hansa.cli.acting import Acting, acting
from hansa.errors import ERRORS_BY_CODE, HansaError


def _command(error: HansaError | None = None) -> click.Command:
    @click.command()
    @acting
    def command(acting: Acting) -> None:
        if error is not None:
            raise error
        click.echo(f"{acting.profile_name} {acting.as_json}")

    return command


@pytest.mark.parametrize("kind", ERRORS_BY_CODE.values(), ids=ERRORS_BY_CODE.keys())
def test_each_error_has_its_exit_code_and_remedy(kind: type[HansaError]) -> None:
    """A person reads message and remedy on standard error; a program reads the exit code."""
    done = CliRunner().invoke(_command(kind("It broke.", remedy="Mend it.")), [])
    assert done.exit_code == kind.exit_code
    assert "It broke." in done.stderr
    assert "Mend it." in done.stderr
    assert done.stdout == ""


def test_error_as_json() -> None:
    """With --json the problem is one JSON object on standard error."""
    error = ERRORS_BY_CODE["denied"]("No grant.", remedy="Ask.")
    done = CliRunner().invoke(_command(error), ["--json"])
    assert json.loads(done.stderr) == {
        "error": "denied",
        "detail": "No grant.",
        "remedy": "Ask.",
        "retryable": False,
    }


def test_profile_and_json_are_taken() -> None:
    """--profile and --json reach the command."""
    assert CliRunner().invoke(_command(), ["-p", "x", "--json"]).stdout == "x True\n"


def test_missing_profile_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any profile a command ends with "missing" and tells how to make one."""
    from hansa.cli.main import main

    monkeypatch.setenv("HANSA_HOME", str(tmp_path))
    monkeypatch.delenv("HANSA_PROFILE", raising=False)
    done = CliRunner().invoke(main, ["alliance", "status"])
    assert done.exit_code == 5
    assert "devnet up" in done.stderr
