"""The authenticated map: a persistent compact sparse Merkle tree over state pairs.

A key's place is its first byte (its kind) followed by 248 bits of SHA-256 of the whole key, so all
pairs of one kind form one subtree that can be walked, and everything else is spread evenly. A
subtree of one pair is that pair's leaf; an empty subtree hashes to 32 zero bytes; every other
subtree is a branch on the next bit. Equal contents give one shape and one root, whatever the order
of writes. Updates copy only the paths they change: older maps stay valid for ever.
"""

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from hansa.types import Digest

EMPTY = bytes(32)
"""Hash of an empty subtree."""

PLACE_BITS = 256


class Leaf:
    """One pair. `record` is a cache of the decoded value, filled by whoever decodes it."""

    __slots__ = ("digest", "key", "place", "record", "value")

    def __init__(self, place: int, key: bytes, value: bytes, record: object = None) -> None:
        self.place = place
        self.key = key
        self.value = value
        self.record = record
        self.digest: bytes = hash_leaf(key, hashlib.sha256(value).digest())


class Branch:
    """Two subtrees, at most one of them empty; never an empty one beside a leaf."""

    __slots__ = ("digest", "left", "right")

    def __init__(self, left: "Node", right: "Node") -> None:
        self.left = left
        self.right = right
        self.digest: bytes = hash_branch(
            EMPTY if left is None else left.digest, EMPTY if right is None else right.digest
        )


Node = Leaf | Branch | None
Changes = list[tuple[int, bytes, Leaf | None]]
"""Place, key and new leaf (None deletes) of each written pair."""


