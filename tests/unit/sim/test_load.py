"""Clients ask until they are answered, and nodes bring evidence."""

import random

import pytest

from hansa.sim.load import Load
from hansa.sim.lying_votes import BothVoter
from hansa.sim.run import PARAMETERS
from hansa.sim.world import World


def started(**options) -> tuple[World, Load]:
    """Return a running world with clients."""
    world = World(1, organisations=6, parameters=PARAMETERS, **options)
    load = Load(world, random.Random(1))
    world.start_all()
    world.run_for(100)
    return world, load


def test_a_client_is_answered() -> None:
    """What waits is owed; what is committed is no more."""
    world, load = started()
    load.submit()
    assert 1 == load.owed() == len(load.pending)
    world.run_for(2_000)
    assert 0 == load.owed()
    assert [1] == list(load.committed.values())


def test_a_client_of_a_node_that_is_down_asks_again() -> None:
    """Once the node is up."""
    world, load = started()
    world.crash(world.nodes[5])
    load.ask(5, world.clients[5].add_user())
    load.start()
    load.is_on = False
    world.run_for(500)
    assert 1 == load.owed()
    world.start(world.nodes[5])
    world.run_for(5_000)
    assert 0 == load.owed()


@pytest.mark.slow
def test_ballots_admit_and_suspend() -> None:
    """Who is admitted catches up; who is suspended is owed nothing."""
    world, load = started(standbys=1)
    load.ballot(range(4), 6, admits=True)
    world.run_for(6_000)
    assert world.nodes[6] in world.settling()
    assert world.nodes[6].disk.state.height == world.nodes[0].disk.state.height > 0
    load.ballot(range(6), 6, admits=False)
    world.run_for(6_000)
    assert world.nodes[6] not in world.settling()
    assert [] == world.checkers.violations


@pytest.mark.slow
def test_a_liar_that_is_caught_is_expelled() -> None:
    """By evidence in a transaction that the noticing node signed itself."""
    world, load = started(behaviours={0: BothVoter()})
    load.submit()
    world.run_for(6_000)
    member = world.checkers.state.organisation(world.members[0].name)
    assert member.expelled_height > 0
    world.checkers.at_rest()
    assert [] == world.checkers.violations
