"""What the vote log holds: promises of a super node that outlive a crash.

A vote, a proposal and the body a lock names are written and synced before anything of them is sent.
Replayed at start: whoever forgets a promise can be made to break it (amnesia).
"""

from collections.abc import Iterable

import msgspec

from hansa import limits
from hansa.chain.blocks import Block, Certificate, SignedVote
from hansa.codec import decode
from hansa.types import Digest, Height, Round


class _Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of the records here."""


class VoteRecord(_Record, frozen=True, tag=1):
    """A vote about to be sent."""

    vote: SignedVote


class ProposalRecord(_Record, frozen=True, tag=2):
    """A proposal about to be sent: at most one digest for each round."""

    height: Height
    round: Round
    digest: Digest


class BodyRecord(_Record, frozen=True, tag=3):
    """A block with its review certificate, written before a confirm vote names it."""

    block: Block
    certificate: Certificate


class LockRecord(_Record, frozen=True, tag=4):
    """A later review certificate for a block whose body is already written."""

    certificate: Certificate


Record = VoteRecord | ProposalRecord | BodyRecord | LockRecord


def decode_records(data: Iterable[bytes]) -> list[Record]:
    """Return the records of a vote log.

    Raises:
        InvalidError: a record is not ours; the log is corrupt and the node must not vote.
    """
    return [
        decode(Record, item, bytes_max=limits.FRAME_BYTES_MAX)  # type: ignore[arg-type]
        for item in data
    ]
