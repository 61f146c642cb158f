"""Organisations by vote, users by their organisation, votes for super nodes."""

import msgspec
import pytest

from hansa import limits
from hansa.chain.transactions import (
    AddUser,
    AdmitOrganisation,
    RevokeUser,
    SuspendOrganisation,
    UpdateOrganisation,
    VoteSuperNodes,
)


def test_admission_needs_more_than_half(alliance, kit) -> None:
    """Three of six are not more than half; the fourth admits."""
    water = AdmitOrganisation(kit.candidate("water"))
    for name in kit.NAMES[:3]:
        assert "" == alliance.act(name, water)
        assert None is alliance.state.organisation("water")
    assert 1 == len(alliance.state.ballots())
    assert "already-voted" == alliance.act(kit.NAMES[0], water)
    assert "" == alliance.act(kit.NAMES[3], water)
    state = alliance.state
    assert "active" == state.organisation("water").status
    assert state.is_member_node(kit.key("water node").public)
    assert ("admin", "officer", "publisher", "reader") == state.users("water")[0].roles
    assert () == state.ballots()
    assert 7 == state.counters.active_organisations
    assert "name-taken" == alliance.act("health", water)


def test_ballots_for_other_details_do_not_add_up(alliance, kit) -> None:
    """A ballot is for exactly one candidate: another node key is another question."""
    water = kit.candidate("water")
    other = msgspec.structs.replace(water, node_key=kit.key("other node").public)
    for name in kit.NAMES[:3]:
        alliance.act(name, AdmitOrganisation(water))
        alliance.act(name, AdmitOrganisation(other))
    assert None is alliance.state.organisation("water")
    assert 2 == len(alliance.state.ballots())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "Water"}, "malformed-candidate"),
        ({"title": ""}, "malformed-candidate"),
        ({"node_key": bytes(32)}, "malformed-candidate"),
        ({"name": "health"}, "name-taken"),
        ({"certificate": b""}, "malformed-candidate"),
    ],
)
def test_unsound_candidates(alliance, kit, change: dict, code: str) -> None:
    """What cannot be a member is refused at the first ballot."""
    found = msgspec.structs.replace(kit.candidate("water"), **change)
    assert code == alliance.act("energy", AdmitOrganisation(found))


def test_keys_are_used_once(alliance, kit) -> None:
    """A candidate cannot bring a key that the chain knows in any role."""
    water = kit.candidate("water")
    for change in (
        {"node_key": kit.key("health node").public},
        {"node_key": kit.key("health admin").public},
        {"admin_key": kit.key("health admin").public},
        {"admin_key": kit.key("health node").public},
        {"admin_key": water.node_key},
    ):
        operation = AdmitOrganisation(msgspec.structs.replace(water, **change))
        assert "key-in-use" == alliance.act("energy", operation)


def test_open_ballots_are_bounded(alliance, kit) -> None:
    """One organisation cannot fill the state with questions."""
    for number in range(limits.BALLOTS_OPEN_PER_ORGANISATION_MAX):
        operation = AdmitOrganisation(kit.candidate(f"new{number}"))
        assert "" == alliance.act("energy", operation)
    operation = AdmitOrganisation(kit.candidate("water"))
    assert "too-many-ballots" == alliance.act("energy", operation)
    assert "" == alliance.act("health", operation)
    assert "" == alliance.act("energy", operation), "joining another's question is free"


def test_suspension_and_readmission(alliance, kit) -> None:
    """More than half of the others suspend; the same candidate comes back by more than half."""
    out = SuspendOrganisation("health", "key stolen")
    assert "own-organisation" == alliance.act("health", out)
    assert "malformed-reason" == alliance.act("energy", SuspendOrganisation("health", ""))
    assert "unknown-organisation" == alliance.act("energy", SuspendOrganisation("water", "x"))
    for name in ("energy", "environment"):
        assert "" == alliance.act(name, out)
    assert "active" == alliance.state.organisation("health").status, "two of five"
    assert "" == alliance.act("planning", out)
    state = alliance.state
    assert "suspended" == state.organisation("health").status
    assert not state.is_member_node(kit.key("health node").public)
    assert 5 == state.counters.active_organisations
    assert kit.key("health node").public in state.super_nodes(), (
        "its seat counts to the epoch's end"
    )
    assert "already-suspended" == alliance.act("energy", out)
    back = AdmitOrganisation(kit.candidate("health"))
    thief = msgspec.structs.replace(back.candidate, node_key=kit.key("thief").public)
    assert "name-taken" == alliance.act("energy", AdmitOrganisation(thief))
    for name in ("energy", "environment", "planning"):
        assert "" == alliance.act(name, back)
    assert "active" == alliance.state.organisation("health").status
    assert "" == alliance.act("health", VoteSuperNodes(()))


def test_ballots_of_the_suspended_do_not_count(alliance, kit) -> None:
    """A voter suspended meanwhile is not counted; a repeated ballot counts anew."""
    water = AdmitOrganisation(kit.candidate("water"))
    for name in ("health", "energy", "environment"):
        assert "" == alliance.act(name, water)
    for name in ("energy", "environment", "planning"):
        alliance.act(name, SuspendOrganisation("health", "x"))
    assert "already-voted" == alliance.act("energy", water), "two of five"
    assert "" == alliance.act("planning", water), "three of five"
    assert None is not alliance.state.organisation("water")


