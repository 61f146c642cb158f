"""Simulated clocks and the chance of one life."""

import random

from hansa.chain.state import State
from hansa.sim.members import START_MS, make_genesis, make_members
from hansa.sim.nodes import SimulatedClock, SimulatedNode
from hansa.sim.run import PARAMETERS


def test_the_wall_clock_jumps_and_the_monotonic_one_does_not() -> None:
    """Skew is on the wall alone."""
    clock = SimulatedClock()
    before = clock.read(1_000)
    clock.skew_ms = -3_600_000
    after = clock.read(1_000)
    assert START_MS + 1_000 == before.wall_ms
    assert before.wall_ms - 3_600_000 == after.wall_ms
    assert before.monotonic_ms == after.monotonic_ms == 1_000


def test_a_clock_runs_fast_or_slow_and_never_back() -> None:
    """From the moment of the change on."""
    clock = SimulatedClock()
    clock.set_rate(1_000, 1.1)
    assert 2_100 == clock.read(2_000).monotonic_ms
    clock.set_rate(2_000, 0.9)
    assert 3_000 == clock.read(3_000).monotonic_ms


def test_a_timer_fires_when_the_node_believes_it_is_time() -> None:
    """Not a moment before, at any rate."""
    for rate in (0.9, 0.99, 1.0, 1.01, 1.1):
        clock = SimulatedClock()
        clock.set_rate(0, rate)
        for at in (1, 7, 400, 12_345):
            delay = clock.delay_until(3, at)
            assert clock.read(3 + delay).monotonic_ms >= at
            assert delay == 0 or clock.read(3 + delay - 1).monotonic_ms < at


def test_a_life_has_its_own_chance() -> None:
    """The same for twins, another after each start."""
    members = make_members(random.Random(1), 4)
    state = State.at_genesis(make_genesis(members, PARAMETERS))
    one, twin = SimulatedNode(members[0], state, None, 7), SimulatedNode(members[0], state, None, 7)
    first = one.entropy().randbytes(8)
    assert first == twin.entropy().randbytes(8)
    one.life = 1
    assert first != one.entropy().randbytes(8)
    assert one.is_honest
    assert members[0].node == one.key
