"""ERASED: signed, counted, taken up by a later block."""

import msgspec

from hansa.consensus import erasures as module
from hansa.consensus.erasures import REST_MS, Erasures
from hansa.types import Signature


def test_all_four_acknowledge_and_a_block_takes_it_up(quiet) -> None:
    """After some quiet a block without transactions carries the acknowledgements."""
    quiet.submit(5, confidential=True)
    quiet.world.run_for(2_000)
    state = quiet.world.nodes[0].replica.state
    entries = state.erasures(1)
    assert set(state.super_nodes()) == {entry.super_node for entry in entries}
    assert {("committed", 1)} == {(entry.outcome, entry.copies) for entry in entries}
    assert 0 == sum(node.replica.erasures_waiting for node in quiet.world.nodes)


def test_a_block_of_acknowledgements_needs_none(quiet) -> None:
    """Else the chain would never rest."""
    quiet.submit(5)
    quiet.world.run_for(10_000)
    assert {2} == set(quiet.world.heights())


def test_forged_and_foreign_ones_are_dropped(quiet) -> None:
    """Only a super node of that height may say so, and only once."""
    world = quiet.world
    learned = []
    replica = world.nodes[0].replica
    original = replica._erasures.learn
    replica._erasures.learn = lambda items: learned.extend(items) or original(items)
    quiet.submit(5)
    world.run_for(60)
    world.run_for(2_000)
    context = replica._context
    fresh = Erasures(context)
    genuine = learned[0]
    assert not fresh.learn((genuine,)), "it is on the chain already"
    assert not fresh.learn((msgspec.structs.replace(genuine, round=3),)), "not signed"
    assert not fresh.learn((msgspec.structs.replace(genuine, height=0),)), "no such height"
    assert () == fresh.select()


def test_what_no_block_took_up_is_dropped_in_time(quiet, monkeypatch) -> None:
    """An acknowledgement of a height far back is of no use any more."""
    quiet.submit(5, confidential=True)
    quiet.world.run_for(60)
    replica = next(node.replica for node in quiet.world.nodes[:4] if node.replica.erasures_waiting)
    waiting, block = replica._erasures, replica._last.block
    assert waiting.select()
    later = msgspec.structs.replace(
        block.header, height=block.header.height + module.HEIGHTS_BACK_MAX - 1
    )
    empty = msgspec.structs.replace(block, header=later, erasures=())
    waiting.advance(empty)
    assert waiting.select(), "one height before it is too old"
    later = msgspec.structs.replace(later, height=later.height + 1)
    waiting.advance(msgspec.structs.replace(empty, header=later))
    assert () == waiting.select()


def test_a_block_comes_before_its_acknowledgements(quiet) -> None:
    """They are signed a moment after the commit, when nobody waits any more; counted all the while."""
    world, replica = quiet.world, quiet.world.nodes[0].replica
    quiet.submit(0)
    assert world.run_for(1_000, until=lambda: replica.height == 1)
    waiting = replica._erasures
    assert ({}, 1, True) == (waiting._waiting, len(waiting), waiting.has_unsent)
    world.run_for(REST_MS + 1)
    assert (1, replica._context.node) in {(slot[0], slot[2]) for slot in waiting._waiting}
    assert waiting.has_unsent
    assert waiting.take_unsent()
    assert not waiting.has_unsent


def test_what_was_heard_is_checked_before_it_is_proposed(quiet) -> None:
    """Unchecked ones reach no block and are bounded; sound ones are there when they are needed."""
    quiet.submit(5, confidential=True)
    quiet.world.run_for(60)
    replica = next(node.replica for node in quiet.world.nodes[:4] if node.replica.erasures_waiting)
    genuine = replica._erasures.select()[0]
    forged = msgspec.structs.replace(genuine, signature=Signature(bytes(64)))
    fresh = Erasures(replica._context)
    fresh.hear((forged, genuine))
    assert 0 == len(fresh), "nothing is proposed for the sake of it"
    assert (genuine,) == fresh.select()
    for _ in range(module.UNHEARD_MAX + 1):
        fresh.hear((forged,))
        assert len(fresh._unheard) <= module.UNHEARD_MAX
    assert (genuine,) == fresh.select()


def test_there_is_nothing_to_sign_for_an_empty_block(quiet) -> None:
    """Neither at once nor later; and a second height in a row does not lose the first."""
    quiet.submit(5)
    quiet.world.run_for(60)
    replica = next(node.replica for node in quiet.world.nodes[:4] if node.replica.height == 1)
    fresh = Erasures(replica._context)
    past, block = replica._agreement.height, replica._last.block
    fresh.owe(past, msgspec.structs.replace(block, transactions=()), 0)
    assert (0, False) == (len(fresh), fresh.has_unsent)
    fresh.owe(past, block, 0)
    assert ({}, True) == (fresh._waiting, fresh.has_unsent)
    fresh.owe(past, block, 1)
    assert 1 == len(fresh._waiting)
    assert 2 == len(fresh.take_unsent())
