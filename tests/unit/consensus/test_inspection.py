"""Judging a proposed block."""

import msgspec
import pytest

from hansa.consensus.events import Now
from hansa.consensus.rounds import Candidate, HeightState
from hansa.sim.members import START_MS


@pytest.fixture
def case(quiet):
    """A reviewer, and a proposal with one confidential transaction that it has not seen."""
    world = quiet.world
    kept = []
    world.drops = lambda _, __, data: bool(kept.append(data))
    master = world.by_key[world.nodes[0].replica.master()]
    index = world.nodes.index(master)
    quiet.submit(index, confidential=True)
    propose = master.replica._agreement.height.present.proposal
    reviewer = next(node for node in world.nodes[:4] if node is not master).replica
    height = HeightState(reviewer._context.height, reviewer._context.members)
    return reviewer, height, propose


def review(case, **changes):
    """Review the proposal with some parts of its block's header changed."""
    reviewer, height, propose = case
    header = msgspec.structs.replace(propose.block.header, **changes)
    block = msgspec.structs.replace(propose.block, header=header)
    return reviewer._inspector.review(height, Candidate(block, header.digest()), propose)


def test_a_sound_block_is_approved_and_its_copy_held(case) -> None:
    """One copy, in the vault, until the round ends."""
    assert ((), None) == review(case)
    assert 1 == case[0].copies_held


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"state_root": bytes(32)}, "invalid"),
        ({"total_transactions": 7}, "invalid"),
        ({"parent": bytes(32)}, "invalid"),
        ({"round": 1}, "wrong-origin"),
        ({"time_ms": START_MS + 3_600_000}, "time-ahead"),
    ],
)
def test_a_false_header_is_rejected(case, changes, code) -> None:
    """Nothing in a header is believed."""
    assert code == review(case, **changes)[1]
    assert 0 == case[0].copies_held


def test_the_clock_has_two_sides(case) -> None:
    """A block may be ahead of the own clock by so much and no more."""
    reviewer, _, propose = case
    allowed = reviewer._context.parameters.block_time_ahead_ms
    time_ms = propose.block.header.time_ms
    reviewer._context.now = Now(time_ms - allowed - 1, 0)
    assert "time-ahead" == review(case)[1]
    reviewer._context.now = Now(time_ms - allowed, 0)
    assert None is review(case)[1]


def test_a_copy_that_does_not_open_is_named(case) -> None:
    """The verdict says which transaction, and why."""
    reviewer, height, propose = case
    copy = msgspec.structs.replace(propose.copies[0], wraps=())
    poor = msgspec.structs.replace(propose, copies=(copy,))
    candidate = Candidate(propose.block, propose.proposal.digest)
    verdicts, code = reviewer._inspector.review(height, candidate, poor)
    assert "copies" == code
    assert [(copy.transaction, "reseal")] == [(item.transaction, item.code) for item in verdicts]


def test_a_full_vault_rejects_the_block(case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for its copies nothing can be reviewed; that names no transaction."""
    monkeypatch.setattr(case[0]._vault, "_bytes_max", 1)
    assert ((), "vault-full") == review(case)
    assert 0 == case[0].copies_held
