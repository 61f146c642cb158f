"""What comes in is checked before it counts."""

import msgspec
import pytest

from hansa.chain.blocks import Vote, sign_vote
from hansa.consensus.effects import ReportFault
from hansa.consensus.faults import FaultLog
from hansa.consensus.hearing import Hearing
from hansa.types import NO_DIGEST, Digest

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
    from hansa.chain.blocks import Certificate, CertificateSignature
    from hansa.consensus.messages import Erase

    votes = [vote(quiet, context, index, NO_DIGEST, phase="confirm") for index in range(3)]
    parts = sorted(CertificateSignature(item.voter, item.signature).voter for item in votes)
    by_voter = {item.voter: item for item in votes}
    signatures = tuple(CertificateSignature(key, by_voter[key].signature) for key in parts)
    sender = quiet.world.members[1].node
    hearing.take_erase(sender, Erase(Certificate(votes[0].vote, signatures[:2])))
    assert ["malformed"] == kinds(context)
    assert {} == hearing.height.rounds
    hearing.take_erase(sender, Erase(Certificate(votes[0].vote, signatures)))
    assert hearing.height.round_state(0).confirms.has_nil_quorum
