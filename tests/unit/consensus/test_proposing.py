"""The master's choice."""

import pytest

from hansa.consensus.rounds import HeightState


@pytest.fixture
def master(quiet):
    """The replica whose turn it is, with what it sends lost."""
    world = quiet.world
    world.drops = lambda *_: True
    return world.by_key[world.nodes[0].replica.master()].replica


def test_nothing_waits_nothing_is_proposed(master) -> None:
    """Unless a block is due."""
    height = HeightState(master._context.height, master._context.members)
    assert master._proposer.propose(height, is_due=False) is None
    propose = master._proposer.propose(height, is_due=True)
    assert () == propose.block.transactions


def test_one_proposal_for_each_round(quiet, master) -> None:
    """The promise is in the vote log before it is sent, and binds."""
    height = HeightState(master._context.height, master._context.members)
    first = master._proposer.propose(height, is_due=True)
    assert {0: first.proposal.digest} == height.own_proposals
    assert master._proposer.propose(height, is_due=True) is None


def test_only_the_confidential_travel_as_copies(quiet, master) -> None:
    """A public transaction is whole in the block."""
    for index, confidential in ((4, False), (5, True)):
        _, sealed = quiet.sealed(index, confidential=confidential)
        master._pool.admit(sealed, quiet.world.members[index].node)
    height = HeightState(master._context.height, master._context.members)
    propose = master._proposer.propose(height, is_due=False)
    assert (2, 1) == (len(propose.block.transactions), len(propose.copies))
    assert 2 == master.copies_held


def test_in_block_order_follows_arrival(quiet, master) -> None:
    """First come, first served; no more than a block holds."""
    digests = []
    limit = master._context.parameters.block_transactions_max
    for number in range(limit + 5):
        transaction, sealed = quiet.sealed(number % 6)
        master._pool.admit(sealed, quiet.world.members[number % 6].node)
        digests.append(transaction.digest())
    height = HeightState(master._context.height, master._context.members)
    propose = master._proposer.propose(height, is_due=False)
    assert digests[:limit] == [item.digest() for item in propose.block.transactions]
