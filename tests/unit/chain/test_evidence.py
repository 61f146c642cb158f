"""Evidence: what proves a lie, what does not, and what follows on the chain."""

import msgspec
import pytest

from hansa import limits
from hansa.chain.blocks import Proposal, SignedVote, Vote, sign_proposal, sign_vote
from hansa.chain.election import elect, is_election_pending, tally
from hansa.chain.evidence import (
    DoubleProposal,
    DoubleVote,
    accused,
    decode_evidence,
    encode_evidence,
    height_of,
    is_proof,
    kind_of,
    make_double_proposal,
    make_double_vote,
)
from hansa.chain.transactions import (
    AdmitOrganisation,
    SubmitEvidence,
    SuspendOrganisation,
    VoteSuperNodes,
)
from hansa.errors import InvalidError

ONE, OTHER = bytes([1]) * 32, bytes([2]) * 32


def vote(alliance, kit, digest: bytes, who: str = "energy", **changes: object) -> SignedVote:
    """Return a super node's vote for a digest."""
    plain = Vote(alliance.state.alliance, 0, 5, 0, "review", digest)
    return sign_vote(msgspec.structs.replace(plain, **changes), kit.key(f"{who} node"))


def proposal(alliance, kit, digest: bytes, who: str = "energy", **changes: object) -> Proposal:
    """Return a master's proposal of a digest."""
    node = kit.key(f"{who} node")
    plain = Proposal(alliance.state.alliance, 0, 5, 0, -1, digest, node.public, b"")
    return sign_proposal(msgspec.structs.replace(plain, **changes), node)


def double_vote(alliance, kit, who: str = "energy", **changes: object) -> DoubleVote:
    """Return the proof that a node voted twice."""
    first, second = (vote(alliance, kit, one, who, **changes) for one in (OTHER, ONE))
    return make_double_vote(first, second)


def submit(evidence: DoubleVote | DoubleProposal) -> SubmitEvidence:
    """Return the operation that brings a proof."""
    return SubmitEvidence(encode_evidence(evidence))


def test_a_double_vote_is_proof(alliance, kit) -> None:
    """Whichever half came first, the evidence is the same."""
    evidence = double_vote(alliance, kit)
    assert is_proof(evidence, alliance.state.alliance)
    assert evidence == make_double_vote(evidence.second, evidence.first)
    assert ("equivocation", 5) == (kind_of(evidence), height_of(evidence))
    assert kit.key("energy node").public == accused(evidence)
    assert evidence == decode_evidence(encode_evidence(evidence))
    assert len(encode_evidence(evidence)) <= limits.EVIDENCE_BYTES_MAX


def test_a_double_proposal_is_proof(alliance, kit) -> None:
    """Two digests for one round, whatever else the proposals say."""
    evidence = make_double_proposal(
        proposal(alliance, kit, OTHER, valid_round=0, round=1),
        proposal(alliance, kit, ONE, round=1),
    )
    assert is_proof(evidence, alliance.state.alliance)
    assert ("double-proposal", 5) == (kind_of(evidence), height_of(evidence))
    assert kit.key("energy node").public == accused(evidence)
    assert evidence == decode_evidence(encode_evidence(evidence))
    assert len(encode_evidence(evidence)) <= limits.EVIDENCE_BYTES_MAX


@pytest.mark.parametrize(
    "change",
    [
        {"alliance": bytes(32)},
        {"epoch": 1},
        {"height": 6},
        {"round": 1},
        {"digest": ONE},
        {"digest": bytes(31)},
    ],
)
def test_other_slots_are_no_lie(alliance, kit, change: dict) -> None:
    """Two answers to two questions are honest, and so is one answer given twice."""
    identity, node = alliance.state.alliance, kit.key("energy node")
    first, second = vote(alliance, kit, ONE), vote(alliance, kit, OTHER)
    assert is_proof(DoubleVote(first, second), identity)
    changed = sign_vote(msgspec.structs.replace(second.vote, **change), node)
    assert not is_proof(DoubleVote(first, changed), identity)
    one, other = proposal(alliance, kit, ONE), proposal(alliance, kit, OTHER)
    assert is_proof(DoubleProposal(one, other), identity)
    moved = sign_proposal(msgspec.structs.replace(other, **change), node)
    assert not is_proof(DoubleProposal(one, moved), identity)


def test_phases_are_two_questions(alliance, kit) -> None:
    """A review for one block and a confirm for another are no lie."""
    confirm = vote(alliance, kit, OTHER, phase="confirm")
    assert not is_proof(DoubleVote(vote(alliance, kit, ONE), confirm), alliance.state.alliance)


