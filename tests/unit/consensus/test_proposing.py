"""The master's choice."""

import msgspec
import pytest

from hansa.chain.blocks import Certificate, Vote
from hansa.chain.findings import Refusal
from hansa.chain.sealed import ConfidentialPart
from hansa.codec import encode
from hansa.consensus import proposing as module
from hansa.consensus.effects import Send
from hansa.consensus.events import Now
from hansa.consensus.messages import decode_message
from hansa.consensus.rounds import HeightState
from hansa.sim.members import MARKER, START_MS


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


def test_two_that_contradict_go_into_one_block(quiet, master) -> None:
    """Each is good by itself: the block says which came second, and why."""
    client, node = quiet.world.clients[5], quiet.world.nodes[5]
    operation = client.add_user()
    for _ in range(2):
        transaction = client.sign(operation, height=0, time_ms=START_MS)
        sealed = client.seal(transaction, node.replica.sealing_notices())
        assert "" == master._pool.admit(sealed, node.key)
    height = HeightState(master._context.height, master._context.members)
    propose = master._proposer.propose(height, is_due=False)
    assert [True, False] == [result.accepted for result in propose.block.results]


def test_what_the_state_refuses_meanwhile_is_not_proposed(quiet, master) -> None:
    """It was good when it came; now it gets a signed refusal, and its copy is erased."""
    _, sealed = quiet.sealed(5, confidential=True)
    assert "" == master._pool.admit(sealed, quiet.world.members[5].node)
    age = master._context.parameters.transaction_age_ms_max
    master._context.now = Now(START_MS + age + 10_000, 0)
    height = HeightState(master._context.height, master._context.members)
    assert master._proposer.propose(height, is_due=False) is None
    sent = [item for item in master._context.take_effects() if isinstance(item, Send)]
    refusals = [decode_message(item.data) for item in sent]
    assert ["time-window"] == [item.code for item in refusals if isinstance(item, Refusal)]
    assert (0, 0) == (len(master._pool), master.copies_held)


def test_a_block_with_a_certificate_is_proposed_again(quiet, master) -> None:
    """Whatever waits now: what a quorum approved comes first, without copies."""
    height = HeightState(master._context.height, master._context.members)
    first = master._proposer.propose(height, is_due=True)
    named = first.proposal.digest
    vote = Vote(master._context.alliance, master._context.epoch, 1, 0, "review", named)
    height.valid = Certificate(vote, ())
    height.enter(1)
    _, sealed = quiet.sealed(5)
    master._pool.admit(sealed, quiet.world.members[5].node)
    again = master._proposer.propose(height, is_due=False)
    assert (1, 0, named) == (
        again.proposal.round,
        again.proposal.valid_round,
        again.proposal.digest,
    )
    assert (height.valid, (), ()) == (again.certificate, again.copies, again.block.transactions)


def test_what_cannot_be_opened_any_more_is_refused(quiet, master) -> None:
    """The master lost its sealing key meanwhile: its client reseals, the others go on."""
    _, lost = quiet.sealed(5, confidential=True)
    _, public = quiet.sealed(4)
    for sealed, index in ((lost, 5), (public, 4)):
        assert "" == master._pool.admit(sealed, quiet.world.members[index].node)
    master._keys.forget()
    height = HeightState(master._context.height, master._context.members)
    propose = master._proposer.propose(height, is_due=False)
    assert [public.transaction] == [item.digest() for item in propose.block.transactions]
    sent = [item for item in master._context.take_effects() if isinstance(item, Send)]
    refusals = [decode_message(item.data) for item in sent]
    assert [(lost.transaction, "reseal")] == [
        (item.transaction, item.code) for item in refusals if isinstance(item, Refusal)
    ]


def test_a_full_vault_ends_the_choice(quiet, master, monkeypatch) -> None:
    """What has no room waits in the pool for the next block; nobody is refused."""
    for _ in range(2):
        _, sealed = quiet.sealed(5, confidential=True)
        master._pool.admit(sealed, quiet.world.members[5].node)
    one = len(encode(ConfidentialPart(bytes(32), MARKER, "")))
    monkeypatch.setattr(master._vault, "_bytes_max", 2 * one - 1)
    height = HeightState(master._context.height, master._context.members)
    propose = master._proposer.propose(height, is_due=False)
    assert (1, 1, 2) == (
        len(propose.block.transactions),
        master.copies_held,
        len(master._pool),
    )


def test_a_choice_that_never_settles_is_given_up(quiet, master, monkeypatch) -> None:
    """Building is tried a bounded number of times; then no copy stays behind."""
    _, sealed = quiet.sealed(5, confidential=True)
    master._pool.admit(sealed, quiet.world.members[5].node)
    monkeypatch.setattr(module, "BUILD_ATTEMPTS", 0)
    height = HeightState(master._context.height, master._context.members)
    assert master._proposer.propose(height, is_due=False) is None
    assert (0, {}) == (master.copies_held, height.own_proposals)


def test_what_had_no_room_in_the_block_waits(quiet, master) -> None:
    """It is sound: nobody is refused, its copy goes, and it stays in the pool."""
    _, sealed = quiet.sealed(5, confidential=True)
    master._pool.admit(sealed, quiet.world.members[5].node)
    height = HeightState(master._context.height, master._context.members)
    block = master._proposer.propose(height, is_due=False).block
    (waiting,) = master._pool.select()
    master._context.take_effects()
    empty = msgspec.structs.replace(block, transactions=(), results=())
    assert [] == master._proposer._sift(height, [waiting], empty)
    assert (0, 1, ()) == (master.copies_held, len(master._pool), master._context.take_effects())
