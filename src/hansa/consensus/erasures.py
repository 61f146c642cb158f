"""ERASED (step 8): signed acknowledgements that copies are gone, on their way into a block.

On a busy chain they ride on reviews; on an idle one they are sent by themselves, and after a while of
quiet a block of their own takes them up.
"""

from hansa import limits
from hansa.chain.blocks import Block, Erasure, SignedVote, is_erasure_signed, sign_erasure
from hansa.consensus.context import Context
from hansa.consensus.messages import Erased
from hansa.consensus.rounds import HeightState
from hansa.types import Digest, Height, PublicKey, Round, Signature

WAITING_MAX = 16 * limits.ERASURES_PER_BLOCK_MAX
HEIGHTS_BACK_MAX = 64
"""An acknowledgement older than this is dropped: no block will want it."""

Slot = tuple[int, int, PublicKey]


class Erasures:
    """Acknowledgements not yet in a block, and own ones not yet sent."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: dict[Slot, Erasure] = {}
        self._unsent: list[Erasure] = []

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def has_unsent(self) -> bool:
        """Whether own acknowledgements wait for a ride."""
        return bool(self._unsent)

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
        unsent = tuple(self._unsent[-limits.ERASURES_PER_BLOCK_MAX :])
        self._unsent.clear()
        return unsent

    def send_now(self) -> None:
        """Send what found no ride to all super nodes of the next height."""
        if self._unsent:
            self._context.broadcast(self._context.super_peers(), Erased(self.take_unsent()))

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
        slots = sorted(slot for slot in self._waiting if slot[0] < self._context.height)
        return tuple(self._waiting[slot] for slot in slots[: limits.ERASURES_PER_BLOCK_MAX])
