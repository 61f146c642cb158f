"""`hansa sim`: what it takes, what it prints, how it ends."""

import json

import pytest
from click.testing import CliRunner

from hansa.cli import sim as module
from hansa.sim.campaign import Tally, Violation


def invoke(*words: str) -> tuple[int, str]:
    """Return exit code and output."""
    result = CliRunner().invoke(module.sim, words)
    return result.exit_code, result.output


def test_a_run_prints_what_it_came_to() -> None:
    """Seeds, rates, no violation."""
    code, output = invoke(
        "run",
        "--first-seed",
        "3",
        "--seeds",
        "1",
        "--chaos-ms",
        "200",
        "--byzantine",
        "1",
        "--json",
    )
    answer = json.loads(output)
    assert (0, 1, []) == (code, answer["seeds"], answer["violations"])
    assert answer["seeds_per_second"] > 0
    assert answer["committed"] >= 3


def test_a_violation_ends_with_1_and_its_line(monkeypatch) -> None:
    """So that nobody takes it for a success."""
    found = Violation("seed 7", "two blocks at height 3", "hansa sim run --first-seed 7 --seeds 1")
    asked = []

    def run_seeds(seeds, plan, clock):
        asked.append((list(seeds), plan))
        return Tally(runs=2, seconds=1.0, violations=[found])

    monkeypatch.setattr(module, "run_seeds", run_seeds)
    code, output = invoke("run", "--seeds", "6..7", "--super-nodes", "7", "--byzantine", "2")
    assert 1 == code
    assert "seed 7: two blocks at height 3\n  hansa sim run --first-seed 7 --seeds 1" in output
    ((seeds, plan),) = asked
    assert ([6, 7], 7, 7, 2) == (seeds, plan.organisations, plan.super_nodes, plan.byzantine)
    _, output = invoke("run", "--seeds", "2", "--json")
    assert "seed 7" == json.loads(output)["violations"][0]["run"]


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--seeds", "some"),
        ("run", "--super-nodes", "5"),
        ("run", "--byzantine", "9"),
        ("run", "--actor", "nobody"),
        ("twins", "--only", "9:0000"),
        ("pairs", "--only", "1"),
        ("deletions", "--only", "commits:1:burn"),
    ],
)
def test_wrong_usage_is_told(words) -> None:
    """Exit 2, nothing is run."""
    assert 2 == invoke(*words)[0]


def test_single_scripts_are_played() -> None:
    """As a violation's line names them."""
    for words, kind in (
        (("twins", "--only", "1:0110,2:0001"), "twins"),
        (("twins", "--scripts", "2", "--rounds", "3"), "twins"),
        (("pairs", "--only", "3,17"), "pairs"),
        (("deletions", "--only", "locks:17:crash"), "deletions"),
    ):
        code, output = invoke(*words)
        assert 0 == code
        assert output.startswith(f"{kind}: ")
        assert "0 violations" in output


def test_all_kinds_in_one_command(monkeypatch) -> None:
    """As CI runs it."""
    for name in ("run_mixed", "run_twins", "run_pairs", "run_deletions"):
        monkeypatch.setattr(module, name, lambda *_: Tally(runs=5, seconds=1.0))
    code, output = invoke("run", "--mixed", "--twins", "--pairs", "--deletions", "--json")
    answer = json.loads(output)
    assert 0 == code
    assert 5 == answer["seeds"] == answer["twins"] == answer["pairs"] == answer["deletions"]


def test_actors_are_listed() -> None:
    """With what they do."""
    code, output = invoke("actors")
    assert 0 == code
    assert "double-voter" in output
    assert "double-voter" in json.loads(invoke("actors", "--json")[1])


def test_one_block_goes_down_the_tree() -> None:
    """All have it: exit 0; a share that is none is a misuse."""
    code, output = invoke("spread", "--nodes", "60", "--silent", "0.1", "--json")
    answer = json.loads(output)
    assert (0, 60) == (code, answer["nodes"])
    assert answer["seconds"] >= 0
    assert 0 == invoke("spread", "--nodes", "60")[0]
    assert 2 == invoke("spread", "--silent", "1.5")[0]
    assert 2 == invoke("spread", "--nodes", "2")[0]


def test_a_trace_is_a_module() -> None:
    """What the honest super nodes did, for the model."""
    code, output = invoke("trace", "--seed", "2", "--chaos-ms", "200")
    assert 0 == code
    assert output.startswith("---- MODULE TraceData ----\n")
    assert '[do |-> "decide"' in output