class Neighbour(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The leaf that stands where an absent key would."""

    key: bytes
    value_digest: bytes
    """SHA-256 of its value, 32 bytes."""


class MapProof(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Proof that a key has a value, or none, under a root."""

    siblings: tuple[bytes, ...]
    """Hashes beside the path, from the root downwards; 32 bytes each, at most 256."""
    neighbour: Neighbour | None
    """For absence: what stands in the key's place, or None if nothing does."""


def place_of(key: bytes) -> int:
    """Return a key's place in the tree, 256 bits; the highest bit decides first."""
    assert key, "a key starts with its kind"
    return int.from_bytes(key[:1] + hashlib.sha256(key).digest()[:31], "big")


def hash_leaf(key: bytes, value_digest: bytes) -> bytes:
    """Return SHA-256(0x00 ‖ SHA-256(key) ‖ SHA-256(value))."""
    return hashlib.sha256(b"\x00" + hashlib.sha256(key).digest() + value_digest).digest()


def hash_branch(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _is_right(place: int, depth: int) -> int:
    return (place >> (PLACE_BITS - 1 - depth)) & 1


class AuthenticatedMap:
    """An immutable map from bytes to bytes with a root; `updated` makes the next one.

    One map of a line of them, the newest that somebody adopted, also has all its leaves in a dict,
    so that a read there walks no tree. Readers in other threads may hold any map of the line.
    """

    __slots__ = ("_changed", "_count", "_index", "_top")

    def __init__(self, top: Node, count: int, changed: Changes | None = None) -> None:
        self._top = top
        self._count = count
        self._changed = changed
        """What differs from the map this one was made from; until one of the two is adopted."""
        self._index: dict[bytes, Leaf] | None = None

    @classmethod
    def empty(cls) -> "AuthenticatedMap":
        """Return the map without pairs."""
        made = cls(None, 0)
        made._index = {}
        return made

    def __len__(self) -> int:
        return self._count

    @property
    def root(self) -> Digest:
        """Root hash, 32 bytes; zeros for the empty map."""
        return Digest(EMPTY if self._top is None else self._top.digest)

    @property
    def top(self) -> Node:
        """The whole tree, which nobody changes."""
        return self._top

    def leaf(self, key: bytes) -> Leaf | None:
        """Return the leaf that holds a key, or None."""
        index = self._index
        if index is not None:
            found = index.get(key)
            # The dict belongs to another map from the moment it is taken away here.
            if self._index is index:
                return found
        node, place, bit = self._top, place_of(key), 1 << (PLACE_BITS - 1)
        while type(node) is Branch:
            node = node.right if place & bit else node.left
            bit >>= 1
        if type(node) is Leaf and node.key == key:
            return node
        return None

    def adopt(self, before: "AuthenticatedMap") -> None:
        """Become the map with the dict: take it over from the map this one was made from.

        To be called by one thread only, for the map that follows `before` for good.
        """
        changes, index = self._changed, before._index
        self._changed = None
        if self._index is not None or self is before:
            return
        if index is None or changes is None:
            self._index = {leaf.key: leaf for leaf in self.leaves()}
            return
        before._index = None
        for _, key, leaf in changes:
            if leaf is None:
                index.pop(key, None)
            else:
                index[key] = leaf
        self._index = index

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key, or None."""
        leaf = self.leaf(key)
        return None if leaf is None else leaf.value

    def leaves(self, kind: int | None = None) -> Iterator[Leaf]:
        """Yield the leaves of one kind (first byte of the key), or all, in order of place."""
        node, depth = self._top, 0
        while kind is not None and depth < 8 and type(node) is Branch:
            node = node.right if (kind >> (7 - depth)) & 1 else node.left
            depth += 1
        stack = [node]
        while stack:
            node = stack.pop()
            if type(node) is Branch:
                stack.append(node.right)
                stack.append(node.left)
            elif type(node) is Leaf and (kind is None or node.key[0] == kind):
                yield node

    def updated(
        self,
        writes: Iterable[tuple[bytes, bytes | None]],
        records: dict[bytes, object] | None = None,
    ) -> "AuthenticatedMap":
        """Return the map after `writes`; None deletes. A key may occur once.

        Args:
            writes: pairs in any order; from the empty map this is the bulk build.
            records: decoded values to keep beside the written ones.
        """
        known = records or {}
        changes: Changes = []
        for key, value in writes:
            place = place_of(key)
            leaf = None if value is None else Leaf(place, key, value, known.get(key))
            changes.append((place, key, leaf))
        changes.sort(key=_place_first)
        before = sum(self.leaf(key) is not None for _, key, _ in changes) if self._count else 0
        after = sum(leaf is not None for _, _, leaf in changes)
        top = _apply(self._top, 0, changes)
        return AuthenticatedMap(top, self._count + after - before, changes)

    def prove(self, key: bytes) -> MapProof:
        """Return the proof of a key's value, or of its absence."""
        siblings: list[bytes] = []
        node, place = self._top, place_of(key)
        while type(node) is Branch:
            if _is_right(place, len(siblings)):
                beside, node = node.left, node.right
            else:
                beside, node = node.right, node.left
            siblings.append(EMPTY if beside is None else beside.digest)
        neighbour = None
        if type(node) is Leaf and node.key != key:
            neighbour = Neighbour(node.key, hashlib.sha256(node.value).digest())
        return MapProof(tuple(siblings), neighbour)


def subtree(leaves: list[Leaf], depth: int) -> Node:
    """Return the subtree at `depth` of leaves that all lie in it, sorted by place, each place once."""
    return _apply(None, depth, [(leaf.place, leaf.key, leaf) for leaf in leaves])


def _place_first(change: tuple[int, bytes, Leaf | None]) -> int:
    return change[0]


def _apply(node: Node, depth: int, changes: Changes) -> Node:
    """Return the subtree at `depth` after `changes`, all of which lie in it, sorted by place."""
    if not changes:
        return node
    if type(node) is Leaf:
        if len(changes) == 1 and changes[0][0] == node.place:
            return changes[0][2]
        # The old leaf joins the changes, unless one of them replaces it.
        if all(place != node.place for place, _, _ in changes):
            changes = sorted([*changes, (node.place, node.key, node)], key=_place_first)
        node = None
    if node is None:
        changes = [change for change in changes if change[2] is not None]
        if len(changes) < 2:
            return changes[0][2] if changes else None
    assert depth < PLACE_BITS, "two keys share a place: SHA-256 is broken"
    middle = _split(changes, depth)
    old_left, old_right = (node.left, node.right) if type(node) is Branch else (None, None)
    left = _apply(old_left, depth + 1, changes[:middle])
    right = _apply(old_right, depth + 1, changes[middle:])
    if left is None and type(right) is not Branch:
        return right
    if right is None and type(left) is not Branch:
        return left
    return Branch(left, right)


def _split(changes: Changes, depth: int) -> int:
    """Return how many of the sorted changes go left at `depth`."""
    low, high = 0, len(changes)
    while low < high:
        middle = (low + high) // 2
        if _is_right(changes[middle][0], depth):
            high = middle
        else:
            low = middle + 1
    return low


def verify_map_proof(root: bytes, key: bytes, value: bytes | None, proof: MapProof) -> bool:
    """Tell whether `proof` shows that `key` has `value` (None: is absent) under `root`.

    Never raises, whatever a peer put into the proof.
    """
    siblings = proof.siblings
    if not key or len(siblings) > PLACE_BITS or any(len(part) != 32 for part in siblings):
        return False
    place, depth = place_of(key), len(siblings)
    if value is not None:
        if proof.neighbour is not None:
            return False
        digest = hash_leaf(key, hashlib.sha256(value).digest())
    elif proof.neighbour is None:
        digest = EMPTY
    else:
        other = proof.neighbour
        if not other.key or other.key == key or len(other.value_digest) != 32:
            return False
        # The neighbour must really stand in the way: same bits down to its leaf.
        if (place_of(other.key) ^ place) >> (PLACE_BITS - depth):
            return False
        digest = hash_leaf(other.key, other.value_digest)
    for index in range(depth - 1, -1, -1):
        beside = siblings[index]
        digest = (
            hash_branch(beside, digest) if _is_right(place, index) else hash_branch(digest, beside)
        )
    return digest == root
