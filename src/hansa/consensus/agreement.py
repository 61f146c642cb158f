"""One height after another: the rules of the agreement (Tendermint, arXiv 1807.04938, algorithm 1).

    upon a proposal of the present round                        → REVIEW (lines 22, 28)
    upon a quorum of reviews for a block that is here           → lock, CONFIRM it (line 36)
    upon a quorum of reviews for nil                            → CONFIRM nil (line 44)
    upon f+1 reviews for nil and no proposal here               → REVIEW nil without waiting (57)
    upon a quorum of reviews or confirms, for whatever          → wait a little for the rest (34, 47)
    upon a timeout                                              → vote nil, or next round (57, 61, 65)
    upon a quorum of confirms for a block that is here          → decide (line 49)
    upon f+1 super nodes in a later round                       → follow them (line 55)

The seed's ten steps, each where it is done (docs/spec/agreement.md says what each does):

     1 forwarding until the master is found      `outbox`, `Dialogue.admit`, `Dialogue._take_submit`
     2 verified before any agreement, refused    `Pool.admit`, `Proposer.refuse`; appeal: `Outbox._appeal`
     3 PROPOSE with copies and results           `Agreement._rule_propose`, `Proposer.propose`
     4 REVIEW with reasons                       `Agreement._rule_vote`, `Inspector.review`, `_cast_review`
     5 comparison, RESPONSE                      `Comparison.respond`, `judge_findings`, `Hearing.take_response`
     6 CONFIRM, lock                             `Agreement._lock`, `_cast_confirm`
     7 BLOCK and ERASE, with their proof         `Agreement._rule_decide`, `Replica._commit`, `Hearing.take_erase`
     8 append, erase, ERASED                     `Replica._commit`, `Agreement.finish`, `erasures`
     9 FAILED: erased, client told, next round   `Agreement._enter_round`, `_order_erasure`, `_leave_out_rejected`
    10 next height, next master                  `Agreement.begin_height`, `schedule`

Deviations from the paper's text: votes and locked bodies are durable before they are sent; a proposal
is waited for only if there is a reason to expect one; copies are erased when a round ends, and a block
proposed again carries the quorum's reviews instead of its copies (DESIGN §6). Invariant 1: one vote for
each (height, round, phase), restarts included. Invariant 2: a lock names a body that is durable here.
"""

from collections.abc import Callable

from hansa import limits
from hansa.chain.blocks import (
    Certificate,
    SignedVote,
    Vote,
    sign_vote,
)
from hansa.chain.findings import Finding, FindingCode, Verdict, sign_finding
from hansa.consensus.comparing import Comparison
from hansa.consensus.context import Context
from hansa.consensus.copies import CopyVault
from hansa.consensus.erasures import Erasures
from hansa.consensus.faults import FaultLog
from hansa.consensus.hearing import Hearing
from hansa.consensus.inspection import Inspector
from hansa.consensus.intake import Pool
from hansa.consensus.messages import (
    Confirm,
    Erase,
    Propose,
    Review,
)
from hansa.consensus.pace import Pace
from hansa.consensus.proposing import Proposer
from hansa.consensus.records import BodyRecord, LockRecord, VoteRecord
from hansa.consensus.review import COPY_CODES
from hansa.consensus.rounds import Candidate, HeightState, RoundState
from hansa.types import NO_DIGEST, Digest, Height, PublicKey, Signature

PHASES = ("review", "confirm")