def test_forged_halves_prove_nothing(alliance, kit) -> None:
    """Both halves must be signed by the accused; order and slot must be possible."""
    good = double_vote(alliance, kit)
    identity = alliance.state.alliance
    forged = vote(alliance, kit, OTHER, "health")
    forged = msgspec.structs.replace(forged, voter=good.first.voter)
    assert not is_proof(DoubleVote(good.first, forged), identity)
    early = msgspec.structs.replace(vote(alliance, kit, ONE, "health"), voter=good.first.voter)
    assert not is_proof(DoubleVote(early, good.second), identity)
    assert not is_proof(DoubleVote(good.second, good.first), identity)
    assert not is_proof(DoubleVote(good.first, vote(alliance, kit, OTHER, "health")), identity)
    assert not is_proof(good, bytes(32))
    assert not is_proof(double_vote(alliance, kit, height=0), identity)
    assert not is_proof(double_vote(alliance, kit, round=-1), identity)
    assert not is_proof(double_vote(alliance, kit, round=limits.ROUND_MAX + 1), identity)
    pair = make_double_proposal(proposal(alliance, kit, ONE), proposal(alliance, kit, OTHER))
    assert is_proof(pair, identity)
    for half in ("first", "second"):
        unsigned = msgspec.structs.replace(getattr(pair, half), valid_round=3)
        assert not is_proof(msgspec.structs.replace(pair, **{half: unsigned}), identity)
    nil = make_double_proposal(
        proposal(alliance, kit, ONE, height=0), proposal(alliance, kit, OTHER, height=0)
    )
    assert not is_proof(nil, identity)


def test_malformed_bytes(alliance, kit) -> None:
    """What does not decode is refused, however long."""
    data = encode_evidence(double_vote(alliance, kit))
    for wrong in (b"", data[:-1], data + b"\x00", bytes(limits.EVIDENCE_BYTES_MAX + 1)):
        with pytest.raises(InvalidError):
            decode_evidence(wrong)
        assert "malformed-evidence" == alliance.act("health", SubmitEvidence(wrong))


def test_expulsion(alliance, kit) -> None:
    """Any member brings the proof; the liar stays a member, but cannot be elected."""
    names = ("energy", "environment", "health", "planning", "safety")
    alliance.commit(*(alliance.sign(name, VoteSuperNodes(names)) for name in kit.NAMES))
    liar = kit.key("energy node").public
    assert liar in elect(alliance.state)
    assert "" == alliance.act("transport", submit(double_vote(alliance, kit)))
    state = alliance.state
    member = state.organisation("energy")
    assert ("active", state.height) == (member.status, member.expelled_height)
    assert is_election_pending(state)
    assert liar not in elect(state)
    (standing,) = [item for item in tally(state) if item.organisation == "energy"]
    assert (False, False, True) == (
        standing.is_electable,
        standing.is_next,
        standing.is_super_node,
    )
    assert "already-expelled" == alliance.act("health", submit(double_vote(alliance, kit)))
    while alliance.state.height < 8:
        alliance.commit()
    assert liar not in alliance.state.super_nodes()


def test_no_quorum_rests_on_a_liar(alliance, kit) -> None:
    """With an expelled node in the set no other is suspended; the liar itself may be, and then too."""
    assert "" == alliance.act("transport", submit(double_vote(alliance, kit)))
    other = SuspendOrganisation("environment", "reason")
    assert "costs-quorum" == alliance.act("health", other)
    for name in kit.NAMES[1:4]:
        assert "" == alliance.act(name, SuspendOrganisation("energy", "it lied"))
    assert "suspended" == alliance.state.organisation("energy").status
    assert "costs-quorum" == alliance.act("health", other)


def test_what_does_not_expel(alliance, kit) -> None:
    """A pair that proves nothing, or that speaks of no member."""
    honest = DoubleVote(vote(alliance, kit, ONE), vote(alliance, kit, OTHER, round=1))
    assert "evidence-proves-nothing" == alliance.act("health", submit(honest))
    stranger = double_vote(alliance, kit, "water")
    assert "unknown-node" == alliance.act("health", submit(stranger))
    assert 0 == alliance.state.organisation("energy").expelled_height


def test_readmission_settles_old_evidence(alliance, kit) -> None:
    """More than half bring the liar back; the same proof does not expel it again, a new one does."""
    old = submit(double_vote(alliance, kit))
    back = AdmitOrganisation(kit.candidate("energy"))
    assert "name-taken" == alliance.act("health", back)
    assert "" == alliance.act("health", old)
    for name in kit.NAMES[1:5]:
        assert "" == alliance.act(name, back)
    member = alliance.state.organisation("energy")
    assert (0, alliance.state.height) == (member.expelled_height, member.readmitted_height)
    assert 6 == alliance.state.counters.active_organisations
    assert "evidence-settled" == alliance.act("health", old)
    again = double_vote(alliance, kit, height=member.readmitted_height + 1)
    assert "" == alliance.act("health", submit(again))


def test_readmission_of_who_is_suspended_too(alliance, kit) -> None:
    """One ballot brings back whoever was suspended and expelled."""
    assert "" == alliance.act("health", submit(double_vote(alliance, kit)))
    for name in kit.NAMES[1:4]:
        assert "" == alliance.act(name, SuspendOrganisation("energy", "reason"))
    assert "suspended" == alliance.state.organisation("energy").status
    for name in kit.NAMES[1:4]:
        assert "" == alliance.act(name, AdmitOrganisation(kit.candidate("energy")))
    member = alliance.state.organisation("energy")
    assert ("active", 0) == (member.status, member.expelled_height)


def test_a_node_brings_evidence_and_nothing_else(alliance, kit) -> None:
    """The node that noticed needs no user; its key opens no other door."""
    evidence = submit(double_vote(alliance, kit))
    vote_too = VoteSuperNodes(("health",))
    assert "unknown-user" == alliance.act("health node", vote_too)
    assert "unknown-user" == alliance.act("health node", evidence, vote_too)
    assert "unknown-user" == alliance.act("water node", evidence)
    assert "" == alliance.act("health node", evidence)
    assert alliance.state.organisation("energy").expelled_height
