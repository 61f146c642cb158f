"""Tests of node.driver: effects in their order, and fail-stop."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import structlog

from hansa.chain.blocks import Certificate, Vote
from hansa.chain.sealed import SealedTransaction
from hansa.consensus import effects as do
from hansa.consensus import events as on
from hansa.consensus.messages import encode_blocks
from hansa.errors import DiskFullError, ForkError
from hansa.node import driver as module
from hansa.node.driver import Driver
from hansa.node.statuses import Statuses, status_of
from hansa.types import Digest, Height, PublicKey

PEER = PublicKey(b"p" * 32)


class Clock:
    """A clock that stands still."""

    def now_ms(self) -> int:
        """Return wall time."""
        return 1_000

    def monotonic_ms(self) -> int:
        """Return monotonic time."""
        return 5


@dataclass
class Script:
    """A replica that answers each event with given effects, and all that it leads to."""

    effects: list[tuple] = field(default_factory=list)
    seen: list[object] = field(default_factory=list)
    done: list[object] = field(default_factory=list)
    fails: str = ""
    state: object = field(default_factory=lambda: SimpleNamespace(height=9))
    """Stands past the expiry of what is submitted here: the register is asked."""
    outbox_size: int = 0

    def step(self, event: object, now: on.Now) -> tuple:
        """Note the event."""
        self.seen.append(event)
        return self.effects.pop(0) if self.effects else ()

    def note(self, what: str, *values: object) -> None:
        """Note an effect's execution; fail where told to."""
        if what == self.fails:
            raise DiskFullError("The disk is full.")
        self.done.append((what, *values))

    # the vote log, the ledger and the links, in one
    def append(self, *values: object) -> None:
        """Vote log or ledger."""
        self.note("append", *values)

    def reset(self, keep: object) -> None:
        """Vote log."""
        self.note("reset", keep)

    def send(self, to: PublicKey, data: bytes) -> bool:
        """Links."""
        self.note("send", to, data)
        return True

    def flush(self) -> None:
        """Links."""
        self.note("flush")

    def height(self) -> Height:
        """Ledger."""
        return Height(0)

    def block(self, height: Height) -> None:
        """Ledger."""


def make(script: Script) -> Driver:
    """Return a driver over a script."""
    return Driver(
        replica=script,
        ledger=script,
        vote_log=script,
        peers=script,
        statuses=Statuses(lambda digest: None),
        clock=Clock(),
        log=structlog.get_logger(),
        on_committed=lambda certified: script.note("committed", certified),
        on_recorded=lambda certified, state: script.note("recorded", certified, state),
        on_fault=lambda kind: script.note("fault", kind),
        on_lie=lambda evidence: script.note("lie", evidence),
    )


async def run_until(driver: Driver, script: Script, count: int) -> None:
    """Run until so many events were seen."""
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(driver.run())
        while len(script.seen) < count:
            await asyncio.sleep(0)
        task.cancel()


async def test_effects_run_in_their_order() -> None:
    """Persist, then send; a block is durable before anybody is told."""
    script = Script(
        effects=[
            (
                do.PersistVotes((b"vote",)),
                do.Send(PEER, b"vote"),
                do.CommitBlock("block", (), "state"),
                do.Send(PEER, b"block"),
                do.ResetVotes(()),
                do.SettleTransaction(Digest(b"t" * 32), "committed", "", Height(4)),
                do.ReportFault("malformed", PEER, "odd"),
                do.Accuse("proof"),
            )
        ]
    )
    driver = make(script)
    await run_until(driver, script, 1)
    assert [on.Started(), on.Stopped()] == script.seen, "the vault is erased at the end"
    assert [
        ("append", (b"vote",)),
        ("send", PEER, b"vote"),
        ("flush",),
        ("append", "block", ()),
        ("committed", "block"),
        ("send", PEER, b"block"),
        ("reset", ()),
        ("fault", "malformed"),
        ("lie", "proof"),
        ("flush",),
        ("recorded", "block", "state"),
    ] == script.done
    assert driver._statuses.get(Digest(b"t" * 32)).height == 4


async def test_what_others_wait_for_leaves_first() -> None:
    """A promise is on its way before the next event is looked at; what nobody waits for is not hurried."""
    script = Script(
        effects=[
            (do.PersistVotes((b"vote",)), do.Send(PEER, b"vote")),
            (do.Send(PEER, b"status"),),
            (do.ReportFault("malformed", PEER, "odd"),),
        ]
    )
    driver = make(script)
    driver.received(PEER, b"one")
    driver.received(PEER, b"two")
    await run_until(driver, script, 3)
    assert [
        ("append", (b"vote",)),
        ("send", PEER, b"vote"),
        ("flush",),
        ("send", PEER, b"status"),
        ("fault", "malformed"),
        ("flush",),
    ] == script.done


async def test_books_are_kept_after_the_block() -> None:
    """Who keeps books hears of each durable block, in order, though nothing else happens."""
    script = Script(
        effects=[
            (do.CommitBlock("one", (), "state 1"), do.CommitBlock("two", (), "state 2")),
        ]
    )
    driver = make(script)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(driver.run())
        while ("append", "two", ()) not in script.done:
            await asyncio.sleep(0)
        assert not [item for item in script.done if item[0] == "recorded"]
        while ("recorded", "two", "state 2") not in script.done:
            await asyncio.sleep(0)
        task.cancel()
    told = [item for item in script.done if item[0] == "recorded"]
    assert [("recorded", "one", "state 1"), ("recorded", "two", "state 2")] == told


