"""Cuts while copies are erased."""

import pytest

from hansa.sim import deletions
from hansa.sim.remembered import remembered


def test_every_step_of_every_height_is_cut_in_every_way() -> None:
    """Three heights, all steps of each, eight cuts."""
    with remembered():
        cases = list(deletions.all_cases())
    steps = {
        height: {case.step for case in cases if case.height == height}
        for height in deletions.HEIGHTS
    }
    assert len(cases) == len(deletions.CUTS) * sum(map(len, steps.values()))
    assert all(len(found) > 20 for found in steps.values())
    assert all(case == deletions.decode_name(case.name) for case in cases)


@pytest.mark.parametrize(
    "name", ["commits:1:burn", "rests:1:crash", "commits:crash", "commits:x:crash"]
)
def test_other_names_name_nothing(name: str) -> None:
    """They are refused, not guessed."""
    with pytest.raises(ValueError, match=r".*"):
        deletions.decode_name(name)


@pytest.mark.parametrize("cut", deletions.CUTS)
@pytest.mark.parametrize("height", deletions.HEIGHTS)
def test_cuts_are_survived(height: str, cut: str) -> None:
    """The copies go, the block stays or falls as its certificates say."""
    with remembered():
        outcome = deletions.play(deletions.Case(height, 14, cut))
    assert () == outcome.violations
    assert outcome.rounds >= (0 if height == "commits" else 1)
