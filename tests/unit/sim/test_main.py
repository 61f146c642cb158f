"""Tests of `python -m hansa.sim`: what it prints and how it ends."""

import json
from types import SimpleNamespace

import pytest

from hansa.sim import __main__ as module


def ran(monkeypatch: pytest.MonkeyPatch, *words: str, bad: int | None = None) -> list[tuple]:
    """Run the command over worlds that are not run; return what was asked of each."""
    asked: list[tuple] = []

    def run(seed: int, **options: int) -> SimpleNamespace:
        asked.append((seed, options))
        violations = ("two blocks at height 3",) if seed == bad else ()
        return SimpleNamespace(committed=2, violations=violations, replay=f"replay {seed}")

    monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr("sys.argv", ["hansa.sim", *words])
    return asked


def test_each_seed_is_run_with_what_was_asked(monkeypatch, capsys) -> None:
    """The seeds follow each other; the figures are summed; without a violation it ends with 0."""
    asked = ran(monkeypatch, "--first-seed", "7", "--seeds", "2", "--byzantine", "1")
    assert 0 == module.main()
    options = {"organisations": 6, "super_nodes": 4, "byzantine": 1, "chaos_ms": 5_000}
    assert [(7, options), (8, options)] == asked
    assert {"seeds": 2, "committed": 4, "violations": []} == json.loads(capsys.readouterr().out)


def test_a_violation_is_told_with_how_to_repeat_it(monkeypatch, capsys) -> None:
    """And the command ends with 1, so that nobody takes it for a success."""
    ran(monkeypatch, "--seeds", "3", bad=1)
    assert 1 == module.main()
    (found,) = json.loads(capsys.readouterr().out)["violations"]
    assert (1, "two blocks at height 3", "replay 1") == (
        found["seed"],
        found["violation"],
        found["replay"],
    )


def test_a_small_world_runs(monkeypatch, capsys) -> None:
    """The real thing, short."""
    monkeypatch.setattr(
        "sys.argv", ["hansa.sim", "--seeds", "1", "--first-seed", "3", "--chaos-ms", "200"]
    )
    assert 0 == module.main()
    assert json.loads(capsys.readouterr().out)["committed"] > 0
