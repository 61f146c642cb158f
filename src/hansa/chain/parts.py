"""A state in parts: each is a subtree with the hashes beside its path, proved alone under the state's root.

So a joiner takes parts from whomever and drops a false one at once, not after the last. The parts of a tree
follow from the tree alone: equal states are cut alike at every node. Counterpart: `authenticated`.
"""

from collections.abc import Iterable, Iterator

from hansa.chain.authenticated import (
    EMPTY,
    PLACE_BITS,
    AuthenticatedMap,
    Branch,
    Leaf,
    Node,
    hash_branch,
    subtree,
)
from hansa.chain.records import Record
from hansa.errors import InvalidError

_LEAF_BYTES = 64
"""What a pair costs in a part besides its key and value."""


class StatePart(Record, frozen=True):
    """All pairs below one place of the tree."""

    path: bytes
    """The subtree's path from the root, 32 bytes: its first `len(siblings)` bits count, the rest are 0."""
    siblings: tuple[bytes, ...]
    """Hashes beside the path, from the root downwards; 32 bytes each, at most 256."""
    pairs: tuple[tuple[bytes, bytes], ...]
    """Keys and values, in order of place."""


class Cut:
    """Where a tree is cut: made once, then each part is read when it is asked for."""

    def __init__(self, pairs: AuthenticatedMap, bytes_max: int) -> None:
        """Cut a tree into subtrees of at most so many bytes, or of one pair.

        Args:
            pairs: the whole state.
            bytes_max: keys, values and what a pair costs besides.
        """
        self.root = pairs.root
        self._places: list[tuple[Node, int, tuple[bytes, ...]]] = []
        sizes: dict[int, int] = {}
        _measure(pairs.top, sizes)
        waiting: list[tuple[Node, int, tuple[bytes, ...]]] = [(pairs.top, 0, ())]
        while waiting:
            node, path, siblings = waiting.pop()
            if not isinstance(node, Branch) or sizes[id(node)] <= bytes_max:
                self._places.append((node, path, siblings))
                continue
            bit = 1 << (PLACE_BITS - 1 - len(siblings))
            waiting.append((node.right, path | bit, (*siblings, _digest(node.left))))
            waiting.append((node.left, path, (*siblings, _digest(node.right))))

    def __len__(self) -> int:
        return len(self._places)

    def part(self, number: int) -> StatePart:
        """Return a part, from 0."""
        node, path, siblings = self._places[number]
        pairs = tuple((leaf.key, leaf.value) for leaf in _leaves(node))
        return StatePart(path.to_bytes(32, "big"), siblings, pairs)


class Assembly:
    """Parts that come in order and are believed only as far as they prove themselves."""

    def __init__(self, root: bytes) -> None:
        """Begin.

        Args:
            root: the state root that a certified header names, 32 bytes.
        """
        self._root = root
        self._next = 0
        """The first place that is not covered yet."""
        self._pairs: list[tuple[bytes, bytes]] = []

    @property
    def is_complete(self) -> bool:
        """Whether every place is covered."""
        return self._next == 1 << PLACE_BITS

    def add(self, part: StatePart) -> None:
        """Take the next part.

        Raises:
            InvalidError: it is not the next, or proves nothing; nothing was taken.
        """
        depth = len(part.siblings)
        if depth > PLACE_BITS or len(part.path) != 32 or any(len(s) != 32 for s in part.siblings):
            raise InvalidError("A part of the state is malformed.")
        path = int.from_bytes(part.path, "big")
        span = 1 << (PLACE_BITS - depth)
        if path != self._next or path % span:
            raise InvalidError("A part of the state is not the next one.")
        digest = _digest(_rebuild(part, path, depth))
        for index in range(depth - 1, -1, -1):
            beside = part.siblings[index]
            is_right = (path >> (PLACE_BITS - 1 - index)) & 1
            digest = hash_branch(beside, digest) if is_right else hash_branch(digest, beside)
        if digest != self._root:
            raise InvalidError("A part of the state is not under the certified root.")
        self._pairs += part.pairs
        self._next += span

    def pairs(self) -> Iterable[tuple[bytes, bytes]]:
        """Return all pairs; only when complete."""
        assert self.is_complete
        return self._pairs


def _rebuild(part: StatePart, path: int, depth: int) -> Node:
    """Return the subtree that a part's pairs make.

    Raises:
        InvalidError: a pair lies elsewhere, or a key comes twice.
    """
    if any(not key for key, _ in part.pairs):
        raise InvalidError("A part of the state has a pair without a key.")
    leaves = sorted((Leaf(key, value) for key, value in part.pairs), key=_by_place)
    for before, leaf in zip([None, *leaves], leaves, strict=False):
        if (leaf.place ^ path) >> (PLACE_BITS - depth):
            raise InvalidError("A part of the state has a pair of another part.")
        if before is not None and before.place == leaf.place:
            raise InvalidError("A part of the state has a key twice.")
    return subtree(leaves, depth)


def _by_place(leaf: Leaf) -> int:
    return leaf.place


def _digest(node: Node) -> bytes:
    return EMPTY if node is None else node.digest


def _leaves(top: Node) -> Iterator[Leaf]:
    stack = [top]
    while stack:
        node = stack.pop()
        if isinstance(node, Branch):
            stack += (node.right, node.left)
        elif node is not None:
            yield node


def _measure(top: Node, sizes: dict[int, int]) -> None:
    """Note the bytes below every branch, by identity, deepest first."""
    order: list[Branch] = []
    stack = [top]
    while stack:
        node = stack.pop()
        if isinstance(node, Branch):
            order.append(node)
            stack += (node.left, node.right)
    for branch in reversed(order):
        sizes[id(branch)] = sum(
            sizes[id(child)]
            if isinstance(child, Branch)
            else 0
            if child is None
            else _LEAF_BYTES + len(child.key) + len(child.value)
            for child in (branch.left, branch.right)
        )
