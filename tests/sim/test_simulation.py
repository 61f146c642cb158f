"""The agreement under chaos: many seeds, real signatures, every checker after every step."""

import pytest

from hansa.sim.run import run


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_crashes_and_cuts_lose_nothing(first: int) -> None:
    """Honest nodes only: loss, duplication, partitions, crashes in the middle of a step, pauses."""
    for seed in range(first, first + 10):
        report = run(seed, chaos_ms=2_500)
        assert report.violations == (), report.replay
        assert report.committed > 0


@pytest.mark.parametrize("first", range(1_000, 1_050, 10))
def test_one_liar_of_four_forks_nothing(first: int) -> None:
    """One founding super node equivocates, double-votes, forges, shifts epochs or is silent."""
    for seed in range(first, first + 10):
        report = run(seed, byzantine=1, chaos_ms=2_500)
        assert report.violations == (), report.replay
        assert report.committed > 0


def test_seven_super_nodes_bear_two_liars() -> None:
    """r = 7 has f = 2."""
    for seed in range(2_000, 2_004):
        report = run(seed, organisations=8, super_nodes=7, byzantine=2, chaos_ms=2_000)
        assert report.violations == (), report.replay


def test_a_single_super_node_agrees_with_itself() -> None:
    """r = 1 is the smallest alliance."""
    report = run(3_000, organisations=2, super_nodes=1, chaos_ms=2_000)
    assert report.violations == (), report.replay
    assert report.committed > 0


def test_a_seed_repeats_its_run() -> None:
    """The order of everything is the seed's alone."""
    first, second = run(77, byzantine=1, chaos_ms=1_500), run(77, byzantine=1, chaos_ms=1_500)
    assert first == second
