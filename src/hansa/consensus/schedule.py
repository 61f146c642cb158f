"""Whose turn it is: a pure function of committed headers (seed 4.3, "master").

Each window of r heights has an order drawn from the number of transactions at the window's start and
that block's digest; in round 0 of the window each super node leads exactly once. The fallback order
of later rounds is drawn separately, from an older digest: who picks a batch size to be first in one
order does not pick the other. Windows restart at epochs.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hansa import limits
from hansa.chain.blocks import CertifiedBlock
from hansa.codec import digest
from hansa.types import Digest, Height, PublicKey

RECENT_BLOCKS = 2 * limits.SUPER_NODES_MAX + 2
"""How many of the last blocks a schedule needs at start."""


class Mark(NamedTuple):
    """What the schedule needs of a header."""

    digest: Digest
    total_transactions: int


def window_start(height: int, super_nodes: int, epoch_blocks: int) -> int:
    """Return the first height of the window that `height` is in, from 1."""
    epoch_start = (height - 1) // epoch_blocks * epoch_blocks + 1
    return epoch_start + (height - epoch_start) // super_nodes * super_nodes


def draw_order(members: Sequence[PublicKey], tag: str, *seed: bytes) -> list[PublicKey]:
    """Return `members` in the order of their digests with the seed."""
    return sorted(members, key=lambda member: digest(tag, *seed, member))


class Schedule:
    """Masters of the heights that follow the known headers."""

    def __init__(self, alliance: Digest, epoch_blocks: int) -> None:
        self._epoch_blocks = epoch_blocks
        self._marks: dict[int, Mark] = {0: Mark(alliance, 0)}
        self._orders: dict[tuple[int, tuple[PublicKey, ...]], tuple[list[PublicKey], ...]] = {}

    def load(self, recent: Iterable[CertifiedBlock]) -> None:
        """Take the last blocks, in order, as read from the ledger."""
        for certified in recent:
            header = certified.block.header
            self.extend(header.height, header.digest(), header.total_transactions)

    def extend(self, height: int, block: Digest, total_transactions: int) -> None:
        """Note a committed header."""
        self._marks[height] = Mark(block, total_transactions)
        self._marks.pop(height - RECENT_BLOCKS, None)
        if len(self._orders) > 8:
            self._orders.clear()

    def tip(self, height: int) -> Digest:
        """Return the digest of a committed height that is still known."""
        return self._marks[height].digest

    def known(self, height: int) -> Digest | None:
        """Return the digest of a committed height, or None if it is too old, or not committed."""
        mark = self._marks.get(height)
        return None if mark is None else mark.digest

    def master(
        self, height: Height, round_number: int, members: tuple[PublicKey, ...]
    ) -> PublicKey | None:
        """Return the master of a round, or None while its window's start is not committed."""
        orders = self._window_orders(height, members)
        if orders is None:
            return None
        order, fallback = orders
        first = order[(height - self._start(height, members)) % len(order)]
        if round_number == 0:
            return first
        # Round 0's master comes last, so that r rounds still give each super node a turn.
        others = [member for member in fallback if member != first]
        return [*others, first][(round_number - 1) % len(order)]

    def _start(self, height: int, members: tuple[PublicKey, ...]) -> int:
        return window_start(height, len(members), self._epoch_blocks)

    def _window_orders(
        self, height: int, members: tuple[PublicKey, ...]
    ) -> tuple[list[PublicKey], ...] | None:
        start = self._start(height, members)
        known = self._orders.get((start, members))
        if known is not None:
            return known
        base = self._marks.get(start - 1)
        older = self._marks.get(max(0, start - 1 - len(members)))
        if base is None or older is None:
            return None
        count = base.total_transactions.to_bytes(8, "big")
        orders = (
            draw_order(members, "hansa.master-order.1", count, base.digest),
            draw_order(members, "hansa.fallback-order.1", start.to_bytes(8, "big"), older.digest),
        )
        self._orders[(start, members)] = orders
        return orders
