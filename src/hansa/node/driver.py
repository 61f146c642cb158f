"""Runs the agreement's core: event in, `Replica.step`, effects out, strictly in their order.

The order is the safety: what an effect must make durable is durable before the next effect runs, so
no vote is sent that a crash could forget. A failed write ends the node (fail-stop): a disk that
lost one vote may lose another.

What others wait for goes first: promises are written to the links as soon as they are durable, before
anything else that has come in is looked at, and before a block is written. Books on a
block (figures, log, notes) are kept a little later, when the waiting client most likely has its answer.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import assert_never

from structlog.typing import FilteringBoundLogger

from hansa import limits
from hansa.chain.blocks import CertifiedBlock
from hansa.chain.evidence import Evidence
from hansa.chain.sealed import SealedTransaction
from hansa.chain.state import State
from hansa.codec import encode
from hansa.consensus import effects as do
from hansa.consensus import events as on
from hansa.consensus.messages import encode_blocks
from hansa.consensus.replica import Replica
from hansa.errors import ForkError
from hansa.node.admission import Admission
from hansa.node.parts import LocatingLedger, Peers, blocks_from
from hansa.node.statuses import Statuses
from hansa.ports import Clock, VoteLog
from hansa.types import Height, PublicKey

TURN_MS_MAX = 5
"""The loop is given back at least this often."""
EVENTS_MAX = 100_000
"""Events that may wait; beyond it a peer's messages are dropped, as a network may."""

RECORD_MS = 3
"""So long after a block the books on it are kept."""

Committed = Callable[[CertifiedBlock], None]
Recorded = Callable[[CertifiedBlock, State], None]


