"""What comes in is checked before it counts."""

import msgspec
import pytest

from hansa.chain.blocks import Certificate, CertificateSignature, Vote, sign_proposal, sign_vote
from hansa.chain.findings import Finding, Verdict, sign_finding
from hansa.consensus.effects import ReportFault
from hansa.consensus.faults import FaultLog
from hansa.consensus.hearing import VOTES_AGAIN_MAX, Hearing
from hansa.consensus.messages import (
    Certified,
    Erase,
    Response,
    Review,
    VotesAgain,
)
from hansa.types import NO_DIGEST, Digest, Round, Signature

BLOCK = Digest(b"b" * 32)


@pytest.fixture
def hearing(context) -> Hearing:
    """A hearing at height 1."""
    return Hearing(context, FaultLog(context))


def vote(quiet, context, index: int, named: Digest = BLOCK, **changes):
    """Return a signed review of one member."""
    value = Vote(context.alliance, context.epoch, 1, 0, "review", named)
    member = quiet.world.members[index]
    return sign_vote(msgspec.structs.replace(value, **changes), member.node_key)


def kinds(context) -> list[str]:
    """Return the faults reported since the last call."""
    return [item.kind for item in context.take_effects() if isinstance(item, ReportFault)]


def test_a_sound_vote_counts_once(quiet, context, hearing) -> None:
    """From whomever it comes."""
    signed = vote(quiet, context, 1)
    assert hearing.take_vote(quiet.world.members[2].node, signed)
    assert not hearing.take_vote(signed.voter, signed)
    assert 1 == len(hearing.height.round_state(0).reviews)


@pytest.mark.parametrize(
    "changes",
    [
        {"alliance": bytes(32)},
        {"epoch": 1},
        {"height": 2},
        {"round": -1},
        {"round": 2**40},
        {"digest": b"short"},
    ],
)
def test_votes_for_another_slot_are_dropped(quiet, context, hearing, changes) -> None:
    """Every redundant field is compared; nothing is indexed by it unchecked."""
    signed = vote(quiet, context, 1, **changes)
    assert not hearing.take_vote(signed.voter, signed)
    assert {} == hearing.height.latest


def test_strangers_do_not_vote(quiet, context, hearing) -> None:
    """An ordinary node's signature is worth nothing here."""
    assert not hearing.take_vote(quiet.world.members[5].node, vote(quiet, context, 5))


def test_a_forged_vote_is_reported(quiet, context, hearing) -> None:
    """The link names who sent it."""
    signed = msgspec.structs.replace(vote(quiet, context, 1), voter=quiet.world.members[2].node)
    assert not hearing.take_vote(quiet.world.members[3].node, signed)
    assert ["malformed"] == kinds(context)


def test_two_votes_for_one_slot_are_equivocation(quiet, context, hearing) -> None:
    """Proved by two signatures."""
    for named in (BLOCK, NO_DIGEST):
        signed = vote(quiet, context, 1, named)
        hearing.take_vote(signed.voter, signed)
    assert ["equivocation"] == kinds(context)
    assert 1 == len(hearing.height.round_state(0).reviews)


@pytest.fixture
def settled(quiet, context, hearing):
    """A height at which three reviewed a sound block, this node among them, and it confirmed that."""
    propose = proposal_of(quiet)
    named = propose.proposal.digest
    hearing.take_propose(propose.proposal.master, propose)
    hearing.height.candidates[named].execution = object()
    for index in range(3):
        assert hearing.take_vote(context.node, vote(quiet, context, index, named))
    hearing.height.own[0, "confirm"] = vote(quiet, context, 0, named, phase="confirm")
    return named


def reviews_of(hearing) -> tuple[int, int]:
    """Return how many reviews count, and how many were put aside."""
    reviews = hearing.height.round_state(0).reviews
    return len(reviews), len(reviews.aside)


def test_a_review_that_changes_nothing_is_not_checked(quiet, context, hearing, settled) -> None:
    """It is put aside, however often it comes; what else its voter says is checked."""
    signed = vote(quiet, context, 3, settled)
    for _ in range(2):
        hearing.take_review(signed.voter, Review(signed, None, ()))
        assert (3, 1) == reviews_of(hearing)
    forged = msgspec.structs.replace(vote(quiet, context, 3), signature=Signature(bytes(64)))
    hearing.take_review(signed.voter, Review(forged, None, ()))
    assert ["malformed"] == kinds(context)


