"""`hansa.sim.traces`: what is recorded of a world, and how it is written down."""

import pytest

from hansa.sim import traces
from hansa.sim.remembered import remembered
from hansa.sim.run import Plan, Run
from hansa.sim.traces import HeightTrace, Recorder, TraceEvent
from hansa.types import NO_DIGEST, Digest, PublicKey

KEYS = tuple(PublicKey(bytes([number]) * 32) for number in range(4))
BLOCK = Digest(b"b" * 32)


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    """What one world with a liar did."""
    run = Run(1, Plan(byzantine=1, chaos_ms=1_500))
    found = traces.record(run.world)
    with remembered():
        assert run.run().violations == ()
    return found


def test_each_decided_height_has_its_quorum_of_locks(recorder: Recorder) -> None:
    """Whatever is decided was locked by two honest super nodes before: order and content are kept."""
    complete = recorder.complete(3, 4)
    assert complete
    for trace in complete:
        decided = [number for number, event in enumerate(trace.events) if event.do == "decide"]
        if not decided:
            continue
        value = trace.events[decided[0]].value
        before = trace.events[: decided[0]]
        locked = {event.node for event in before if event.do == "lock" and event.value == value}
        assert len(locked & set(trace.members)) >= 2
        assert all(trace.events[number].value == value for number in decided)


def test_rounds_are_entered_before_anything_is_done_in_them(recorder: Recorder) -> None:
    """A vote of a later round comes after the entry into it."""
    for trace in recorder.heights.values():
        reached: dict[PublicKey, int] = {}
        for event in trace.events:
            if event.do in {"enter", "start"}:
                mine = [number for who, _, number, _ in trace.promises if who == event.node]
                reached[event.node] = event.round if event.do == "enter" else max(mine, default=0)
            elif event.do in {"propose", "review", "lock", "reject"}:
                assert event.round <= reached.get(event.node, 0)


def test_copies_are_noted_with_the_review_that_took_them(recorder: Recorder) -> None:
    """The fixture's transactions have confidential parts: some review holds copies, and they go."""
    events = [event for trace in recorder.heights.values() for event in trace.events]
    assert any(event.do == "review" and event.is_held for event in events)
    held = [event for event in events if event.do == "copies"]
    assert any(event.rounds for event in held)
    assert recorder.faulty.isdisjoint(event.node for event in events)


def test_only_comparable_heights_are_complete(recorder: Recorder) -> None:
    """Heights of another mix of honest and lying super nodes are asked for apart."""
    for honest in (3, 4):
        for trace in recorder.complete(honest, 4):
            assert honest == len(set(trace.members) - recorder.faulty)
    assert recorder.complete(4, 7) == []
    trace = recorder.complete(3, 4)[0]
    trace.events.append(TraceEvent("enter", trace.members[0], traces.ROUNDS_MAX))
    assert trace not in recorder.complete(3, 4)
    trace.events.pop()


def test_names_stand_for_keys_and_digests() -> None:
    """Honest ones and liars are numbered apart; blocks by first sight; nil is nil."""
    events = [
        TraceEvent("propose", KEYS[0], 1, BLOCK, again=0),
        TraceEvent("review", KEYS[2], 1, NO_DIGEST, is_held=True),
        TraceEvent("review", KEYS[1], 1, BLOCK),
        TraceEvent("copies", KEYS[2], rounds=(1, 2)),
        TraceEvent("decide", PublicKey(b"x" * 32), value=BLOCK),
    ]
    trace = HeightTrace(5, members=KEYS, masters=KEYS, events=events)
    text = traces.write([trace], {KEYS[1]})
    assert 'masters |-> <<"node1", "liar1", "node2", "node3">>' in text
    assert 'TraceValues == {"block1"}' in text
    assert "TraceLastRound == 1" in text
    lines = [line.strip().rstrip(",") for line in text.splitlines() if "do |->" in line]
    assert [
        '[do |-> "propose", node |-> "node1", round |-> 1, value |-> "block1", '
        "rounds |-> {}, again |-> 0, held |-> FALSE]",
        '[do |-> "review", node |-> "node2", round |-> 1, value |-> "nil", '
        "rounds |-> {}, again |-> -2, held |-> TRUE]",
        '[do |-> "copies", node |-> "node2", round |-> 0, value |-> "nil", '
        "rounds |-> {1, 2}, again |-> -2, held |-> FALSE]>>]",
    ] == lines
