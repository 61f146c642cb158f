"""Many runs, one answer."""

from itertools import count

from hansa.sim import campaign, deletions, twins
from hansa.sim.run import Plan


def ticking():
    """A clock that advances by a second at each look."""
    return count().__next__


def test_seeds_are_summed() -> None:
    """Figures of all; none broken."""
    tally = campaign.run_seeds(range(2), Plan(chaos_ms=200), ticking())
    assert (2, [], 1) == (tally.runs, tally.violations, tally.seconds)
    assert tally.committed >= 6
    assert 2.0 == tally.runs_per_second
    assert 0.0 == campaign.Tally().runs_per_second


def test_a_mixed_campaign_has_all_three_kinds(monkeypatch) -> None:
    """Honest with changes, lying, lying with changes."""
    seen = []

    def run_seeds(seeds, plan, clock):
        seen.append((list(seeds), plan.byzantine, plan.changes))
        return campaign.Tally(runs=len(list(seeds)), seconds=1.0)

    monkeypatch.setattr(campaign, "run_seeds", run_seeds)
    tally = campaign.run_mixed(range(7), Plan(byzantine=1), ticking())
    assert [([0, 3, 6], 0, True), ([1, 4], 1, False), ([2, 5], 1, True)] == seen
    assert (7, 3.0) == (tally.runs, tally.seconds)


def test_a_violation_says_how_to_repeat_it(monkeypatch) -> None:
    """Which seed, who lied, and the command."""
    ended = campaign.Run._report

    def report(self):
        self.world.checkers.violate("something is broken")
        return ended(self)

    monkeypatch.setattr(campaign.Run, "_report", report)
    plan = Plan(chaos_ms=200, byzantine=1, actors=("silent",))
    (found,) = campaign.run_seeds([8], plan, ticking()).violations
    assert ("seed 8 silent", "something is broken") == (found.run, found.violation)
    assert found.replay.startswith("hansa sim run --first-seed 8 --seeds 1 ")


def test_scripts_are_played_and_counted() -> None:
    """Twins, pairs, deletions."""
    clock = ticking()
    assert 2 == campaign.run_twins([twins.script(0, 2), twins.script(99, 2)], clock).runs
    assert 1 == campaign.run_pairs([(0, 1)], clock).runs
    assert [] == campaign.run_deletions([deletions.Case("locks", 9, "crash")], clock).violations