class Agreement:
    """The height in progress at one replica."""

    def __init__(
        self,
        context: Context,
        *,
        pool: Pool,
        proposer: Proposer,
        inspector: Inspector,
        vault: CopyVault,
        erasures: Erasures,
        faults: FaultLog,
        is_synced: Callable[[], bool],
    ) -> None:
        self._context = context
        self._pool = pool
        self._proposer = proposer
        self._inspector = inspector
        self._vault = vault
        self._erasures = erasures
        self._faults = faults
        self._is_synced = is_synced
        self.hearing = Hearing(context, faults)
        self.comparison = Comparison(context, self.hearing, inspector, faults)
        self.pace = Pace(context.parameters)
        self.is_idle_due = False
        """Whether waiting acknowledgements or an election want a block without transactions."""
        self.decision: tuple[Certificate, Candidate] | None = None
        """A block that is decided here and not committed yet; the replica takes it."""

    @property
    def height(self) -> HeightState:
        """The height in progress."""
        return self.hearing.height

    # --- who may do what ---------------------------------------------------------------------------

    @property
    def is_active(self) -> bool:
        """Whether this node votes: a super node, synced to the tip."""
        return self._context.is_super_node and self._is_synced()

    def master(self, round_number: int | None = None) -> PublicKey | None:
        """Return the master of a round of this height; of the present one by default."""
        number = self.height.round if round_number is None else round_number
        return self.hearing.master(number)

    @property
    def expects_block(self) -> bool:
        """Whether there is a reason to expect a proposal."""
        # What costs nothing to know comes first: the pool may have to open something.
        return self.height.is_touched or self.is_idle_due or self._pool.has_work

    @property
    def is_turn_near(self) -> bool:
        """Whether this node proposes next: in the present round still, or at the next height."""
        context, height = self._context, self.height
        if self.master() == context.node:
            return height.present.proposal is None
        following = Height(height.height + 1)
        return context.schedule.master(following, 0, context.members) == context.node

    # --- heights and rounds ------------------------------------------------------------------------

    def begin_height(self, restored: HeightState | None = None) -> None:
        """Start on the height after the committed one, or go on where a restart left off."""
        for name in ("propose", "review", "confirm"):
            self._context.cancel_timer(name)
        self.pace.forget()
        self.is_idle_due = False
        self.decision = None
        self.hearing.height = restored or HeightState(self._context.height, self._context.members)

    def proceed(self) -> None:
        """Do whatever the rules allow now; called after every event."""
        if self.height.present.proposal is not None:
            self.pace.end("proposal", self._context.now.monotonic_ms)
        while self.decision is None and self._apply_rules():
            pass
        if self.hearing.doubted:
            self.comparison.judge_findings()

    def _enter_round(self, number: int) -> None:
        """Step 9: the round failed; erase its copies and go to a later one, with its master."""
        for name in ("propose", "review", "confirm"):
            self._context.cancel_timer(name)
        self.pace.forget()
        self.erase_round(self.height.round)
        self._leave_out_rejected(self.height.present)
        self.height.enter(number)

    def erase_round(self, number: int) -> None:
        """Erase the copies of a round that is over, opened and sealed ones."""
        height = self.height
        state = height.rounds.get(number)
        count = self._vault.erase(height.height, number)
        if state is None or state.proposal is None:
            return
        proposal = state.proposal
        if count:
            height.erased[number] = (proposal.proposal.digest, count)
        if proposal.copies:
            state.proposal = Propose(proposal.proposal, proposal.block, proposal.certificate, ())

    def _leave_out_rejected(self, state: RoundState) -> None:
        """Leave what reviewers rejected out of the next proposals; f+1 of them settle it."""
        rejected: dict[Digest, dict[PublicKey, str]] = {}
        for reviewer, finding in state.findings.items():
            for verdict in finding.verdicts:
                rejected.setdefault(verdict.transaction, {})[reviewer] = verdict.code
        for transaction, codes in rejected.items():
            has_struck_out = self._pool.leave_out(transaction)
            if has_struck_out or len(codes) > self._context.faults:
                said = list(codes.values())
                final = [code for code in COPY_CODES if said.count(code) > self._context.faults]
                waiting = self._pool.remove(transaction)
                if waiting is not None:
                    # Others' words: this node signs no more of them than f+1 say.
                    code = final[0] if final else "reseal"
                    self._proposer.refuse(transaction, waiting.submitter, code)

    # --- rules -------------------------------------------------------------------------------------

    def _apply_rules(self) -> bool:
        """Apply the first rule that changes something; tell whether one did."""
        return (
            self._rule_decide()
            or self._rule_follow()
            or self._rule_remember()
            or self._rule_wait()
            or (self.is_active and (self._rule_propose() or self._rule_vote()))
        )

    def _rule_decide(self) -> bool:
        for state in self.height.rounds.values():
            named = state.confirms.decided()
            if named is None or named == NO_DIGEST:
                continue
            candidate = self.height.candidates.get(named)
            if candidate is None:
                continue
            if not self._inspector.execute(candidate):
                self._faults.report(
                    "invalid-decision", candidate.block.header.master, candidate.code
                )
                self.comparison.judge_votes(candidate)
                continue
            self.decision = (state.confirms.certificate(named), candidate)
            self.pace.end("confirms", self._context.now.monotonic_ms)
            return True
        return False

    def _rule_follow(self) -> bool:
        target = self.height.jump_target(self._context.faults)
        if target <= self.height.round:
            return False
        self._enter_round(min(target, limits.ROUND_MAX))
        return True

    def _rule_remember(self) -> bool:
        """Line 36, second half: a later review certificate is what the next master proposes again."""
        height = self.height
        for state in height.rounds.values():
            if not height.valid_round < state.number <= height.round:
                continue
            named = state.reviews.decided()
            if named is None or named == NO_DIGEST:
                continue
            candidate = height.candidates.get(named)
            if candidate is not None and self._inspector.execute(candidate):
                height.valid = state.reviews.certificate(named)
                return True
        return False

    def _rule_wait(self) -> bool:
        """Lines 34 and 47: a quorum has voted, though not for one thing; wait for the others."""
        height, state = self.height, self.height.present
        if height.step == "review" and not state.is_review_timed and state.reviews.has_any_quorum:
            state.is_review_timed = True
            self._context.set_timer("review", self.pace.vote_timeout(height.round))
            self.comparison.respond(state, self.master(state.number))
            return True
        if not state.is_confirm_timed and state.confirms.has_any_quorum:
            state.is_confirm_timed = True
            self._context.set_timer("confirm", self.pace.vote_timeout(height.round))
            return True
        if state.confirms.has_nil_quorum:
            self._order_erasure(state)
            self._enter_round(height.round + 1)
            return True
        return False

    def _rule_propose(self) -> bool:
        height, context = self.height, self._context
        if height.step != "propose" or height.present.proposal is not None:
            return False
        if self.master() != context.node:
            return self.expects_block and self._wait_for_proposal()
        # Where others wait for a block already, an empty one is better than none.
        is_due = self.is_idle_due or height.is_touched
        if not (is_due or self._pool.needs_master) or height.round in height.own_proposals:
            return self._wait_for_nothing()
        propose = self._proposer.propose(height, is_due=is_due)
        if propose is None:
            return False
        height.present.proposal = propose
        # The own review is promised now: proposal and vote then share one write to the log.
        self._promise("review", self._judge(propose)[0])
        context.broadcast(context.super_peers(), propose)
        return True

    def _wait_for_nothing(self) -> bool:
        """A master whose own proposal was lost with a crash waits like everybody else."""
        return self.height.round in self.height.own_proposals and self._wait_for_proposal()

    def _wait_for_proposal(self) -> bool:
        context = self._context
        if context.is_timer_set("propose"):
            return False
        self.pace.begin("proposal", context.now.monotonic_ms)
        work = min(len(self._pool), context.parameters.block_transactions_max)
        context.set_timer("propose", self.pace.proposal_timeout(self.height.round, work))
        return True

    def _rule_vote(self) -> bool:
        height, state = self.height, self.height.present
        if height.step == "propose" and state.proposal is not None:
            named, verdicts, code = self._judge(state.proposal)
            self._cast_review(named, verdicts, code)
            return True
        if height.step == "propose" and state.reviews.is_lost:
            # No block can get a quorum here any more: what the timeout would do is done now.
            self._cast_review(NO_DIGEST, (), "no-proposal")
            return True
        decided = state.reviews.decided()
        if decided is None or height.step == "confirm":
            return False
        if decided != NO_DIGEST:
            return self._lock(state, decided)
        if height.step == "review":
            self._cast_confirm(NO_DIGEST)
            return True
        return False

    def _lock(self, state: RoundState, named: Digest) -> bool:
        """Line 36: lock what a quorum approved, and confirm it. Only in the step after a review."""
        height = self.height
        candidate = height.candidates.get(named)
        if height.step != "review" or candidate is None or not self._inspector.execute(candidate):
            return False
        certificate = state.reviews.certificate(named)
        self.pace.end("reviews", self._context.now.monotonic_ms)
        if named in height.persisted:
            self._context.persist(LockRecord(certificate))
        else:
            self._context.persist(BodyRecord(candidate.block, certificate))
            height.persisted.add(named)
        height.locked_round, height.locked_digest = height.round, named
        self._cast_confirm(named)
        return True

    # --- voting ------------------------------------------------------------------------------------

    def _judge(self, propose: Propose) -> tuple[Digest, tuple[Verdict, ...], FindingCode | None]:
        """Lines 22 and 28: approve, or say why not."""
        height = self.height
        named = propose.proposal.digest
        candidate = height.candidate(propose.block, named)
        is_lock_kept = height.locked_round == -1 or height.locked_digest == named
        valid_round = propose.proposal.valid_round
        if valid_round >= 0:
            if not self._inspector.execute(candidate):
                self._note_invalid(propose, candidate, "invalid")
                return NO_DIGEST, (), "invalid"
            if is_lock_kept or height.locked_round <= valid_round:
                return named, (), None
            return NO_DIGEST, (), "locked"
        if not is_lock_kept:
            return NO_DIGEST, (), "locked"
        if propose.proposal.master == self._context.node:
            return named, (), None
        verdicts, code = self._inspector.review(height, candidate, propose)
        if code in {"invalid", "wrong-origin"}:
            self._note_invalid(propose, candidate, code)
        return (NO_DIGEST if code else named), verdicts, code

    def _note_invalid(self, propose: Propose, candidate: Candidate, code: str) -> None:
        """An invalid block: its master and all who voted for it answer for it."""
        self._faults.invalid_proposal(propose.proposal, candidate.block, candidate.code or code)
        if candidate.code:
            self.comparison.judge_votes(candidate)

    def _promise(self, phase: str, named: Digest) -> SignedVote:
        """Sign a vote and write it to the vote log, or find the promise already given."""
        height, context = self.height, self._context
        slot = (height.round, phase)
        known = height.own.get(slot)
        if known is not None:
            return known
        assert phase in {"review", "confirm"}
        vote = Vote(
            context.alliance,
            context.epoch,
            height.height,
            height.round,
            phase,  # type: ignore[arg-type]
            named,
        )
        signed = sign_vote(vote, context.key)
        context.persist(VoteRecord(signed))
        height.own[slot] = signed
        return signed

    def _find(self, signed: SignedVote, verdicts: tuple[Verdict, ...], code: FindingCode) -> None:
        """Step 4: sign why the own review is for no block."""
        context, height = self._context, self.height
        proposal = height.present.proposal
        height.present.findings[context.node] = sign_finding(
            Finding(
                context.alliance,
                height.height,
                height.round,
                context.state.root,
                NO_DIGEST if proposal is None else proposal.proposal.digest,
                code,
                verdicts,
                signed.voter,
                Signature(b""),
            ),
            context.key,
        )

    def _cast_review(
        self, named: Digest, verdicts: tuple[Verdict, ...], code: FindingCode | None
    ) -> None:
        """Step 4."""
        context, height = self._context, self.height
        signed = self._promise("review", named)
        height.step = "review"
        context.cancel_timer("propose")
        if signed.vote.digest != NO_DIGEST:
            self.pace.begin("reviews", context.now.monotonic_ms)
        erasures = self._erasures.take_unsent()
        if code is not None and signed.vote.digest == NO_DIGEST:
            self._find(signed, verdicts, code)
        finding = height.present.findings.get(context.node)
        context.broadcast(context.super_peers(), Review(signed, finding, erasures))
        height.present.reviews.add(signed)
        height.note_round(context.node, height.round)

    def _cast_confirm(self, named: Digest) -> None:
        """Step 6, or step 9 for nil."""
        context, height = self._context, self.height
        signed = self._promise("confirm", named)
        height.step = "confirm"
        context.cancel_timer("review")
        if signed.vote.digest != NO_DIGEST:
            self.pace.begin("confirms", context.now.monotonic_ms)
        context.broadcast(context.super_peers(), Confirm(signed))
        height.present.confirms.add(signed)

    def _order_erasure(self, state: RoundState) -> None:
        """Step 9: whoever led a failed round gives the order to erase, with the proof."""
        context = self._context
        if not state.is_erase_sent and self.master(state.number) == context.node:
            state.is_erase_sent = True
            proof = state.confirms.certificate(NO_DIGEST)
            context.broadcast(context.super_peers(), Erase(proof))

    # --- timers ------------------------------------------------------------------------------------

    def take_timeout(self, name: str) -> None:
        """Lines 57, 61, 65; a node that may not vote only moves on with the others."""
        height = self.height
        if name == "confirm":
            self._enter_round(height.round + 1)
        elif not self.is_active:
            return
        elif name == "propose" and height.step == "propose":
            self._cast_review(NO_DIGEST, (), "no-proposal")
        elif name == "review" and height.step == "review":
            self._cast_confirm(NO_DIGEST)

    # --- for peers and for the committed block -----------------------------------------------------

    def own_votes(self, round_number: int) -> tuple[SignedVote, ...]:
        """Return own votes of one round and of the present one, for a peer that may lack them."""
        height = self.height
        slots = [(number, phase) for number in (round_number, height.round) for phase in PHASES]
        found = dict.fromkeys(slot for slot in slots if slot in height.own)
        return tuple(height.own[slot] for slot in found)

    def finish(self) -> HeightState:
        """Erase all copies of the height that is decided; return what it leaves behind."""
        for number in list(self.height.rounds):
            self.erase_round(number)
        assert not any(slot[0] <= self.height.height for slot in self._vault.rounds())
        return self.height
