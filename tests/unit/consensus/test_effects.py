"""Effects are values, in an order that the driver keeps."""

import dataclasses

import pytest

from hansa.consensus.effects import CommitBlock, PersistVotes, Send, SettleTransaction


def test_effects_do_not_change() -> None:
    """What is to be done cannot be altered on the way."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        PersistVotes((b"a",)).records = ()  # type: ignore[misc]


def test_a_vote_is_durable_before_it_is_sent(quiet) -> None:
    """In every step with a vote PersistVotes stands before the sending of it."""
    world = quiet.world
    orders: list[list[type]] = []
    for node in world.nodes[:4]:
        step = node.replica.step

        def watched(event, now, step=step):
            effects = step(event, now)
            orders.append([type(effect) for effect in effects])
            return effects

        node.replica.step = watched
    quiet.submit(0)
    world.run_for(1_000)
    with_votes = [order for order in orders if PersistVotes in order and Send in order]
    assert with_votes
    assert all(
        order.index(PersistVotes) < len(order) - 1 - order[::-1].index(Send) for order in with_votes
    )
    settling = [order for order in orders if SettleTransaction in order]
    assert all(order.index(CommitBlock) < order.index(SettleTransaction) for order in settling)
