"""The entry point: help without imports, every noun there, every verb with an example."""

import errno
import json
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import hansa
from hansa.cli.acting import Acting
from hansa.cli.main import NOUNS, LazyGroup, main


def test_help_lists_nouns_and_exit_codes() -> None:
    """The help names each noun and tells the exit codes."""
    told = CliRunner().invoke(main, ["--help"])
    assert told.exit_code == 0
    assert all(noun in told.output for noun in NOUNS)
    assert "130 interrupted" in told.output


def test_help_imports_no_noun() -> None:
    """`hansa --help` starts fast because it loads neither client nor node."""
    code = (
        "import sys\nfrom hansa.cli.main import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "assert not {'aiohttp', 'litestar', 'numpy', 'rich'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize(("given", "used"), [(None, "1"), ("3", "3")])
def test_blas_threads_are_few_unless_asked(
    monkeypatch: pytest.MonkeyPatch, given: str | None, used: str
) -> None:
    """A command computes its sums on one thread of BLAS, before numpy is there, unless told otherwise."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", given or "")
    if given is None:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    assert CliRunner().invoke(main, ["--help"]).exit_code == 0
    assert os.environ["OPENBLAS_NUM_THREADS"] == used


def _verbs() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    context = click.Context(main)
    for noun in NOUNS:
        command = main.get_command(context, noun)
        verbs = list(command.commands) if isinstance(command, click.Group) else []
        found += [(noun, verb) for verb in verbs] or [(noun,)]
    return found


@pytest.mark.parametrize("words", _verbs(), ids=" ".join)
def test_each_verb_has_help_with_an_example(words: tuple[str, ...]) -> None:
    """Each command explains itself, shows an example, and takes --json."""
    told = CliRunner().invoke(main, [*words, "--help"])
    assert told.exit_code == 0
    assert "Example" in told.output
    assert "--json" in told.output or words == ("sim", "trace")  # prints a module of TLA+


def test_verbs_are_those_of_the_reference() -> None:
    """No verb of the command reference is missing."""
    wanted = {
        "alliance": {"init", "join", "status"},
        "node": {"start", "status"},
        "organisation": {"ls", "admit", "suspend"},
        "user": {"add", "ls", "revoke"},
        "supernode": {"ls", "vote"},
        "dataset": {"publish", "find", "show", "get", "ls", "retire"},
        "access": {"request", "ls", "grant", "deny", "revoke"},
        "block": {"ls", "show"},
        "tx": {"show"},
        "receipt": {"export", "verify"},
        "store": {"stats", "check"},
        "index": {"stats", "explain"},
        "devnet": {"up", "down", "status"},
    }
    verbs = set(_verbs())
    assert {(noun, verb) for noun, names in wanted.items() for verb in names} <= verbs


def test_version_and_unknown_noun() -> None:
    """--version prints it; a noun that is none is wrong usage, exit code 2."""
    runner = CliRunner()
    assert hansa.__version__ in runner.invoke(main, ["--version"]).output
    assert runner.invoke(main, ["dance"]).exit_code == 2


def test_wrong_usage_as_json() -> None:
    """With --json, wrong words are told as any other failure, with where to look."""
    done = CliRunner().invoke(main, ["dataset", "get", "zzz", "-o", "x", "--json"])
    assert done.exit_code == 2
    told = json.loads(done.stderr)
    assert (told["error"], told["retryable"]) == ("usage", False)
    assert "hansa dataset get --help" in told["remedy"]
    assert json.loads(CliRunner().invoke(main, ["dance", "--json"]).stderr)["error"] == "usage"


def test_a_fault_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug ends with exit code 1 and says whose fault it is; the trace is there for who mends it."""

    def fail(_self: object) -> None:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr(Acting, "profile", fail)
    done = CliRunner().invoke(main, ["block", "ls"])
    assert done.exit_code == 1
    assert "Traceback" in done.stderr
    assert "This is a fault of Hansa" in done.stderr
    told = json.loads(CliRunner().invoke(main, ["block", "ls", "--json"]).stderr)
    assert told["error"] == "error"
    assert "ZeroDivisionError: deep inside" in told["detail"]


def test_interrupted_while_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C before the command has begun has the same exit code as one within it."""

    def interrupted(_self: object, _context: object, _name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LazyGroup, "get_command", interrupted)
    done = CliRunner().invoke(main, ["block", "ls"])
    assert done.exit_code == 130
    assert "Traceback" not in done.stderr


def test_client_commands_load_no_node() -> None:
    """A command of a user imports neither the server nor numpy."""
    code = (
        "import sys, hansa.cli.dataset, hansa.cli.alliance, hansa.cli.access, hansa.client.client\n"
        "assert not {'litestar', 'uvicorn', 'numpy', 'lmdb', 'rich'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_help_into_a_full_disk_has_no_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the system refuses is told, also where no command runs yet."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(click.Group, "main", full)
    with pytest.raises(SystemExit) as ended:
        main.main(["--help"])
    assert ended.value.code == 7
    told = capsys.readouterr().err
    assert "No space left" in told
    assert "Traceback" not in told
