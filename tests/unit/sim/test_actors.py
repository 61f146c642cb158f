"""Every kind of liar: it lies in a run, nothing breaks, and nobody honest is named."""

import pytest

from hansa.sim.actors import ACTORS
from hansa.sim.behaviour import Behaviour
from hansa.sim.remembered import remembered
from hansa.sim.run import Plan, Run


def test_there_are_more_than_forty() -> None:
    """Twenty are asked for; each has a name and says what it does."""
    assert len(ACTORS) > 40
    assert all(kind.__doc__ and issubclass(kind, Behaviour) for kind in ACTORS.values())
    assert "double-voter" in ACTORS
    assert sorted(ACTORS) == list(ACTORS)


@pytest.mark.parametrize("name", ACTORS)
def test_one_of_four_breaks_nothing(name: str) -> None:
    """Each with its real key, through chaos; every checker after every step."""
    with remembered():
        report = Run(7, Plan(byzantine=1, actors=(name,), chaos_ms=1_500)).run()
    assert () == report.violations, report.replay
    assert report.committed > 0
    assert (name,) == report.actors
