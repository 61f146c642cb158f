"""The base of all liars."""

import random

from hansa.codec import encode
from hansa.consensus.messages import Blocks
from hansa.sim.behaviour import Behaviour, RolledBack, Stage, Twin
from hansa.sim.run import PARAMETERS
from hansa.sim.world import World


def stage() -> Stage:
    """A founding super node at height 0."""
    world = World(1, organisations=4, parameters=PARAMETERS)
    world.start_all()
    node = world.nodes[0]
    return Stage(node.member.node_key, node.replica, random.Random(1))


def test_without_a_change_it_says_what_the_replica_says() -> None:
    """Bytes and all."""
    data = encode(Blocks(()))
    for behaviour in (Behaviour(), Twin(), RolledBack()):
        assert ((0, data),) == behaviour.speak(stage(), b"x" * 32, data)
    assert RolledBack().rolls_back
    assert not Twin().rolls_back


def test_halves_are_by_key() -> None:
    """The later half of the super nodes; nobody else is in it."""
    here = stage()
    assert [False, False, True, True] == [here.is_second_half(key) for key in here.members]
    assert not here.is_second_half(b"x" * 32)