class Driver:
    """Owns the replica: nothing else calls `step`."""

    def __init__(
        self,
        *,
        replica: Replica,
        ledger: LocatingLedger,
        vote_log: VoteLog,
        peers: Peers,
        statuses: Statuses,
        clock: Clock,
        log: FilteringBoundLogger,
        on_committed: Committed,
        on_recorded: Recorded,
        on_fault: Callable[[str], None],
        on_lie: Callable[[Evidence], None],
        on_sent: Callable[[bytes], None] = lambda _data: None,
    ) -> None:
        self.replica = replica
        self._ledger = ledger
        self._vote_log = vote_log
        self._peers = peers
        self._statuses = statuses
        self._clock = clock
        self._log = log
        self._on_committed = on_committed
        self._on_recorded = on_recorded
        self._on_fault = on_fault
        self._on_lie = on_lie
        self._on_sent = on_sent
        self._events: deque[on.Event] = deque()
        self._wake = asyncio.Event()
        self._due: dict[str, int] = {}
        """Timers that are set, each with its monotonic time."""
        self._timers: dict[str, tuple[int, asyncio.TimerHandle]] = {}
        """By name, when the loop looks at one next: no later than it is due."""
        self._unrecorded: deque[tuple[CertifiedBlock, State]] = deque()
        """Durable blocks that are in no book yet."""
        self._is_record_due = False
        self._has_sent = False
        """Whether something waits for a flush."""
        self._has_promised = False
        """Whether what waits rests on a promise, for which others wait."""
        self.dropped = 0
        self._submissions = 0
        """Transactions in events that wait."""
        self.admission = Admission(lambda: self.unsettled)
        """Where own users' calls wait while enough is under way."""

    def post(self, event: on.Event) -> None:
        """Queue an event; from the loop's thread only."""
        if len(self._events) >= EVENTS_MAX and isinstance(event, on.MessageReceived):
            self.dropped += 1
            return
        self._events.append(event)
        self._wake.set()

    def received(self, sender: PublicKey, data: bytes) -> None:
        """Queue a peer's message."""
        self.post(on.MessageReceived(sender, data))

    def connected(self, peer: PublicKey) -> None:
        """Queue the news that a node is there."""
        self._log.info("peer-connected", node=peer.hex()[:16])
        self.post(on.PeerConnected(peer))

    def lost(self, peer: PublicKey) -> None:
        """Queue the news that a node is gone."""
        self._log.info("peer-lost", node=peer.hex()[:16])
        self.post(on.PeerLost(peer))

    def submit(self, sealed: SealedTransaction) -> None:
        """Hand a sealed transaction of an own user, kept durably before, to the agreement."""
        self.submit_together((sealed,))

    def submit_together(self, sealed: tuple[SealedTransaction, ...]) -> None:
        """Hand sealed transactions that came in one call to the agreement, as one event."""
        self._submissions += len(sealed)
        self.post(on.Submitted(sealed[0], sealed[1:]))

    @property
    def unsettled(self) -> int:
        """Own users' transactions that are on their way to a block or to the agreement's core."""
        return self._submissions + self.replica.outbox_size

    async def run(self) -> None:
        """Step through events until cancelled.

        Raises:
            DiskFullError, UnavailableError, CorruptError: a write failed; the node must stop.
            ForkError: two blocks of one height are certified; the node must stop, and stay down.
        """
        self.post(on.Started())
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                self._turn()
                if self._has_sent:
                    self._flush()
                if self._is_record_due:
                    self._record()
                self.admission.let_in()
                if self._events:
                    # Held long enough; where nothing is left, the wait gives the loop back.
                    self._wake.set()
                    await asyncio.sleep(0)
        finally:
            # Erases the vault and the sealing keys; whatever it asks to send comes too late.
            self.replica.step(on.Stopped(), self._now())
            for _, timer in self._timers.values():
                timer.cancel()
            self._timers.clear()
            self._record()

    def _now(self) -> on.Now:
        return on.Now(self._clock.now_ms(), self._clock.monotonic_ms())

    def _turn(self) -> None:
        """Take events until none is left or the loop has been held long enough."""
        start = self._clock.monotonic_ms()
        while self._events:
            now = self._now()
            if now.monotonic_ms - start >= TURN_MS_MAX:
                return
            event = self._events.popleft()
            if isinstance(event, on.Submitted):
                # A block may have taken one, or refused it, while it was waiting here.
                left = self._unsettled_of(event)
                if not left:
                    continue
                event = on.Submitted(left[0], left[1:])
            for effect in self.replica.step(event, now):
                self._execute(effect)
            if self._has_promised:
                self._flush()

    def _flush(self) -> None:
        """Write to the links what was sent."""
        self._has_sent = self._has_promised = False
        self._peers.flush()

    def _record_later(self, certified: CertifiedBlock, state: State) -> None:
        if not self._unrecorded:
            asyncio.get_running_loop().call_later(RECORD_MS / 1000, self._hurry_record)
        self._unrecorded.append((certified, state))

    def _hurry_record(self) -> None:
        self._is_record_due = True
        self._wake.set()

    def _record(self) -> None:
        """Keep the books on durable blocks, in order."""
        self._is_record_due = False
        while self._unrecorded:
            self._on_recorded(*self._unrecorded.popleft())

    def _fork(self, other: CertifiedBlock) -> ForkError:
        """Log both certificates whole, for whoever has to find out who lied."""
        height = other.block.header.height
        own = self._ledger.block(height)
        self._log.critical(
            "fork",
            height=height,
            own=encode(own.certificate).hex() if own is not None else "",
            other=encode(other.certificate).hex(),
        )
        return ForkError(
            f"Two blocks of height {height} are certified: more than f super nodes lied.",
            remedy="Stop all nodes, compare the certificates in the logs, and expel who signed both.",
        )

    def _unsettled_of(self, event: on.Submitted) -> tuple[SealedTransaction, ...]:
        """Return what of a submission no block tells of."""
        several = (event.sealed, *event.more)
        self._submissions -= len(several)
        return tuple(sealed for sealed in several if not self._is_in_block(sealed))

    def _is_in_block(self, sealed: SealedTransaction) -> bool:
        """Tell whether a block holds a transaction; its status is entered then."""
        state = self.replica.state
        if sealed.expires > state.height and state.transaction_location(sealed.transaction) is None:
            return False  # The state remembers what is in a block until it has expired.
        return self._statuses.settle_by_block(sealed.transaction)

    def _execute(self, effect: do.Effect) -> None:  # noqa: C901, PLR0912 - an arm for each effect
        match effect:
            case do.Send(to, data):
                if self._peers.send(to, data):
                    self._has_sent = True
                    self._on_sent(data)
            case do.PersistVotes(records):
                self._vote_log.append(records)
                self._has_promised = True
            case do.ResetVotes(keep):
                self._vote_log.reset(keep)
            case do.CommitBlock(certified, writes, state):
                if self._has_sent:
                    self._flush()
                self._ledger.append(certified, writes)
                self._on_committed(certified)
                self._record_later(certified, state)
            case do.Halt(other):
                raise self._fork(other)
            case do.SetTimer(name, at_monotonic_ms):
                self._set_timer(name, at_monotonic_ms)
            case do.CancelTimer(name):
                self._cancel_timer(name)
            case do.SettleTransaction(transaction, status, code, height):
                self._statuses.settle(transaction, status, code, height)
            case do.ServeBlocks(to, first, count):
                self._serve(to, first, count)
            case do.AnnounceSealingKey():
                self._log.info("sealing-key-announced", epoch=effect.notice.epoch)
            case do.Accuse(evidence):
                self._on_lie(evidence)
            case do.ReportFault(kind, who, detail):
                self._log.warning("fault-noticed", kind=kind, node=who.hex()[:16], detail=detail)
                self._on_fault(kind)
            case _:
                assert_never(effect)

    def _serve(self, to: PublicKey, first: Height, count: int) -> None:
        wanted = min(count, limits.BLOCKS_PER_SYNC_ANSWER_MAX)
        last = Height(min(first + wanted - 1, self._ledger.height()))
        found = tuple(blocks_from(self._ledger, first, last))
        # What was pruned here cannot be answered: an empty answer sends the asker to another node.
        if found and found[0].block.header.height != first:
            found = ()
        if self._peers.send(to, encode_blocks(found)):
            self._has_sent = True

    def _set_timer(self, name: str, at_monotonic_ms: int) -> None:
        """Set a timer. Most are set anew, for later, at every height: the loop is told when one is due sooner."""
        self._due[name] = at_monotonic_ms
        known = self._timers.get(name)
        if known is not None:
            if known[0] <= at_monotonic_ms:
                return
            known[1].cancel()
        self._look_at(name, at_monotonic_ms)

    def _look_at(self, name: str, at_monotonic_ms: int) -> None:
        delay_ms = max(0, at_monotonic_ms - self._clock.monotonic_ms())
        timer = asyncio.get_running_loop().call_later(delay_ms / 1000, self._fire, name)
        self._timers[name] = (at_monotonic_ms, timer)

    def _cancel_timer(self, name: str) -> None:
        self._due.pop(name, None)

    def _fire(self, name: str) -> None:
        """Post a timer that is due; look again at one that was set for later, forget one cancelled."""
        del self._timers[name]
        at_monotonic_ms = self._due.get(name)
        if at_monotonic_ms is None:
            return
        if at_monotonic_ms > self._clock.monotonic_ms():
            self._look_at(name, at_monotonic_ms)
            return
        del self._due[name]
        self.post(on.TimerFired(name))
