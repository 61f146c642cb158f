"""Where the others stand, whether this node is synced, and fetching what it missed.

Accepts only what certificates prove, each checked against the set that the state before it names. A
super node votes only while a quorum, itself included, is known to stand no higher than itself: after
a full restart that is so at once, after a long absence only when it has caught up.
"""

from hansa import limits
from hansa.chain.blocks import CertifiedBlock, is_certificate_valid
from hansa.consensus.context import Context
from hansa.consensus.messages import Blocks, GetBlocks, Status
from hansa.types import Height, PublicKey

ANSWER_TIMEOUT_MS = 5_000
REST_MS = 200
"""How long nobody is asked after all have failed."""
PEERS_KNOWN_MAX = limits.ORGANISATIONS_MAX


class CatchUp:
    """What peers said about their heights, and one request in flight."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._heights: dict[PublicKey, int] = {}
        self._asked: PublicKey | None = None
        self._unhelpful: set[PublicKey] = set()

    def is_synced(self) -> bool:
        """Tell whether a quorum of super nodes, this one included, is known to be no higher."""
        context = self._context
        own = context.height - 1
        level = 1
        for key in context.members:
            if key != context.node and self._heights.get(key, own + 1) <= own:
                level += 1
        return level >= context.quorum or (not context.is_super_node and not self.is_behind)

    @property
    def is_behind(self) -> bool:
        """Whether some peer claims a later height."""
        own = self._context.height - 1
        return any(
            height > own for key, height in self._heights.items() if key not in self._unhelpful
        )

    def note(self, peer: PublicKey, height: int) -> None:
        """Note a peer's last committed height."""
        if peer in self._heights or len(self._heights) < PEERS_KNOWN_MAX:
            self._heights[peer] = height

    def height_of(self, peer: PublicKey) -> int:
        """Return the last height a peer told of, 0 if it told none."""
        return max(0, self._heights.get(peer, 0))

    def note_at_least(self, peer: PublicKey, height: int) -> None:
        """Note that a peer votes on top of a height, so it has it."""
        if height > self._heights.get(peer, -1):
            self.note(peer, height)

    def lost(self, peer: PublicKey) -> None:
        """Forget the request to a peer that is gone; what it said stays said."""
        if self._asked == peer:
            self._asked = None
            self._context.cancel_timer("sync")

    def request(self) -> None:
        """Ask one peer that stands higher for what is missing, unless an answer is awaited."""
        context = self._context
        if self._asked is not None:
            return
        own = context.height - 1
        higher = [
            key
            for key, height in self._heights.items()
            if height > own and key in context.connected
        ]
        helpful = [key for key in higher if key not in self._unhelpful]
        if not helpful:
            # All have failed: rest, then begin anew, for a peer may have recovered. Without the rest a
            # false answer would be a question again at once, and on a link that repeats what it
            # carries their number would grow for ever.
            if higher and not context.is_timer_set("sync"):
                context.set_timer("sync", REST_MS)
            return
        # Spread over the peers, without chance: by height.
        self._asked = sorted(helpful)[own % len(helpful)]
        context.set_timer("sync", ANSWER_TIMEOUT_MS)
        context.send(self._asked, GetBlocks(Height(own + 1), limits.BLOCKS_PER_SYNC_ANSWER_MAX))

    def give_up(self) -> None:
        """The awaited answer did not come: ask another; or the rest is over: ask all anew."""
        if self._asked is None:
            self._unhelpful.clear()
        else:
            self._unhelpful.add(self._asked)
            self._asked = None
            self._context.cancel_timer("sync")

    @property
    def is_far_behind(self) -> bool:
        """Whether some peer claims to be more than a window of heights later."""
        far = self._context.height + len(self._context.members)
        return any(height > far for height in self._heights.values())

    def distrust(self, peer: PublicKey) -> None:
        """Ask this peer last: what it sent was not sound."""
        self._unhelpful.add(peer)

    def take(self, sender: PublicKey, answer: Blocks) -> tuple[CertifiedBlock, ...]:
        """Return the blocks of the awaited answer; none if it was not awaited."""
        if sender != self._asked:
            return ()
        self._asked = None
        self._context.cancel_timer("sync")
        if not answer.blocks:
            # It may have claimed too much, or pruned; what it says next counts.
            self._heights.pop(sender, None)
        elif all(item.block.header.height != self._context.height for item in answer.blocks):
            # Blocks that cannot follow lead nowhere: asked again at once, it could answer so for ever.
            self.distrust(sender)
            return ()
        return answer.blocks[: limits.BLOCKS_PER_SYNC_ANSWER_MAX]

    def is_proven(self, certified: CertifiedBlock) -> bool:
        """Tell whether a quorum of the set that decides the next height confirmed this block."""
        context = self._context
        header, vote = certified.block.header, certified.certificate.vote
        return (
            header.height == context.height
            and (vote.alliance, vote.epoch, vote.height, vote.phase)
            == (context.alliance, context.epoch, context.height, "confirm")
            and vote.digest == header.digest()
            and vote.round >= header.round
            and is_certificate_valid(certified.certificate, context.members)
        )

    def take_status(self, sender: PublicKey, status: Status) -> bool:
        """Note a status; tell whether it is one of this alliance."""
        if status.alliance != self._context.alliance or status.height < 0:
            return False
        self.note(sender, status.height)
        return True
