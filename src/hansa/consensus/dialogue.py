"""Messages in, answers out: decoding, sorting by height, greeting peers, repeating what was lost.

Upon a message of the height in progress: hand it to the agreement. Upon one of the next few heights:
keep it, bounded, until that height begins. Upon a status: send what its sender lacks, at most once
in a while, so that nobody can make this node flood the link.
"""

from collections import deque
from collections.abc import Iterable
from typing import assert_never

from hansa import limits
from hansa.chain.blocks import CertifiedBlock
from hansa.chain.findings import Refusal, is_refusal_signed
from hansa.chain.sealed import SealedTransaction
from hansa.consensus.agreement import Agreement
from hansa.consensus.catchup import CatchUp
from hansa.consensus.context import Context
from hansa.consensus.effects import ServeBlocks
from hansa.consensus.erasures import Erasures
from hansa.consensus.faults import FaultLog
from hansa.consensus.halting import Halting
from hansa.consensus.intake import Pool
from hansa.consensus.messages import (
    Appeal,
    BlockDecided,
    Blocks,
    Certified,
    Confirm,
    Erase,
    Erased,
    GetBlocks,
    Propose,
    Response,
    Review,
    SealingKey,
    Status,
    Submit,
    VotesAgain,
    decode_message,
)
from hansa.consensus.outbox import Outbox
from hansa.consensus.proposing import Proposer
from hansa.consensus.review import SEALING_CODES
from hansa.consensus.sealing import SealingKeys
from hansa.consensus.spreading import peers_to_ask
from hansa.errors import InvalidError
from hansa.types import PublicKey

EARLY_PER_SENDER_MAX = 24
EARLY_BYTES_MAX = 2 * limits.FRAME_BYTES_MAX
STATUS_IDLE_MS = 1_000
ANSWER_INTERVAL_MS = 50
"""A peer's status is answered with bodies no more often than this."""

RoundMessage = Propose | Review | Confirm | Erase | Certified
OtherMessage = (
    Submit | Refusal | Appeal | Status | VotesAgain | Erased | SealingKey | Response | GetBlocks
)


