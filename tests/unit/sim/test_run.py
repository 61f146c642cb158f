"""A run as a whole."""

import pytest

from hansa.sim.run import Plan, Run, parameters_for, run


def test_a_report_tells_how_to_repeat() -> None:
    """Seed and settings are in the replay line."""
    report = run(3, byzantine=1, chaos_ms=500, actors=("silent",))
    assert () == report.violations
    assert "--first-seed 3 --seeds 1" in report.replay
    assert "--byzantine 1" in report.replay
    assert "--actor silent" in report.replay
    assert report.committed >= 3
    assert report.height > 0
    assert ("silent",) == report.actors


def test_changes_are_in_the_line() -> None:
    """Every field of a plan can be given on the command line."""
    words = Plan(organisations=8, super_nodes=7, changes=True).words(9)
    assert words.endswith("--changes")
    assert Plan(joins=True).words(9).endswith("--chaos-ms 5000 --joins")
    assert "--organisations 8 --super-nodes 7" in words


@pytest.mark.parametrize("count", [1, 4, 7])
def test_parameters_are_those_of_a_small_alliance(count: int) -> None:
    """Epochs are short, and a multiple of the seats."""
    parameters = parameters_for(count)
    assert count == parameters.super_nodes
    assert 0 == parameters.epoch_blocks % count


@pytest.mark.slow
def test_a_stall_is_a_violation() -> None:
    """Who heals nothing gets no progress, and says so."""
    made = Run(3, Plan(chaos_ms=300))
    made.chaos.heal = lambda: setattr(made.world, "drops", lambda *_: True)
    report = made.run()
    assert any("no progress" in text for text in report.violations)


def test_rounds_after_healing_are_counted() -> None:
    """A height that takes longer than f + 2 rounds is a violation."""
    made = Run(3, Plan(chaos_ms=300))
    made._deadline = (1, -1)
    assert any("took until round" in text for text in made.run().violations)


def test_a_suspended_super_node_need_not_keep_up() -> None:
    """It keeps its seat until the epoch ends but hears no blocks: progress is demanded without it (a failing seed)."""
    assert () == Run(68, Plan(changes=True, chaos_ms=2_000)).run().violations
