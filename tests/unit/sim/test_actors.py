"""Every kind of liar: it lies in a run, nothing breaks, and nobody honest is named."""

import pytest

from hansa.sim.actors import ACTORS
from hansa.sim.behaviour import Behaviour
from hansa.sim.remembered import remembered
from hansa.sim.run import Plan, Run

PROVED = {
    "both-voter",
    "equivocator",
    "invalid-batch",
    "time-traveller",
    "wrong-parent",
    "wrong-reviewer",
    "wrong-root",
    "wrong-state",
}
"""Those whose lies anyone can check: they are expelled, in this very run."""


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
        run = Run(7, Plan(byzantine=1, actors=(name,), chaos_ms=1_500))
        report = run.run()
    assert () == report.violations, report.replay
    assert report.committed > 0
    assert (name,) == report.actors
    (liar,) = [node.member.name for node in run.world.nodes if not node.is_honest]
    if name in PROVED:
        assert run.world.checkers.state.organisation(liar).expelled_height, report.replay


@pytest.mark.parametrize("seed", [1, 5])
def test_who_refuses_wrongly_is_expelled(seed: int) -> None:
    """Clients appeal, are served by the others, and the refusal is its own proof."""
    with remembered():
        run = Run(seed, Plan(byzantine=1, actors=("wrong-refuser",)))
        report = run.run()
    assert () == report.violations, report.replay
    (liar,) = [node.member.name for node in run.world.nodes if not node.is_honest]
    assert run.world.checkers.state.organisation(liar).expelled_height, report.replay
