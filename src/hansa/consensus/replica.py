"""One node's part in the agreement: `Replica.step(event, now)` returns what must be done.

Every node runs one, ordinary ones too: they follow blocks, forward submissions and serve blocks; to be
a super node depends on the state alone. Nothing in here waits, sleeps, reads a clock or makes chance.
What a peer sends never raises out of `step`: it becomes a reported fault and is dropped.
"""

from collections.abc import Callable, Iterable, Sequence

from hansa import limits
from hansa.chain.blocks import CertifiedBlock
from hansa.chain.election import is_election_pending
from hansa.chain.sealed import SealedTransaction, SealingKeyNotice
from hansa.chain.state import State
from hansa.consensus.agreement import Agreement
from hansa.consensus.catchup import CatchUp
from hansa.consensus.context import Context
from hansa.consensus.copies import CopyVault
from hansa.consensus.dialogue import Dialogue
from hansa.consensus.effects import (
    CommitBlock,
    Effect,
    ResetVotes,
    SettleTransaction,
)
from hansa.consensus.erasures import Erasures
from hansa.consensus.events import (
    Event,
    MessageReceived,
    Now,
    PeerConnected,
    PeerLost,
    Stopped,
    Submitted,
    TimerFired,
)
from hansa.consensus.faults import FaultLog
from hansa.consensus.inspection import Inspector, transaction_digests
from hansa.consensus.intake import Pool
from hansa.consensus.messages import Propose
from hansa.consensus.outbox import Outbox
from hansa.consensus.progress import Progress, measure
from hansa.consensus.proposing import Proposer
from hansa.consensus.recovery import restore_height
from hansa.consensus.review import Verifier
from hansa.consensus.rounds import Candidate
from hansa.consensus.schedule import Schedule, mark_of
from hansa.consensus.sealing import SealingKeys
from hansa.consensus.spreading import Spreading
from hansa.crypto.signing import SigningKey
from hansa.types import Digest, Height, PublicKey, Round

VOTE_LOG_BYTES_MAX = 32 * limits.MIB
"""When the vote log has grown by this much, a decided height empties it."""
PROPOSED_FEW_MAX = 16
"""So few transactions of a proposal are told to the next master all the same, who then need not be told
if the round fails; more of them are not."""


