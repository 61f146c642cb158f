"""Sealing keys: announced, renewed, completed, forgotten."""

import msgspec
import pytest

from hansa.chain.sealed import sign_sealing_key
from hansa.consensus.sealing import SealingKeys, is_well_formed, size_of
from hansa.errors import MissingError


def test_all_super_nodes_announce(quiet) -> None:
    """An ordinary node knows the key of each super node soon after the start."""
    notices = quiet.world.nodes[5].replica.sealing_notices()
    members = quiet.world.nodes[5].replica.state.super_nodes()
    assert list(members) == [notice.node_key for notice in notices]


def test_a_restart_announces_anew(quiet) -> None:
    """The private half was in memory only."""
    world = quiet.world
    before = {item.node_key: item.sealing_key for item in world.nodes[5].replica.sealing_notices()}
    world.crash(world.nodes[0])
    world.run_for(50)
    world.start(world.nodes[0])
    world.run_for(100)
    after = {item.node_key: item.sealing_key for item in world.nodes[5].replica.sealing_notices()}
    changed = {key for key in before if before[key] != after[key]}
    assert {world.nodes[0].key} == changed


def test_unsigned_and_stale_notices_are_dropped(quiet, context) -> None:
    """A notice counts if its node signed it and it is later than the known one."""
    keys = SealingKeys(context)
    member = quiet.world.members[1]
    notice = next(
        item
        for item in quiet.world.nodes[1].replica.sealing_notices()
        if item.node_key == member.node
    )
    keys.learn(member.node, [msgspec.structs.replace(notice, serial=notice.serial + 1)])
    assert () == keys.notices()
    keys.learn(member.node, [notice])
    assert (notice,) == keys.notices()
    older = sign_sealing_key(
        msgspec.structs.replace(notice, serial=notice.serial - 1), member.node_key
    )
    keys.learn(member.node, [older])
    assert (notice,) == keys.notices()


def test_a_missing_wrap_is_added(quiet) -> None:
    """Whoever can open may wrap the key for a super node that cannot."""
    world = quiet.world
    _, sealed = quiet.sealed(5)
    node, lacking = world.nodes[0].replica, world.nodes[1]
    without = tuple(entry for entry in sealed.wraps if entry.node_key != lacking.key)
    poor = msgspec.structs.replace(sealed, wraps=without)
    with pytest.raises(MissingError):
        lacking.replica._keys.open(poor)
    rich = node._keys.complete(poor)
    assert sealed.transaction == rich.transaction
    assert lacking.replica._keys.open(rich).transaction


def test_shutdown_forgets(quiet) -> None:
    """After that nothing opens."""
    _, sealed = quiet.sealed(5)
    keys = quiet.world.nodes[0].replica._keys
    keys.forget()
    with pytest.raises(MissingError):
        keys.open(sealed)


def test_sizes_are_checked_before_anything_is_opened(quiet) -> None:
    """An absurd field is noticed without cryptography."""
    _, sealed = quiet.sealed(5)
    assert is_well_formed(sealed)
    assert size_of(sealed) > len(sealed.ciphertext)
    for change in ({"transaction": b""}, {"author": b"x"}, {"wraps": sealed.wraps * 40}):
        assert not is_well_formed(msgspec.structs.replace(sealed, **change))


def test_whoever_cannot_open_adds_no_wraps(quiet) -> None:
    """An ordinary node passes a transaction on as it is; so does one whose own wrap is damaged."""
    world = quiet.world
    _, sealed = quiet.sealed(5)
    without = tuple(e for e in sealed.wraps if e.node_key != world.nodes[1].key)
    poor = msgspec.structs.replace(sealed, wraps=without)
    assert poor == world.nodes[5].replica._keys.complete(poor)
    spoilt = tuple(msgspec.structs.replace(e, wrapped=bytes(len(e.wrapped))) for e in without)
    poor = msgspec.structs.replace(sealed, wraps=spoilt)
    assert poor == world.nodes[0].replica._keys.complete(poor)
    assert sealed == world.nodes[0].replica._keys.complete(sealed), "none lacks a wrap"
