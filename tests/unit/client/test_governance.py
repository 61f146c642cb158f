"""Governance: one operation each, refused early where it cannot be right."""

import msgspec
import pytest

from hansa.chain.transactions import (
    AddUser,
    AdmitOrganisation,
    RevokeUser,
    SuspendOrganisation,
    UpdateOrganisation,
    VoteSuperNodes,
)
from hansa.client import governance
from hansa.errors import InvalidError


async def test_each_is_one_operation(pair):
    """As it stands on the chain."""
    session, candidate = pair.owner, pair.members[1].candidate()
    await governance.admit(session, candidate)
    await governance.suspend(session, "transport", "key lost")
    await governance.update_organisation(
        session, certificate=b"c", peer_address="a:1", api_url="https://a:2"
    )
    await governance.add_user(
        session, key=b"k" * 32, encryption_key=b"e" * 32, name="N", roles=["reader", "admin"]
    )
    await governance.revoke_user(session, b"k" * 32)
    await governance.vote_super_nodes(session, ["b2", "a1", "b2"])
    assert pair.city.operations == [
        AdmitOrganisation(candidate),
        SuspendOrganisation("transport", "key lost"),
        UpdateOrganisation(b"c", "a:1", "https://a:2"),
        AddUser(b"k" * 32, b"e" * 32, "N", ("admin", "reader")),
        RevokeUser(b"k" * 32),
        VoteSuperNodes(("a1", "b2")),
    ]


async def test_what_cannot_be_right_is_not_sent(pair):
    """A malformed candidate, an unknown role, no role."""
    bad = msgspec.structs.replace(pair.members[1].candidate(), name="No Name")
    with pytest.raises(InvalidError):
        await governance.admit(pair.owner, bad)
    for roles in ([], ["king"]):
        with pytest.raises(InvalidError, match="officer"):
            await governance.add_user(
                pair.owner, key=b"k" * 32, encryption_key=b"e" * 32, name="N", roles=roles
            )
    assert pair.city.operations == []
