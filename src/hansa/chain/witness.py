"""Witnesses: the part of a state's tree that an execution looks at, so that anyone can repeat it.

Upon a lie about an execution: run it once more over a map that notes which nodes it visits; those are
the witness, everything beside them is a hash. Whoever holds the state's root alone builds the same part
of the tree, compares the root and runs the same execution over it, to the same result. What the witness
does not hold raises `Unproven` there: nothing is ever guessed, and nothing can be left out unnoticed.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec
from typing_extensions import override

from hansa.chain.authenticated import (
    EMPTY,
    PLACE_BITS,
    AuthenticatedMap,
    Branch,
    Leaf,
    Node,
    place_of,
)

_ABSENT, _BRANCH, _LEAF, _STUB = range(4)
_Changes = list[tuple[int, Leaf | None]]


class Unproven(Exception):  # noqa: N818 - an outcome, not a fault
    """A witness does not hold what an execution asks for."""


class Witness(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A part of a state's tree, its nodes in preorder, left before right."""

    shape: bytes
    """One byte for each node: 0 nothing, 1 branch, 2 leaf, 3 a subtree of which the hash alone is here."""
    leaves: tuple[tuple[bytes, bytes], ...]
    """Key and value of each leaf, in order."""
    hashes: bytes
    """Of the other subtrees, in order; 32 bytes each."""


NOTHING = Witness(b"", (), b"")
"""Where no state is needed."""


class _Stub(Leaf):
    """A subtree of which only the hash is known. It passes for a node, but not for a look at it."""

    __slots__ = ()

    def __init__(self, digest: bytes) -> None:
        self.digest = digest


class WalkedMap(AuthenticatedMap):
    """A map that says `look` of each node before it uses what is in it.

    Slower than its base, and with the same results: `look` sees exactly what a result depends on.
    """

    __slots__ = ("_look",)

    def __init__(self, top: Node, look: Callable[[Node], None]) -> None:
        super().__init__(top, 0)
        self._look = look

    @override
    def leaf(self, key: bytes) -> Leaf | None:
        """Return the leaf that holds a key, or None."""
        node, place, bit = self._top, place_of(key), 1 << (PLACE_BITS - 1)
        self._look(node)
        while type(node) is Branch:
            node = node.right if place & bit else node.left
            self._look(node)
            bit >>= 1
        return node if isinstance(node, Leaf) and node.key == key else None

    @override
    def leaves(self, kind: int | None = None) -> Iterator[Leaf]:
        """Yield the leaves of one kind, or all, in order of place."""
        node, depth = self._top, 0
        self._look(node)
        while kind is not None and depth < 8 and type(node) is Branch:
            node = node.right if (kind >> (7 - depth)) & 1 else node.left
            self._look(node)
            depth += 1
        stack = [node]
        while stack:
            node = stack.pop()
            self._look(node)
            if type(node) is Branch:
                stack += (node.right, node.left)
            elif isinstance(node, Leaf) and (kind is None or node.key[0] == kind):
                yield node

    @override
    def updated(
        self,
        writes: Iterable[tuple[bytes, bytes | None]],
        records: dict[bytes, object] | None = None,
    ) -> "WalkedMap":
        """Return the map after `writes`; None deletes. A key may occur once."""
        known = records or {}
        changes: _Changes = []
        for key, value in writes:
            leaf = None if value is None else Leaf(key, value, known.get(key))
            changes.append((place_of(key) if leaf is None else leaf.place, leaf))
        changes.sort(key=lambda change: change[0])
        return WalkedMap(self._apply(self._top, 0, changes), self._look)

    def _apply(self, node: Node, depth: int, changes: _Changes) -> Node:
        """Return the subtree at `depth` after `changes`, sorted by place; as in the base."""
        if not changes:
            return node
        self._look(node)
        if isinstance(node, Leaf):
            if all(place != node.place for place, _ in changes):
                changes = sorted([*changes, (node.place, node)], key=lambda change: change[0])
            node = None
        if node is None:
            changes = [change for change in changes if change[1] is not None]
            if len(changes) < 2:
                return changes[0][1] if changes else None
        bit = 1 << (PLACE_BITS - 1 - depth)
        old_left, old_right = (None, None) if node is None else (node.left, node.right)
        left = self._apply(old_left, depth + 1, [item for item in changes if not item[0] & bit])
        right = self._apply(old_right, depth + 1, [item for item in changes if item[0] & bit])
        # A leaf whose neighbour is gone moves up: what is left must be known to be a leaf or not.
        if left is None:
            self._look(right)
        if right is None:
            self._look(left)
        if left is None and type(right) is not Branch:
            return right
        if right is None and type(left) is not Branch:
            return left
        return Branch(left, right)


