"""Misdeeds noticed: reported once each, bounded, and only on what a signature or a rule proves.

What anybody can check becomes evidence and goes to the chain; of the rest the operator reads. Silence
and lateness are never faults. What is signed about an execution is proved by repeating the execution
over the part of the state it rests on (`chain.conviction`); that is done once for each liar and height.
"""

from collections.abc import Callable

from hansa import limits
from hansa.chain.blocks import Block, Proposal, SignedVote
from hansa.chain.conviction import make_block_basis, make_refusal_basis, make_root_basis
from hansa.chain.evidence import (
    Basis,
    Evidence,
    InvalidProposal,
    WrongFinding,
    WrongRefusal,
    WrongVote,
    accused,
    encode_evidence,
    kind_of,
    make_double_proposal,
    make_double_vote,
)
from hansa.chain.findings import Finding, Refusal
from hansa.chain.transactions import Transaction
from hansa.chain.validation import RULES
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

    def _prove(
        self, kind: str, who: PublicKey, detail: str, make: Callable[[], Evidence | None]
    ) -> None:
        """Report a fault with its proof, unless its author is expelled already."""
        if not self._is_new(kind, who):
            return
        self._context.report(kind, who, detail)
        member = self._context.state.organisation_by_node_key(who)
        if member is None or member.expelled_height:
            return
        evidence = make()
        if evidence is None:
            return
        assert accused(evidence) == who
        assert kind_of(evidence) == kind
        if len(encode_evidence(evidence)) <= limits.EVIDENCE_BYTES_MAX:
            self._context.accuse(evidence)
        else:
            self._context.report("unprovable", who, f"the proof of {kind} is too long for a block")

    # --- two answers to one question ---------------------------------------------------------------

    def two_votes(self, first: SignedVote, second: SignedVote) -> None:
        """Two signed votes of one super node for one slot: equivocation, provable to anyone."""
        vote = first.vote
        self._prove(
            "equivocation",
            first.voter,
            f"two {vote.phase} votes at height {vote.height} round {vote.round}: "
            f"{vote.digest.hex()[:16]} and {second.vote.digest.hex()[:16]}",
            lambda: make_double_vote(first, second),
        )

    def two_proposals(self, first: Proposal, second: Proposal) -> None:
        """Two signed proposals of one master for one round, provable to anyone."""
        self._prove(
            "double-proposal",
            first.master,
            f"two proposals at height {first.height} round {first.round}: "
            f"{first.digest.hex()[:16]} and {second.digest.hex()[:16]}",
            lambda: make_double_proposal(first, second),
        )

    # --- words that execution contradicts ------------------------------------------------------------

    def invalid_proposal(self, proposal: Proposal, block: Block, detail: str) -> None:
        """A master proposed what no rule allows."""
        self._prove(
            "invalid-proposal",
            proposal.master,
            detail,
            lambda: InvalidProposal(proposal, block, self._basis_of(block)),
        )

    def wrong_vote(self, signed: SignedVote, block: Block) -> None:
        """A super node voted for a block that no rule allows."""
        vote = signed.vote
        self._prove(
            "wrong-vote",
            signed.voter,
            f"a {vote.phase} of an invalid block at height {vote.height} round {vote.round}",
            lambda: WrongVote(signed, block, self._basis_of(block)),
        )

    def wrong_finding(self, finding: Finding, block: Block | None) -> None:
        """A reviewer calls a block invalid that is not, or (None) judged on a false state."""
        self._prove(
            "wrong-finding",
            finding.reviewer,
            f"called {finding.digest.hex()[:16]} {finding.code}"
            if block is not None
            else "judged on a state that is not the chain's",
            lambda: WrongFinding(
                finding,
                block,
                make_root_basis(self._context.parent) if block is None else self._basis_of(block),
            ),
        )

    def _basis_of(self, block: Block) -> Basis:
        return make_block_basis(self._context.state, self._context.parent, block, RULES)

    def wrong_refusal(self, refusal: Refusal, transaction: Transaction | None) -> None:
        """A super node refused a transaction that the state accepts, or (None) on a false state."""
        known = self._context.surroundings(refusal.height)
        if known is None:
            return
        state, parent = known
        self._prove(
            "wrong-refusal",
            refusal.refuser,
            f"refused {refusal.transaction.hex()[:16]} at height {refusal.height}: {refusal.code}",
            lambda: WrongRefusal(
                refusal,
                transaction,
                make_root_basis(parent)
                if transaction is None
                else make_refusal_basis(state, parent, transaction, RULES),
            ),
        )
