"""The shared surroundings of a step."""

from hansa.consensus.effects import CancelTimer, PersistVotes, Send, SetTimer
from hansa.consensus.events import Now
from hansa.consensus.messages import GetBlocks
from hansa.consensus.records import ProposalRecord
from hansa.types import Digest, Height, Millis, Round


def test_promises_of_one_step_share_a_sync(context) -> None:
    """Two records in a row are one write; one after a send is another."""
    record = ProposalRecord(Height(1), Round(0), Digest(b"d" * 32))
    context.persist(record)
    context.persist(record)
    context.send(context.super_peers()[0], GetBlocks(Height(1), 1))
    context.persist(record)
    effects = context.take_effects()
    assert [PersistVotes, Send, PersistVotes] == [type(item) for item in effects]
    assert 2 == len(effects[0].records)
    assert () == context.take_effects()


def test_only_the_connected_are_sent_to(context) -> None:
    """Nothing is encoded for nobody."""
    context.connected.clear()
    context.send(context.super_peers()[0], GetBlocks(Height(1), 1))
    context.broadcast(context.super_peers(), GetBlocks(Height(1), 1))
    assert () == context.take_effects()


def test_a_stale_timer_is_ignored(context) -> None:
    """One that was set anew, cancelled or has fired already."""
    context.set_timer("propose", 10)
    assert not context.take_timer("propose"), "too early"
    context.now = Now(Millis(0), 10)
    assert context.take_timer("propose")
    assert not context.take_timer("propose"), "spent"
    context.set_timer("propose", 10)
    context.cancel_timer("propose")
    context.cancel_timer("propose")
    kinds = [type(item) for item in context.take_effects()]
    assert [SetTimer, SetTimer, SetTimer, CancelTimer] == kinds, "an early one is set again"


def test_sets_and_numbers_come_from_the_state(context) -> None:
    """Four super nodes: a quorum of three, one fault."""
    assert (4, 3, 1) == (len(context.members), context.quorum, context.faults)
    assert 3 == len(context.super_peers())