class Recorder:
    """Notes what an execution over a state's pairs looks at."""

    def __init__(self, pairs: AuthenticatedMap) -> None:
        self._top = pairs.top
        self._seen: dict[int, Node] = {}
        self.pairs = WalkedMap(self._top, self._note)
        """What the execution must run over."""

    def _note(self, node: Node) -> None:
        self._seen[id(node)] = node

    def witness(self) -> Witness:
        """Return the part of the tree that was looked at so far."""
        shape = bytearray()
        leaves: list[tuple[bytes, bytes]] = []
        hashes = bytearray()
        stack: list[Node] = [self._top]
        while stack:
            node = stack.pop()
            if node is None:
                shape.append(_ABSENT)
            elif id(node) not in self._seen:
                shape.append(_STUB)
                hashes += node.digest
            elif type(node) is Branch:
                shape.append(_BRANCH)
                stack += (node.right, node.left)
            else:
                assert type(node) is Leaf
                shape.append(_LEAF)
                leaves.append((node.key, node.value))
        return Witness(bytes(shape), tuple(leaves), bytes(hashes))


def open_witness(witness: Witness, root: bytes) -> WalkedMap:
    """Return the part of a state that a witness holds.

    Raises:
        Unproven: it is malformed, or is not of the state with this root.
    """
    top = _Reader(witness).read()
    if (EMPTY if top is None else top.digest) != root:
        raise Unproven("The witness is of another state.")
    return WalkedMap(top, _refuse_stub)


def _refuse_stub(node: Node) -> None:
    if type(node) is _Stub:
        raise Unproven("The witness does not hold what was asked for.")


class _Reader:
    """Builds a tree from its nodes in preorder; a hostile witness costs no more than its length."""

    def __init__(self, witness: Witness) -> None:
        self._shape = iter(witness.shape)
        self._leaves = iter(witness.leaves)
        self._hashes = witness.hashes
        self._offset = 0

    def read(self) -> Node:
        top = self._node(0)
        if next(self._shape, None) is not None or next(self._leaves, None) is not None:
            raise Unproven("The witness has more parts than its shape.")
        if self._offset != len(self._hashes):
            raise Unproven("The witness has more hashes than its shape.")
        return top

    def _node(self, depth: int) -> Node:
        what = next(self._shape, None)
        if what == _ABSENT:
            return None
        if what == _STUB:
            return self._stub()
        if what == _LEAF:
            key, value = next(self._leaves, (b"", b""))
            if not key:
                raise Unproven("The witness has fewer leaves than its shape.")
            return Leaf(key, value)
        if what != _BRANCH or depth >= PLACE_BITS:
            raise Unproven("The witness has a malformed shape.")
        left = self._node(depth + 1)
        right = self._node(depth + 1)
        return Branch(left, right)

    def _stub(self) -> Node:
        digest = self._hashes[self._offset : self._offset + 32]
        self._offset += 32
        if len(digest) != 32:
            raise Unproven("The witness has fewer hashes than its shape.")
        return _Stub(digest)
