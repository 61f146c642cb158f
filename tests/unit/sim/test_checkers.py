"""Checkers notice what they are for."""

import msgspec
import pytest

from hansa.chain.state import State
from hansa.codec import encode
from hansa.consensus.events import Submitted
from hansa.consensus.records import VoteRecord, decode_records
from hansa.sim.checkers import Checkers
from hansa.sim.members import MARKER, START_MS
from hansa.sim.run import PARAMETERS
from hansa.sim.world import World


@pytest.fixture
def world() -> World:
    """A world with one committed transaction."""
    made = World(1, organisations=6, parameters=PARAMETERS)
    made.start_all()
    made.run_for(100)
    client, replica = made.clients[5], made.nodes[5].replica
    transaction = client.sign(client.add_user(), height=0, time_ms=START_MS)
    made.submit(5, Submitted(client.seal(transaction, replica.sealing_notices())))
    made.run_for(50)
    assert [] == made.checkers.violations
    return made


def fresh(world: World) -> Checkers:
    """Return checkers that have seen the genesis only."""
    checkers = Checkers()
    checkers.genesis(State.at_genesis(world.genesis))
    return checkers


def test_two_blocks_at_one_height(world: World) -> None:
    """Agreement."""
    node = world.nodes[0]
    certified, checkers = node.disk.blocks[0], fresh(world)
    checkers.committed(node.key, certified, node.disk.state)
    assert [] == checkers.violations
    header = msgspec.structs.replace(certified.block.header, time_ms=1)
    other = msgspec.structs.replace(
        certified, block=msgspec.structs.replace(certified.block, header=header)
    )
    checkers.committed(node.key, other, node.disk.state)
    assert ["two blocks at height 1"] == checkers.violations


def test_a_certificate_without_a_quorum(world: World) -> None:
    """Two of four signatures do not hold."""
    node, checkers = world.nodes[0], fresh(world)
    certified = node.disk.blocks[0]
    poor = msgspec.structs.replace(
        certified.certificate, signatures=certified.certificate.signatures[:2]
    )
    checkers.committed(
        node.key, msgspec.structs.replace(certified, certificate=poor), node.disk.state
    )
    assert ["the certificate of height 1 does not hold"] == checkers.violations


def test_a_double_vote_and_a_leak(world: World) -> None:
    """Promises are compared over all restarts; nothing confidential is in them."""
    node, checkers = world.nodes[0], fresh(world)
    record = next(item for item in decode_records(node.disk.votes) if isinstance(item, VoteRecord))
    vote = msgspec.structs.replace(record.vote.vote, digest=b"x" * 32)
    twin = VoteRecord(msgspec.structs.replace(record.vote, vote=vote))
    checkers.persisted(node.key, [encode(record), encode(twin)])
    assert any("double" in text for text in checkers.violations)
    long = msgspec.structs.replace(record.vote, signature=MARKER.encode())
    checkers.persisted(node.key, [encode(VoteRecord(long))])
    assert "confidential bytes in a vote log" in checkers.violations


def test_a_copy_of_another_round(world: World) -> None:
    """Copies belong to the round in progress."""
    replica, checkers = world.nodes[0].replica, fresh(world)
    checkers.stepped(replica)
    assert [] == checkers.violations
    replica._vault.hold(1, 0, b"t" * 32, b"x")
    checkers.stepped(replica)
    assert 1 == len(checkers.violations)
