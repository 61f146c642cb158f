"""What the vote log gives back after a restart."""

import pytest

from hansa.chain.blocks import Vote, sign_vote
from hansa.codec import encode
from hansa.consensus.records import ProposalRecord, VoteRecord
from hansa.consensus.recovery import restore_height
from hansa.errors import CorruptError
from hansa.types import NO_DIGEST, Digest, Round

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
