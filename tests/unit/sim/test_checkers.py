"""Checkers notice what they are for."""

import msgspec
import pytest

from hansa.chain.blocks import Erasure, Vote, sign_vote
from hansa.chain.evidence import make_double_vote
from hansa.chain.state import State
from hansa.codec import encode
from hansa.consensus.effects import ReportFault
from hansa.consensus.events import Submitted
from hansa.consensus.messages import Erased
from hansa.consensus.records import VoteRecord, decode_records
from hansa.sim.checkers import Checkers
from hansa.sim.disk import Disk
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
    return Checkers(State.at_genesis(world.genesis))


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
    node, checkers = world.nodes[0], fresh(world)
    checkers.stepped(node.key, node.replica)
    assert [] == checkers.violations
    node.replica._vault.hold(1, 0, b"t" * 32, b"x")
    checkers.stepped(node.key, node.replica)
    assert 1 == len(checkers.violations)


def test_a_buffer_that_is_dropped_and_not_overwritten(world: World) -> None:
    """Letting go is not erasing."""
    node, checkers = world.nodes[0], fresh(world)
    vault, slot = node.replica._vault, (node.replica.height + 1, node.replica.round)
    vault.hold(*slot, b"t" * 32, bytearray(b"secret"))
    checkers.stepped(node.key, node.replica)
    vault._rounds.clear()
    checkers.stepped(node.key, node.replica)
    assert any("not overwritten" in text for text in checkers.violations)


def test_an_erasure_acknowledged_too_early(world: World) -> None:
    """ERASED goes out while the copies are here."""
    node, checkers = world.nodes[0], fresh(world)
    erasure = Erasure(world.alliance, 1, 0, "committed", bytes(32), 1, b"", node.key, bytes(64))
    checkers.sent(node.key, node.replica, encode(Erased((erasure,))))
    assert [] == checkers.violations
    node.replica._vault.hold(1, 0, b"t" * 32, b"x")
    checkers.sent(node.key, node.replica, encode(Erased((erasure, erasure))))
    assert ["an erasure was acknowledged while the copies are held"] == checkers.violations


def test_a_block_against_the_rules(world: World) -> None:
    """Judged once more from the checkers' own state."""
    node, checkers = world.nodes[0], fresh(world)
    certified = node.disk.blocks[0]
    spoilt = msgspec.structs.replace(certified.block.transactions[0], signature=bytes(64))
    block = msgspec.structs.replace(certified.block, transactions=(spoilt,))
    checkers.committed(node.key, msgspec.structs.replace(certified, block=block), node.disk.state)
    assert any("not valid" in text for text in checkers.violations)


def test_accusations(world: World) -> None:
    """Between honest nodes none is allowed; what liars say does not count."""
    one, other = world.nodes[0].key, world.nodes[1].key
    checkers = Checkers(State.at_genesis(world.genesis), [other])
    fault = ReportFault("malformed", other, "")
    checkers.accused(one, fault)
    checkers.accused(other, ReportFault("malformed", one, ""))
    checkers.accused(one, ReportFault("differing-review", one, ""))
    assert [] == checkers.violations
    fresh(world).accused(one, fault)
    checkers.accused(one, ReportFault("equivocation", one, ""))
    assert ["an honest node was accused of equivocation: "] == checkers.violations
    first, second = (
        sign_vote(Vote(world.alliance, 0, 9, 0, "review", bytes([n]) * 32), key)
        for n, key in enumerate([world.members[2].node_key] * 2)
    )
    honest = fresh(world)
    honest.proved(one, make_double_vote(first, second))
    assert ["there is evidence against an honest node"] == honest.violations
    honest.proved(one, make_double_vote(first, first))
    assert "an honest node accuses of equivocation and proves nothing" in honest.violations


def test_a_restart_that_takes_blocks_back(world: World) -> None:
    """A disk never stands lower than it stood."""
    node, checkers = world.nodes[0], fresh(world)
    checkers.committed(node.key, node.disk.blocks[0], node.disk.state)
    checkers.started(node.key, Disk(State.at_genesis(world.genesis)))
    assert ["a restart took blocks back"] == checkers.violations


def test_a_lock_without_its_body(world: World) -> None:
    """What is locked is here, and durable."""
    node, checkers = world.nodes[0], fresh(world)
    node.replica._agreement.height.locked_digest = b"l" * 32
    checkers.stepped(node.key, node.replica)
    assert any("lock" in text for text in checkers.violations)


def test_snapshots(world: World) -> None:
    """Of another chain, of another state, or older than a vote of who takes it."""
    node = world.nodes[0]
    tip, state = node.disk.blocks[-1], node.disk.state
    checkers = fresh(world)
    for certified in node.disk.blocks:
        checkers.committed(node.key, certified, state)
    checkers.joined(node.key, state, tip)
    assert [] == checkers.violations
    header = msgspec.structs.replace(tip.block.header, time_ms=1)
    block = msgspec.structs.replace(tip.block, header=header)
    checkers.joined(node.key, state, msgspec.structs.replace(tip, block=block))
    assert [
        f"a snapshot of height {state.height} was taken of another chain"
    ] == checkers.violations
    checkers.violations.clear()
    checkers.joined(node.key, State.at_genesis(world.genesis), tip)
    assert [f"a snapshot's state is not that of height {state.height}"] == checkers.violations
    checkers.violations.clear()
    alliance = state.alliance
    later = Vote(alliance, 0, state.height + 1, 0, "review", b"d" * 32)
    vote = VoteRecord(sign_vote(later, node.member.node_key))
    checkers.persisted(node.key, [encode(vote)])
    checkers.joined(node.key, state, tip)
    assert ["a node that had voted took a snapshot older than its vote"] == checkers.violations
