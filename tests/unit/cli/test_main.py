"""The entry point: help without imports, every noun there, every verb with an example."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import hansa
from hansa.cli.main import NOUNS, main


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
    assert "--json" in told.output


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
