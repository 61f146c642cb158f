"""A node takes a snapshot: what is true is taken, what is not is refused, whoever says it."""

import random

import pytest

from hansa.sim.behaviour import Behaviour
from hansa.sim.joining import Joiner, forge
from hansa.sim.run import Plan, Run
from hansa.sim.world import World


class Silent(Behaviour):
    """A liar that only lies when it is asked for a snapshot."""


def grown(plan: Plan | None = None, heights: int = 5) -> Run:
    """Return a quiet world at a height, under load."""
    run = Run(3, plan or Plan(organisations=6, chaos_ms=0), behaviour=Silent)
    run.world.network.heal()
    run.world.start_all()
    run.load.start()
    assert run.world.run_for(60_000, until=lambda: min(run.world.heights()) >= heights)
    return run


def wipe(world: World, index: int, seed: int = 1) -> Joiner:
    """Have a node join that has nothing."""
    node = world.nodes[index]
    world.crash(node)
    joiner = Joiner(world, node, random.Random(seed))
    joiner.start()
    return joiner


@pytest.mark.parametrize("index", [1, 5], ids=["a super node", "another"])
def test_a_wiped_node_comes_back(index: int) -> None:
    """It has the same state again, its last blocks, no vote; and goes on with the others."""
    run = grown()
    world = run.world
    joiner, node = wipe(world, index), world.nodes[index]
    # The super node has voted on the height in progress: it waits until that is decided.
    assert world.run_for(60_000, until=lambda: joiner.is_over)
    assert node.replica is not None
    height = node.disk.state.height
    assert world.run_for(60_000, until=lambda: min(world.heights()) > height + 3)
    run.heal()
    assert [] == world.checkers.violations
    assert 0 == joiner.refused


def test_not_before_it_is_a_member() -> None:
    """Who stands by waits until it is admitted; nobody is asked before."""
    run = Run(3, Plan(organisations=5, changes=True, joins=True, chaos_ms=0))
    world = run.world
    newcomer = world.nodes[5]
    run.chaos.join(newcomer)
    world.start_all()
    run.load.start()
    world.run_for(2_000)
    assert (None, True) == (newcomer.replica, newcomer.is_joining)
    run.load.ballot([0, 1, 2, 3], 5, admits=True)
    assert world.run_for(60_000, until=lambda: not newcomer.is_joining)
    assert newcomer.replica is not None
    assert [] == world.checkers.violations


def test_what_a_liar_says_is_refused() -> None:
    """Alone with a liar, pieces prove nothing again and again; with the others back, it joins."""
    run = grown(Plan(organisations=6, byzantine=1, chaos_ms=0))
    world = run.world
    liar = next(node for node in world.nodes if not node.is_honest)
    joiner = wipe(world, 5, seed=7)
    for other in world.nodes:
        if other not in (liar, world.nodes[5]):
            world.network.cut(other.key, world.nodes[5].key)
    assert world.run_for(60_000, until=lambda: joiner.refused >= 2 or joiner.is_over)
    assert joiner.refused >= 2
    world.network.heal()
    assert world.run_for(60_000, until=lambda: joiner.is_over)
    assert [] == world.checkers.violations


def test_a_forged_story_is_whole() -> None:
    """Only its signatures are wrong: state, root and header fit each other."""
    node = grown().world.nodes[2]
    tip, pairs = forge(node, node.disk.state, node.disk.blocks[-1])
    assert pairs.root == tip.block.header.state_root != node.disk.state.root
    assert tip.certificate.vote.digest == tip.block.header.digest()