async def test_a_node_ends_if_its_books_cannot_be_kept() -> None:
    """Fail-stop holds there too."""
    script = Script(effects=[(do.CommitBlock("block", (), "state"),)], fails="recorded")
    driver = make(script)
    with pytest.raises(DiskFullError):
        async with asyncio.timeout(5):
            await driver.run()


async def test_fail_stop() -> None:
    """After a failed write nothing more is sent: the driver ends with the error."""
    script = Script(effects=[(do.PersistVotes((b"vote",)), do.Send(PEER, b"vote"))], fails="append")
    with pytest.raises(DiskFullError):
        await make(script).run()
    assert script.done == []


async def test_a_fork_stops_the_node() -> None:
    """What proves the lie is kept before; nothing is done after."""
    vote = Vote(bytes(32), 0, 4, 0, "confirm", bytes(32))
    other = SimpleNamespace(
        block=SimpleNamespace(header=SimpleNamespace(height=4)), certificate=Certificate(vote, ())
    )
    script = Script(effects=[(do.Accuse("proof"), do.Halt(other), do.Send(PEER, b"vote"))])
    with pytest.raises(ForkError, match="height 4"):
        await make(script).run()
    assert [("lie", "proof")] == script.done


async def test_timers() -> None:
    """A timer fires once as an event; a new one of its name replaces it; a cancelled one is silent."""
    script = Script(
        effects=[
            (
                do.SetTimer("late", 10_000_000),
                do.SetTimer("late", 5),
                do.SetTimer("gone", 5),
                do.CancelTimer("gone"),
                do.CancelTimer("never"),
            )
        ]
    )
    await run_until(make(script), script, 2)
    assert [on.TimerFired("late"), on.Stopped()] == script.seen[1:]


async def test_timers_set_for_later_fire_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, when the last setting says, however often they were set and cancelled before."""
    now_ms = 5
    driver = make(Script())
    monkeypatch.setattr(driver._clock, "monotonic_ms", lambda: now_ms)
    events: list[str] = []
    monkeypatch.setattr(driver, "post", lambda event: events.append(event.name))
    looks: list[tuple[float, str]] = []

    class Loop:
        """A loop that only notes when it is to look."""

        def call_later(self, delay_s: float, _fire: object, name: str) -> SimpleNamespace:
            """Note it."""
            looks.append((delay_s, name))
            return SimpleNamespace(cancel=lambda: looks.remove((delay_s, name)))

    monkeypatch.setattr(module.asyncio, "get_running_loop", Loop)
    for at_ms in (105, 305, 205):
        driver._execute(do.CancelTimer("propose"))
        driver._execute(do.SetTimer("propose", at_ms))
    assert [(0.1, "propose")] == looks, "the loop is told once"
    now_ms = 105
    driver._fire(looks.pop()[1])
    assert ([], [(0.1, "propose")]) == (events, looks), "it was set for later meanwhile"
    driver._execute(do.SetTimer("propose", 155))
    assert [(0.05, "propose")] == looks, "and now for sooner"
    now_ms = 155
    driver._fire(looks.pop()[1])
    assert (["propose"], []) == (events, looks)
    driver._execute(do.SetTimer("propose", 255))
    driver._execute(do.CancelTimer("propose"))
    now_ms = 255
    driver._fire(looks.pop()[1])
    assert (["propose"], []) == (events, looks), "cancelled"


async def test_events_of_links_and_users() -> None:
    """What links and users bring reaches the replica in its order."""
    script = Script()
    driver = make(script)
    driver.connected(PEER)
    driver.received(PEER, b"hello")
    driver.lost(PEER)
    await run_until(driver, script, 4)
    assert [
        on.PeerConnected(PEER),
        on.MessageReceived(PEER, b"hello"),
        on.PeerLost(PEER),
    ] == script.seen[:3]


async def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers' messages beyond the bound are dropped and counted; own events are not."""
    monkeypatch.setattr(module, "EVENTS_MAX", 2)
    driver = make(Script())
    for _ in range(5):
        driver.received(PEER, b"flood")
    driver.post(on.TimerFired("status"))
    assert (3, 3) == (driver.dropped, len(driver._events))


async def test_serves_blocks_within_bounds() -> None:
    """An asker gets an answer even if there is nothing to give."""
    script = Script(effects=[(do.ServeBlocks(PEER, Height(1), 1_000_000),)])
    await run_until(make(script), script, 1)
    sent, (flushed,) = script.done
    assert "flush" == flushed
    assert ("send", PEER) == sent[:2]


async def test_what_a_block_holds_is_not_submitted() -> None:
    """A transaction that a block refused meanwhile is told as refused, and not given to the agreement."""
    sealed = SealedTransaction(2, Digest(bytes(32)), Digest(b"t" * 32), PEER, Height(9), b"", ())
    script = Script()
    driver = make(script)
    refused = status_of(sealed.transaction, "refused", "not-owner", Height(3))
    driver._statuses = Statuses(lambda digest: refused if digest == sealed.transaction else None)
    driver.submit(sealed)
    await run_until(driver, script, 1)
    assert on.Submitted(sealed) not in script.seen
    assert driver._statuses.get(sealed.transaction) == refused


async def test_pruned_blocks_are_answered_with_nothing() -> None:
    """An answer that began later than asked would be of no use: an empty one sends the asker elsewhere."""
    script = Script(effects=[(do.ServeBlocks(PEER, Height(1), 3),)])
    driver = make(script)
    pruned = {2: SimpleNamespace(block=SimpleNamespace(header=SimpleNamespace(height=2)))}
    driver._ledger = SimpleNamespace(height=lambda: Height(2), block=pruned.get)
    await run_until(driver, script, 1)
    assert ("send", PEER, encode_blocks(())) in script.done
