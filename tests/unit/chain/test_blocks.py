"""Votes, certificates, erasures, headers: what exactly is signed, and how many are enough."""

import msgspec
import pytest

from hansa.chain.blocks import (
    Certificate,
    CertificateSignature,
    Result,
    Vote,
    faults_of,
    has_matching_body,
    is_certificate_valid,
    is_erasure_signed,
    is_vote_signed,
    quorum_of,
    sign_vote,
)
from hansa.chain.transactions import VoteSuperNodes


def test_golden(alliance, golden, kit) -> None:
    """Header, vote, erasure and a certified block are pinned."""
    alliance.commit(alliance.sign("health", VoteSuperNodes(("energy",))))
    alliance.commit(erasures=(alliance.erasure("energy", 1),))
    header = alliance.header
    assert golden["header"] == header.digest().hex()
    assert golden["state after two blocks"] == alliance.state.root.hex()
    vote = Vote(header.alliance, 0, 2, 0, "confirm", header.digest())
    assert golden["vote signature"] == sign_vote(vote, kit.key("energy node")).signature.hex()
    assert golden["erasure signature"] == alliance.erasure("energy", 1).signature.hex()


@pytest.mark.parametrize(
    ("super_nodes", "quorum", "faults"), [(1, 1, 0), (4, 3, 1), (7, 5, 2), (10, 7, 3), (31, 21, 10)]
)
def test_quorum(super_nodes: int, quorum: int, faults: int) -> None:
    """Two quorums share more than the faulty; the sound alone are a quorum."""
    assert (quorum, faults) == (quorum_of(super_nodes), faults_of(super_nodes))
    assert 2 * quorum - super_nodes > faults
    assert super_nodes - faults >= quorum


def test_votes_stand_for_nothing_else(alliance, kit) -> None:
    """Another alliance, epoch, height, round, phase or digest needs another signature."""
    vote = Vote(alliance.state.alliance, 0, 1, 0, "confirm", bytes(32))
    signed = sign_vote(vote, kit.key("energy node"))
    assert is_vote_signed(signed)
    for change in (
        {"alliance": bytes(32)},
        {"epoch": 1},
        {"height": 2},
        {"round": 1},
        {"phase": "review"},
        {"digest": bytes([1]) * 32},
    ):
        other = msgspec.structs.replace(vote, **change)
        assert not is_vote_signed(msgspec.structs.replace(signed, vote=other))
    foreign = msgspec.structs.replace(signed, voter=kit.key("health node").public)
    assert not is_vote_signed(foreign)


def test_certificates(alliance, kit) -> None:
    """A quorum, each once, in order, nobody else, nothing false beside it."""
    block = alliance.build()
    chosen = block.header.super_nodes
    whole = alliance.certify(block.header, chosen)
    good = alliance.certify(block.header)
    assert 3 == len(good.signatures)
    assert is_certificate_valid(good, chosen)
    assert is_certificate_valid(whole, chosen)
    parts = whole.signatures
    stranger = kit.key("transport node")
    foreign = sign_vote(good.vote, stranger)
    forged = CertificateSignature(parts[3].voter, parts[0].signature)
    wrong = (
        parts[:2],
        (parts[0], parts[0], parts[1]),
        (parts[1], parts[0], parts[2]),
        (*parts[:3], forged),
        tuple(
            sorted(
                (*parts[:2], CertificateSignature(foreign.voter, foreign.signature)),
                key=lambda part: part.voter,
            )
        ),
        tuple(
            sorted(
                (*parts, CertificateSignature(foreign.voter, foreign.signature)),
                key=lambda part: part.voter,
            )
        ),
        (),
    )
    for signatures in wrong:
        assert not is_certificate_valid(Certificate(good.vote, signatures), chosen)
    assert not is_certificate_valid(good, kit.NAMES), "against its own set only"


def test_matching_bodies(alliance) -> None:
    """The header's count and roots belong to the body."""
    block = alliance.build(alliance.sign("health", VoteSuperNodes(())))
    assert has_matching_body(block)
    for change in (
        {"transactions": ()},
        {"results": (Result(False, "x"),)},
        {"results": ()},
        {"erasures": (alliance.erasure("energy", 1),)},
    ):
        assert not has_matching_body(msgspec.structs.replace(block, **change))


def test_erasures_are_signed(alliance) -> None:
    """Every field is under the signature."""
    erasure = alliance.erasure("energy", 1)
    assert is_erasure_signed(erasure)
    for change in (
        {"height": 2},
        {"round": 1},
        {"outcome": "failed"},
        {"copies": 2},
        {"digest": bytes([1]) * 32},
        {"signature": b""},
    ):
        assert not is_erasure_signed(msgspec.structs.replace(erasure, **change))