def test_two_reviews_are_equivocation_though_one_was_put_aside(
    quiet, context, hearing, settled
) -> None:
    """Both are seen, in whichever order they come."""
    late, other = vote(quiet, context, 3, settled), vote(quiet, context, 3, NO_DIGEST)
    hearing.take_review(late.voter, Review(late, None, ()))
    hearing.take_review(late.voter, Review(other, None, ()))
    assert ["equivocation"] == kinds(context)
    assert (4, 0) == reviews_of(hearing)


def test_a_false_review_put_aside_accuses_nobody(quiet, context, hearing, settled) -> None:
    """What its voter did not sign proves nothing when it says something else."""
    late, other = vote(quiet, context, 3, settled), vote(quiet, context, 3, NO_DIGEST)
    forged = msgspec.structs.replace(late, signature=Signature(bytes(64)))
    hearing.take_review(late.voter, Review(forged, None, ()))
    hearing.take_review(late.voter, Review(other, None, ()))
    assert [] == kinds(context)
    assert (4, 0) == reviews_of(hearing)


def test_what_may_still_matter_is_checked(quiet, context, hearing, settled) -> None:
    """A review that another brings, before the own confirm, or of a block that was not judged, counts."""
    signed = vote(quiet, context, 3, settled)
    candidate = hearing.height.candidates[settled]
    candidate.execution, kept = None, candidate.execution
    assert not hearing._put_aside(signed.voter, signed)
    candidate.execution = kept
    confirmed = hearing.height.own.pop((0, "confirm"))
    assert not hearing._put_aside(signed.voter, signed)
    hearing.height.own[0, "confirm"] = confirmed
    assert not hearing._put_aside(signed.voter, vote(quiet, context, 3, NO_DIGEST))
    assert not hearing._put_aside(signed.voter, vote(quiet, context, 3, settled, phase="confirm"))
    assert not hearing._put_aside(signed.voter, vote(quiet, context, 3, settled, height=2))
    hearing.take_review(quiet.world.members[2].node, Review(signed, None, ()))
    assert (4, 0) == reviews_of(hearing)
    hearing.take_review(signed.voter, Review(signed, None, ()))
    assert (4, 0) == reviews_of(hearing)


def test_a_far_round_is_noted_only(quiet, context, hearing) -> None:
    """One number for each super node, no matter what it claims."""
    signed = vote(quiet, context, 1, round=5_000)
    assert not hearing.take_vote(signed.voter, signed)
    assert {signed.voter: 5_000} == hearing.height.latest
    assert {} == hearing.height.rounds


def proposal_of(quiet):
    """Run until some super node holds a proposal, and return it."""
    quiet.submit(5)
    nodes = quiet.world.nodes[:4]
    found = []

    def is_there() -> bool:
        for node in nodes:
            state = node.replica._agreement.height.rounds.get(0)
            if node.replica.height == 0 and state is not None and state.proposal is not None:
                found.append(state.proposal)
                return True
        return False

    quiet.world.run_for(1_000, until=is_there)
    return found[0]


def test_a_proposal_is_compared_field_by_field(quiet, context, hearing) -> None:
    """The true one is taken; each false one is reported."""
    propose = proposal_of(quiet)
    false = [
        msgspec.structs.replace(propose.proposal, epoch=1),
        msgspec.structs.replace(propose.proposal, master=quiet.world.members[5].node),
        msgspec.structs.replace(propose.proposal, digest=BLOCK),
        msgspec.structs.replace(propose.proposal, valid_round=0),
    ]
    for proposal in false:
        context.height = context.height  # the same height: each kind is reported once by a sender
        changed = msgspec.structs.replace(propose, proposal=proposal)
        assert hearing._find_problem(changed)
    assert "" == hearing._find_problem(propose)
    hearing.take_propose(propose.proposal.master, propose)
    assert propose == hearing.height.present.proposal


