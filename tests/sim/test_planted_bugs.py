"""The simulator is itself tested: each protocol bug planted here must be found.

One function for each bug: it breaks the shipped code in memory, and says where the simulator must notice
it: in seeds with or without a liar, in a script of twins, in a cut of a deletion.
"""

from collections.abc import Callable, Iterator

import pytest

from hansa.chain import blocks
from hansa.consensus import hearing, inspection, quorum, replica
from hansa.consensus.agreement import Agreement
from hansa.consensus.catchup import CatchUp
from hansa.consensus.copies import CopyVault
from hansa.consensus.faults import FaultLog
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
from hansa.consensus.proposing import Proposer
from hansa.consensus.quorum import VoteSet
from hansa.consensus.rounds import HeightState
from hansa.consensus.schedule import Schedule
from hansa.errors import CorruptError
from hansa.sim import deletions, lying_links, lying_proposals, lying_votes, twins
from hansa.sim.behaviour import Behaviour
from hansa.sim.remembered import remembered
from hansa.sim.run import Plan, Run
from hansa.types import NO_DIGEST, Height, Round

SEEDS = range(60)
PLAN = Plan(chaos_ms=3_000)


@pytest.fixture(autouse=True)
def answers() -> Iterator[None]:
    """Identical bytes are verified once."""
    with remembered():
        yield


def find(
    behaviour: Callable[[], Behaviour] | None = None,
    change: Callable[[Run], None] | None = None,
    words: tuple[str, ...] = ("",),
) -> Iterator[str]:
    """Yield what is found, seed by seed, until something with one of the words is."""
    for seed in SEEDS:
        plan = PLAN if behaviour is None else Plan(byzantine=1, chaos_ms=3_000)
        run = Run(seed, plan, behaviour=behaviour)
        if change is not None:
            change(run)
        try:
            violations = run.run().violations
        except AssertionError as broken:
            violations = (f"an invariant broke: {broken}",)
        except CorruptError:
            # The start after a crash noticed it first; the worse must be noticed too.
            continue
        if any(word in text for text in violations for word in words):
            yield from violations
            return


def find_in_twins(rounds: int = 2, scripts: int = 400) -> Iterator[str]:
    """Yield what scripts of twins find, until something is."""
    for script in twins.some_scripts(scripts, rounds, 1):
        try:
            violations = twins.play(script).violations
        except AssertionError as broken:
            violations = (f"an invariant broke: {broken}",)
        if violations:
            yield from violations
            return


def find_in_deletions() -> Iterator[str]:
    """Yield what cuts of deletions find, until something is."""
    cases = [
        deletions.Case(height, step, cut)
        for height in deletions.HEIGHTS
        for step in range(0, 120, 9)
        for cut in deletions.CUTS
    ]
    for case in cases:
        try:
            violations = deletions.play(case).violations
        except AssertionError as broken:
            violations = (f"an invariant broke: {broken}",)
        if violations:
            yield from violations
            return


# --- votes and certificates ------------------------------------------------------------------------


def test_one_vote_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's single vote: confirming at once, without a quorum of reviews and a lock, forks."""
    review = Agreement._cast_review

    def review_and_confirm(self, named, verdicts, code):
        review(self, named, verdicts, code)
        if (self.height.round, "confirm") not in self.height.own:
            self._cast_confirm(named)

    monkeypatch.setattr(Agreement, "_cast_review", review_and_confirm)
    assert any("two blocks" in text for text in find(lying_proposals.Equivocator))


