"""Merkle trees over ordered leaves, as in RFC 9162 section 2.1, with SHA-256.

Leaf and node hashes carry different prefixes, so a node cannot be passed off as a leaf.
"""

from collections.abc import Sequence
from hashlib import sha256

from hansa.types import Digest

EMPTY_ROOT = Digest(sha256(b"").digest())


def leaf_hash(leaf: bytes) -> bytes:
    """Return SHA-256(0x00 ‖ leaf)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


def compute_root(leaves: Sequence[bytes]) -> Digest:
    """Return the root over `leaves`, 32 bytes; EMPTY_ROOT over none."""
    if not leaves:
        return EMPTY_ROOT
    # As `leaf_hash` and `node_hash`, in place: a block makes thousands. Equal leaves, like the results of a
    # block, are hashed once.
    if len(leaves) > 1 and leaves[0] == leaves[-1] and len(unlike := set(leaves)) < len(leaves):
        hashes = {leaf: sha256(b"\x00" + leaf).digest() for leaf in unlike}
        level = [hashes[leaf] for leaf in leaves]
    else:
        level = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
    # Pairing neighbours and carrying an odd last one up gives the tree of the RFC.
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        paired = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return Digest(level[0])


def compute_path(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the audit path of leaf `index`, from the leaf upwards; 32 bytes each.

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    path: list[bytes] = []
    level = [leaf_hash(leaf) for leaf in leaves]
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        paired = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
        index //= 2
    return tuple(path)


def is_member(root: bytes, leaf: bytes, index: int, count: int, path: Sequence[bytes]) -> bool:
    """Tell whether `leaf` is at `index` among `count` leaves under `root` (RFC 9162 2.1.3.2)."""
    if not 0 <= index < count or count.bit_length() < len(path):
        return False
    node, last = index, count - 1
    value = leaf_hash(leaf)
    for sibling in path:
        if last == 0:
            return False
        if node % 2 or node == last:
            value = node_hash(sibling, value)
            while node % 2 == 0 and node != 0:
                node >>= 1
                last >>= 1
        else:
            value = node_hash(value, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and value == root
