"""After a restart: the promises in the vote log become the height in progress again.

A vote that is in the log may have been sent; it is sent again, never another one for its slot. A
body with its certificate is in the log before any confirm that names it, so the lock comes back whole.
"""

from collections.abc import Iterable

from hansa.chain.blocks import SignedVote, has_matching_body
from hansa.consensus.context import Context
from hansa.consensus.records import (
    BodyRecord,
    LockRecord,
    ProposalRecord,
    VoteRecord,
    decode_records,
)
from hansa.consensus.rounds import HeightState
from hansa.errors import CorruptError
from hansa.types import NO_DIGEST, PublicKey, Round


def restore_height(context: Context, data: Iterable[bytes]) -> HeightState:
    """Return the height after the committed one with all promises given for it.

    Raises:
        InvalidError: a record does not decode.
        CorruptError: the promises contradict themselves; the node must not vote.
    """
    height = HeightState(context.height, context.members)
    for record in decode_records(data):
        if isinstance(record, VoteRecord):
            _restore_vote(height, record.vote, context.node)
        elif isinstance(record, ProposalRecord):
            if record.height == height.height:
                height.own_proposals[record.round] = record.digest
        elif isinstance(record, BodyRecord):
            if record.block.header.height == height.height:
                _restore_body(height, record)
        elif record.certificate.vote.height == height.height:
            _restore_certificate(height, record)
    last = max([number for number, _ in height.own] + list(height.own_proposals), default=0)
    height.round = Round(last)
    if (last, "confirm") in height.own:
        height.step = "confirm"
    elif (last, "review") in height.own:
        height.step = "review"
    _restore_lock(height)
    return height


def _restore_vote(height: HeightState, signed: SignedVote, node: PublicKey) -> None:
    vote = signed.vote
    if vote.height != height.height:
        return
    slot = (vote.round, vote.phase)
    known = height.own.get(slot)
    if signed.voter != node or (known is not None and known.vote != vote):
        raise CorruptError(
            "The vote log contradicts itself.",
            remedy="Do not run this node key elsewhere; ask the other members before going on.",
        )
    height.own[slot] = signed
    height.round_state(vote.round).votes(vote.phase).add(signed)
    height.note_round(node, vote.round)


def _restore_body(height: HeightState, record: BodyRecord) -> None:
    named = record.block.header.digest()
    if named != record.certificate.vote.digest or not has_matching_body(record.block):
        raise CorruptError("A body in the vote log is not what was locked.")
    height.candidate(record.block, named)
    height.persisted.add(named)
    _restore_certificate(height, LockRecord(record.certificate))


def _restore_certificate(height: HeightState, record: LockRecord) -> None:
    certificate = record.certificate
    if certificate.vote.digest in height.candidates and certificate.vote.round > height.valid_round:
        height.valid = certificate


def _restore_lock(height: HeightState) -> None:
    """The lock is the last block that was confirmed; its body was written before."""
    for (number, phase), signed in height.own.items():
        named = signed.vote.digest
        if phase != "confirm" or named == NO_DIGEST or number <= height.locked_round:
            continue
        if named not in height.candidates:
            raise CorruptError("The vote log names a lock without its body.")
        height.locked_round, height.locked_digest = Round(number), named
