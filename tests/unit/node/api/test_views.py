"""Tests of node.api.views."""

from types import SimpleNamespace

import pytest

from hansa.chain.blocks import Erasure
from hansa.chain.findings import Finding, Verdict
from hansa.chain.state import State
from hansa.chain.transactions import AdmitOrganisation, Description, Redescribe, VoteSuperNodes
from hansa.errors import InvalidError
from hansa.node.api import views
from hansa.types import Digest, PublicKey


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


def test_descriptions_and_acknowledgements_for_people() -> None:
    """Words and features are left out; a node that is no member any more is shown by its key."""
    description = Description(
        title="T",
        description="",
        keywords=(),
        themes=(),
        place="",
        box=None,
        interval=None,
        rhythm="",
        licence="",
        formats=(),
        columns=(),
        column_types=(),
        words=("t",),
        feature_model=1,
        features=(1,),
    )
    shown = views.operation_view(Redescribe(bytes(16), description))
    assert "T" == shown["description"]["title"]
    assert not {"words", "features"} & set(shown["description"])
    finding = Finding(
        b"a" * 32, 4, 1, bytes(32), b"d" * 32, "copies", (Verdict(b"t" * 32, "reseal"),), b"k", b""
    )
    told = views.finding_view({b"k": "energy"}, finding, b"d" * 32)
    assert ("energy", 4, 1, "copies", True) == (
        told.organisation,
        told.height,
        told.round,
        told.code,
        told.is_settled,
    )
    assert [f"{(b't' * 32).hex()}: reseal"] == told.rejected
    assert not views.finding_view({}, finding, bytes(32)).is_settled
    erasure = Erasure(bytes(32), 3, 1, "failed", bytes(32), 2, b"", PublicKey(b"k" * 32), b"")
    header = SimpleNamespace(height=5, time_ms=7)
    assert (
        "energy" == views.erasure_view({erasure.super_node: "energy"}, erasure, header).organisation
    )
    assert (b"k" * 32).hex() == views.erasure_view({}, erasure, header).organisation
