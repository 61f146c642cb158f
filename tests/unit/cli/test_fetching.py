"""`hansa dataset fetch`: many datasets, told one by one, for people and programs."""

import json
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from hansa import rest
from hansa.cli.fetching import read_ids
from hansa.errors import DeniedError, MissingError
from tests.unit.cli.conftest import ID, Desk

OTHER = "1b" * 16


def fetched(name: str) -> SimpleNamespace:
    """What was fetched of a dataset."""
    return SimpleNamespace(
        version=2, files=(Path("out") / name / "a.csv",), bytes=12, bytes_fetched=5
    )


@pytest.fixture(name="desk")
def _desk(desk: Desk) -> Desk:
    """A desk whose client has one of two datasets, or both."""

    async def fetch_many(datasets, output, *, overwrite):
        named = {"output": output, "overwrite": overwrite}
        desk.client.calls.append(("fetch_many", tuple(datasets), named))
        for dataset in datasets:
            error = desk.answers.get(dataset.hex())
            done = None if error else fetched(dataset.hex())
            yield SimpleNamespace(dataset=dataset, fetched=done, error=error)

    desk.client.fetch_many = fetch_many
    return desk


def test_ids_from_words_and_a_list(desk: Desk, tmp_path: Path) -> None:
    """Each once, in their order; empty lines and remarks are left out."""
    listed = tmp_path / "ids.txt"
    listed.write_text(f"# found today\n{OTHER}\n\n  {ID.upper()}\n{OTHER}\n")
    done = desk("dataset", "fetch", ID, "--list", listed, "-o", tmp_path / "out", "--overwrite")
    assert done.exit_code == 0, done.output
    wanted = (bytes.fromhex(ID), bytes.fromhex(OTHER))
    named = {"output": tmp_path / "out", "overwrite": True}
    assert [("fetch_many", wanted, named)] == desk.client.calls
    assert f"{OTHER}: version 2, 1 file" in done.stdout
    assert "2 of 2 datasets" in done.stdout


def test_what_fails_is_told_and_the_rest_is_fetched(desk: Desk, tmp_path: Path) -> None:
    """The exit code is of the first failure; standard output has what was fetched alone."""
    third = "2c" * 16
    desk.answers[OTHER] = DeniedError("not granted", remedy="ask")
    desk.answers[third] = MissingError("nowhere")
    words = ("dataset", "fetch", OTHER, ID, third, "-o", tmp_path)
    done = desk(*words)
    assert done.exit_code == DeniedError.exit_code
    assert (True, False) == (ID in done.stdout, OTHER in done.stdout)
    assert f"{OTHER}: not granted" in done.stderr
    assert "1 of 3 datasets" in done.stdout
    done = desk(*words, "--json")
    assert done.exit_code == DeniedError.exit_code
    told = json.loads(done.stdout)
    assert [OTHER, ID, third] == [one["dataset"] for one in told]
    assert ["denied", None, "missing"] == [one.get("error") for one in told]
    assert (2, 12, 5, True) == tuple(
        told[1][name] for name in ("version", "bytes", "bytes_fetched", "verified")
    )


def test_nothing_to_fetch_and_no_ids(desk: Desk, tmp_path: Path) -> None:
    """Usage errors, before anything is asked of the node."""
    listed = tmp_path / "ids.txt"
    listed.write_text("\n")
    for words in ((), ("--list", listed)):
        assert 2 == desk("dataset", "fetch", "-o", tmp_path, *words).exit_code
    listed.write_text(f"{ID}\nnot an id\n")
    done = desk("dataset", "fetch", "-o", tmp_path, "--list", listed)
    assert (2, True) == (done.exit_code, "Line 2" in done.stderr)
    assert [] == desk.client.calls
    with pytest.raises(click.UsageError):
        list(read_ids(["x"]))


def test_what_was_found_can_be_fetched(desk: Desk) -> None:
    """`find --ids` prints what `fetch --list -` reads."""
    match = rest.Match(
        id=ID, version=1, title="T", owner="o", score=0, themes=[], formats=[], place=""
    )
    desk.answers["/v1/questions"] = rest.Answer(
        height=1, total=1, matches=[match], facets={}, read_from_disk=False, explanation={}
    )
    done = desk("dataset", "find", "trees", "--ids")
    assert (0, [ID]) == (done.exit_code, list(read_ids(done.stdout.splitlines())))
