"""ERASED (step 8): signed acknowledgements that copies are gone, on their way into a block.

On a busy chain they ride on reviews; on an idle one they are sent by themselves, and after a while of
quiet a block of their own takes them up. Nobody waits for one, so own ones are signed and others'
checked a moment after what somebody does wait for: upon the timer "rest", or when they are needed.
"""

from hansa import limits
from hansa.chain.blocks import Block, Erasure, SignedVote, is_erasure_signed, sign_erasure
from hansa.consensus.context import Context
from hansa.consensus.messages import Erased
from hansa.consensus.rounds import HeightState
from hansa.types import Digest, Height, PublicKey, Round, Signature

WAITING_MAX = 16 * limits.ERASURES_PER_BLOCK_MAX
UNHEARD_MAX = 4 * limits.SUPER_NODES_MAX
"""So many of others wait to be checked at most."""
REST_MS = 3
"""How long they wait; the block that they came with is done by then."""
HEIGHTS_BACK_MAX = 64
"""An acknowledgement older than this is dropped: no block will want it."""

Slot = tuple[int, int, PublicKey]


class Erasures:
    """Acknowledgements not yet in a block, and own ones not yet sent."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: dict[Slot, Erasure] = {}
        self._unsent: list[Erasure] = []
        self._owed: tuple[HeightState, Block | None, int] | None = None
        """The last height, if this node has still to sign for it."""
        self._unheard: list[Erasure] = []
        """What others sent, not checked yet."""

    def __len__(self) -> int:
        return len(self._waiting) + (self._owed is not None)

    @property
    def has_unsent(self) -> bool:
        """Whether own acknowledgements wait for a ride."""
        return bool(self._unsent) or self._owed is not None

    def owe(self, past: HeightState, decided: Block | None, round_number: int) -> None:
        """As `acknowledge`, when there is time for it."""
        self._pay()
        if self._context.node in past.members and (
            past.erased or (decided is not None and decided.transactions)
        ):
            self._owed = (past, decided, round_number)
            self._wait_for_rest()

    def hear(self, erasures: tuple[Erasure, ...]) -> None:
        """As `learn`, when there is time for it."""
        self._unheard += erasures[: limits.ERASURES_PER_BLOCK_MAX]
        if len(self._unheard) > UNHEARD_MAX:
            self.catch_up()
        else:
            self._wait_for_rest()

    def catch_up(self) -> None:
        """Sign and check what waits for that."""
        self._pay()
        unheard, self._unheard = self._unheard, []
        for erasure in unheard:
            self.learn((erasure,))

    def _pay(self) -> None:
        owed, self._owed = self._owed, None
        if owed is not None:
            self.acknowledge(*owed)

    def _wait_for_rest(self) -> None:
        if not self._context.is_timer_set("rest"):
            self._context.set_timer("rest", REST_MS)

    def acknowledge(self, past: HeightState, decided: Block | None, round_number: int) -> None:
        """Sign for what was erased at a height that is now decided and committed.

        Args:
            past: the height; its copies are erased.
            decided: its block if this node acknowledges the update too, else None.
            round_number: the round in which it was decided.
        """
        context = self._context
        if context.node not in past.members:
            return
        for number, (named, copies) in sorted(past.erased.items()):
            if number != round_number:
                self._sign(past.height, number, "failed", named, copies)
        if decided is not None and decided.transactions:
            named = decided.header.digest()
            erased = past.erased.get(round_number)
            copies = erased[1] if erased is not None else 0
            own = past.own.get((round_number, "confirm"))
            vote = own if own is not None and own.vote.digest == named else None
            self._sign(past.height, round_number, "committed", named, copies, vote=vote)

    def _sign(
        self,
        height: int,
        round_number: int,
        outcome: str,
        named: Digest,
        count: int,
        *,
        vote: SignedVote | None = None,
    ) -> None:
        context = self._context
        assert outcome in {"committed", "failed"}
        erasure = sign_erasure(
            Erasure(
                context.alliance,
                Height(height),
                Round(round_number),
                outcome,  # type: ignore[arg-type]
                named,
                count,
                vote.signature if vote is not None else Signature(b""),
                context.node,
                Signature(b""),
            ),
            context.key,
        )
        self._waiting[(height, round_number, context.node)] = erasure
        self._unsent.append(erasure)

    def take_unsent(self) -> tuple[Erasure, ...]:
        """Return own acknowledgements to send now."""
        self._pay()
        unsent = tuple(self._unsent[-limits.ERASURES_PER_BLOCK_MAX :])
        self._unsent.clear()
        return unsent

    def send_now(self) -> None:
        """Send what found no ride to all super nodes of the next height."""
        unsent = self.take_unsent()
        if unsent:
            self._context.broadcast(self._context.super_peers(), Erased(unsent))

    def learn(self, erasures: tuple[Erasure, ...]) -> bool:
        """Take acknowledgements of others.

        Returns:
            True if one was new and sound.
        """
        context = self._context
        is_news = False
        for erasure in erasures[: limits.ERASURES_PER_BLOCK_MAX]:
            slot = (erasure.height, erasure.round, erasure.super_node)
            if (
                slot in self._waiting
                or erasure.super_node not in self._set_of(erasure.height)
                or erasure.alliance != context.alliance
                or len(self._waiting) >= WAITING_MAX
                or self._is_recorded(erasure)
                or not is_erasure_signed(erasure)
            ):
                continue
            self._waiting[slot] = erasure
            is_news = True
        return is_news

    def _set_of(self, height: int) -> tuple[PublicKey, ...]:
        """Return the set that decided a height, as far back as acknowledgements are wanted."""
        context = self._context
        if not context.height - HEIGHTS_BACK_MAX < height < context.height:
            return ()
        election = context.state.election
        if height >= election.first_height:
            return election.super_nodes
        if height >= election.first_height - context.parameters.epoch_blocks:
            return election.previous_super_nodes
        return ()

    def _is_recorded(self, erasure: Erasure) -> bool:
        return any(
            (known.round, known.super_node) == (erasure.round, erasure.super_node)
            for known in self._context.state.erasures(erasure.height)
        )

    def advance(self, block: Block) -> None:
        """Drop what a block has taken up, and what is too old."""
        for erasure in block.erasures:
            self._waiting.pop((erasure.height, erasure.round, erasure.super_node), None)
        oldest = block.header.height - HEIGHTS_BACK_MAX
        for slot in [slot for slot in self._waiting if slot[0] <= oldest]:
            del self._waiting[slot]

    def select(self) -> tuple[Erasure, ...]:
        """Return what the next proposal takes up, oldest first."""
        self.catch_up()
        slots = sorted(slot for slot in self._waiting if slot[0] < self._context.height)
        return tuple(self._waiting[slot] for slot in slots[: limits.ERASURES_PER_BLOCK_MAX])
