"""The world's clock, disks and crashes."""

from hansa.consensus.events import Submitted
from hansa.sim.members import START_MS
from hansa.sim.run import PARAMETERS
from hansa.sim.world import World


def started() -> World:
    """Return a running world."""
    world = World(1, organisations=6, parameters=PARAMETERS)
    world.start_all()
    world.run_for(100)
    return world


def submit(world: World, index: int = 5) -> None:
    """Submit one transaction."""
    client, replica = world.clients[index], world.nodes[index].replica
    transaction = client.sign(
        client.add_user(), height=replica.height, time_ms=START_MS + world.now_ms
    )
    world.submit(index, Submitted(client.seal(transaction, replica.sealing_notices())))


def test_time_is_the_queues() -> None:
    """Actions happen in order of time, then of arrival."""
    world = started()
    seen: list[int] = []
    world.at(20, lambda: seen.append(3))
    world.at(10, lambda: seen.append(1))
    world.at(10, lambda: seen.append(2))
    world.run_for(50)
    assert [1, 2, 3] == seen
    assert 150 == world.now_ms


def test_a_crash_loses_memory_and_keeps_the_disk() -> None:
    """Blocks stay, the replica goes."""
    world = started()
    submit(world)
    world.run_for(500)
    node = world.nodes[0]
    height = node.disk.state.height
    world.crash(node)
    assert node.replica is None
    assert not world.submit(0, Submitted(None))
    world.start(node)
    assert height == node.replica.height > 0


def test_a_step_can_break_off() -> None:
    """What comes after the break is neither written nor sent; what breaks is written at most."""
    world = started()
    node = world.by_key[world.nodes[0].replica.master()]
    node.crash_after = 0
    sent = world.network.sent
    submit(world, world.nodes.index(node))
    assert node.replica is None
    assert [] == node.disk.blocks
    assert sent == world.network.sent


def test_a_pause_holds_what_comes_in() -> None:
    """Afterwards the node takes it all."""
    world = started()
    world.pause(world.nodes[0])
    submit(world)
    world.run_for(500)
    assert 0 == world.nodes[0].disk.state.height
    world.resume(world.nodes[0])
    world.run_for(2_000)
    assert 1 == len(set(world.heights()))


def test_twins_have_one_key_and_two_disks() -> None:
    """What is sent to the key reaches both."""
    world = World(1, organisations=4, parameters=PARAMETERS, twinned=(0,))
    assert 5 == len(world.nodes)
    one, twin = world.instances[world.members[0].node]
    assert one is world.by_key[one.key]
    assert twin is world.nodes[-1]
    assert not one.is_honest
    world.start_all()
    world.run_for(100)
    submit(world, 1)
    world.run_for(2_000)
    assert one.disk.state.height == twin.disk.state.height > 0
    assert one.disk is not twin.disk
    assert [] == world.checkers.violations


def test_who_stands_by_is_not_linked() -> None:
    """Until the alliance admits it."""
    world = World(1, organisations=4, parameters=PARAMETERS, standbys=1)
    world.start_all()
    world.run_for(100)
    assert {*world.nodes[0].replica._context.connected} == {node.key for node in world.nodes[1:4]}
    assert set() == world.nodes[4].replica._context.connected
    assert world.nodes[4] not in world.settling()


def test_scripts_act_before_a_step_and_between_instances() -> None:
    """They may stop a node, or part two of them."""
    world = started()
    world.parts = lambda sender, receiver: receiver is world.nodes[1]
    world.before_step = lambda node, event: world.crash(node) if node is world.nodes[2] else None
    submit(world)
    world.run_for(3_000)
    assert world.nodes[2].replica is None
    assert 0 == world.nodes[1].disk.state.height
