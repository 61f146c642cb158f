"""What nodes say to each other about the agreement: one struct for each message.

Step numbers are those of the seed: 1 SUBMIT, 2 REFUSAL, 3 PROPOSE, 4 REVIEW, 5 RESPONSE, 6 CONFIRM,
7 BLOCK and ERASE, 8 ERASED. The link names and authenticates the sender; whatever must hold towards
third parties is signed inside. Every redundant field is compared before use (`agreement`, `review`).
"""

import typing
from collections.abc import Sequence

import msgspec

from hansa import limits
from hansa.chain.blocks import (
    Block,
    Certificate,
    CertifiedBlock,
    Erasure,
    Proposal,
    SignedVote,
)
from hansa.chain.findings import Finding, Refusal
from hansa.chain.sealed import SealedTransaction, SealingKeyNotice
from hansa.codec import decode, encode
from hansa.types import Digest, Height, PublicKey, Round


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of the messages here."""


class Submit(_Message, frozen=True, tag=1):
    """Step 1: sealed transactions on their way to the master."""

    submitter: PublicKey
    """Node that keeps them until they are settled; refusals go to it."""
    hops: int
    """0 from the submitter, 1 if a super node passed them on; never passed on twice."""
    sealed: tuple[SealedTransaction, ...]


class Propose(_Message, frozen=True, tag=3):
    """Step 3: a block for review, with the copies that cannot be read in its public part."""

    proposal: Proposal
    block: Block
    certificate: Certificate | None
    """Review certificate of `valid_round` if the block is proposed again."""
    copies: tuple[SealedTransaction, ...]
    """Transactions with a confidential part, in block order; none if the block is proposed again."""


class Review(_Message, frozen=True, tag=4):
    """Step 4: the first vote; a vote for no block comes with a signed finding that says why."""

    vote: SignedVote
    finding: Finding | None
    """None with an approval, and where a vote is only repeated."""
    erasures: tuple[Erasure, ...]
    """ERASED of earlier rounds, riding along (step 8)."""


class Response(_Message, frozen=True, tag=5):
    """Step 5: a reviewer whose review differs tells the master, with the others' signed reviews."""

    own: SignedVote
    finding: Finding | None
    """Why the own review rejects; None if it approves."""
    others: tuple[SignedVote, ...]


class Confirm(_Message, frozen=True, tag=6):
    """Step 6: the second vote."""

    vote: SignedVote


class BlockDecided(_Message, frozen=True, tag=7):
    """Step 7: a decided block for all nodes; also the order and the proof to erase (ERASE)."""

    block: CertifiedBlock


class Erase(_Message, frozen=True, tag=8):
    """Step 7, 9: erase the copies of a round; the certificate (of the block, or of nil) is the proof."""

    certificate: Certificate


class Erased(_Message, frozen=True, tag=9):
    """Step 8: signed acknowledgements of block and erasure."""

    erasures: tuple[Erasure, ...]


class Status(_Message, frozen=True, tag=10):
    """Where a node stands; whoever sees that the sender lacks something sends it."""

    alliance: Digest
    height: Height
    """Last committed height."""
    digest: Digest
    """Digest of that block; the alliance id at height 0."""
    round: Round
    """Round of the next height."""
    valid_round: Round
    """Round of the latest review certificate known for the next height, or -1."""
    has_proposal: bool
    """Whether the proposal of the present round is here."""
    is_answer: bool
    """An answer is not answered with a status again."""


class Certified(_Message, frozen=True, tag=11):
    """A block with a quorum of reviews: what a lock rests on, shared so that masters propose it again."""

    certificate: Certificate
    block: Block


class GetBlocks(_Message, frozen=True, tag=12):
    """Asks for decided blocks."""

    first: Height
    count: int


class Blocks(_Message, frozen=True, tag=13):
    """Answers with decided blocks in order; empty if there are none."""

    blocks: tuple[CertifiedBlock, ...]


class SealingKey(_Message, frozen=True, tag=14):
    """Announcement of the keys that transactions are sealed to."""

    notices: tuple[SealingKeyNotice, ...]


class Appeal(_Message, frozen=True, tag=16):
    """After step 2: a refused transaction with its refusal, for the other super nodes to judge too."""

    refusal: Refusal
    sealed: SealedTransaction


class VotesAgain(_Message, frozen=True, tag=15):
    """A peer's latest votes of both phases again, for those who may have missed them."""

    votes: tuple[SignedVote, ...]


Message = (
    Submit
    | Refusal
    | Propose
    | Review
    | Response
    | Confirm
    | BlockDecided
    | Erase
    | Erased
    | Status
    | Certified
    | GetBlocks
    | Blocks
    | SealingKey
    | VotesAgain
    | Appeal
)


_KINDS: dict[int, str] = {
    kind.__struct_config__.tag: kind.__name__ for kind in typing.get_args(Message)
}


def kind_of(data: bytes) -> str:
    """Return the name of an encoded message's kind, as its struct is called; for figures."""
    return _KINDS[data[1]]


def decode_message(data: bytes) -> Message:
    """Return the message in received bytes.

    Raises:
        InvalidError: too long, malformed or not canonical.
    """
    return decode(Message, data, bytes_max=limits.FRAME_BYTES_MAX)  # type: ignore[arg-type]


def encode_blocks(blocks: Sequence[CertifiedBlock]) -> bytes:
    """Return the answer that serves decided blocks, cut to what one answer may hold."""
    taken: list[CertifiedBlock] = []
    total = 0
    for certified in blocks[: limits.BLOCKS_PER_SYNC_ANSWER_MAX]:
        total += len(encode(certified))
        if taken and total > limits.SYNC_ANSWER_BYTES_MAX:
            break
        taken.append(certified)
    return encode(Blocks(tuple(taken)))
