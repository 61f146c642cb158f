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
    """What comes after the break is neither written nor sent."""
    world = started()
    node = world.by_key[world.nodes[0].replica.master()]
    node.crash_after = 0
    submit(world, world.nodes.index(node))
    assert node.replica is None
    assert [] == node.disk.votes


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
