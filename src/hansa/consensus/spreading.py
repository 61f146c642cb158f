"""The tree in which a decided block goes to all nodes: who sends it to whom, the same at every node.

The super nodes that decided a block are the roots, its master first; every other node stands at a place,
and a node at a place sends to at most `FAN_OUT` others. So nobody's outgoing traffic grows with the number of
nodes. Who stands where turns with each block, by its digest: a node that passes nothing on harms others
each time. A node whose link is down is passed over by its parent, a super node by the one before it. What is
missed all the same comes by status (`dialogue`): each node asks a few peers once a second where they stand.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from hansa.chain.blocks import CertifiedBlock
from hansa.chain.records import ORGANISATION
from hansa.chain.state import State
from hansa.consensus.context import Context
from hansa.consensus.messages import BlockDecided
from hansa.types import Digest, PublicKey

FAN_OUT = 4
"""Nodes that one node sends a block to."""
SENDS_MAX = 2 * FAN_OUT * FAN_OUT
"""Nodes that one node sends a block to at most, when it stands in for those below it and a root for another."""

STATUS_PEERS_MAX = 3
"""Peers that an ordinary node asks each time where they stand."""


def places_below(place: int, roots: int, count: int) -> range:
    """Return the places a place sends to. Roots are 0 … roots - 1, others roots … count - 1.

    The places after the roots are dealt out in order, `FAN_OUT` to each place, so each has one parent.
    """
    start = roots + place * FAN_OUT
    return range(min(start, count), min(start + FAN_OUT, count))


def peers_to_ask(peers: Sequence[PublicKey], times: int, node: PublicKey) -> list[PublicKey]:
    """Return which peers an ordinary node asks where they stand: each time others, super nodes or not.

    Were only super nodes asked, or all nodes in step, some would be asked by everybody.

    Args:
        peers: who is connected, sorted.
        times: how often it asked before.
        node: who asks.
    """
    count = len(peers)
    start = int.from_bytes(node[:8], "big") + times * STATUS_PEERS_MAX
    return [peers[(start + step) % count] for step in range(min(STATUS_PEERS_MAX, count))]


class Tree:
    """The tree of one block."""

    def __init__(
        self,
        roots: Sequence[PublicKey],
        others: Sequence[PublicKey],
        *,
        master: PublicKey,
        block: Digest,
    ) -> None:
        """Lay the tree.

        Args:
            roots: the super nodes that decided the block, sorted.
            others: all other nodes, sorted.
            master: who built the block: the first root, so that the duty goes round with it.
            block: its digest, which turns the others' places.
        """
        self._roots = roots
        self._others = others
        self._first = bisect_left(roots, master)
        self._turn = int.from_bytes(block[:8], "big")

    def _node(self, place: int) -> PublicKey:
        roots = len(self._roots)
        if place < roots:
            return self._roots[(place + self._first) % roots]
        return self._others[(place - roots + self._turn) % len(self._others)]

    def place(self, node: PublicKey) -> int | None:
        """Return where a node stands; None if nowhere."""
        roots = len(self._roots)
        for keys, start, turn in (
            (self._roots, 0, self._first),
            (self._others, roots, self._turn),
        ):
            index = bisect_left(keys, node)
            if index < len(keys) and keys[index] == node:
                return start + (index - turn) % len(keys)
        return None

    def below(self, node: PublicKey, is_there: Callable[[PublicKey], bool]) -> list[PublicKey]:
        """Return whom a node sends the block to, of those that are there.

        Who is away is passed over: those below it are sent to instead, one step deep. A root does the
        same for the roots after it that are away, as far as the first that is there.
        """
        place = self.place(node)
        if place is None or not self._others:
            return []
        roots, count = len(self._roots), len(self._roots) + len(self._others)
        chosen: list[PublicKey] = []
        for parent in (place, *self._absent_roots_after(place, is_there)):
            for child in places_below(parent, roots, count):
                if is_there(self._node(child)):
                    chosen.append(self._node(child))
                else:
                    chosen += filter(is_there, map(self._node, places_below(child, roots, count)))
        return chosen[:SENDS_MAX]

    def _absent_roots_after(self, place: int, is_there: Callable[[PublicKey], bool]) -> list[int]:
        roots = len(self._roots)
        absent: list[int] = []
        if place < roots:
            for step in range(1, roots):
                following = (place + step) % roots
                if is_there(self._node(following)):
                    break
                absent.append(following)
        return absent


class Spreading:
    """One node's part in passing blocks on."""

    def __init__(self, context: Context, height_of: Callable[[PublicKey], int]) -> None:
        """Begin with the members of the present state.

        Args:
            context: of the replica.
            height_of: the last height a peer told of.
        """
        self._context = context
        self._height_of = height_of
        self._members = _active_nodes(context.state)

    def pass_on(
        self,
        certified: CertifiedBlock,
        writes: Iterable[tuple[bytes, bytes | None]],
        *,
        is_live: bool,
    ) -> None:
        """Send a block that was just committed to those below; while catching up, to nobody.

        Args:
            certified: the block; its state is the context's.
            writes: what it changed in the state.
            is_live: whether others may lack it.
        """
        header = certified.block.header
        members = self._members
        if any(key[0] == ORGANISATION for key, _ in writes):
            self._members = _active_nodes(self._context.state)
            # Who is suspended by this block has to hear it too.
            members = sorted({*members, *self._members})
        if not is_live:
            return
        tree = Tree(
            header.super_nodes,
            [key for key in members if key not in header.super_nodes],
            master=header.master,
            block=certified.certificate.vote.digest,
        )
        below = tree.below(self._context.node, self._context.connected.__contains__)
        lacking = (key for key in below if self._height_of(key) < header.height)
        self._context.broadcast(lacking, BlockDecided(certified))


def _active_nodes(state: State) -> list[PublicKey]:
    return sorted(item.node_key for item in state.organisations() if item.status == "active")