def test_an_order_to_erase_needs_its_proof(quiet, context, hearing) -> None:
    """Too few signatures are reported; a quorum's nil confirms count."""
    sender = quiet.world.members[1].node
    poor = certificate_of(quiet, context, NO_DIGEST, voters=2, phase="confirm")
    hearing.take_erase(sender, Erase(poor))
    assert ["malformed"] == kinds(context)
    assert {} == hearing.height.rounds
    hearing.take_erase(sender, Erase(certificate_of(quiet, context, NO_DIGEST, phase="confirm")))
    assert hearing.height.round_state(0).confirms.has_nil_quorum


def certificate_of(quiet, context, named: Digest, *, voters: int = 3, **changes) -> Certificate:
    """Return a certificate of the first super nodes for one vote."""
    votes = [vote(quiet, context, index, named, **changes) for index in range(voters)]
    parts = [CertificateSignature(item.voter, item.signature) for item in votes]
    return Certificate(votes[0].vote, tuple(sorted(parts, key=lambda part: part.voter)))


def test_a_proposal_that_is_over_is_taken_only_if_it_was_decided(quiet, context, hearing) -> None:
    """A late proposal of a past round matters only where a quorum confirmed just that block."""
    propose = proposal_of(quiet)
    hearing.height.enter(1)
    hearing.take_propose(propose.proposal.master, propose)
    assert {} == hearing.height.candidates
    named = propose.proposal.digest
    for index in range(3):
        signed = vote(quiet, context, index, named, phase="confirm")
        assert hearing.take_vote(signed.voter, signed)
    hearing.take_propose(propose.proposal.master, propose)
    assert {named} == set(hearing.height.candidates)


@pytest.mark.parametrize("number", [-1, 2**20])
def test_a_proposal_of_an_absurd_round_is_dropped(quiet, context, hearing, number) -> None:
    """It reaches no table."""
    propose = proposal_of(quiet)
    far = msgspec.structs.replace(propose.proposal, round=number)
    hearing.take_propose(far.master, msgspec.structs.replace(propose, proposal=far))
    assert ({}, []) == (hearing.height.rounds, kinds(context))


def test_a_false_proposal_is_reported_and_not_kept(quiet, context, hearing) -> None:
    """Whoever sends it is named; the round stays open for the true one."""
    propose = proposal_of(quiet)
    unsigned = msgspec.structs.replace(propose.proposal, signature=bytes(64))
    sender = quiet.world.members[2].node
    hearing.take_propose(sender, msgspec.structs.replace(propose, proposal=unsigned))
    assert ["malformed"] == kinds(context)
    assert hearing.height.present.proposal is None
    padded = msgspec.structs.replace(propose, copies=(quiet.sealed(5)[1],) * 2)
    assert "more copies" in hearing._find_problem(padded)


def swapped(block):
    """Return a block with another body under the same header."""
    spoilt = msgspec.structs.replace(block.transactions[0], signature=bytes(64))
    return msgspec.structs.replace(block, transactions=(spoilt, *block.transactions[1:]))


def test_another_body_under_a_true_header_is_not_kept(quiet, context, hearing) -> None:
    """Only the header is signed; a body that somebody put under it must not block the true one."""
    propose = proposal_of(quiet)
    named, liar = propose.proposal.digest, quiet.world.members[2].node
    false = msgspec.structs.replace(propose, block=swapped(propose.block))
    hearing.take_propose(liar, false)
    assert ["malformed"] == kinds(context)
    certificate = certificate_of(quiet, context, named)
    hearing.take_certified(quiet.world.members[3].node, Certified(certificate, false.block))
    assert ["malformed"] == kinds(context)
    assert {} == hearing.height.candidates
    hearing.take_propose(propose.proposal.master, propose)
    assert propose.block == hearing.height.candidates[named].block


