"""What liars make of their votes."""

import random

import pytest

from hansa.chain.blocks import is_vote_signed
from hansa.codec import encode
from hansa.consensus.messages import Confirm, Response, Review, decode_message
from hansa.sim import lying_votes as lies
from hansa.sim.behaviour import Stage
from hansa.sim.run import Plan, Run
from hansa.types import NO_DIGEST


def spoken(behaviour) -> tuple[Stage, list[tuple[bytes, object, list[object]]]]:
    """Return what a liar said instead of its votes: (to whom, the truth, what it said)."""
    run = Run(5, Plan(byzantine=1, chaos_ms=0), behaviour=lambda: behaviour)
    world, said = run.world, []
    world.network.heal()
    speak = behaviour.speak

    def listen(stage, to, data):
        answer = speak(stage, to, data)
        message = decode_message(data)
        if isinstance(message, Review | Confirm):
            said.append((to, message, [decode_message(item) for _, item in answer]))
        return answer

    behaviour.speak = listen
    world.start_all()
    world.run_for(100)
    run.load.submit()
    world.run_for(600)
    assert [] == world.checkers.violations
    liar = next(node for node in world.nodes if not node.is_honest)
    return Stage(liar.member.node_key, liar.replica, random.Random(1)), said


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        (lies.EpochShifter, lambda true, vote: vote.epoch == true.epoch + 1),
        (lies.EpochLaggard, lambda true, vote: vote.epoch == true.epoch - 1),
        (lies.UnseenVoter, lambda true, vote: vote.digest not in {true.digest, NO_DIGEST}),
    ],
)
def test_every_vote_is_changed_and_signed(kind, changed) -> None:
    """With the real key: only its contents are wrong."""
    _, said = spoken(kind())
    assert said
    for _, true, (false,) in said:
        assert changed(true.vote.vote, false.vote.vote)
        assert is_vote_signed(false.vote)


def test_a_double_voter_tells_halves_different_things() -> None:
    """One half the truth, the other nil."""
    stage, said = spoken(lies.DoubleVoter())
    for to, true, (told,) in said:
        expected = NO_DIGEST if stage.is_second_half(to) else true.vote.vote.digest
        assert expected == told.vote.vote.digest


def test_a_both_voter_says_all_at_once() -> None:
    """Block, nil, and the next round."""
    _, said = spoken(lies.BothVoter())
    for _, true, told in said:
        rounds = [item.vote.vote.round - true.vote.vote.round for item in told]
        assert [0, 0, 1] == rounds
        assert NO_DIGEST == told[1].vote.vote.digest


def test_forged_signers_are_not_signed() -> None:
    """It has no key but its own."""
    _, said = spoken(lies.SignerForger())
    assert all(not is_vote_signed(item.vote) for _, _, told in said for item in told[1:])
    assert all(len(told) == 4 for _, _, told in said)


def test_some_listeners_hear_nothing() -> None:
    """One super node gets no vote of it."""
    _, said = spoken(lies.FewListeners())
    assert {0, 1} == {len(told) for _, _, told in said}


def test_far_rounds_and_multiplied_votes_go_beside_the_true_one() -> None:
    """The true vote is there; the rest is noise."""
    for kind, count in ((lies.FarRounds, 8), (lies.VoteMultiplier, 5), (lies.MalformedVoter, 4)):
        _, said = spoken(kind())
        assert all(true == told[0] and len(told) == count for _, true, told in said)


def test_a_false_accuser_invents_reviews() -> None:
    """In the names of all, signed by none of them."""
    _, said = spoken(lies.FalseAccuser())
    told = [item for _, _, items in said for item in items if isinstance(item, Response)]
    assert told
    stage, _ = spoken(lies.FalseAccuser())
    assert all(
        not is_vote_signed(vote)
        for response in told
        for vote in response.others
        if vote.voter != stage.key.public
    )


def test_silence_and_lateness() -> None:
    """Nothing, or all of it just in time."""
    stage, said = spoken(lies.Silent())
    assert all(told == [] for _, _, told in said)
    data = encode(Confirm(said[0][1].vote)) if said else b"\x92\x0d\x90"
    ((later, same),) = lies.JustInTime().speak(stage, b"x" * 32, data)
    assert (385, data) == (later, same)


def test_a_yes_sayer_follows_the_proposal() -> None:
    """Whatever its replica thought of it."""
    _, said = spoken(lies.YesSayer())
    assert said
    assert all(told[0].vote.vote.digest != NO_DIGEST for _, _, told in said)
