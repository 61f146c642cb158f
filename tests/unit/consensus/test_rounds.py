"""One height's bookkeeping."""

import pytest

from hansa import limits
from hansa.consensus.rounds import ROUNDS_KEPT, HeightState
from hansa.types import Height, PublicKey

MEMBERS = tuple(PublicKey(bytes([number]) * 32) for number in range(4))


def test_following_needs_f_plus_one() -> None:
    """One node alone cannot make the others chase it."""
    height = HeightState(Height(1), MEMBERS)
    height.note_round(MEMBERS[0], 900)
    assert -1 == height.jump_target(1)
    height.note_round(MEMBERS[1], 7)
    assert 7 == height.jump_target(1)


def test_rounds_far_away_are_not_kept() -> None:
    """Both sides of both bounds."""
    height = HeightState(Height(1), MEMBERS)
    height.enter(100)
    assert height.is_round_near(100 + limits.ROUNDS_AHEAD_MAX)
    assert not height.is_round_near(100 + limits.ROUNDS_AHEAD_MAX + 1)
    assert height.is_round_near(100 - ROUNDS_KEPT + 1)
    assert not height.is_round_near(100 - ROUNDS_KEPT)


def test_old_rounds_are_forgotten() -> None:
    """Memory does not grow with the rounds."""
    height = HeightState(Height(1), MEMBERS)
    for number in range(200):
        height.enter(number)
        height.round_state(number)
    assert len(height.rounds) <= ROUNDS_KEPT


def test_rounds_do_not_go_back() -> None:
    """Entering an earlier round is our own mistake."""
    height = HeightState(Height(1), MEMBERS)
    height.enter(2)
    with pytest.raises(AssertionError):
        height.enter(1)


def test_one_super_node_does_not_touch_a_height() -> None:
    """Votes of f+1 do."""
    height = HeightState(Height(1), MEMBERS)
    height.note_round(MEMBERS[0], 0)
    assert not height.is_touched
    height.note_round(MEMBERS[1], 0)
    assert height.is_touched
