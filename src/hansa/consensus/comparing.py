"""Step 5: comparing what super nodes said of a block with what execution says, and with each other.

Upon a finding (`chain.findings`): kept for the next block, and, if execution or the chain contradicts
it, evidence. Upon a vote for a block that is invalid: evidence. Upon an own review that differs from
others': a RESPONSE to the master, with the finding and their signed votes. Upon a RESPONSE: the master
counts what it brings, and so learns of what was lost on the way to it; its own block of the next
height, or its successor's, carries the findings, where `hansa block show` shows them.
"""

from hansa.chain.blocks import SignedVote
from hansa.chain.conviction import TooDeep, judge_timelessly
from hansa.chain.findings import PROVABLE, Finding, Refusal
from hansa.chain.state import State
from hansa.chain.transactions import Transaction
from hansa.chain.validation import NESTED_RULES
from hansa.consensus.context import Context
from hansa.consensus.faults import FaultLog
from hansa.consensus.hearing import Hearing
from hansa.consensus.inspection import Inspector
from hansa.consensus.messages import Response
from hansa.consensus.rounds import Candidate, RoundState
from hansa.types import PublicKey


class Comparison:
    """Judges what others signed about the height in progress."""

    def __init__(
        self, context: Context, hearing: Hearing, inspector: Inspector, faults: FaultLog
    ) -> None:
        self._context = context
        self._hearing = hearing
        self._inspector = inspector
        self._faults = faults

    def judge_findings(self) -> None:
        """Judge each finding that says a block is invalid, once that block is here."""
        hearing, height = self._hearing, self._hearing.height
        waiting: list[Finding] = []
        for finding in hearing.doubted:
            candidate = height.candidates.get(finding.digest)
            if finding.height != height.height:
                continue
            if candidate is None:
                waiting.append(finding)
            elif self._inspector.execute(candidate):
                self._faults.wrong_finding(finding, candidate.block)
        hearing.doubted = waiting

    def judge_votes(self, candidate: Candidate) -> None:
        """Prove all votes that are here for a block that turned out to be invalid."""
        for state in self._hearing.height.rounds.values():
            for votes in (state.reviews, state.confirms):
                for signed in votes.votes():
                    self.judge_vote(signed, candidate)

    def judge_vote(self, signed: SignedVote, candidate: Candidate) -> None:
        """Prove one vote if it is for an invalid block."""
        if signed.vote.digest == candidate.digest and signed.voter != self._context.node:
            self._faults.wrong_vote(signed, candidate.block)

    def judge_refusal(self, refusal: Refusal, transaction: Transaction) -> None:
        """After step 2: prove a refusal that the state it names, or should name, contradicts."""
        known = self._context.surroundings(refusal.height)
        if known is None:
            return
        state, _ = known
        if refusal.state_root != state.root:
            self._faults.wrong_refusal(refusal, None)
        elif refusal.code in PROVABLE and self._is_acceptable(state, refusal, transaction):
            self._faults.wrong_refusal(refusal, transaction)

    @staticmethod
    def _is_acceptable(state: State, refusal: Refusal, transaction: Transaction) -> bool:
        """Tell whether the chain will see that a refused transaction was acceptable."""
        try:
            return not judge_timelessly(state, transaction, refusal.height, NESTED_RULES)
        except TooDeep:
            return False  # Evidence inside evidence: it would prove nothing, so nobody is accused.

    def respond(self, state: RoundState, master: PublicKey | None) -> None:
        """Step 5: if the own review differs from others', tell the master."""
        context = self._context
        own = state.reviews.get(context.node)
        if own is None or state.is_compared or master is None or master == context.node:
            return
        others = tuple(
            vote for vote in state.reviews.votes() if vote.vote.digest != own.vote.digest
        )
        if others:
            state.is_compared = True
            context.send(master, Response(own, state.findings.get(context.node), others))
