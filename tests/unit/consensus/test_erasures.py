"""ERASED: signed, counted, taken up by a later block."""

import msgspec

from hansa.consensus.erasures import Erasures


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
    from hansa.consensus import erasures as module

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
