"""The simulator is itself tested: each bug planted here must be found within a few seeds."""

from collections.abc import Callable, Iterator

import pytest

from hansa.chain import blocks
from hansa.consensus import quorum
from hansa.consensus.agreement import Agreement
from hansa.consensus.catchup import CatchUp
from hansa.consensus.copies import CopyVault
from hansa.consensus.hearing import Hearing
from hansa.consensus.messages import (
    Certified,
    Confirm,
    Propose,
    Review,
    Status,
    VotesAgain,
    decode_message,
)
from hansa.consensus.quorum import VoteSet
from hansa.consensus.rounds import HeightState
from hansa.consensus.schedule import Schedule
from hansa.errors import CorruptError
from hansa.sim.byzantine import Behaviour, DoubleVoter, EpochShifter, Equivocator, Forger
from hansa.sim.run import Run
from hansa.types import NO_DIGEST, Height, Round

SEEDS = range(40)


def find(
    behaviour: Callable[[], Behaviour] | None = None, change: Callable[[Run], None] | None = None
) -> Iterator[str]:
    """Yield what is found, seed by seed, until something is."""
    for seed in SEEDS:
        run = Run(seed, byzantine=0 if behaviour is None else 1, behaviour=behaviour, chaos_ms=3000)
        if change is not None:
            change(run)
        try:
            violations = run.run().violations
        except AssertionError as broken:
            violations = (f"an invariant broke: {broken}",)
        except CorruptError:
            # The start after a crash noticed it first; the worse must be noticed too.
            continue
        if violations:
            yield from violations
            return


def test_one_vote_only_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's single vote: confirming at once, without a quorum of reviews and a lock, forks."""
    review = Agreement._cast_review

    def review_and_confirm(self, named, verdicts, code):
        review(self, named, verdicts, code)
        if (self.height.round, "confirm") not in self.height.own:
            self._cast_confirm(named)

    monkeypatch.setattr(Agreement, "_cast_review", review_and_confirm)
    assert any("two blocks" in text for text in find(Equivocator))


def test_quorum_less_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the votes are no quorum."""
    monkeypatch.setattr(quorum, "quorum_of", lambda count: blocks.quorum_of(count) - 1)
    assert any("does not hold" in text or "two blocks" in text for text in find(DoubleVoter))


def decide_at_one_node_only() -> Run:
    """Let one super node alone decide, then cut it off; who did not lock leads the next round."""
    run = Run(11, chaos_ms=0)
    world = run.world
    world.network.heal()
    world.start_all()
    world.run_for(100)
    members = world.nodes[0].disk.state.super_nodes()
    schedule = Schedule(world.alliance, world.genesis.parameters.epoch_blocks)
    first, second = (schedule.master(Height(1), number, members) for number in (0, 1))
    is_cut_off = False

    def drops(sender, receiver, data):
        nonlocal is_cut_off
        is_cut_off = is_cut_off or world.by_key[first].disk.state.height > 0
        if is_cut_off and first in {sender, receiver}:
            return True
        message = decode_message(data)
        if isinstance(message, Propose) and receiver == second:
            return message.proposal.round == 0
        if isinstance(message, Certified) and receiver == second:
            return world.by_key[second].replica.round == 0
        if isinstance(message, Review) and receiver == second:
            return not is_cut_off
        is_news = isinstance(message, Confirm | Status | VotesAgain)
        return is_news and receiver != first and not is_cut_off

    world.drops = drops
    run.submit()
    world.run_for(8_000)
    world.drops = None
    run._heal()
    world.run_for(8_000)
    return run


def test_a_lock_outlives_its_round() -> None:
    """What one node decided before it was cut off is what the others decide."""
    run = decide_at_one_node_only()
    assert run.world.checkers.violations == []
    assert min(run.world.heights()) > 0
    rounds = {node.disk.blocks[0].certificate.vote.round for node in run.world.nodes}
    assert 0 in rounds
    assert max(rounds) > 0, "the others decided it in a later round, by their locks"


def test_a_lock_that_is_not_carried_over_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgetting lock and valid block at a new round lets another block be decided."""
    enter = HeightState.enter

    def forget(self, number):
        enter(self, number)
        self.locked_round, self.locked_digest, self.valid = Round(-1), NO_DIGEST, None
        for state in self.rounds.values():
            if state.number < number:
                state.reviews = VoteSet(len(self.members))

    monkeypatch.setattr(HeightState, "enter", forget)
    assert "two blocks at height 1" in decide_at_one_node_only().world.checkers.violations


def test_votes_that_are_not_durable_are_found() -> None:
    """A restarted super node that forgot its votes votes twice."""

    def forget(run: Run) -> None:
        run.world.forgets_votes = True

    assert any("double" in text for text in find(change=forget))


def test_copies_that_are_kept_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vault that does not erase is noticed at once."""
    monkeypatch.setattr(CopyVault, "erase", lambda *_: 0)
    assert any("copy" in text or "invariant" in text for text in find())


def test_an_unchecked_epoch_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Votes of another epoch make certificates that hold for nobody."""

    def is_slot_ours(self, vote):
        return vote.alliance == self._context.alliance and vote.height == self.height.height

    monkeypatch.setattr(Hearing, "_is_slot_ours", is_slot_ours)
    assert any("does not hold" in text or "something else" in text for text in find(EpochShifter))


def test_catching_up_without_proof_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block is believed for its certificate, not for who serves it."""
    monkeypatch.setattr(
        CatchUp,
        "is_proven",
        lambda self, certified: certified.block.header.height == self._context.height,
    )
    monkeypatch.setattr(
        "hansa.consensus.inspection.validate_block",
        _rebuild_and_validate,
    )
    assert list(find(Forger))


def _rebuild_and_validate(state, block, parent, *, verified=frozenset()):
    """Execute without comparing the header: what a node that trusts its peers would do."""
    del parent, verified
    from hansa.chain.transition import execute

    header = block.header
    return execute(
        state,
        height=header.height,
        time_ms=header.time_ms,
        master=header.master,
        transactions=block.transactions,
        erasures=block.erasures,
    )