def test_a_repeated_ballot_decides_when_it_now_suffices(alliance, kit) -> None:
    """Three of six did not; after a suspension of another the same three of five do."""
    water = AdmitOrganisation(kit.candidate("water"))
    for name in ("energy", "environment", "planning"):
        alliance.act(name, water)
        alliance.act(name, SuspendOrganisation("health", "x"))
    assert None is alliance.state.organisation("water")
    assert "" == alliance.act("energy", water)
    assert None is not alliance.state.organisation("water")


def test_update_of_the_own_organisation(alliance) -> None:
    """An admin changes addresses and certificate, within bounds."""
    assert "" == alliance.act("health", UpdateOrganisation(b"new", "host:9", "https://host:10"))
    health = alliance.state.organisation("health")
    assert (b"new", "host:9") == (health.certificate, health.peer_address)
    for wrong in (UpdateOrganisation(b"", "h", "h"), UpdateOrganisation(b"c", "", "h")):
        assert "malformed-candidate" == alliance.act("health", wrong)


def test_users(alliance, kit) -> None:
    """A key is registered once, for ever, with roles that each rule asks for."""
    key = alliance.add_user("health", "nurse", "reader", "publisher")
    assert ("publisher", "reader") == alliance.state.user(key).roles
    assert 2 == alliance.state.organisation("health").users
    again = AddUser(key, kit.encryption_key("nurse"), "nurse", ("reader",))
    assert "key-in-use" == alliance.act("energy", again)
    assert "role-missing" == alliance.act("nurse", VoteSuperNodes(()))
    assert "unknown-user" == alliance.act("energy", RevokeUser(key)), "not its own"
    assert "" == alliance.act("health", RevokeUser(key))
    assert "user-revoked" == alliance.act("health", RevokeUser(key))
    assert "key-in-use" == alliance.act("health", again), "revoked for ever"
    assert 1 == alliance.state.organisation("health").users


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"roles": ()},
        {"roles": ("reader", "reader")},
        {"key": bytes(32)},
        {"encryption_key": bytes(32)},
        {"encryption_key": b"short"},
    ],
)
def test_malformed_users(alliance, kit, change: dict) -> None:
    """A field out of its bounds is refused."""
    sound = AddUser(kit.key("n").public, kit.encryption_key("n"), "n", ("reader",))
    assert "malformed-user" == alliance.act("health", msgspec.structs.replace(sound, **change))


def test_the_last_admin_stays(alliance, kit) -> None:
    """The only admin cannot be revoked, even by itself; with a second one it can."""
    admin = kit.key("health admin").public
    alliance.add_user("health", "nurse", "reader")
    assert "last-admin" == alliance.act("health", RevokeUser(admin))
    alliance.add_user("health", "second", "admin")
    assert "" == alliance.act("second", RevokeUser(admin))
    assert "last-admin" == alliance.act("second", RevokeUser(kit.key("second").public))
    assert "user-revoked" == alliance.act("health", VoteSuperNodes(()))


def test_votes(alliance) -> None:
    """A vote replaces the last one; an empty one withdraws it; names are checked."""
    assert "" == alliance.act("health", VoteSuperNodes(("safety", "energy")))
    assert ("energy", "safety") == alliance.state.vote("health").candidates
    assert "" == alliance.act("health", VoteSuperNodes(("planning",)))
    assert ("planning",) == alliance.state.vote("health").candidates
    assert "" == alliance.act("health", VoteSuperNodes(()))
    assert None is alliance.state.vote("health")
    assert "malformed-vote" == alliance.act("health", VoteSuperNodes(("energy", "energy")))
    assert "unknown-organisation" == alliance.act("health", VoteSuperNodes(("water",)))
    many = tuple(f"o{number}" for number in range(limits.SUPER_NODES_MAX + 1))
    assert "malformed-vote" == alliance.act("health", VoteSuperNodes(many))


def test_governing_needs_an_admin(alliance, kit) -> None:
    """Every operation here is refused to a reader."""
    alliance.add_user("health", "nurse", "reader", "publisher", "officer")
    for operation in (
        AdmitOrganisation(kit.candidate("water")),
        SuspendOrganisation("energy", "x"),
        UpdateOrganisation(b"c", "h:1", "https://h"),
        AddUser(kit.key("n").public, kit.encryption_key("n"), "n", ("reader",)),
        RevokeUser(kit.key("nurse").public),
        VoteSuperNodes(()),
    ):
        assert "role-missing" == alliance.act("nurse", operation)


def test_an_alliance_is_bounded(alliance, kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last organisation that fits is admitted, the next candidate is refused."""
    monkeypatch.setattr(limits, "ORGANISATIONS_MAX", 7)
    for name in kit.NAMES[:4]:
        assert "" == alliance.act(name, AdmitOrganisation(kit.candidate("water")))
    assert 7 == alliance.state.counters.organisations
    late = AdmitOrganisation(kit.candidate("culture"))
    assert "too-many-organisations" == alliance.act("health", late)


def test_a_suspension_that_costs_the_quorum(alliance, kit) -> None:
    """Of four super nodes three must decide: a second suspension waits for the next election."""
    assert 3 == sum(
        alliance.act(name, SuspendOrganisation("energy", "reason")) == ""
        for name in ("health", "planning", "safety")
    )
    assert "suspended" == alliance.state.organisation("energy").status
    refused = SuspendOrganisation("environment", "reason")
    assert "costs-quorum" == alliance.act("health", refused)
    for name in ("health", "planning", "environment"):
        assert "" == alliance.act(name, SuspendOrganisation("transport", "no super node"))
    assert "suspended" == alliance.state.organisation("transport").status
