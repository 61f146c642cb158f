"""The authenticated map: a persistent compact sparse Merkle tree over state pairs.

A key's place is its first byte (its kind) followed by 248 bits of SHA-256 of the whole key, so all
pairs of one kind form one subtree that can be walked, and everything else is spread evenly. A
subtree of one pair is that pair's leaf; an empty subtree hashes to 32 zero bytes; every other
subtree is a branch on the next bit. Equal contents give one shape and one root, whatever the order
of writes. Updates copy only the paths they change: older maps stay valid for ever.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

import msgspec

from hansa.types import Digest

EMPTY = bytes(32)
"""Hash of an empty subtree."""

PLACE_BITS = 256


class Leaf:
    """One pair. `record` is a cache of the decoded value, filled by whoever decodes it."""

    __slots__ = ("digest", "key", "place", "record", "value")

    def __init__(self, key: bytes, value: bytes, record: object = None) -> None:
        assert key, "a key starts with its kind"
        # One digest of the key serves its place (`place_of`) and its hash (`hash_leaf`).
        named = sha256(key).digest()
        self.place = int.from_bytes(key[:1] + named[:31], "big")
        self.key = key
        self.value = value
        self.record = record
        self.digest: bytes = sha256(b"\x00" + named + sha256(value).digest()).digest()


class Branch:
    """Two subtrees, at most one of them empty; never an empty one beside a leaf."""

    __slots__ = ("digest", "left", "right")

    def __init__(self, left: "Node", right: "Node") -> None:
        self.left = left
        self.right = right
        # As `hash_branch`, in place: a block makes thousands.
        self.digest: bytes = sha256(
            b"\x01"
            + (EMPTY if left is None else left.digest)
            + (EMPTY if right is None else right.digest)
        ).digest()


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
    return int.from_bytes(key[:1] + sha256(key).digest()[:31], "big")


def hash_leaf(key: bytes, value_digest: bytes) -> bytes:
    """Return SHA-256(0x00 ‖ SHA-256(key) ‖ SHA-256(value))."""
    return sha256(b"\x00" + sha256(key).digest() + value_digest).digest()


def hash_branch(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


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
            if value is None:
                changes.append((place_of(key), key, None))
            else:
                leaf = Leaf(key, value, known.get(key))
                changes.append((leaf.place, key, leaf))
        changes.sort(key=_place_first)
        before = sum(self.leaf(key) is not None for _, key, _ in changes) if self._count else 0
        after = sum(leaf is not None for _, _, leaf in changes)
        places = [change[0] for change in changes]
        leaves = [change[2] for change in changes]
        top = _apply(self._top, 0, places, leaves)
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
            neighbour = Neighbour(node.key, sha256(node.value).digest())
        return MapProof(tuple(siblings), neighbour)


def subtree(leaves: list[Leaf], depth: int) -> Node:
    """Return the subtree at `depth` of leaves that all lie in it, sorted by place, each place once."""
    return _apply(None, depth, [leaf.place for leaf in leaves], leaves)


def _place_first(change: tuple[int, bytes, Leaf | None]) -> int:
    return change[0]


def _apply(node: Node, depth: int, places: list[int], leaves: Sequence[Leaf | None]) -> Node:
    """Return the subtree at `depth` after changes that all lie in it.

    Args:
        node: the subtree before.
        depth: bits that all places have in common with it.
        places: of the changes, rising, each once.
        leaves: the new leaf at each place; None deletes.
    """
    if not places:
        return node
    if len(places) == 1:
        return _apply_one(node, depth, places[0], leaves[0])
    if type(node) is Leaf:
        # The old leaf joins the changes, unless one of them replaces it.
        at = bisect_left(places, node.place)
        if at == len(places) or places[at] != node.place:
            places = [*places[:at], node.place, *places[at:]]
            leaves = [*leaves[:at], node, *leaves[at:]]
        node = None
    if node is None and None in leaves:
        kept = [
            (place, leaf) for place, leaf in zip(places, leaves, strict=True) if leaf is not None
        ]
        return _apply(None, depth, [place for place, _ in kept], [leaf for _, leaf in kept])
    assert depth < PLACE_BITS, "two keys share a place: SHA-256 is broken"
    below = PLACE_BITS - 1 - depth
    middle = bisect_left(places, ((places[0] >> below) | 1) << below)
    old_left, old_right = (node.left, node.right) if type(node) is Branch else (None, None)
    left = _apply(old_left, depth + 1, places[:middle], leaves[:middle])
    right = _apply(old_right, depth + 1, places[middle:], leaves[middle:])
    return _join(left, right)


def _apply_one(node: Node, depth: int, place: int, leaf: Leaf | None) -> Node:
    """Return the subtree at `depth` after one change that lies in it; as `_apply`, without recursion."""
    before, path, bit = node, [], 1 << (PLACE_BITS - 1 - depth)
    while type(node) is Branch:
        path.append(node)
        node = node.right if place & bit else node.left
        bit >>= 1
    is_there = type(node) is Leaf and node.place == place
    if leaf is None and not is_there:
        return before
    if leaf is not None and type(node) is Leaf and not is_there:
        node = _part(node, leaf, bit)
    else:
        node = leaf
    for above in reversed(path):
        bit = bit << 1 if bit else 1
        left, right = (above.left, node) if place & bit else (node, above.right)
        node = _join(left, right) if leaf is None else Branch(left, right)
    return node


def _part(one: Leaf, other: Leaf, bit: int) -> Branch:
    """Return the subtree of two leaves; `bit` is the first that is not known to be common."""
    differs = 1 << ((one.place ^ other.place).bit_length() - 1)
    node = Branch(one, other) if other.place & differs else Branch(other, one)
    while differs != bit:
        differs <<= 1
        node = Branch(None, node) if one.place & differs else Branch(node, None)
    return node


def _join(left: Node, right: Node) -> Node:
    """Return what stands above two subtrees: a leaf without a neighbour moves up."""
    if left is None and type(right) is not Branch:
        return right
    if right is None and type(left) is not Branch:
        return left
    return Branch(left, right)


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
        digest = hash_leaf(key, sha256(value).digest())
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