def test_quorum_less_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the votes are no quorum."""
    monkeypatch.setattr(quorum, "quorum_of", lambda count: blocks.quorum_of(count) - 1)
    found = list(find(lying_votes.DoubleVoter))
    assert any("does not hold" in text or "two blocks" in text for text in found)


def test_certificates_of_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the votes are no quorum in a certificate either: twins fork."""
    for module in (quorum, blocks):
        monkeypatch.setattr(module, "quorum_of", lambda count: 2 * count // 3)
    assert any("two blocks" in text for text in find_in_twins())


def test_votes_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vote that comes again, or from a twin, counts again."""
    add, certificate = VoteSet.add, VoteSet.certificate

    def add_again(self, signed):
        outcome = add(self, signed)
        if outcome == "duplicate":
            self._counts[signed.vote.digest] += 1
            return "added"
        return outcome

    def pad(self, named):
        found = [item for item in self.votes() if item.vote.digest == named]
        if len(found) == blocks.quorum_of(self.super_nodes):
            return certificate(self, named)
        parts = tuple(blocks.CertificateSignature(item.voter, item.signature) for item in found)
        return blocks.Certificate(found[0].vote, (*parts, parts[0]))

    monkeypatch.setattr(VoteSet, "add", add_again)
    monkeypatch.setattr(VoteSet, "certificate", pad)
    # What is known already is not looked at again; the bug is that it is.
    monkeypatch.setattr(
        Hearing,
        "_is_vote_wanted",
        lambda self, signed: (
            self._is_slot_ours(signed.vote)
            and signed.voter in self._context.member_set
            and self.height.is_round_near(signed.vote.round)
        ),
    )
    found = list(find(lying_votes.VoteMultiplier))
    assert any("two blocks" in text or "does not hold" in text for text in found)


def test_forged_signers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vote counts for whoever it names, whoever signed it."""
    monkeypatch.setattr(hearing, "is_vote_signed", lambda signed: True)
    assert any("does not hold" in text for text in find(lying_votes.SignerForger))


def test_an_unchecked_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Votes of another epoch make certificates that hold for nobody."""

    def is_slot_ours(self, vote):
        return vote.alliance == self._context.alliance and vote.height == self.height.height

    monkeypatch.setattr(Hearing, "_is_slot_ours", is_slot_ours)
    found = list(find(lying_votes.EpochShifter))
    assert any("does not hold" in text or "something else" in text for text in found)


def test_a_future_round_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    """One node's word is enough to follow it to any round: a liar drives all before it."""
    monkeypatch.setattr(
        HeightState, "jump_target", lambda self, faults: max(self.latest.values(), default=-1)
    )
    found = list(find(lying_votes.FarRounds))
    assert any("took until round" in text or "no progress" in text for text in found)


# --- locks and proposals ---------------------------------------------------------------------------


def decide_at_one_node_only() -> Run:
    """Let one super node alone decide, then cut it off; who did not lock leads the next round."""
    run = Run(11, Plan(chaos_ms=0))
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
    run.load.submit()
    world.run_for(8_000)
    world.drops = None
    run.chaos.heal()
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


def forget_locks(self, number, enter=HeightState.enter):
    """Enter a round without lock and valid block."""
    enter(self, number)
    self.locked_round, self.locked_digest, self.valid = Round(-1), NO_DIGEST, None
    for state in self.rounds.values():
        if state.number < number:
            state.reviews = VoteSet(len(self.members))


def test_a_lock_that_is_not_carried_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgetting lock and valid block at a new round lets another block be decided."""
    monkeypatch.setattr(HeightState, "enter", forget_locks)
    assert "two blocks at height 1" in decide_at_one_node_only().world.checkers.violations


def test_a_proposal_again_without_its_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A master that proposes its locked block as a new one is stuck with whoever locked."""
    propose = Proposer.propose

    def forget(self, height, *, is_due):
        kept, height.valid = height.valid, None
        try:
            return propose(self, height, is_due=is_due)
        finally:
            height.valid = kept

    monkeypatch.setattr(Proposer, "propose", forget)
    found = [*find_in_deletions(), *find()]
    assert any("no progress" in text or "took until" in text for text in found)


def test_a_stale_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate of anything releases every lock: blocks pass unreviewed."""
    monkeypatch.setattr(
        Hearing,
        "_find_certificate_problem",
        lambda self, propose: "",
    )
    monkeypatch.setattr(Hearing, "_count_certificate", lambda self, certificate: None)
    execute = inspection.Inspector.execute

    def trusting(self, candidate):
        return execute(self, candidate)

    monkeypatch.setattr(inspection.Inspector, "execute", trusting)
    found = list(find(lying_proposals.StaleProof))
    assert found


def test_a_master_out_of_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever proposes is believed: two honest proposals for one round look like a lie."""
    find_problem = Hearing._find_problem

    def lenient(self, propose):
        problem = find_problem(self, propose)
        return "" if problem == "a proposal by a node whose turn it is not" else problem

    monkeypatch.setattr(Hearing, "_find_problem", lenient)
    assert list(find(lying_proposals.Usurper))


def test_another_body_under_a_true_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bug this simulator found: bodies are not signed, and were not compared."""
    monkeypatch.setattr(hearing, "has_matching_body", lambda block: True)
    found = list(find(lying_links.BodySwapper))
    assert any("accuse" in text or "no progress" in text for text in found), found


def test_an_invalid_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block is approved without looking at its transactions' signatures."""
    monkeypatch.setattr(
        "hansa.chain.validation.is_author_signature",
        lambda transaction: True,
    )
    found = list(find(lying_proposals.InvalidBatch, change=judge_signatures))
    assert any("not valid" in text for text in found)


def judge_signatures(run: Run) -> None:
    """Let the checkers see what the nodes do not."""
    follow = run.world.checkers._follow

    def strict(certified):
        for item in certified.block.transactions:
            if not blocks_signed(item):
                run.world.checkers.violate("the block is not valid: a signature")
        follow(certified)

    run.world.checkers._follow = strict


def blocks_signed(transaction) -> bool:
    """Check a transaction's signature by the shipped rule."""
    from hansa.chain.transactions import is_author_signature

    return is_author_signature(transaction)


# --- disks -----------------------------------------------------------------------------------------


def test_votes_that_are_not_durable() -> None:
    """A restarted super node that forgot its votes votes twice."""

    def forget(run: Run) -> None:
        for node in run.world.nodes:
            node.disk.is_forgetful = True

    assert any("double" in text for text in find(change=forget))


def test_a_vote_sent_before_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of effects is the safety."""
    take = replica.Context.take_effects

    def writes_last(self):
        effects = take(self)
        return tuple(sorted(effects, key=lambda effect: type(effect).__name__ == "PersistVotes"))

    monkeypatch.setattr(replica.Context, "take_effects", writes_last)
    assert any("not in the vote log" in text for text in find())


# --- copies ----------------------------------------------------------------------------------------


def test_copies_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vault that does not erase is noticed at once."""
    monkeypatch.setattr(CopyVault, "erase", lambda *_: 0)
    assert any("copy" in text or "invariant" in text for text in find())


def test_copies_that_are_dropped_and_not_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letting go of a buffer is not erasing it."""
    monkeypatch.setattr("hansa.consensus.copies.erase", lambda buffer: None)
    assert any("not overwritten" in text for text in find())


def test_deletion_without_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order to erase is followed on anybody's word: a liar ends rounds that would succeed."""
    monkeypatch.setattr(hearing, "is_certificate_valid", lambda *_: True)
    found = list(find(lying_links.EarlyEraser))
    assert found


def test_deletion_at_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropping body and lock with the copies when a round fails forks, or is noticed before it does."""

    def drop(self, number, enter=HeightState.enter):
        enter(self, number)
        self.candidates.clear()
        self.valid = None

    monkeypatch.setattr(HeightState, "enter", drop)
    found = [*find_in_deletions(), *find()]
    assert any("a lock of height" in text or "two blocks" in text for text in found)


def test_an_erasure_acknowledged_before_erasing(monkeypatch: pytest.MonkeyPatch) -> None:
    """ERASED goes out with the review of the same round."""
    cast = Agreement._cast_review

    def boast(self, named, verdicts, code):
        height = self.height
        held = self._vault.held(height.height, height.round)
        if held:
            self._erasures._sign(height.height, height.round, "committed", named, held)
        cast(self, named, verdicts, code)

    monkeypatch.setattr(Agreement, "_cast_review", boast)
    assert any("acknowledged while" in text for text in find())


# --- catching up and accusing ----------------------------------------------------------------------


def test_catching_up_without_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block is believed for its certificate, not for who serves it."""
    monkeypatch.setattr(
        CatchUp,
        "is_proven",
        lambda self, certified: certified.block.header.height == self._context.height,
    )
    monkeypatch.setattr(inspection, "validate_block", rebuild_and_validate)
    assert list(find(lying_links.Forger))


def rebuild_and_validate(state, block, parent, *, verified=frozenset()):
    """Execute without comparing the header: what a node that trusts its peers would do."""
    del verified
    from hansa.chain.transition import execute
    from hansa.chain.validation import convict_at, parent_digest

    header = block.header
    return execute(
        state,
        height=header.height,
        time_ms=header.time_ms,
        parent=parent_digest(state, parent),
        transactions=block.transactions,
        erasures=block.erasures,
        convict=convict_at(0),
    )


def test_voting_while_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node whose disk was put back votes at once: the seeds that roll one back stay sound with one."""
    monkeypatch.setattr(CatchUp, "is_synced", lambda self: True)
    assert list(find(change=roll_all_back, words=("double", "two blocks")))


def roll_all_back(run: Run) -> None:
    """Make every node start from an empty vote log: more than the agreement promises to live through."""
    crash = run.world.crash

    def crash_and_forget(node):
        crash(node)
        node.disk.reset_votes(())

    run.world.crash = crash_and_forget


def test_accusing_on_a_differing_review(monkeypatch: pytest.MonkeyPatch) -> None:
    """Honest nodes differ when messages are lost; that proves nothing."""
    report = FaultLog.report

    def rash(self, kind, who, detail):
        report(self, "equivocation" if kind == "differing-review" else kind, who, detail)

    monkeypatch.setattr(FaultLog, "report", rash)
    assert any("honest node was accused" in text for text in find())
