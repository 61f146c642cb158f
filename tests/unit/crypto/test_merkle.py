"""Merkle trees: the vectors of RFC 6962, the recursive definition, paths that prove one leaf only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.crypto.merkle import (
    EMPTY_ROOT,
    compute_path,
    compute_root,
    is_member,
    leaf_hash,
    node_hash,
)

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def by_definition(leaves: list[bytes]) -> bytes:
    """Return MTH of RFC 9162 section 2.1.1, word for word."""
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(by_definition(leaves[:split]), by_definition(leaves[split:]))


def test_published_roots() -> None:
    """One to eight leaves, and none."""
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert bytes.fromhex(empty) == EMPTY_ROOT == compute_root([])
    for count, root in enumerate(ROOTS, 1):
        assert root == compute_root(LEAVES[:count]).hex()


@given(leaves=st.lists(st.sampled_from([b"", b"a", b"b"]), min_size=1, max_size=40))
def test_equal_leaves_count_each(leaves: list[bytes]) -> None:
    """They are hashed once, and stand where they stand."""
    assert by_definition(leaves) == compute_root(leaves)


@given(count=st.integers(1, 70), data=st.data())
def test_paths(count: int, data: st.DataObject) -> None:
    """A path proves its leaf at its place, and nothing else."""
    leaves = [bytes([number]) for number in range(count)]
    root = compute_root(leaves)
    assert by_definition(leaves) == root
    index = data.draw(st.integers(0, count - 1))
    path = compute_path(leaves, index)
    assert is_member(root, leaves[index], index, count, path)
    other = data.draw(st.integers(0, count - 1))
    assert (other == index) == is_member(root, leaves[index], other, count, path)
    assert not is_member(root, b"other", index, count, path)
    assert not is_member(bytes(32), leaves[index], index, count, path)
    assert not is_member(root, leaves[index], index, count, (*path, bytes(32)))
    if path:
        assert not is_member(root, leaves[index], index, count, path[1:])
        changed = (bytes([path[0][0] ^ 1]) + path[0][1:], *path[1:])
        assert not is_member(root, leaves[index], index, count, changed)


def test_a_node_is_no_leaf() -> None:
    """The hashes of two leaves are not a leaf."""
    inner = leaf_hash(LEAVES[0]) + leaf_hash(LEAVES[1])
    assert compute_root(LEAVES[:2]) != compute_root([inner])


def test_indexes_out_of_range() -> None:
    """False to a peer, an error to ourselves."""
    assert not is_member(compute_root([b"a"]), b"a", 1, 1, ())
    assert not is_member(compute_root([b"a"]), b"a", -1, 1, ())
    assert not is_member(EMPTY_ROOT, b"", 0, 0, ())
    for index in (-1, 1):
        with pytest.raises(IndexError):
            compute_path([b"a"], index)
