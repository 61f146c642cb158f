"""The documents: links lead somewhere, commands and tests they name exist, each rule has its section."""

import re
from pathlib import Path

import click
import pytest

from hansa.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
RULES = 7


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_links_lead_to_files(document: Path) -> None:
    """Every relative link of a document leads to a file of the repository."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text())
    missing = [
        target
        for target in targets
        if "://" not in target and not (document.parent / target).exists()
    ]
    assert [] == missing


def test_each_rule_says_how_it_is_kept() -> None:
    """Each of the seven rules has a section with the tests that guard it."""
    sections = re.split(r"^## ", (ROOT / "docs/invariants.md").read_text(), flags=re.MULTILINE)[1:]
    assert [str(number) for number in range(1, RULES + 1)] == [
        section.split(".")[0] for section in sections
    ]
    for section in sections:
        named = re.findall(r"`(tests/[\w/.]+)`", section)
        assert named
        assert [] == [name for name in named if not (ROOT / name).exists()]


def test_invariants_name_modules_that_exist() -> None:
    """A module that moved takes its place in the documents with it."""
    named: set[str] = set()
    for document in ("invariants.md", "architecture.md", "threat-model.md"):
        text = (ROOT / "docs" / document).read_text()
        named.update(re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.py)`", text))
    modules = {name for name in named if not name.startswith("tests/")}
    assert [] == sorted(name for name in modules if not (ROOT / "src/hansa" / name).exists())


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_commands_exist(document: Path) -> None:
    """Each `hansa NOUN VERB` in a code block is a command, and its options are that command's."""
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", document.read_text(), flags=re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    for line in lines:
        _check_command(line.partition("#")[0].split())


def _check_command(words: list[str]) -> None:
    if words[:1] == ["$"]:
        words = words[1:]
    if words[:1] != ["hansa"]:
        return
    words = words[3:] if words[1:2] == ["--profile"] else words[1:]
    if not words or words[0].startswith("-"):
        return
    command = main.get_command(click.Context(main), words[0])
    assert command is not None, f"no noun {words[0]}"
    if isinstance(command, click.Group):
        group = command
        command = group.get_command(click.Context(group), words[1])
        assert command is not None, f"no verb {words[0]} {words[1]}"
    options = {name for parameter in command.params for name in parameter.opts}
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert given <= options | {"--help"}, f"{' '.join(words)}: {given - options}"
