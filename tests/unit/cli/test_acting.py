"""What every command shares: who acts, and errors as messages and exit codes."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hansa.cli.acting import Acting, acting, ask_passphrase
from hansa.errors import ERRORS_BY_CODE, HansaError, MissingError


def _command(error: BaseException | None = None) -> click.Command:
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


@pytest.mark.parametrize(
    ("number", "code", "exit_code"),
    [
        (errno.ENOSPC, "disk-full", 7),
        (errno.EFBIG, "disk-full", 7),
        (errno.ENOENT, "missing", 5),
        (errno.EACCES, "denied", 4),
        (errno.EISDIR, "invalid", 3),
        (errno.EIO, "unavailable", 7),
    ],
)
def test_what_the_disk_refuses(number: int, code: str, exit_code: int) -> None:
    """The path and what to do, no trace of the program."""
    done = CliRunner().invoke(_command(OSError(number, "Refused", "a/path")), ["--json"])
    assert done.exit_code == exit_code
    told = json.loads(done.stderr)
    assert (told["error"], told["detail"]) == (code, "a/path: Refused.")
    assert told["remedy"]


def test_failures_of_calls_that_ran_at_once() -> None:
    """The first expected one is told; with something unexpected among them, it is a fault."""
    group = ExceptionGroup("", [ExceptionGroup("", [MissingError("Gone.")]), MissingError("Too.")])
    done = CliRunner().invoke(_command(group), [])
    assert done.exit_code == 5
    assert "Gone." in done.stderr
    mixed = ExceptionGroup("", [MissingError("Gone."), ZeroDivisionError()])
    assert CliRunner().invoke(_command(mixed), []).exit_code == 1


def test_interrupted() -> None:
    """130, and one word."""
    done = CliRunner().invoke(_command(KeyboardInterrupt()), [])
    assert (done.exit_code, done.stderr) == (130, "Interrupted.\n")


def test_a_reader_that_goes_away() -> None:
    """`hansa … | head` ends quietly, also where the rest is still buffered."""
    code = (
        "import click\nfrom hansa.cli.acting import acting\n"
        "@click.command()\n@acting\ndef command(acting):\n"
        "    for _ in range(100_000):\n        click.echo('a line')\n"
        "command()"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.readline()
    writer.stdout.close()
    told = writer.stderr.read()
    writer.stderr.close()
    assert (writer.wait(20), told) == (141, b"")


def test_passphrase_comes_from_the_environment_or_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a terminal nobody is asked."""
    ask_passphrase.cache_clear()
    monkeypatch.setenv("HANSA_PASSPHRASE", "a word")
    assert ask_passphrase() == b"a word"
    ask_passphrase.cache_clear()
    monkeypatch.delenv("HANSA_PASSPHRASE")
    assert ask_passphrase() is None
    ask_passphrase.cache_clear()
