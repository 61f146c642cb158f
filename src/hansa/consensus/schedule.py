"""Whose turn it is: a pure function of committed blocks (seed 4.3, "master").

Each window of r heights has an order drawn from the number of transactions at the window's start and
that block's digest; in round 0 of the window each super node leads exactly once. The fallback order
of later rounds is drawn separately, from an older digest: who picks a batch size to be first in one
order does not pick the other. Windows restart at epochs.

Upon a window in which a super node neither led nor was recorded as having voted, while a quorum was:
it is *absent* in the next one. Others stand in for it at once, instead of after a timeout, and it comes
last in later rounds; its first acknowledgement that a block takes up brings it back.

1. At most f are absent: a quorum must have been recorded.
2. Who stands in follows from the height and the keys alone, so nobody's choice of a block gains a height.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from hansa import limits
from hansa.chain.blocks import Block, CertifiedBlock, quorum_of
from hansa.codec import digest
from hansa.types import Digest, Height, PublicKey

RECENT_BLOCKS = 2 * limits.SUPER_NODES_MAX + 2
"""How many of the last blocks a schedule needs at start."""


class Mark(NamedTuple):
    """What the schedule needs of a block."""

    digest: Digest
    total_transactions: int
    master: PublicKey | None = None
    """Who made the block; None at the genesis."""
    members: frozenset[PublicKey] = frozenset()
    """The set that decided it."""
    voted: frozenset[tuple[int, PublicKey]] = frozenset()
    """Acknowledgements in it that carry a vote: of which height, and whose."""


def mark_of(block: Block, named: Digest) -> Mark:
    """Return what the schedule needs of a committed block, whose digest is `named`."""
    return Mark(
        named,
        block.header.total_transactions,
        block.header.master,
        frozenset(block.header.super_nodes),
        frozenset((item.height, item.super_node) for item in block.erasures if item.vote),
    )


class Absence(NamedTuple):
    """A super node that others stand in for, as committed blocks tell."""

    super_node: PublicKey
    since: Height
    """First height of the windows in a row that pass it over, as far back as this node knows."""
    until: Height
    """Last height of the present window: for the next one it is judged anew."""
    is_heard: bool
    """Whether blocks record it already, so that it leads again after `until`."""


class Window(NamedTuple):
    """Who leads in r heights."""

    order: tuple[PublicKey, ...]
    """Masters of round 0, one for each height; nobody absent."""
    fallback: tuple[PublicKey, ...]
    """The order of later rounds, those who are absent last."""
    absent: frozenset[PublicKey]


def first_of_epoch(height: int, epoch_blocks: int) -> int:
    """Return the first height of the epoch that `height` is in, from 1."""
    return (height - 1) // epoch_blocks * epoch_blocks + 1


def window_start(height: int, super_nodes: int, epoch_blocks: int) -> int:
    """Return the first height of the window that `height` is in, from 1."""
    epoch_start = first_of_epoch(height, epoch_blocks)
    return epoch_start + (height - epoch_start) // super_nodes * super_nodes


def draw_order(members: Sequence[PublicKey], tag: str, *seed: bytes) -> list[PublicKey]:
    """Return `members` in the order of their digests with the seed."""
    return sorted(members, key=lambda member: digest(tag, *seed, member))


class Schedule:
    """Masters of the heights that follow the known headers."""

    def __init__(self, alliance: Digest, epoch_blocks: int) -> None:
        self._epoch_blocks = epoch_blocks
        self._marks: dict[int, Mark] = {0: Mark(alliance, 0)}
        self._windows: dict[tuple[int, tuple[PublicKey, ...]], Window] = {}

    def load(self, recent: Iterable[CertifiedBlock]) -> None:
        """Take the last blocks, in order, as read from the ledger."""
        for certified in recent:
            header = certified.block.header
            self.extend(header.height, mark_of(certified.block, header.digest()))

    def extend(self, height: int, mark: Mark) -> None:
        """Note a committed block."""
        self._marks[height] = mark
        self._marks.pop(height - RECENT_BLOCKS, None)
        if len(self._windows) > 8:
            self._windows.clear()

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
        window = self._window(height, members)
        if window is None:
            return None
        order, fallback, absent = window
        first = order[(height - self._start(height, members)) % len(order)]
        if round_number == 0:
            return first
        # Round 0's master comes last of those who are there, so that r rounds still give each a turn.
        there = [member for member in fallback if member != first and member not in absent]
        turns = [*there, first, *(member for member in fallback if member in absent)]
        return turns[(round_number - 1) % len(turns)]

    def absent(self, height: Height, members: tuple[PublicKey, ...]) -> frozenset[PublicKey]:
        """Return who gets no round 0 in the window of a height; nobody while that is not known."""
        window = self._window(height, members)
        return window.absent if window is not None else frozenset()

    def absences(self, height: Height, members: tuple[PublicKey, ...]) -> tuple[Absence, ...]:
        """Return those who get no round 0 in the window of a height, by key: for people to look at."""
        size, start = len(members), self._start(height, members)
        following = min(
            start + size, first_of_epoch(start, self._epoch_blocks) + self._epoch_blocks
        )
        heard: set[PublicKey | None] = set()
        for number in range(following - size, height):
            mark = self._marks.get(number)
            if mark is not None:
                heard.add(mark.master)
                heard.update(who for voted, who in mark.voted if voted >= following - 2 * size)
        return tuple(
            Absence(
                member,
                self._absent_since(member, start, members),
                Height(following - 1),
                member in heard,
            )
            for member in sorted(self.absent(height, members))
        )

    def _absent_since(
        self, member: PublicKey, start: int, members: tuple[PublicKey, ...]
    ) -> Height:
        """Return where the windows in a row begin that pass a super node over, the one at `start` the last."""
        while start > 1:
            before = self._start(start - 1, members)
            # Not `absent`: it would note, for good, a window whose blocks are forgotten in part.
            if member not in self._find_absent(before, members):
                break
            start = before
        return Height(start)

    def _start(self, height: int, members: tuple[PublicKey, ...]) -> int:
        return window_start(height, len(members), self._epoch_blocks)

    def _window(self, height: int, members: tuple[PublicKey, ...]) -> Window | None:
        start = self._start(height, members)
        known = self._windows.get((start, members))
        if known is not None:
            return known
        base = self._marks.get(start - 1)
        older = self._marks.get(max(0, start - 1 - len(members)))
        if base is None or older is None:
            return None
        count = base.total_transactions.to_bytes(8, "big")
        order = draw_order(members, "hansa.master-order.1", count, base.digest)
        fallback = draw_order(
            members, "hansa.fallback-order.1", start.to_bytes(8, "big"), older.digest
        )
        absent = self._find_absent(start, members)
        made = Window(tuple(_stand_in(order, absent, start)), tuple(fallback), absent)
        self._windows[(start, members)] = made
        return made

    def _find_absent(self, start: int, members: tuple[PublicKey, ...]) -> frozenset[PublicKey]:
        """Return who was not there in the r heights before a window; nobody if that cannot be told."""
        size = len(members)
        marks = [self._marks.get(height) for height in range(start - size, start)]
        seen: set[PublicKey] = set()
        voted: set[PublicKey] = set()
        for mark in marks:
            # Newly elected ones had no chance yet.
            if mark is None or mark.master is None or not mark.members.issuperset(members):
                return frozenset()
            seen.add(mark.master)
            # What was held back for long, to keep up the look of one that is gone, counts no more.
            voted.update(who for height, who in mark.voted if height >= start - 2 * size)
        if len(voted.intersection(members)) < quorum_of(size):
            return frozenset()
        return frozenset(members) - seen - voted


def _stand_in(
    order: Sequence[PublicKey], absent: frozenset[PublicKey], start: int
) -> Iterator[PublicKey]:
    """Yield an order without those who are absent: the others stand in, in turn by window and key."""
    there = sorted(member for member in order if member not in absent)
    turn = start // len(order)
    for member in order:
        if member not in absent:
            yield member
            continue
        yield there[turn % len(there)]
        turn += 1