class Replica:
    """The agreement at one node."""

    def __init__(
        self,
        key: SigningKey,
        state: State,
        recent: Sequence[CertifiedBlock],
        vote_records: Iterable[bytes],
        entropy: Callable[[int], bytes],
    ) -> None:
        """Take up where the disk left off.

        Args:
            key: of this node.
            state: at the last durable height.
            recent: the last `schedule.RECENT_BLOCKS` blocks up to that height, in order.
            vote_records: all of the vote log, oldest first.
            entropy: returns that many unpredictable bytes; used for sealing keys only.

        Raises:
            InvalidError, CorruptError: the vote log is not sound; the node must not run.
        """
        schedule = Schedule(state.alliance, state.genesis.parameters.epoch_blocks)
        schedule.load(recent)
        self._context = context = Context(key, state, schedule, entropy)
        self._keys = SealingKeys(context)
        self._verifier = Verifier(self._keys)
        self._vault = CopyVault()
        self._pool = Pool(context, self._verifier)
        self._outbox = Outbox(context)
        self._erasures = Erasures(context)
        self._faults = FaultLog(context)
        self._catch_up = CatchUp(context)
        self._spreading = Spreading(context, self._catch_up.height_of)
        self._inspector = Inspector(context, self._verifier, self._vault)
        self._proposer = Proposer(
            context,
            pool=self._pool,
            outbox=self._outbox,
            erasures=self._erasures,
            keys=self._keys,
            verifier=self._verifier,
            vault=self._vault,
        )
        self._agreement = Agreement(
            context,
            pool=self._pool,
            proposer=self._proposer,
            inspector=self._inspector,
            vault=self._vault,
            erasures=self._erasures,
            faults=self._faults,
            is_synced=self._catch_up.is_synced,
        )
        self._last: CertifiedBlock | None = recent[-1] if recent else None
        assert (self._last.block.header.height if self._last else 0) == state.height
        self._set_parent()
        self._agreement.begin_height(restore_height(context, vote_records))
        self._dialogue = Dialogue(
            context,
            agreement=self._agreement,
            catch_up=self._catch_up,
            pool=self._pool,
            outbox=self._outbox,
            erasures=self._erasures,
            keys=self._keys,
            proposer=self._proposer,
            faults=self._faults,
        )
        self._forwarded_to: tuple[int, PublicKey | None, Digest | None] = (-1, None, None)

    # --- what the node reads -----------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The state after the last committed block."""
        return self._context.state

    @property
    def tip(self) -> CertifiedBlock | None:
        """The last committed block; None at the genesis."""
        return self._last

    @property
    def height(self) -> Height:
        """Last committed height."""
        return self.state.height

    @property
    def round(self) -> Round:
        """Round of the height in progress."""
        return self._agreement.height.round

    def master(self) -> PublicKey | None:
        """Return whose turn it is."""
        return self._agreement.master()

    @property
    def is_super_node(self) -> bool:
        """Whether this node is in the set that decides the next block."""
        return self._context.is_super_node

    @property
    def is_synced(self) -> bool:
        """Whether this node is at the tip as far as it knows."""
        return self._catch_up.is_synced()

    @property
    def pool_size(self) -> int:
        """Transactions that wait here for a proposal."""
        return len(self._pool)

    @property
    def outbox_size(self) -> int:
        """Own users' transactions that are not settled."""
        return len(self._outbox)

    @property
    def copies_held(self) -> int:
        """Copies in the vault; 0 at rest."""
        return self._vault.count

    def copies_of(self) -> tuple[tuple[int, int], ...]:
        """Return the (height, round) pairs that copies are held of."""
        return self._vault.rounds()

    @property
    def erasures_waiting(self) -> int:
        """Acknowledgements of erasures that are in no block yet."""
        return len(self._erasures)

    def sealing_notices(self) -> tuple[SealingKeyNotice, ...]:
        """Return what transactions must be sealed to now, as far as known here."""
        return self._keys.notices()

    def peer_height(self, peer: PublicKey) -> int:
        """Return the last height a node told of, 0 if it told none."""
        return self._catch_up.height_of(peer)

    def progress(self) -> Progress:
        """Return how far the agreement on the next block has come here."""
        height = self._agreement.height
        return measure(
            height,
            master=self.master(),
            is_super_node=self.is_super_node,
            is_synced=self.is_synced,
            expects_block=self._agreement.expects_block,
            absent=self._context.schedule.absences(height.height, height.members),
            waiting_transactions=len(self._pool),
            unsettled_submissions=len(self._outbox),
        )

    # --- the step ----------------------------------------------------------------------------------

    def step(self, event: Event, now: Now) -> tuple[Effect, ...]:
        """Take one event; return the effects to execute strictly in order."""
        self._context.now = now
        if isinstance(event, Stopped):
            self._vault.erase_all()
            self._keys.forget()
        elif not self._context.has_halted:
            self._take(event)
            if not self._context.has_halted:
                self._proceed()
        return self._context.take_effects()

    def _take(self, event: Event) -> None:
        context = self._context
        match event:
            case MessageReceived(sender, data):
                for decided in self._dialogue.receive(sender, data):
                    if not self._commit_certified(sender, decided):
                        break
            case Submitted(sealed, more):
                self._submit((sealed, *more))
            case TimerFired(name):
                if context.take_timer(name):
                    self._take_timer(name)
            case PeerConnected(key):
                context.connected.add(key)
                self._outbox.forget_peer(key)
                self._dialogue.greet(key)
            case PeerLost(key):
                context.connected.discard(key)
                self._catch_up.lost(key)
            case _:
                self._keys.renew()
                self._dialogue.set_status_timer()

    def _proceed(self) -> None:
        """Apply the rules until nothing changes; commit what is decided; go on with what waited."""
        while True:
            self._agreement.proceed()
            decision = self._agreement.decision
            if decision is not None:
                certificate, candidate = decision
                self._commit(CertifiedBlock(candidate.block, certificate), candidate, is_live=True)
            elif not self._dialogue.take_next_waiting():
                break
        self._dialogue.refuse_unsound()
        self._forward()
        self._wait_for_quiet()
        self._catch_up.request()

    def _submit(self, several: Iterable[SealedTransaction]) -> None:
        """Step 1 at the submitting node."""
        context = self._context
        taken: list[SealedTransaction] = []
        for sealed in several:
            digest = sealed.transaction
            location = context.state.transaction_location(digest)
            if location is not None:
                context.settle(SettleTransaction(digest, "committed", "", location[0]))
            elif sealed.expires < context.height:
                context.settle(SettleTransaction(digest, "expired", "expired", Height(0)))
            elif code := self._outbox.add(sealed):
                context.settle(SettleTransaction(digest, "refused", code, Height(0)))
            else:
                taken.append(sealed)
        if taken and not context.is_timer_set("outbox"):
            context.set_timer("outbox", self._patience())
        if taken and context.is_super_node:
            self._dialogue.admit(taken, context.node)

    def _take_timer(self, name: str) -> None:
        if name in {"propose", "review", "confirm"}:
            self._agreement.take_timeout(name)
        elif name == "idle":
            self._agreement.is_idle_due = True
        elif name == "rest":
            self._erasures.catch_up()
        elif name == "erased":
            self._erasures.send_now()
        elif name == "status":
            self._dialogue.tell_status()
        elif name == "sync":
            self._catch_up.give_up()
        else:
            assert name == "outbox"
            self._hurry()

    def _hurry(self) -> None:
        """Patience is at its end: if no block came, tell all super nodes of what waits."""
        context = self._context
        if not len(self._outbox):
            return
        patience = self._patience()
        quiet_since = context.now.monotonic_ms - self._outbox.progress_ms
        if quiet_since >= patience:
            self._outbox.spread(patience)
        context.set_timer("outbox", max(patience, 10))

    def _patience(self) -> int:
        """Return how long a submission waits for its master alone, in milliseconds.

        An ordinary node waits for no proposal, so it knows no better than the genesis.
        """
        longest = self._context.parameters.proposal_timeout_ms // 2
        return min(longest, self._agreement.pace.proposal_timeout(0))

    def _forward(self) -> None:
        """Send what waits to whom it concerns: the master of the round, or of the next height."""
        if not len(self._outbox):
            return
        target, before = self._target()
        if before is not None and len(before.block.transactions) <= PROPOSED_FEW_MAX:
            before = None
        place = (self.height, target, None if before is None else before.proposal.digest)
        if place == self._forwarded_to:
            self._outbox.forward_fresh(target)
            return
        self._forwarded_to = place
        # What the present proposal holds will most likely be decided; if its round fails, the place is
        # another, and all is sent.
        proposed = () if before is None else transaction_digests(before.block)
        self._outbox.forward_all(target, frozenset(proposed))

    def _target(self) -> tuple[PublicKey | None, Propose | None]:
        """Return the master that can still propose what is submitted now, and the proposal before it."""
        context, height = self._context, self._agreement.height
        proposal = height.present.proposal
        if proposal is not None:
            following = context.schedule.master(Height(height.height + 1), 0, context.members)
            if following is not None and height.height % context.parameters.epoch_blocks:
                return following, proposal
        return self._agreement.master(), None

    def _wait_for_quiet(self) -> None:
        """After some quiet, acknowledgements or an election get a block of their own."""
        context = self._context
        if not context.is_super_node:
            return
        if not self._erasures.has_unsent:
            context.cancel_timer("erased")
        elif not context.is_timer_set("erased"):
            # Half of the quiet: the block of their own, when it comes, then finds those of all.
            context.set_timer("erased", context.parameters.idle_receipt_ms // 2)
        if self._agreement.is_idle_due or context.is_timer_set("idle"):
            return
        if len(self._erasures):
            context.set_timer("idle", context.parameters.idle_receipt_ms)
        elif is_election_pending(context.state):
            context.set_timer("idle", context.parameters.idle_receipt_ms // 4)

    # --- committing --------------------------------------------------------------------------------

    def _commit_certified(self, sender: PublicKey, certified: CertifiedBlock) -> bool:
        """Commit a decided block that a peer sent; tell whether it was sound."""
        context = self._context
        if certified.block.header.height < context.height:
            return True
        if not self._catch_up.is_proven(certified):
            if certified.block.header.height == context.height:
                self._faults.report("malformed", sender, "a block that no quorum confirmed")
                self._catch_up.distrust(sender)
            return False
        candidate = Candidate(certified.block, certified.certificate.vote.digest)
        known = self._agreement.height.candidates.get(candidate.digest)
        if known is not None and known.execution is not None:
            # The header is the same; what is appended is the body that was judged, not the sender's.
            candidate = known
            certified = CertifiedBlock(known.block, certified.certificate)
        if not self._inspector.execute(candidate):
            self._faults.report("invalid-decision", sender, candidate.code)
            self._catch_up.distrust(sender)
            return False
        is_live = not self._catch_up.is_far_behind
        self._commit(certified, candidate, is_live=is_live)
        return True

    def _commit(self, certified: CertifiedBlock, candidate: Candidate, *, is_live: bool) -> None:
        """Step 7 and 8: append, erase, acknowledge, settle, and turn to the next height."""
        context, execution = self._context, candidate.execution
        assert execution is not None
        block, certificate = certified.block, certified.certificate
        decided_round = certificate.vote.round
        state = context.state.advanced(execution)
        assert state.root == block.header.state_root
        context.emit(CommitBlock(certified, execution.writes, state))
        past = self._agreement.finish()
        context.past.append((context.state, context.parent))
        self._last = certified
        context.schedule.extend(block.header.height, mark_of(block, candidate.digest))
        context.adopt(state)
        self._set_parent()
        self._proposer.note_findings(past)
        digests = transaction_digests(block)
        self._pool.advance(digests)
        self._outbox.advance(block, digests)
        self._erasures.advance(block)
        self._erasures.owe(past, block if is_live else None, decided_round)
        if context.vote_bytes > VOTE_LOG_BYTES_MAX:
            context.emit(ResetVotes(()))
            context.vote_bytes = 0
        self._spreading.pass_on(certified, execution.writes, is_live=is_live)
        context.cancel_timer("idle")
        self._agreement.begin_height()
        self._keys.renew()

    def _set_parent(self) -> None:
        self._context.tip = self._last
        self._context.parent = self._last.block.header if self._last is not None else None
