"""Votes of one phase of one round, and the certificates made of them.

A voter counts once: the first vote stands, a different one is equivocation and is reported.
Signatures are checked before a vote gets here.
"""

from typing import Literal

from hansa.chain.blocks import Certificate, CertificateSignature, SignedVote, quorum_of
from hansa.types import NO_DIGEST, Digest, PublicKey

Outcome = Literal["added", "duplicate", "conflict"]


class VoteSet:
    """Votes of one (height, round, phase), at most one for each super node."""

    __slots__ = ("_counts", "_needed", "_votes", "aside", "super_nodes")

    aside: dict[PublicKey, SignedVote]
    """Votes for what was decided already, not checked and not counted; from their voters' own links."""

    def __init__(self, super_nodes: int) -> None:
        self.super_nodes = super_nodes
        self._needed = quorum_of(super_nodes)
        self._votes: dict[PublicKey, SignedVote] = {}
        self._counts: dict[Digest, int] = {}
        self.aside = {}

    def __len__(self) -> int:
        return len(self._votes)

    def add(self, signed: SignedVote) -> Outcome:
        """Count a vote of a super node whose signature was checked."""
        known = self._votes.get(signed.voter)
        if known is not None:
            return "duplicate" if known.vote == signed.vote else "conflict"
        assert len(self._votes) < self.super_nodes
        self._votes[signed.voter] = signed
        named = signed.vote.digest
        self._counts[named] = self._counts.get(named, 0) + 1
        return "added"

    def get(self, voter: PublicKey) -> SignedVote | None:
        """Return the vote that counts for a voter."""
        return self._votes.get(voter)

    def votes(self) -> tuple[SignedVote, ...]:
        """Return all votes that count, sorted by voter."""
        return tuple(self._votes[voter] for voter in sorted(self._votes))

    @property
    def has_any_quorum(self) -> bool:
        """Whether a quorum has voted, for whatever."""
        return len(self._votes) >= self._needed

    def decided(self) -> Digest | None:
        """Return the digest (NO_DIGEST for nil) that a quorum voted for, or None."""
        needed = self._needed
        for named, count in self._counts.items():
            if count >= needed:
                return named
        return None

    @property
    def has_nil_quorum(self) -> bool:
        """Whether a quorum voted for nil."""
        return self.decided() == NO_DIGEST

    @property
    def is_lost(self) -> bool:
        """Whether so many voted for nil that no block can get a quorum here any more: f+1."""
        return self._counts.get(NO_DIGEST, 0) > self.super_nodes - self._needed

    def certificate(self, named: Digest) -> Certificate:
        """Return a quorum's certificate; the caller saw `decided() == named`."""
        chosen = [signed for signed in self.votes() if signed.vote.digest == named]
        chosen = chosen[: self._needed]
        assert len(chosen) == self._needed
        return Certificate(
            chosen[0].vote,
            tuple(CertificateSignature(signed.voter, signed.signature) for signed in chosen),
        )
