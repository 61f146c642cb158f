"""The agreement under chaos: many seeds, real signatures, every checker after every step."""

import time

import pytest

from hansa.sim import campaign, deletions, pairs, twins
from hansa.sim.run import Plan, run

SEEDS = 1_000


def assert_sound(tally: campaign.Tally) -> None:
    """No violation; if there is one, its line repeats it."""
    assert [] == [(item.run, item.violation, item.replay) for item in tally.violations]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, SEEDS, 200))
def test_seeds(first: int) -> None:
    """A third honest with changing members, a third with one liar of four, a third with both."""
    plan = Plan(byzantine=1, chaos_ms=2_000)
    tally = campaign.run_mixed(range(first, first + 200), plan, time.perf_counter)
    assert_sound(tally)
    assert tally.committed > 5 * tally.runs


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(4))
def test_all_two_round_scripts_of_twins(first: int) -> None:
    """4,096 of them, each master first in a quarter (arXiv 2004.10617)."""
    chosen = [item for item in twins.all_scripts() if item.rounds[0][0] == first]
    assert 1_024 == len(chosen)
    assert_sound(campaign.run_twins(chosen, time.perf_counter))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_pairs_of_lost_messages() -> None:
    """Two heights, each pair of their messages."""
    assert_sound(campaign.run_pairs(pairs.all_pairs(pairs.count_messages()), time.perf_counter))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_cuts_of_deletions() -> None:
    """Copies erased while rounds change, cut at every step in every way."""
    assert_sound(campaign.run_deletions(deletions.all_cases(), time.perf_counter))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "plan",
    [
        Plan(organisations=7, joins=True, chaos_ms=3_000),
        Plan(organisations=7, byzantine=1, joins=True, chaos_ms=3_000),
        Plan(byzantine=1, changes=True, joins=True, chaos_ms=3_000),
    ],
    ids=["honest", "a liar", "a liar and changing members"],
)
def test_joining_by_snapshot_under_faults(plan: Plan) -> None:
    """Disks are lost and taken anew from nodes that prune and lie, while sets hand over."""
    tally = campaign.run_seeds(range(4_000, 4_020), plan, time.perf_counter)
    assert_sound(tally)
    assert tally.joins >= tally.runs // 2
    assert tally.handovers >= tally.runs // 2
    assert (tally.refused_pieces > 0) == (plan.byzantine > 0)


def test_seven_super_nodes_bear_two_liars() -> None:
    """r = 7 has f = 2."""
    plan = Plan(organisations=8, super_nodes=7, byzantine=2, chaos_ms=1_500)
    assert_sound(campaign.run_seeds(range(2_000, 2_006), plan, time.perf_counter))


def test_a_single_super_node_agrees_with_itself() -> None:
    """r = 1 is the smallest alliance."""
    report = run(3_000, organisations=2, super_nodes=1, chaos_ms=2_000)
    assert report.violations == (), report.replay
    assert report.committed > 0


@pytest.mark.parametrize("seed", [77, 78, 79])
def test_a_seed_repeats_its_run(seed: int) -> None:
    """The order of everything is the seed's alone."""
    plan = {"byzantine": 1, "chaos_ms": 1_500, "changes": True}
    assert run(seed, **plan) == run(seed, **plan)
