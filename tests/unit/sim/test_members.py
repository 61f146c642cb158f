"""The simulated alliance."""

import random

from hansa.chain.genesis import validate_genesis
from hansa.sim.members import make_genesis, make_members
from hansa.sim.run import PARAMETERS


def test_the_genesis_is_sound() -> None:
    """The same rules as for a real one; the first members are super nodes."""
    members = make_members(random.Random(1), 6)
    genesis = make_genesis(members, PARAMETERS)
    validate_genesis(genesis)
    assert tuple(member.name for member in members[:4]) == genesis.super_nodes


def test_keys_come_from_the_seed() -> None:
    """One seed, one alliance."""
    one, two = make_members(random.Random(1), 2), make_members(random.Random(1), 2)
    assert [member.node for member in one] == [member.node for member in two]
