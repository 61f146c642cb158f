"""A simulated disk loses what a crash may lose, and nothing else."""

import random

import pytest

from hansa.chain.state import State
from hansa.consensus.events import Submitted
from hansa.errors import CorruptError
from hansa.sim.disk import AppendOnlyFile, Disk
from hansa.sim.members import START_MS
from hansa.sim.run import PARAMETERS
from hansa.sim.world import World

RECORDS = [bytes([number]) * 600 for number in range(1, 4)]


@pytest.mark.parametrize("seed", range(40))
def test_a_crash_keeps_what_was_synced(seed: int) -> None:
    """Behind it stand some of the unsynced frames, in order, and nothing torn."""
    file = AppendOnlyFile()
    file.write(RECORDS[0])
    file.sync()
    file.write(RECORDS[1])
    file.write(RECORDS[2])
    file.crash(random.Random(seed))
    file.recover()
    kept = file.payloads()
    assert RECORDS[: len(kept)] == kept
    assert kept


def test_a_crash_has_every_outcome() -> None:
    """All lost, all kept, torn in between."""
    counts = set()
    for seed in range(60):
        file = AppendOnlyFile()
        for record in RECORDS:
            file.write(record)
        file.crash(random.Random(seed))
        file.recover()
        counts.add(len(file.payloads()))
    assert {0, 1, 2, 3} == counts


def test_votes_not_synced_may_go_and_synced_ones_stay() -> None:
    """The vote log as a node sees it."""
    disk = Disk(State.at_genesis(World(1, organisations=4, parameters=PARAMETERS).genesis))
    disk.write_votes([b"one", b"two"])
    disk.sync_votes()
    disk.is_forgetful = True
    disk.write_votes([b"three"])
    disk.sync_votes()
    assert [b"one", b"two", b"three"] == disk.votes
    lost = False
    for seed in range(20):
        disk.crash(random.Random(seed))
        disk.recover()
        assert [b"one", b"two"] == disk.votes[:2]
        lost = lost or len(disk.votes) == 2
    assert lost
    disk.reset_votes([b"kept"])
    assert [b"kept"] == disk.votes


def test_a_block_that_the_state_does_not_know_is_replayed() -> None:
    """Synced into its file, and then the crash came."""
    world = World(1, organisations=4, parameters=PARAMETERS)
    world.start_all()
    world.run_for(100)
    client, node = world.clients[1], world.nodes[1]
    transaction = client.sign(client.add_user(), height=0, time_ms=START_MS)
    sealed = client.seal(transaction, node.replica.sealing_notices())
    world.submit(1, Submitted(sealed))
    world.run_for(200)
    known = node.disk
    fresh = Disk(State.at_genesis(world.genesis))
    for certified in known.blocks:
        fresh.write_block(certified)
        fresh.sync_block()
    assert len(known.blocks) == fresh.recover() > 0
    assert known.state.root == fresh.state.root


def test_an_old_image_forgets() -> None:
    """Blocks and votes since the copy are gone."""
    disk = Disk(State.at_genesis(World(1, organisations=4, parameters=PARAMETERS).genesis))
    disk.write_votes([b"one"])
    disk.sync_votes()
    image = disk.image()
    disk.write_votes([b"two"])
    disk.sync_votes()
    disk.put_back(image)
    assert [b"one"] == disk.votes


def test_a_file_shorter_than_the_state_is_corrupt() -> None:
    """The state knows a block that the file lacks."""
    disk = Disk(State.at_genesis(World(1, organisations=4, parameters=PARAMETERS).genesis))
    disk.blocks = [None]
    with pytest.raises(CorruptError, match="shorter"):
        disk.recover()


def grown(heights: int) -> World:
    """Return a world of honest nodes at a height."""
    world = World(1, organisations=6, parameters=PARAMETERS)
    world.start_all()
    world.run_for(100)
    for number in range(heights):
        client, replica = world.clients[5], world.nodes[5].replica
        transaction = client.sign(client.add_user(), height=number, time_ms=START_MS + world.now_ms)
        world.submit(5, Submitted(client.seal(transaction, replica.sealing_notices())))
        world.run_for(2_000, until=lambda: min(world.heights()) > number)  # noqa: B023 - used at once
    return world


def test_pruning_keeps_the_last_blocks() -> None:
    """Older ones are gone, the rest are where they were, and start-up finds what the state knows."""
    disk = grown(4).nodes[0].disk
    before, height = list(disk.blocks), disk.state.height
    disk.prune(2)
    assert (height - 2, before[-2:]) == (disk.base, disk.blocks)
    assert [None] * (height - 2) == [disk.block(at) for at in range(1, height - 1)]
    assert before[-1] == disk.block(height)
    assert disk.block(height + 1) is None
    assert 0 == disk.recover()
    disk.prune(5)
    assert 2 == len(disk.blocks)


def test_a_snapshot_replaces_everything() -> None:
    """State and blocks are the snapshot's, the vote log is empty, the next block follows."""
    world = grown(4)
    source, disk = world.nodes[0].disk, Disk(State.at_genesis(world.genesis))
    disk.write_votes([b"one"])
    apart, *_, before, last = source.blocks
    disk.put_snapshot(source.state, [apart, before, last])
    assert ([], source.state, [before, last]) == (disk.votes, disk.state, disk.blocks)
    assert [apart, None, last] == [disk.block(at) for at in (1, 2, source.state.height)]
    assert 0 == disk.recover()
    with pytest.raises(AssertionError):
        disk.record(last, source.state)
