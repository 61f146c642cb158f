"""The submitting node's side of step 1: sealed transactions kept until they are settled.

Upon a submission: send it to the present master, or to the next one if a proposal is under way. Upon a
new height, round or proposal: send what is unsettled to whoever is master then, unless it has it or the
proposal, one of many, holds it. Upon some patience without progress: send it to all super nodes, so that all
expect a block and move on from a dead master. Upon a signed refusal: appeal to the other super nodes.
Settled by a block, by the refusals of f+1 super nodes, one of whom is honest, or by its expiry.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from hansa import limits
from hansa.chain.blocks import Block
from hansa.chain.findings import Refusal, is_refusal_signed
from hansa.chain.reasons import REASONS
from hansa.chain.sealed import SealedTransaction
from hansa.consensus.context import Context
from hansa.consensus.effects import SettleTransaction
from hansa.consensus.messages import Appeal, Submit
from hansa.consensus.review import SEALING_CODES
from hansa.consensus.sealing import size_of
from hansa.types import Digest, Height, PublicKey

SEND_AGAIN_HEIGHTS = 16
"""A super node that has held a transaction for so many heights gets it again: it may have lost it."""
SPREAD_WAITS_MAX = 64
"""So many patiences lie at most between two tellings while no block comes."""
BATCH_BYTES_MAX = limits.BLOCK_BYTES_MAX


@dataclass(slots=True)
class Kept:
    """One unsettled transaction."""

    sealed: SealedTransaction
    size: int
    since_ms: int
    """Monotonic time of submission."""
    since_height: int
    """The height in progress then: a refusal on an older state may be out of date."""
    sent: dict[PublicKey, int] = field(default_factory=dict)
    """Height at which each super node got it."""
    refused: dict[PublicKey, str] = field(default_factory=dict)
    """Reason codes by who refused it."""
    asked: set[PublicKey] = field(default_factory=set)
    """Those to whom a refusal was appealed."""
    again_ms: int = 0
    """Monotonic time from which it is told anew, if no block came; 0 before it was told to all."""
    waits: int = 1
    """Patiences between two tellings, ever more."""


class Outbox:
    """Unsettled transactions of this node's own users, in order of submission."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kept: dict[Digest, Kept] = {}
        self._by_expiry: dict[int, set[Digest]] = {}
        self._bytes = 0
        self._fresh: list[Digest] = []
        self.progress_ms = 0
        """Monotonic time of the last block."""

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, transaction: object) -> bool:
        return transaction in self._kept

    def add(self, sealed: SealedTransaction) -> str:
        """Keep a transaction.

        Returns:
            "" or the reason code why it is not taken.
        """
        if sealed.transaction in self._kept:
            return ""
        size = size_of(sealed)
        if (
            len(self._kept) >= limits.POOL_TRANSACTIONS_MAX
            or self._bytes + size > limits.POOL_BYTES_MAX
        ):
            return "busy"
        self._kept[sealed.transaction] = Kept(
            sealed, size, self._context.now.monotonic_ms, self._context.height
        )
        self._by_expiry.setdefault(sealed.expires, set()).add(sealed.transaction)
        self._bytes += size
        self._fresh.append(sealed.transaction)
        return ""

    def _drop(self, transaction: Digest) -> Kept | None:
        kept = self._kept.pop(transaction, None)
        if kept is not None:
            self._bytes -= kept.size
            bucket = self._by_expiry.get(kept.sealed.expires)
            if bucket is not None:
                bucket.discard(transaction)
        return kept

    # --- sending -----------------------------------------------------------------------------------

    def forward_fresh(self, master: PublicKey | None) -> None:
        """Send what came in since the last time to the present master."""
        fresh, self._fresh = self._fresh, []
        for to in self._recipients(master):
            self._send(to, fresh)

    def forward_all(
        self, master: PublicKey | None, proposed: Collection[Digest] = frozenset()
    ) -> None:
        """Send what is unsettled, but for what is proposed, to a new master, oldest first, within bounds."""
        self._fresh.clear()
        kept = [transaction for transaction in self._kept if transaction not in proposed]
        for to in self._recipients(master):
            self._send(to, kept)

    def _recipients(self, master: PublicKey | None) -> list[PublicKey]:
        """Return the master or, where the link to it is down, all super nodes: they will pass it over."""
        if master is None:
            return []
        if master == self._context.node or master in self._context.connected:
            return [master]
        return self._context.super_peers()

    def spread(self, patience_ms: int) -> None:
        """Send what has waited for so long to all super nodes; ever more seldom to who has it already.

        Who got it may not have taken it: a node just elected drops what comes before the block that says so.
        """
        now = self._context.now.monotonic_ms
        old = [digest for digest, kept in self._kept.items() if kept.since_ms <= now - patience_ms]
        for digest in old:
            kept = self._kept[digest]
            if now < kept.again_ms:
                continue
            if kept.again_ms:
                kept.sent.clear()
                kept.asked.clear()
            kept.waits = min(2 * kept.waits, SPREAD_WAITS_MAX)
            kept.again_ms = now + kept.waits * patience_ms
        for peer in self._context.super_peers():
            self._send(peer, old)

    def _send(self, to: PublicKey, transactions: list[Digest]) -> None:
        context = self._context
        if to == context.node or to not in context.connected:
            return
        batch: list[SealedTransaction] = []
        size = 0
        count_max = 2 * context.parameters.block_transactions_max
        for digest in transactions:
            kept = self._kept.get(digest)
            if kept is None:
                continue
            at = kept.sent.get(to)
            if at is not None and at + SEND_AGAIN_HEIGHTS > context.height:
                continue
            if batch and (len(batch) >= count_max or size + kept.size > BATCH_BYTES_MAX):
                break
            kept.sent[to] = context.height
            batch.append(kept.sealed)
            size += kept.size
        if batch:
            context.send(to, Submit(context.node, 0, tuple(batch)))

    def forget_peer(self, peer: PublicKey) -> None:
        """Note that a peer's pool may be gone: it restarted or the link broke."""
        for kept in self._kept.values():
            kept.sent.pop(peer, None)

    # --- settling ----------------------------------------------------------------------------------

    def refused(self, refusal: Refusal) -> None:
        """Take a signed refusal of another super node."""
        context = self._context
        kept = self._kept.get(refusal.transaction)
        if (
            kept is None
            or refusal.alliance != context.alliance
            or refusal.refuser not in context.member_set
            or refusal.code not in REASONS
            or not is_refusal_signed(refusal)
        ):
            return
        if refusal.height >= kept.since_height:
            self.note_refusal(refusal.transaction, refusal.refuser, refusal.code, refusal)

    def note_refusal(
        self, transaction: Digest, refuser: PublicKey, code: str, refusal: Refusal | None = None
    ) -> None:
        """Count a refusal; of this node itself, which needs no signed one, it is enough."""
        context = self._context
        kept = self._kept.get(transaction)
        if kept is None:
            return
        kept.refused[refuser] = code
        is_enough = len(kept.refused) > context.faults
        final = [said for said in kept.refused.values() if said not in {*SEALING_CODES, "busy"}]
        if code in SEALING_CODES or code == "busy":
            if not is_enough or code == "busy":
                # Others may be able to open it, and can wrap the key for this one.
                for peer in context.super_peers():
                    self._send(peer, [transaction])
                if refusal is not None and code != "busy":
                    # Who could open it and found it wanting waits for a master to say so: ask.
                    self._appeal(kept, refusal)
                return
            self.settle(transaction, "reseal", code, Height(0))
        elif refuser == context.node or len(final) > context.faults:
            self.settle(transaction, "refused", max(final, key=final.count), Height(0))
        elif refusal is not None:
            self._appeal(kept, refusal)

    def _appeal(self, kept: Kept, refusal: Refusal) -> None:
        """Ask those who have not refused it: one super node alone turns nobody away."""
        for peer in self._context.super_peers():
            if peer not in kept.refused and peer not in kept.asked:
                kept.asked.add(peer)
                self._context.send(peer, Appeal(refusal, kept.sealed))

    def settle(self, transaction: Digest, status: str, code: str, height: Height) -> None:
        """Drop a transaction and tell whoever waits."""
        if self._drop(transaction) is not None:
            assert status in {"committed", "refused", "expired", "reseal"}
            self._context.settle(SettleTransaction(transaction, status, code, height))  # type: ignore[arg-type]

    def advance(self, block: Block, digests: tuple[Digest, ...]) -> None:
        """Follow a committed block; the context stands at the next height already."""
        self.progress_ms = self._context.now.monotonic_ms
        if not self._kept:
            return
        height = block.header.height
        for digest, result in zip(digests, block.results, strict=True):
            status = "committed" if result.accepted else "refused"
            self.settle(digest, status, result.code, height)
        for digest in sorted(self._by_expiry.pop(height, ())):
            self.settle(digest, "expired", "expired", Height(0))
