"""Misdeeds noticed: reported once each, bounded, and only on what a signature or a rule proves.

What anybody can check becomes evidence and goes to the chain; of the rest the operator reads. Silence
and lateness are never faults.
"""

from hansa.chain.blocks import Proposal, SignedVote
from hansa.chain.evidence import Evidence, make_double_proposal, make_double_vote
from hansa.consensus.context import Context
from hansa.types import PublicKey

REPORTS_PER_HEIGHT_MAX = 64


class FaultLog:
    """What this replica has noticed at the present height."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._height = -1
        self._reported: set[tuple[str, PublicKey]] = set()

    def report(self, kind: str, who: PublicKey, detail: str) -> None:
        """Report a fault unless the same was reported at this height."""
        if self._is_new(kind, who):
            self._context.report(kind, who, detail)

    def _is_new(self, kind: str, who: PublicKey) -> bool:
        if self._height != self._context.height:
            self._height = self._context.height
            self._reported.clear()
        entry = (kind, who)
        if entry in self._reported or len(self._reported) >= REPORTS_PER_HEIGHT_MAX:
            return False
        self._reported.add(entry)
        return True

    def _prove(self, kind: str, who: PublicKey, detail: str, evidence: Evidence) -> None:
        """Report a fault with its proof, unless its author is expelled already."""
        if not self._is_new(kind, who):
            return
        self._context.report(kind, who, detail)
        member = self._context.state.organisation_by_node_key(who)
        if member is not None and not member.expelled_height:
            self._context.accuse(evidence)

    def two_votes(self, first: SignedVote, second: SignedVote) -> None:
        """Two signed votes of one super node for one slot: equivocation, provable to anyone."""
        vote = first.vote
        self._prove(
            "equivocation",
            first.voter,
            f"two {vote.phase} votes at height {vote.height} round {vote.round}: "
            f"{vote.digest.hex()[:16]} and {second.vote.digest.hex()[:16]}",
            make_double_vote(first, second),
        )

    def two_proposals(self, first: Proposal, second: Proposal) -> None:
        """Two signed proposals of one master for one round, provable to anyone."""
        self._prove(
            "double-proposal",
            first.master,
            f"two proposals at height {first.height} round {first.round}: "
            f"{first.digest.hex()[:16]} and {second.digest.hex()[:16]}",
            make_double_proposal(first, second),
        )
