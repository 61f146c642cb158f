"""Events are values."""

import dataclasses

import pytest

from hansa.consensus.events import Now, TimerFired
from hansa.types import Millis


def test_events_do_not_change() -> None:
    """What happened cannot be altered."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        TimerFired("propose").name = "x"  # type: ignore[misc]


def test_the_two_clocks_are_apart() -> None:
    """Wall and monotonic time never stand for each other."""
    now = Now(Millis(5), 7)
    assert (5, 7) == (now.wall_ms, now.monotonic_ms)
