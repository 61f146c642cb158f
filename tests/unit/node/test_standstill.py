"""Tests of node.standstill: each cause is told as what it is, with the organisations by name."""

from dataclasses import replace

import pytest

from hansa.consensus.progress import Progress
from hansa.consensus.schedule import Absence
from hansa.node.standstill import explain, explain_absence
from hansa.types import Height, PublicKey, Round

KEYS = tuple(PublicKey(bytes([number]) * 32) for number in range(4))
NAMES = dict(zip(KEYS, ("archive", "bus", "clinic", "docks"), strict=True))
RUNNING = Progress(
    height=Height(7),
    round=Round(0),
    step="review",
    master=KEYS[1],
    is_super_node=True,
    is_synced=True,
    expects_block=True,
    has_proposal=True,
    members=KEYS,
    reviewed=frozenset(KEYS),
    confirmed=frozenset(KEYS[:3]),
    absent=(),
    locked_round=Round(-1),
    waiting_transactions=1,
    unsettled_submissions=1,
)


@pytest.mark.parametrize(
    ("change", "cause", "told"),
    [
        ({}, "deciding", "at hand"),
        ({"expects_block": False}, "nothing-to-do", "Nobody has asked"),
        ({"is_synced": False}, "not-synced", "fetching blocks"),
        ({"has_proposal": False}, "no-proposal", "The master of round 0, bus,"),
        ({"has_proposal": False, "master": None}, "no-proposal", "unknown"),
        ({"reviewed": frozenset(KEYS[:2])}, "no-reviews", "2 of 3 reviews"),
        ({"confirmed": frozenset(KEYS[2:])}, "no-confirms", "Not heard: archive, bus."),
        ({"is_super_node": False}, "deciding", "sees no votes"),
    ],
)
def test_causes(change: dict[str, object], cause: str, told: str) -> None:
    """One change to a running height, one cause; nothing of it needs attention in the first round."""
    found = explain(replace(RUNNING, **change), NAMES, set(KEYS))
    assert (cause, False) == (found.cause, found.needs_attention)
    assert told in found.explanation
    assert found.remedy


def test_without_a_quorum_nothing_else_matters() -> None:
    """Who is away is named first, whatever the votes say; f of them away is no cause."""
    found = explain(replace(RUNNING, is_synced=False), NAMES, {KEYS[0], KEYS[3]})
    assert ("no-quorum", True) == (found.cause, found.needs_attention)
    assert "Only 2 of 4" in found.explanation
    assert "Missing: bus, clinic." in found.explanation
    assert "no-quorum" != explain(RUNNING, NAMES, set(KEYS[:3])).cause


@pytest.mark.parametrize("change", [{}, {"has_proposal": False}, {"is_super_node": False}])
def test_several_rounds_need_attention(change: dict[str, object]) -> None:
    """A late master is replaced by itself; a third round asks people to look."""
    for number, expected in ((1, False), (2, True)):
        late = replace(RUNNING, round=Round(number), **change)
        assert expected is explain(late, NAMES, set(KEYS)).needs_attention


def test_a_key_without_a_name_is_told_in_hex() -> None:
    """A super node that has left the alliance has no name any more."""
    found = explain(replace(RUNNING, confirmed=frozenset()), {}, set(KEYS))
    assert KEYS[0].hex() in found.explanation


def test_who_is_passed_over_is_no_cause_and_is_told() -> None:
    """Blocks go on without it: who, since when, until when, and what is safe; nothing if there is nobody."""
    gone = Absence(KEYS[1], Height(5), Height(12), is_heard=False)
    back = Absence(KEYS[2], Height(9), Height(12), is_heard=True)
    passed = replace(RUNNING, absent=(gone, back))
    assert explain(RUNNING, NAMES, set(KEYS)) == explain(passed, NAMES, set(KEYS))
    assert "" == explain_absence(RUNNING, NAMES, set(KEYS))
    told = explain_absence(passed, NAMES, {KEYS[0], KEYS[2], KEYS[3]})
    assert "bus is passed over as master since height 5, at least to height 12" in told
    assert "not reached from here" in told
    assert "clinic is passed over as master since height 9; it is recorded again" in told
    assert "after height 12" in told
    assert "Have its organisation start its node" in told
    assert "Do not reset" in told
    assert "it is reached from here" in explain_absence(passed, NAMES, set(KEYS))
    returning = explain_absence(replace(RUNNING, absent=(back,)), NAMES, set(KEYS))
    assert "start its node" not in returning
