"""The authenticated map against a plain dict: contents, one root for one contents, proofs."""

import hashlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hansa.chain.authenticated import (
    EMPTY,
    AuthenticatedMap,
    MapProof,
    Neighbour,
    hash_leaf,
    place_of,
    verify_map_proof,
)

keys = st.builds(
    lambda kind, name: bytes([kind]) + name, st.integers(0, 3), st.binary(min_size=0, max_size=2)
)
values = st.binary(max_size=8)
writes = st.dictionaries(keys, st.none() | values, max_size=12)


def build(pairs: dict[bytes, bytes]) -> AuthenticatedMap:
    """Return the map of a dict, built at once."""
    return AuthenticatedMap.empty().updated(pairs.items())


class MapMachine(RuleBasedStateMachine):
    """Any series of updates: the map equals a dict, and the bulk build of that dict."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[bytes, bytes] = {}
        self.map = AuthenticatedMap.empty()
        self.older: list[tuple[AuthenticatedMap, bytes, dict[bytes, bytes]]] = []

    @rule(changes=writes)
    def update(self, changes: dict[bytes, bytes | None]) -> None:
        """Write, overwrite and delete."""
        self.older = [*self.older[-3:], (self.map, self.map.root, dict(self.model))]
        self.map = self.map.updated(changes.items())
        for key, value in changes.items():
            if value is None:
                self.model.pop(key, None)
            else:
                self.model[key] = value

    @rule(changes=writes, other=writes, is_first=st.booleans())
    def follow(
        self,
        changes: dict[bytes, bytes | None],
        other: dict[bytes, bytes | None],
        *,
        is_first: bool,
    ) -> None:
        """Of two maps made from one, adopt one; the other and the one before stay as they were."""
        before = self.map
        self.older = [*self.older[-3:], (before, before.root, dict(self.model))]
        made = before.updated(changes.items())
        beside = before.updated(other.items())
        if is_first:  # the other one is adopted too, by whom it concerns
            beside.adopt(before)
        made.adopt(before)
        expected = {key: self.model.get(key) for key in {*self.model, *other}} | other
        assert {key: beside.get(key) for key in expected} == expected
        self.map = made
        self.model |= {key: value for key, value in changes.items() if value is not None}
        for key in [key for key, value in changes.items() if value is None]:
            self.model.pop(key, None)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """Delete a key that is there."""
        key = data.draw(st.sampled_from(sorted(self.model)))
        self.map = self.map.updated([(key, None)])
        del self.model[key]

    @rule(key=keys, value=values)
    def proofs(self, key: bytes, value: bytes) -> None:
        """Prove what is so; never what is not."""
        proof, held = self.map.prove(key), self.model.get(key)
        assert held == self.map.get(key)
        assert verify_map_proof(self.map.root, key, held, proof)
        if value != held:
            assert not verify_map_proof(self.map.root, key, value, proof)
        if held is not None:
            assert not verify_map_proof(self.map.root, key, None, proof)

    @invariant()
    def equals_the_model(self) -> None:
        """Contents, count, walk by kind and root are the dict's."""
        assert self.model == {leaf.key: leaf.value for leaf in self.map.leaves()}
        assert len(self.model) == len(self.map)
        assert self.model == {key: self.map.get(key) for key in self.model}
        assert build(self.model).root == self.map.root
        for kind in range(4):
            expected = {key for key in self.model if key[0] == kind}
            assert expected == {leaf.key for leaf in self.map.leaves(kind)}

    @invariant()
    def older_maps_stay(self) -> None:
        """No update changes a map that somebody still holds."""
        for older, root, contents in self.older:
            assert root == older.root
            assert contents == {leaf.key: leaf.value for leaf in older.leaves()}
            assert contents == {key: older.get(key) for key in contents}
            assert all(older.get(key) is None for key in self.model.keys() - contents.keys())


TestMap = MapMachine.TestCase
TestMap.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)


