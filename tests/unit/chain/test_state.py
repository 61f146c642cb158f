"""The state: what genesis gives, what restoring refuses, proofs under its root."""

import pytest

from hansa.chain import records
from hansa.chain.authenticated import verify_map_proof
from hansa.chain.state import State
from hansa.chain.transactions import VoteSuperNodes
from hansa.codec import encode
from hansa.errors import CorruptError


def test_genesis(alliance, kit) -> None:
    """The founders are members, their admins users, the founding set decides block 1."""
    state = alliance.state
    assert (0, alliance.genesis.time_ms, 0) == (
        state.height,
        state.time_ms,
        state.total_transactions,
    )
    assert kit.NAMES == tuple(item.name for item in state.organisations())
    assert 6 == len(state.users()) == state.counters.users
    node = kit.key("health node").public
    assert "health" == state.organisation_by_node_key(node).name
    assert state.is_member_node(node)
    assert not state.is_member_node(bytes(32))
    assert 4 == len(state.super_nodes())
    assert list(state.super_nodes()) == sorted(state.super_nodes())
    assert (0, ()) == (state.epoch(), state.set_changes())
    for found in (state.user(b"x"), state.dataset(b"x"), state.request(b"x"), state.vote("x")):
        assert None is found
    for empty in (state.datasets(), state.requests(), state.ballots(), state.erasures(1)):
        assert () == empty


def test_restored(alliance) -> None:
    """All pairs in any order give the state back; a missing, changed or foreign one does not."""
    alliance.register("health")
    items = dict(alliance.state.items())
    again = State.restored(alliance.genesis, reversed(items.items()))
    assert (alliance.state.root, 1) == (again.root, again.height)
    assert alliance.state.datasets() == again.datasets()
    for key in (records.HEAD_KEY, records.ELECTION_KEY):
        with pytest.raises(CorruptError):
            State.restored(alliance.genesis, ((k, v) for k, v in items.items() if k != key))
        with pytest.raises(CorruptError):
            State.restored(alliance.genesis, {**items, key: b"\x93"}.items())
    other_epoch = records.ElectionRecord(3, 25, (), (), ())
    with pytest.raises(CorruptError, match="contradicts"):
        State.restored(
            alliance.genesis, {**items, records.ELECTION_KEY: encode(other_epoch)}.items()
        )


def test_proofs(alliance) -> None:
    """What a state holds, and what it does not, is provable under the root in the header."""
    alliance.act("health", VoteSuperNodes(("energy",)))
    root = alliance.header.state_root
    for name, present in (("health", True), ("energy", False)):
        key = records.vote_key(name)
        value = encode(alliance.state.vote(name)) if present else None
        assert verify_map_proof(root, key, value, alliance.state.prove(key))


def test_values_are_decoded_once(alliance) -> None:
    """Two reads give the same object."""
    assert alliance.state.organisation("health") is alliance.state.organisation("health")
    later = alliance.state
    alliance.commit()
    assert later.organisation("health") is alliance.state.organisation("health")