def test_two_proposals_for_one_round_prove_their_master_faulty(quiet, context, hearing) -> None:
    """The first counts; the second proves its master's fault."""
    propose = proposal_of(quiet)
    hearing.take_propose(propose.proposal.master, propose)
    header = msgspec.structs.replace(propose.block.header, time_ms=propose.block.header.time_ms + 1)
    master = next(
        item for item in quiet.world.members if item.node == propose.proposal.master
    ).node_key
    other = sign_proposal(msgspec.structs.replace(propose.proposal, digest=header.digest()), master)
    block = msgspec.structs.replace(propose.block, header=header)
    second = msgspec.structs.replace(propose, proposal=other, block=block)
    hearing.take_propose(propose.proposal.master, propose)
    assert [] == kinds(context), "the same again is no fault"
    hearing.take_propose(propose.proposal.master, second)
    assert ["double-proposal"] == kinds(context)
    assert propose == hearing.height.present.proposal


def test_what_a_proposal_must_carry_and_must_not(quiet, context, hearing) -> None:
    """A new block has no certificate; one proposed again has that of its valid round."""
    propose = proposal_of(quiet)
    named = propose.proposal.digest
    sound = certificate_of(quiet, context, named)
    cases = [
        (-1, sound, "for a new block"),
        (0, None, "without a certificate"),
        (1, sound, "without a certificate"),
        (0, certificate_of(quiet, context, BLOCK), "another round or block"),
        (0, certificate_of(quiet, context, named, voters=2), "an invalid certificate"),
        (0, certificate_of(quiet, context, named, phase="confirm"), "an invalid certificate"),
    ]
    for valid_round, certificate, problem in cases:
        proposal = msgspec.structs.replace(propose.proposal, round=1, valid_round=valid_round)
        changed = msgspec.structs.replace(propose, proposal=proposal, certificate=certificate)
        assert problem in hearing._find_certificate_problem(changed)
    proposal = msgspec.structs.replace(propose.proposal, round=1, valid_round=0)
    good = msgspec.structs.replace(propose, proposal=proposal, certificate=sound)
    assert "" == hearing._find_certificate_problem(good)


def test_a_block_with_its_reviews_is_taken_and_its_votes_count(quiet, context, hearing) -> None:
    """So that a later master can propose it again; what proves nothing is reported."""
    block = proposal_of(quiet).block
    named, sender = block.header.digest(), quiet.world.members[1].node
    for certificate in (
        certificate_of(quiet, context, named, height=2),
        certificate_of(quiet, context, named, round=5_000),
    ):
        hearing.take_certified(sender, Certified(certificate, block))
    assert ({}, []) == (hearing.height.candidates, kinds(context)), "another slot is no fault"
    hearing.take_certified(sender, Certified(certificate_of(quiet, context, BLOCK), block))
    assert ["malformed"] == kinds(context)
    short = certificate_of(quiet, context, named, voters=2)
    hearing.take_certified(quiet.world.members[2].node, Certified(short, block))
    assert {} == hearing.height.candidates
    hearing.take_certified(sender, Certified(certificate_of(quiet, context, named), block))
    assert {named} == set(hearing.height.candidates)
    assert 3 == len(hearing.height.round_state(0).reviews)


def test_a_certificate_brings_equivocation_to_light(quiet, context, hearing) -> None:
    """A vote known otherwise and the one in a certificate are two votes for one slot."""
    block = proposal_of(quiet).block
    signed = vote(quiet, context, 0, NO_DIGEST)
    hearing.take_vote(signed.voter, signed)
    certificate = certificate_of(quiet, context, block.header.digest())
    hearing.take_certified(quiet.world.members[1].node, Certified(certificate, block))
    assert ["equivocation"] == kinds(context)


def test_a_certificate_of_a_far_round_fills_no_memory(quiet, context, hearing) -> None:
    """A proof that copies may go, from a round too far to keep, changes nothing."""
    far = certificate_of(quiet, context, NO_DIGEST, phase="confirm", round=5_000)
    hearing.take_erase(quiet.world.members[1].node, Erase(far))
    assert ({}, {}) == (hearing.height.rounds, hearing.height.latest)


def test_an_order_to_erase_for_another_slot_or_by_reviews_is_dropped(
    quiet, context, hearing
) -> None:
    """Reviews decide nothing, and other heights are another's business."""
    for changes in ({"phase": "review"}, {"phase": "confirm", "height": 2}):
        order = Erase(certificate_of(quiet, context, NO_DIGEST, **changes))
        hearing.take_erase(quiet.world.members[1].node, order)
    assert ({}, []) == (hearing.height.rounds, kinds(context))


