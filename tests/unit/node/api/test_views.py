"""Tests of node.api.views."""

import pytest

from hansa.chain.state import State
from hansa.chain.transactions import AdmitOrganisation, VoteSuperNodes
from hansa.errors import InvalidError
from hansa.node.api import views
from hansa.types import Digest


@pytest.mark.parametrize("text", ["", "zz" * 16, "00" * 15, "00" * 17, " " + "00" * 16, "0" * 31])
def test_ids(text: str) -> None:
    """An id is hex of exactly its length."""
    assert bytes(16) == views.parse_hex("00" * 16, 16, "dataset")
    with pytest.raises(InvalidError, match="dataset id"):
        views.parse_hex(text, 16, "dataset")


def test_operations_for_people(alliance) -> None:
    """Bytes are hex, structs are mappings, and what fills pages is left out."""
    (candidate,) = alliance.genesis.organisations
    shown = views.operation_view(AdmitOrganisation(candidate))
    assert "AdmitOrganisation" == shown["operation"]
    assert candidate.node_key.hex() == shown["candidate"]["node_key"]
    assert "certificate" not in shown["candidate"]
    assert {"operation": "VoteSuperNodes", "candidates": ["a", "b"]} == views.operation_view(
        VoteSuperNodes(("a", "b"))
    )


def test_members(alliance) -> None:
    """Founders are shown with their standing; an unknown master has no name."""
    state = State.at_genesis(alliance.genesis)
    (member,) = views.organisation_views(state)
    assert (alliance.members[0].name, True, 1) == (member.name, member.is_super_node, member.users)
    (candidate,) = views.candidate_views(state)
    assert (0, True) == (candidate.votes, candidate.is_super_node)
    names = views.names_by_node_key(state)
    assert "" == views.master_name(names, None)
    assert Digest(bytes(32)).hex() == views.master_name(names, bytes(32))
