"""Blocks, votes, certificates: what super nodes sign and everybody checks.

A vote names alliance, epoch, height, round, phase and digest, so it can stand for nothing else. A
quorum certificate is one digest with distinct signers of that epoch; anything besides is invalid.
"""

from collections.abc import Collection
from typing import Literal

import msgspec

from hansa.chain.findings import Finding
from hansa.chain.transactions import Transaction
from hansa.codec import derived, digest, encode
from hansa.crypto.merkle import compute_root
from hansa.crypto.signing import SigningKey, is_signed, is_signed_somewhere, sign_for_many
from hansa.types import Digest, Epoch, Height, Millis, PublicKey, Round, Signature

HEADER_TAG = "hansa.header.1"
VOTE_TAG = "hansa.vote.1"
ERASURE_TAG = "hansa.erasure.1"
PROPOSAL_TAG = "hansa.proposal.1"


class _Value(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of the values here."""


Phase = Literal["review", "confirm"]


class Vote(_Value, frozen=True):
    """One super node's vote in one phase of one round; NO_DIGEST is a vote for nil."""

    alliance: Digest
    epoch: Epoch
    height: Height
    round: Round
    phase: Phase
    digest: Digest
    """Digest of the block's header, or NO_DIGEST for nil."""


class SignedVote(_Value, frozen=True):
    """A vote with its voter's signature."""

    vote: Vote
    voter: PublicKey
    signature: Signature


class CertificateSignature(_Value, frozen=True):
    """One voter's part of a certificate."""

    voter: PublicKey
    signature: Signature


class Certificate(_Value, frozen=True):
    """A quorum's signatures on one vote, sorted by voter, each voter once."""

    vote: Vote
    signatures: tuple[CertificateSignature, ...]


class Proposal(_Value, frozen=True):
    """What a master signs: one digest for one round of one height."""

    alliance: Digest
    epoch: Epoch
    height: Height
    round: Round
    valid_round: Round
    """Round of the review certificate that is carried, or -1 for a new block."""
    digest: Digest
    master: PublicKey
    signature: Signature
    """Over this struct with an empty signature."""


class Erasure(_Value, frozen=True):
    """ERASED: a super node's signed word that the copies of one round are gone."""

    alliance: Digest
    height: Height
    round: Round
    outcome: Literal["committed", "failed"]
    digest: Digest
    """Digest of the block that was proposed in that round."""
    copies: int
    """How many copies were erased."""
    vote: Signature
    """Of its confirm vote for that block in that round; empty if it did not vote so, or it failed."""
    super_node: PublicKey
    signature: Signature
    """Over this struct with an empty signature."""


class Result(_Value, frozen=True):
    """What execution made of one transaction: accepted, or refused with a stable reason code."""

    accepted: bool
    code: str
    """Empty if accepted."""


_ACCEPTED = encode(Result(accepted=True, code=""))


class Header(_Value, frozen=True):
    """What a block's digest covers."""

    format: Literal[1]
    alliance: Digest
    height: Height
    round: Round
    """Round in which the block was first proposed."""
    epoch: Epoch
    parent: Digest
    """Digest of the previous header; the alliance id at height 1."""
    time_ms: Millis
    """The master's clock, later than the parent's."""
    master: PublicKey
    transactions_root: Digest
    results_root: Digest
    erasures_root: Digest
    """Of the acknowledgements and, after them, the findings."""
    state_root: Digest
    """State after this block."""
    index_root: Digest
    """Reserved for the agreed index; NO_DIGEST in format 1."""
    super_nodes: tuple[PublicKey, ...]
    """Node keys of the set that decides this block, sorted."""
    next_super_nodes: tuple[PublicKey, ...]
    """Node keys of the set that decides the next block, sorted."""
    transaction_count: int
    total_transactions: int
    """Transactions in all blocks up to this one."""

    def digest(self) -> Digest:
        """Return the block's digest, 32 bytes."""
        return digest(HEADER_TAG, encode(self))


class Block(_Value, frozen=True, dict=True):
    """Header and body; its certificate stands beside it."""

    header: Header
    transactions: tuple[Transaction, ...]
    results: tuple[Result, ...]
    erasures: tuple[Erasure, ...]
    findings: tuple[Finding, ...] = ()
    """Step 5: why super nodes rejected what was proposed at the height before, as its reviews say."""

    @derived
    def body_roots(self) -> tuple[Digest, Digest, Digest]:
        """The roots of what the body holds; derived once, for the body never changes."""
        return body_roots(self.transactions, self.results, self.erasures, self.findings)


class CertifiedBlock(_Value, frozen=True):
    """A block with the certificate that decided it: the unit of the ledger and of catching up."""

    block: Block
    certificate: Certificate


def quorum_of(super_nodes: int) -> int:
    """Return how many votes decide among r super nodes: ⌊2r/3⌋+1."""
    return 2 * super_nodes // 3 + 1


def faults_of(super_nodes: int) -> int:
    """Return how many faulty super nodes the agreement among r bears: ⌊(r−1)/3⌋."""
    return (super_nodes - 1) // 3


def body_roots(
    transactions: tuple[Transaction, ...],
    results: tuple[Result, ...],
    erasures: tuple[Erasure, ...],
    findings: tuple[Finding, ...] = (),
) -> tuple[Digest, Digest, Digest]:
    """Return the roots of transactions (leaves: canonical bytes), results, erasures with findings."""
    return (
        compute_root([item.canonical for item in transactions]),
        compute_root(
            [_ACCEPTED if item.accepted and not item.code else encode(item) for item in results]
        ),
        compute_root([encode(item) for item in (*erasures, *findings)]),
    )


def has_matching_body(block: Block) -> bool:
    """Tell whether every redundant field of the header agrees with the body."""
    header = block.header
    counts = {header.transaction_count, len(block.transactions), len(block.results)}
    named = (header.transactions_root, header.results_root, header.erasures_root)
    return len(counts) == 1 and block.body_roots == named


def sign_vote(vote: Vote, key: SigningKey) -> SignedVote:
    """Sign a vote. The caller has made it durable before it is sent."""
    return SignedVote(vote, key.public, sign_for_many(key, VOTE_TAG, encode(vote)))


def is_vote_signed(signed: SignedVote) -> bool:
    """Tell whether the named voter signed the vote; says nothing about the voter's right."""
    return is_signed_somewhere(VOTE_TAG, encode(signed.vote), signed.signature, signed.voter)


def is_certificate_valid(certificate: Certificate, super_nodes: Collection[PublicKey]) -> bool:
    """Tell whether a quorum of `super_nodes` signed, each once, in order, and nobody else did."""
    voters = [part.voter for part in certificate.signatures]
    if not quorum_of(len(super_nodes)) <= len(voters) <= len(super_nodes):
        return False
    if voters != sorted(set(voters)) or not set(voters) <= set(super_nodes):
        return False
    message = encode(certificate.vote)
    return all(
        is_signed_somewhere(VOTE_TAG, message, part.signature, part.voter)
        for part in certificate.signatures
    )


def sign_proposal(proposal: Proposal, key: SigningKey) -> Proposal:
    """Return the proposal with its master's signature."""
    bare = msgspec.structs.replace(proposal, signature=Signature(b""))
    return msgspec.structs.replace(bare, signature=key.sign(PROPOSAL_TAG, encode(bare)))


def is_proposal_signed(proposal: Proposal) -> bool:
    """Tell whether the named master signed the proposal; says nothing about its turn."""
    bare = msgspec.structs.replace(proposal, signature=Signature(b""))
    return is_signed(PROPOSAL_TAG, encode(bare), proposal.signature, proposal.master)


def sign_erasure(erasure: Erasure, key: SigningKey) -> Erasure:
    """Return the erasure with the super node's signature."""
    bare = msgspec.structs.replace(erasure, signature=Signature(b""))
    return msgspec.structs.replace(bare, signature=sign_for_many(key, ERASURE_TAG, encode(bare)))


def is_erasure_signed(erasure: Erasure) -> bool:
    """Tell whether the named super node signed the erasure."""
    bare = msgspec.structs.replace(erasure, signature=Signature(b""))
    return is_signed_somewhere(ERASURE_TAG, encode(bare), erasure.signature, erasure.super_node)
