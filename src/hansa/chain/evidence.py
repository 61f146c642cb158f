"""Evidence: what proves to anyone that a node lied (DESIGN §6, "who is malicious").

Two signatures of one node on two answers to one question are proof by themselves: no witness, no
clock and no state is needed to check them. A signed word about an execution (a proposal, a vote, a
finding, a refusal) is proof together with what was executed and the part of the state it rests on
(`witness`): whoever repeats the execution sees that the word is false (`conviction`). Silence and
lateness are never evidence, and neither is what rests on an erased copy. Rules of the first two kinds:

1. Both halves name this alliance and the same slot: epoch, height, round and phase.
2. They differ in the digest, the first having the smaller one: one lie has one form.
3. The accused signed both.
"""

from typing import Union, assert_never

import msgspec

from hansa import limits
from hansa.chain.blocks import (
    Block,
    Header,
    Proposal,
    SignedVote,
    is_proposal_signed,
    is_vote_signed,
)
from hansa.chain.findings import Finding, Refusal
from hansa.chain.transactions import Transaction
from hansa.chain.witness import Witness
from hansa.codec import decode, encode
from hansa.types import Digest, Height, PublicKey


class _Value(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of the values here."""


class DoubleVote(_Value, frozen=True, tag=1):
    """Two votes of one super node for one phase of one round: equivocation."""

    first: SignedVote
    second: SignedVote


class DoubleProposal(_Value, frozen=True, tag=2):
    """Two proposals of one master for one round."""

    first: Proposal
    second: Proposal


class Basis(_Value, frozen=True):
    """What an execution rested on, so that it can be repeated."""

    parent: Header | None
    """Header of the height before, which names the state; None at height 1."""
    witness: Witness
    """The part of that state that the execution looks at."""


class InvalidProposal(_Value, frozen=True, tag=3):
    """A master proposed a block that no rule allows."""

    word: Proposal
    block: Block
    basis: Basis


class WrongVote(_Value, frozen=True, tag=4):
    """A super node voted, in whichever phase, for a block that no rule allows."""

    word: SignedVote
    block: Block
    basis: Basis


class WrongFinding(_Value, frozen=True, tag=5):
    """A super node rejected a block as invalid that execution accepts, or judged on a false state."""

    word: Finding
    block: Block | None
    """None where the false state is proof enough."""
    basis: Basis


class WrongRefusal(_Value, frozen=True, tag=6):
    """A super node refused a transaction that execution accepts, or judged on a false state."""

    word: Refusal
    transaction: Transaction | None
    """None where the false state is proof enough."""
    basis: Basis


Pair = DoubleVote | DoubleProposal
Execution = InvalidProposal | WrongVote | WrongFinding | WrongRefusal
Evidence = Union[Pair, Execution]  # noqa: UP007 - a union of unions, for the decoder


def make_double_vote(one: SignedVote, other: SignedVote) -> DoubleVote:
    """Return the evidence that two conflicting votes are."""
    first, second = sorted((one, other), key=lambda signed: signed.vote.digest)
    return DoubleVote(first, second)


def make_double_proposal(one: Proposal, other: Proposal) -> DoubleProposal:
    """Return the evidence that two conflicting proposals are."""
    first, second = sorted((one, other), key=lambda proposal: proposal.digest)
    return DoubleProposal(first, second)


def encode_evidence(evidence: Evidence) -> bytes:
    """Return the canonical bytes that a transaction carries."""
    return encode(evidence)


def decode_evidence(data: bytes) -> Evidence:
    """Return the evidence in bytes; says nothing about whether it proves anything.

    Raises:
        InvalidError: too long, malformed or not canonical.
    """
    return decode(Evidence, data, bytes_max=limits.EVIDENCE_BYTES_MAX)  # type: ignore[arg-type]


def accused(evidence: Evidence) -> PublicKey:
    """Return the node key that the evidence speaks of."""
    match evidence:
        case DoubleVote(SignedVote(_, who)) | WrongVote(SignedVote(_, who)):
            return who
        case DoubleProposal(word) | InvalidProposal(word):
            return word.master
        case WrongFinding(finding):
            return finding.reviewer
        case WrongRefusal(refusal):
            return refusal.refuser
        case _:
            assert_never(evidence)


def height_of(evidence: Evidence) -> Height:
    """Return the height of the lie."""
    match evidence:
        case DoubleVote(SignedVote(vote)) | WrongVote(SignedVote(vote)):
            return vote.height
        case DoubleProposal(word) | InvalidProposal(word):
            return word.height
        case WrongFinding(finding):
            return finding.height
        case WrongRefusal(refusal):
            return refusal.height
        case _:
            assert_never(evidence)


_KINDS: dict[type[Evidence], str] = {
    DoubleVote: "equivocation",
    DoubleProposal: "double-proposal",
    InvalidProposal: "invalid-proposal",
    WrongVote: "wrong-vote",
    WrongFinding: "wrong-finding",
    WrongRefusal: "wrong-refusal",
}


def kind_of(evidence: Evidence) -> str:
    """Return the stable word for the lie."""
    return _KINDS[type(evidence)]


def is_ripe(evidence: Evidence, height: Height) -> bool:
    """Tell whether the chain at `height` can judge evidence: it must have decided the lie's height."""
    return isinstance(evidence, DoubleVote | DoubleProposal) or height_of(evidence) <= height


def is_proof(evidence: Pair, alliance: Digest) -> bool:
    """Tell whether a pair proves what it says, by the rules above."""
    if isinstance(evidence, DoubleVote):
        return _is_double_vote(evidence, alliance)
    return _is_double_proposal(evidence, alliance)


def _is_double_vote(evidence: DoubleVote, alliance: Digest) -> bool:
    one, other = evidence.first, evidence.second
    slots = [
        (signed.voter, vote.alliance, vote.epoch, vote.height, vote.round, vote.phase)
        for signed, vote in ((one, one.vote), (other, other.vote))
    ]
    return (
        slots[0] == slots[1]
        and one.vote.alliance == alliance
        and _is_slot_possible(one.vote.height, one.vote.round)
        and _is_ordered(one.vote.digest, other.vote.digest)
        and is_vote_signed(one)
        and is_vote_signed(other)
    )


def _is_double_proposal(evidence: DoubleProposal, alliance: Digest) -> bool:
    one, other = evidence.first, evidence.second
    slots = [
        (item.master, item.alliance, item.epoch, item.height, item.round) for item in (one, other)
    ]
    return (
        slots[0] == slots[1]
        and one.alliance == alliance
        and _is_slot_possible(one.height, one.round)
        and _is_ordered(one.digest, other.digest)
        and is_proposal_signed(one)
        and is_proposal_signed(other)
    )


def _is_slot_possible(height: int, round_number: int) -> bool:
    return height >= 1 and 0 <= round_number <= limits.ROUND_MAX


def _is_ordered(first: bytes, second: bytes) -> bool:
    return len(first) == len(second) == 32 and first < second