def test_empty_and_single() -> None:
    """The empty map hashes to zeros, one pair to its leaf."""
    assert EMPTY == AuthenticatedMap.empty().root
    one = build({b"\x01a": b"x"})
    assert hash_leaf(b"\x01a", hashlib.sha256(b"x").digest()) == one.root
    assert EMPTY == one.updated([(b"\x01a", None)]).root
    assert one.leaf(b"\x01a") is not None
    assert one.leaf(b"\x01b") is None


def test_deleting_what_is_not_there_changes_nothing() -> None:
    """A delete of an absent key keeps root and count."""
    one = build({b"\x01a": b"x", b"\x01b": b"y"})
    assert one.root == one.updated([(b"\x01c", None)]).root
    assert len(one.updated([(b"\x01c", None)])) == 2


def test_order_of_writes_does_not_matter() -> None:
    """A thousand pairs give one root, at once, one by one or reversed."""
    pairs = [(bytes([number % 3]) + number.to_bytes(4, "big"), b"v") for number in range(1000)]
    stepwise = AuthenticatedMap.empty()
    for pair in pairs:
        stepwise = stepwise.updated([pair])
    assert stepwise.root == AuthenticatedMap.empty().updated(reversed(pairs)).root


def test_places_of_one_kind_lie_together() -> None:
    """The first byte of a key is the first byte of its place."""
    assert 7 == place_of(b"\x07whatever") >> 248


@given(pairs=st.dictionaries(keys, values, min_size=1, max_size=10), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_changed_proof_proves_nothing(pairs: dict[bytes, bytes], data: st.DataObject) -> None:
    """Any sibling changed, dropped or added breaks a proof."""
    whole = build(pairs)
    key = data.draw(st.sampled_from(sorted(pairs)))
    proof = whole.prove(key)
    longer = MapProof((*proof.siblings, bytes(32)), proof.neighbour)
    assert not verify_map_proof(whole.root, key, pairs[key], longer)
    for index, sibling in enumerate(proof.siblings):
        flipped = bytes([sibling[0] ^ 1]) + sibling[1:]
        changed = (*proof.siblings[:index], flipped, *proof.siblings[index + 1 :])
        assert not verify_map_proof(whole.root, key, pairs[key], MapProof(changed, None))
        shorter = (*proof.siblings[:index], *proof.siblings[index + 1 :])
        assert not verify_map_proof(whole.root, key, pairs[key], MapProof(shorter, None))


def test_absurd_proofs_are_refused_not_raised() -> None:
    """A peer's proof with wrong lengths or a false neighbour is just false."""
    whole = build({b"\x01a": b"x", b"\x81b": b"y"})
    absent = whole.prove(b"\x01zz")
    assert absent.neighbour is not None
    assert verify_map_proof(whole.root, b"\x01zz", None, absent)
    far = Neighbour(b"\x81b", hashlib.sha256(b"y").digest())
    # The pair on the other side really exists, but it does not stand in the key's place.
    other = whole.prove(b"\x81b")
    assert not verify_map_proof(whole.root, b"\x01zz", None, MapProof(other.siblings, far))
    for neighbour in (Neighbour(b"", bytes(32)), Neighbour(b"\x01a", b"short")):
        assert not verify_map_proof(
            whole.root, b"\x01zz", None, msgspec.structs.replace(absent, neighbour=neighbour)
        )
    itself = Neighbour(b"\x01a", hashlib.sha256(b"x").digest())
    assert not verify_map_proof(
        whole.root, b"\x01a", None, MapProof(whole.prove(b"\x01a").siblings, itself)
    )
    assert not verify_map_proof(whole.root, b"\x01a", b"x", MapProof((b"short",), None))
    assert not verify_map_proof(whole.root, b"\x01a", b"x", MapProof((bytes(32),) * 257, None))
    assert not verify_map_proof(whole.root, b"", None, MapProof((), None))
    with_neighbour = MapProof(whole.prove(b"\x01a").siblings, far)
    assert not verify_map_proof(whole.root, b"\x01a", b"x", with_neighbour)


def test_a_key_has_a_kind() -> None:
    """The empty key is our own mistake."""
    with pytest.raises(AssertionError):
        place_of(b"")