def finding(quiet, context, index: int, **changes: object) -> Finding:
    """Return a super node's signed reason for a vote for no block."""
    member = quiet.world.members[index]
    plain = Finding(
        context.alliance,
        context.height,
        Round(0),
        context.state.root,
        BLOCK,
        "copies",
        (Verdict(BLOCK, "reseal"),),
        member.node,
        Signature(b""),
    )
    return sign_finding(msgspec.structs.replace(plain, **changes), member.node_key)


def test_a_finding_counts_with_its_vote(quiet, context, hearing) -> None:
    """Whoever passes it on; not with an approval, and not another's or another round's."""
    approving = vote(quiet, context, 2)
    hearing.take_review(approving.voter, Review(approving, finding(quiet, context, 2), ()))
    rejecting = vote(quiet, context, 3, NO_DIGEST)
    for wrong in (
        finding(quiet, context, 1),
        finding(quiet, context, 3, round=Round(1)),
        finding(quiet, context, 3, height=context.height + 1),
        finding(quiet, context, 3, code="locked"),
        msgspec.structs.replace(finding(quiet, context, 3), digest=bytes(32)),
    ):
        hearing.take_review(rejecting.voter, Review(rejecting, wrong, ()))
    assert {} == hearing.height.round_state(0).findings
    assert ["malformed"] == kinds(context)
    good = finding(quiet, context, 3)
    hearing.take_review(quiet.world.members[4].node, Review(rejecting, good, ()))
    assert {rejecting.voter: good} == hearing.height.round_state(0).findings
    hearing.take_review(rejecting.voter, Review(rejecting, finding(quiet, context, 3), ()))
    assert [] == kinds(context)


def test_a_finding_on_a_false_state_is_a_lie(quiet, context, hearing) -> None:
    """The state of a height has one root, and who signs another answers for it."""
    rejecting = vote(quiet, context, 3, NO_DIGEST)
    false = finding(quiet, context, 3, state_root=bytes(32))
    hearing.take_review(rejecting.voter, Review(rejecting, false, ()))
    assert ["wrong-finding"] == kinds(context)


def test_a_block_called_invalid_is_put_aside_for_a_comparison(quiet, context, hearing) -> None:
    """Only that reason follows from public parts."""
    for index, code in ((1, "invalid"), (2, "locked")):
        rejecting = vote(quiet, context, index, NO_DIGEST)
        said = finding(quiet, context, index, code=code, verdicts=())
        hearing.take_review(rejecting.voter, Review(rejecting, said, ()))
    assert [quiet.world.members[1].node] == [item.reviewer for item in hearing.doubted]


def test_a_response_brings_what_was_lost(quiet, context, hearing) -> None:
    """The master counts the votes and the finding in it; only a node itself says that it differs."""
    own, other = vote(quiet, context, 1, NO_DIGEST), vote(quiet, context, 2)
    said = finding(quiet, context, 1)
    response = Response(own, said, (other, vote(quiet, context, 5)))
    hearing.take_response(quiet.world.members[3].node, response)
    assert [] == kinds(context)
    state = hearing.height.round_state(0)
    assert {own.voter, other.voter} == {item.voter for item in state.reviews.votes()}
    assert {own.voter: said} == state.findings
    hearing.take_response(own.voter, response)
    assert ["differing-review"] == kinds(context)
    early = vote(quiet, context, 3, NO_DIGEST, phase="confirm")
    hearing.take_response(early.voter, Response(early, None, ()))
    assert 0 == len(state.confirms)


def test_votes_again_are_taken_within_bounds(quiet, context, hearing) -> None:
    """Each is checked as any other; what is beyond the bound is not read."""
    signed = vote(quiet, context, 1)
    again = VotesAgain((vote(quiet, context, 5),) * VOTES_AGAIN_MAX + (signed,))
    hearing.take_votes_again(signed.voter, again)
    assert {} == hearing.height.latest
    hearing.take_votes_again(signed.voter, VotesAgain((signed,)))
    assert {signed.voter: 0} == hearing.height.latest
