"""Misdeeds noticed: reported once each, bounded, and only on what a signature or a rule proves.

Evidence on the chain is a later subject; until then the operator reads of it. Silence and lateness
are never faults.
"""

from hansa.chain.blocks import SignedVote
from hansa.consensus.context import Context
from hansa.consensus.messages import Proposal
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
        if self._height != self._context.height:
            self._height = self._context.height
            self._reported.clear()
        entry = (kind, who)
        if entry in self._reported or len(self._reported) >= REPORTS_PER_HEIGHT_MAX:
            return
        self._reported.add(entry)
        self._context.report(kind, who, detail)

    def two_votes(self, first: SignedVote, second: SignedVote) -> None:
        """Two signed votes of one super node for one slot: equivocation, provable to anyone."""
        vote = first.vote
        self.report(
            "equivocation",
            first.voter,
            f"two {vote.phase} votes at height {vote.height} round {vote.round}: "
            f"{vote.digest.hex()[:16]} and {second.vote.digest.hex()[:16]}",
        )

    def two_proposals(self, first: Proposal, second: Proposal) -> None:
        """Two signed proposals of one master for one round, provable to anyone."""
        self.report(
            "double-proposal",
            first.master,
            f"two proposals at height {first.height} round {first.round}: "
            f"{first.digest.hex()[:16]} and {second.digest.hex()[:16]}",
        )
