"""Every kind of trouble happens, ends, and leaves nothing behind."""

import random

import pytest

from hansa.sim.behaviour import RolledBack
from hansa.sim.chaos import Chaos
from hansa.sim.load import Load
from hansa.sim.run import PARAMETERS
from hansa.sim.world import World


def made(*, changes: bool = True, joins: bool = False, **options) -> Chaos:
    """Return trouble for a running world."""
    world = World(1, organisations=6, parameters=PARAMETERS, **options)
    load = Load(world, random.Random(1))
    world.start_all()
    world.run_for(100)
    return Chaos(world, load, random.Random(1), changes=changes, joins=joins)


def test_every_kind_of_trouble_is_there() -> None:
    """Nodes, disks, clocks, links and members."""
    names = {action.__name__ for action in made(behaviours={0: RolledBack()})._actions}
    assert names == {
        "_crash",
        "_crash_in_a_step",
        "_pause",
        "_part",
        "_one_way",
        "_misset_clock",
        "_change_members",
        "_roll_back",
    }


@pytest.mark.parametrize("action", ["_crash", "_pause", "_part", "_one_way", "_misset_clock"])
def test_trouble_ends_by_itself(action: str) -> None:
    """Within a few seconds all are up, linked and on time."""
    chaos = made()
    world, node = chaos.world, chaos.world.nodes[2]
    getattr(chaos, action)(node)
    world.run_for(6_000)
    assert node.replica is not None
    assert not node.is_paused
    assert (0, 1.0) == (node.clock.skew_ms, node.clock.rate)
    assert set() == world.network._cuts
    assert [] == world.checkers.violations


def test_a_node_that_rolls_back_forgets_blocks() -> None:
    """The copy is put back over a restart."""
    chaos = made(behaviours={0: RolledBack()})
    world, node = chaos.world, chaos.world.nodes[0]
    chaos._roll_back(node)
    chaos._load.submit()
    world.run_for(1_000)
    assert node.disk.state.height > 0
    chaos._roll_back(node)
    assert 0 == node.disk.state.height
    world.run_for(10_000)
    assert node.disk.state.height > 0


@pytest.mark.slow
def test_members_change_and_enough_stay() -> None:
    """Ballots of a majority, again and again."""
    chaos = made(standbys=2)
    for _ in range(12):
        chaos._change_members(chaos.world.nodes[0])
        chaos.world.run_for(1_500)
    state = chaos.world.checkers.state
    statuses = {item.name: item.status for item in state.organisations()}
    assert len(statuses) > 6
    assert "suspended" in statuses.values() or len(statuses) == 8
    assert sum(status == "active" for status in statuses.values()) >= 5
    assert [] == chaos.world.checkers.violations


def test_healing_brings_all_back() -> None:
    """At once."""
    chaos = made()
    world = chaos.world
    world.crash(world.nodes[0])
    world.pause(world.nodes[1])
    chaos._misset_clock(world.nodes[2])
    chaos._part(world.nodes[3])
    chaos.heal()
    assert all(node.replica is not None and not node.is_paused for node in world.nodes)
    assert all(node.clock.skew_ms == 0 for node in world.nodes)
    chaos._next()
    assert set() == world.network._cuts


def test_disks_are_lost_and_pruned_only_where_asked() -> None:
    """Without it the draws of all other seeds stay what they were."""
    names = {action.__name__ for action in made(changes=False, joins=True)._actions}
    assert {"_rejoin", "_prune"} <= names
    assert not {"_rejoin", "_prune"} & {action.__name__ for action in made()._actions}


def test_one_disk_at_a_time_and_no_seat_where_others_fail() -> None:
    """With changing members a wiped super node could be one fault too many."""
    chaos = made(joins=True)
    seated = chaos.world.checkers.state.super_nodes()
    for _ in range(5):
        chaos._rejoin(chaos.world.nodes[0])
    wiped = [node for node in chaos.world.nodes if node.is_joining]
    assert 1 == len(wiped) == len(chaos.joined)
    assert wiped[0].key not in seated
    chaos._crash(wiped[0])
    chaos.heal()
    assert wiped[0].replica is None, "it starts by its snapshot alone"


def test_a_pruned_node_starts_again() -> None:
    """It has its last blocks; the first honest node never prunes."""
    chaos = made(joins=True)
    world = chaos.world
    chaos._load.submit()
    world.run_for(1_000)
    for node in world.nodes[:2]:
        chaos._prune(node)
    assert [True, False] == [node.replica is not None for node in world.nodes[:2]]
    world.run_for(2_000)
    assert world.nodes[1].replica is not None
    assert [] == world.checkers.violations