class Dialogue:
    """The replica's side of all conversations."""

    def __init__(
        self,
        context: Context,
        *,
        agreement: Agreement,
        catch_up: CatchUp,
        pool: Pool,
        outbox: Outbox,
        erasures: Erasures,
        keys: SealingKeys,
        proposer: Proposer,
        faults: FaultLog,
    ) -> None:
        self._context = context
        self._agreement = agreement
        self._catch_up = catch_up
        self._pool = pool
        self._outbox = outbox
        self._erasures = erasures
        self._keys = keys
        self._proposer = proposer
        self._faults = faults
        self._halting = Halting(context, faults)
        self._early: deque[tuple[int, PublicKey, RoundMessage, int]] = deque()
        self._early_counts: dict[PublicKey, int] = {}
        self._early_bytes = 0
        self._answered: dict[PublicKey, int] = {}
        self._asked = 0

    # --- receiving ---------------------------------------------------------------------------------

    def receive(self, sender: PublicKey, data: bytes) -> tuple[CertifiedBlock, ...]:
        """Take a message; return the decided blocks in it, for the replica to check and commit."""
        state = self._context.state
        is_heard = sender in self._context.member_set or state.is_member_node(sender)
        if not is_heard and state.organisation_by_node_key(sender) is None:
            return ()
        try:
            message = decode_message(data)
        except InvalidError as error:
            self._faults.report("malformed", sender, error.message)
            return ()
        if not is_heard:
            # Just suspended: it may still fetch the block that says so, while its link lasts.
            if isinstance(message, GetBlocks):
                self._take_other(sender, message)
            return ()
        match message:
            case BlockDecided(certified):
                return self._take_decided(sender, certified)
            case Blocks(blocks):
                is_fork = self._halting.compare(blocks[: limits.BLOCKS_PER_SYNC_ANSWER_MAX])
                return () if is_fork else self._catch_up.take(sender, message)
            case Propose() | Review() | Confirm() | Erase() | Certified():
                self._take_round_message(sender, message, len(data))
            case _:
                self._take_other(sender, message)
        return ()

    def _take_decided(
        self, sender: PublicKey, certified: CertifiedBlock
    ) -> tuple[CertifiedBlock, ...]:
        height = certified.block.header.height
        if height < self._context.height:
            self._halting.compare((certified,))
            return ()
        if height > self._context.height:
            # Not proven yet; it only says whom to ask.
            self._catch_up.note_at_least(sender, height)
            return ()
        return (certified,)

    def _take_other(self, sender: PublicKey, message: OtherMessage) -> None:
        match message:
            case Submit():
                self._take_submit(sender, message)
            case Refusal():
                self._outbox.refused(message)
            case Appeal():
                self._take_appeal(sender, message)
            case Status():
                self._take_status(sender, message)
            case VotesAgain():
                self._agreement.hearing.take_votes_again(sender, message)
            case Erased(erasures):
                self._erasures.learn(erasures)
            case SealingKey(notices):
                self._keys.learn(sender, notices[: 2 * limits.SUPER_NODES_MAX])
            case Response():
                self._agreement.hearing.take_response(sender, message)
            case GetBlocks(first, count):
                self._serve(sender, first, count)
            case _:
                assert_never(message)

    def _serve(self, sender: PublicKey, first: int, count: int) -> None:
        if first < 1 or count < 1:
            self._faults.report("malformed", sender, "asked for blocks that cannot be")
            return
        context = self._context
        last = min(first + min(count, limits.BLOCKS_PER_SYNC_ANSWER_MAX), context.height) - 1
        if last < first:
            context.send(sender, Blocks(()))
        else:
            context.emit(ServeBlocks(sender, type(context.height)(first), last - first + 1))

    def _height_of(self, message: RoundMessage) -> int:
        match message:
            case Propose(proposal):
                return proposal.height
            case Review(vote) | Confirm(vote):
                return vote.vote.height
            case Erase(certificate) | Certified(certificate):
                return certificate.vote.height
            case _:
                assert_never(message)

    def _take_round_message(self, sender: PublicKey, message: RoundMessage, size: int) -> None:
        height, present = self._height_of(message), self._context.height
        if height < present:
            return
        if height == present:
            self._hand_over(sender, message)
            return
        if sender in self._context.state.election.super_nodes or height <= present + 1:
            self._catch_up.note_at_least(sender, height - 1)
        if (
            height <= present + limits.HEIGHTS_AHEAD_MAX
            and self._early_counts.get(sender, 0) < EARLY_PER_SENDER_MAX
            and self._early_bytes + size <= EARLY_BYTES_MAX
        ):
            self._early.append((height, sender, message, size))
            self._early_counts[sender] = self._early_counts.get(sender, 0) + 1
            self._early_bytes += size

    def take_next_waiting(self) -> bool:
        """Hand over one kept message whose height has come; tell whether there was one."""
        for _ in range(len(self._early)):
            height, sender, message, size = self._early.popleft()
            if height > self._context.height:
                self._early.append((height, sender, message, size))
                continue
            self._early_bytes -= size
            self._early_counts[sender] -= 1
            if height == self._context.height:
                self._hand_over(sender, message)
                return True
        return False

    def _hand_over(self, sender: PublicKey, message: RoundMessage) -> None:
        match message:
            case Propose():
                self._agreement.hearing.take_propose(sender, message)
            case Review():
                self._agreement.hearing.take_review(sender, message)
                if message.erasures:
                    self._erasures.hear(message.erasures)
            case Confirm(vote):
                self._agreement.hearing.take_vote(sender, vote)
            case Erase():
                self._agreement.hearing.take_erase(sender, message)
            case Certified():
                self._agreement.hearing.take_certified(sender, message)
            case _:
                assert_never(message)

    # --- submissions -------------------------------------------------------------------------------

    def admit(
        self, several: Iterable[SealedTransaction], submitter: PublicKey
    ) -> list[SealedTransaction]:
        """Steps 1 and 2 at a super node: take into the pool; return those that are new here.

        Verified at once if this node is about to propose, else when that is asked for.
        """
        pool, is_turn_near = self._pool, self._agreement.is_turn_near
        fresh: list[SealedTransaction] = []
        for sealed in several:
            if sealed.transaction in pool:
                continue
            if is_turn_near:
                code = pool.admit(sealed, submitter, is_judged=False)
            else:
                code = pool.hold(sealed, submitter)
            if code:
                self._refuse(sealed, submitter, code)
            else:
                fresh.append(sealed)
        return fresh

    def refuse_unsound(self) -> None:
        """Refuse what was taken unopened and turned out not to be admissible."""
        for held, code in self._pool.take_unsound():
            self._refuse(held.sealed, held.submitter, code)

    def _refuse(self, sealed: SealedTransaction, submitter: PublicKey, code: str) -> None:
        if code == "replayed":
            return
        is_final = code in SEALING_CODES or self._agreement.master() == self._context.node
        if is_final or code in {"malformed", "bad-signature", "confidential-mismatch", "busy"}:
            self._proposer.refuse(sealed.transaction, submitter, code)

    def _take_submit(self, sender: PublicKey, submit: Submit) -> None:
        context = self._context
        if not context.is_super_node:
            return
        submitter = submit.submitter if submit.hops else sender
        if not context.state.is_member_node(submitter):
            return
        count_max = 2 * limits.BLOCK_TRANSACTIONS_MAX
        fresh = self.admit(submit.sealed[:count_max], submitter)
        master = self._agreement.master()
        if submit.hops or not fresh or master is None or master in {context.node, sender}:
            return
        # Step 1: a node that is not master passes it on, with the key wrapped for whoever lacks it.
        if self._agreement.height.present.proposal is None:
            passed = tuple(map(self._keys.complete, fresh))
            context.send(master, Submit(submitter, 1, passed))

    def _take_appeal(self, sender: PublicKey, appeal: Appeal) -> None:
        """A refused client asks the others: judge anew, and if the refusal is false, prove it."""
        context, refusal, sealed = self._context, appeal.refusal, appeal.sealed
        if (
            not context.is_super_node
            or not context.state.is_member_node(sender)
            or refusal.alliance != context.alliance
            or refusal.transaction != sealed.transaction
            or refusal.refuser not in context.member_set
            or context.state.transaction_location(sealed.transaction) is not None
            or not is_refusal_signed(refusal)
        ):
            return
        code = self._pool.admit(sealed, sender)
        waiting = self._pool.get(sealed.transaction)
        if waiting is not None:
            self._agreement.comparison.judge_refusal(refusal, waiting.transaction)
            code = self._pool.judge(waiting.transaction)
        if code:
            # Kept as doubtful if it is here: this state may be the one that lags behind.
            self._proposer.refuse(sealed.transaction, sender, code)

    # --- status ------------------------------------------------------------------------------------

    def _status(self, *, is_answer: bool) -> Status:
        context, height = self._context, self._agreement.height
        return Status(
            context.alliance,
            context.state.height,
            context.schedule.tip(context.state.height),
            height.round,
            height.valid_round,
            height.present.proposal is not None,
            is_answer,
        )

    def greet(self, peer: PublicKey) -> None:
        """Tell a new peer where this node stands and what to seal to."""
        context = self._context
        context.send(peer, self._status(is_answer=False))
        notices = self._keys.notices()
        if notices:
            context.send(peer, SealingKey(notices))
        if peer in context.member_set:
            votes = self._agreement.own_votes(self._agreement.height.round)
            if votes:
                context.send(peer, VotesAgain(votes))

    def set_status_timer(self) -> None:
        """Ask for the next round of status: soon while a block is due, seldom at rest."""
        context = self._context
        if context.is_super_node and self._agreement.expects_block:
            delay = max(20, context.parameters.proposal_timeout_ms // 4)
        else:
            delay = STATUS_IDLE_MS
        context.set_timer("status", delay)

    def tell_status(self) -> None:
        """Say where this node stands: a super node to its peers, an ordinary one to a few."""
        context = self._context
        status = self._status(is_answer=False)
        if context.is_super_node:
            context.broadcast(context.super_peers(), status)
            if self._agreement.expects_block:
                votes = self._agreement.own_votes(self._agreement.height.round)
                if votes:
                    context.broadcast(context.super_peers(), VotesAgain(votes))
        else:
            asked = peers_to_ask(sorted(context.connected), self._asked, context.node)
            self._asked += 1
            context.broadcast(asked, status)
        self.set_status_timer()

    def _take_status(self, sender: PublicKey, status: Status) -> None:
        context = self._context
        if not self._catch_up.take_status(sender, status):
            self._faults.report("malformed", sender, "a status of another chain")
            return
        own = context.state.height
        self._halting.doubt(sender, status)
        if status.height < own:
            context.send(sender, self._status(is_answer=True))
            return
        if status.height > own:
            return
        if not status.is_answer:
            context.send(sender, self._status(is_answer=True))
        if sender in context.member_set and context.is_super_node:
            self._supply(sender, status)

    def _supply(self, peer: PublicKey, status: Status) -> None:
        """Send a super node at the same height what it lacks, at most once in a while."""
        context, height = self._context, self._agreement.height
        if not 0 <= status.round <= limits.ROUND_MAX:
            return
        last = self._answered.get(peer)
        if last is not None and context.now.monotonic_ms - last < ANSWER_INTERVAL_MS:
            return
        self._answered[peer] = context.now.monotonic_ms
        if status.valid_round < height.valid_round and height.valid is not None:
            candidate = height.candidates[height.valid.vote.digest]
            context.send(peer, Certified(height.valid, candidate.block))
        state = height.rounds.get(status.round)
        if not status.has_proposal and state is not None and state.proposal is not None:
            context.send(peer, state.proposal)
        votes = self._agreement.own_votes(status.round)
        if votes and (status.round != height.round or not status.has_proposal):
            context.send(peer, VotesAgain(votes))
