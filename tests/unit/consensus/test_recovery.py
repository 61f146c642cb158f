"""What the vote log gives back after a restart."""

import msgspec
import pytest

from hansa.chain.blocks import Vote, sign_vote
from hansa.codec import encode
from hansa.consensus.records import BodyRecord, LockRecord, ProposalRecord, VoteRecord
from hansa.consensus.recovery import restore_height
from hansa.errors import CorruptError
from hansa.types import NO_DIGEST, Digest, Height, Round

BLOCK = Digest(b"b" * 32)


def record(context, phase: str, named: Digest, *, number: int = 0, height: int = 1) -> bytes:
    """Return one record of an own vote."""
    vote = Vote(context.alliance, context.epoch, height, number, phase, named)
    return encode(VoteRecord(sign_vote(vote, context.key)))


def test_votes_come_back(context) -> None:
    """Round, step and promises are as they were."""
    height = restore_height(
        context, [record(context, "review", BLOCK), record(context, "confirm", NO_DIGEST)]
    )
    assert (0, "confirm") == (height.round, height.step)
    assert {(0, "review"), (0, "confirm")} == set(height.own)
    assert height.is_touched


def test_other_heights_are_over(context) -> None:
    """What was decided binds no more."""
    height = restore_height(context, [record(context, "review", BLOCK, height=7)])
    assert {} == height.own
    assert not height.is_touched


def test_a_contradictory_log_stops_the_node(context) -> None:
    """Two votes for one slot: the key runs twice, or the disk lies."""
    with pytest.raises(CorruptError):
        restore_height(
            context, [record(context, "review", BLOCK), record(context, "review", NO_DIGEST)]
        )


def test_a_lock_without_its_body_stops_the_node(context) -> None:
    """The body is written before the confirm that names it."""
    with pytest.raises(CorruptError):
        restore_height(context, [record(context, "confirm", BLOCK)])


def test_a_proposal_is_a_promise(context) -> None:
    """A restarted master proposes nothing else in that round."""
    height = restore_height(context, [encode(ProposalRecord(context.height, Round(2), BLOCK))])
    assert ({2: BLOCK}, 2, "propose") == (height.own_proposals, height.round, height.step)


def test_a_lock_survives_the_crash(quiet) -> None:
    """A super node that confirmed and then crashed is locked on the same block again."""
    world = quiet.world
    quiet.submit(5)
    node = world.nodes[0]
    world.run_for(2_000, until=lambda: any(len(item) > 1_000 for item in node.disk.votes))
    height = restore_height(node.replica._context, node.disk.votes)
    if node.disk.state.height == 0:
        assert 0 == height.locked_round
        assert height.locked_digest in height.candidates
        assert height.valid is not None
    else:
        assert -1 == height.locked_round


def test_other_heights_records_of_all_kinds_are_over(quiet, context) -> None:
    """Proposals, bodies and locks of a height that is decided bind no more."""
    quiet.submit(5)
    quiet.world.run_for(1_000)
    certified = quiet.world.nodes[0].disk.blocks[1]
    records = [
        ProposalRecord(Height(2), Round(0), BLOCK),
        BodyRecord(certified.block, certified.certificate),
        LockRecord(certified.certificate),
    ]
    assert 2 == certified.block.header.height
    height = restore_height(context, [encode(item) for item in records])
    assert (1, {}, {}, None) == (
        height.height,
        height.own_proposals,
        height.candidates,
        height.valid,
    )


def test_a_body_that_is_another_stops_the_node(quiet, context) -> None:
    """The body in the log must be the block that its certificate names, header and contents."""
    quiet.submit(5)
    quiet.world.run_for(1_000)
    certified = quiet.world.nodes[0].disk.blocks[0]
    block, certificate = certified.block, certified.certificate
    height = restore_height(context, [encode(BodyRecord(block, certificate))])
    assert {certificate.vote.digest} == set(height.candidates) == height.persisted
    header = msgspec.structs.replace(block.header, time_ms=1)
    for damaged in (
        msgspec.structs.replace(block, header=header),
        msgspec.structs.replace(block, transactions=()),
    ):
        with pytest.raises(CorruptError):
            restore_height(context, [encode(BodyRecord(damaged, certificate))])


def test_the_latest_certificate_of_a_known_body_is_what_is_valid(quiet, context) -> None:
    """An earlier one does not replace it; one whose body is not here is of no use."""
    quiet.submit(5)
    quiet.world.run_for(1_000)
    certified = quiet.world.nodes[0].disk.blocks[0]
    vote = certified.certificate.vote

    def lock(number: int, **changes) -> bytes:
        changed = msgspec.structs.replace(vote, round=Round(number), **changes)
        return encode(LockRecord(msgspec.structs.replace(certified.certificate, vote=changed)))

    body = encode(BodyRecord(certified.block, certified.certificate))
    height = restore_height(context, [body, lock(3), lock(2), lock(4, digest=BLOCK)])
    assert 3 == height.valid_round
    assert -1 == restore_height(context, [lock(3)]).valid_round


def test_the_lock_is_the_latest_confirm_of_a_block(quiet, context) -> None:
    """Nil confirms unlock nothing, and the order in the log does not matter."""
    quiet.submit(5)
    quiet.world.run_for(1_000)
    certified = quiet.world.nodes[0].disk.blocks[0]
    named = certified.certificate.vote.digest
    log = [
        encode(BodyRecord(certified.block, certified.certificate)),
        record(context, "confirm", named, number=2),
        record(context, "confirm", named, number=1),
        record(context, "confirm", NO_DIGEST, number=3),
    ]
    height = restore_height(context, log)
    assert (3, 2, named) == (height.round, height.locked_round, height.locked_digest)
