"""The face of the core: nothing a peer sends raises; views tell the truth."""

import random

import msgspec
import pytest

from hansa.chain.blocks import Certificate, CertificateSignature, CertifiedBlock, sign_vote
from hansa.codec import encode
from hansa.consensus import replica as module
from hansa.consensus.effects import CommitBlock, ReportFault, SettleTransaction
from hansa.consensus.events import (
    MessageReceived,
    Now,
    PeerLost,
    Started,
    Stopped,
    Submitted,
    TimerFired,
)
from hansa.consensus.messages import (
    BlockDecided,
    Blocks,
    Confirm,
    Erase,
    GetBlocks,
    Propose,
    Submit,
    VotesAgain,
    decode_message,
)
from hansa.sim.members import START_MS
from hansa.types import Height


def now(quiet) -> Now:
    """The world's time."""
    return Now(START_MS + quiet.world.now_ms, quiet.world.now_ms)


@pytest.mark.parametrize("seed", range(20))
def test_garbage_never_raises(quiet, seed: int) -> None:
    """Random bytes, and true messages with random damage, become reported faults at most."""
    chance = random.Random(seed)
    replica, sender = quiet.world.nodes[0].replica, quiet.world.nodes[1].key
    quiet.submit(5)
    quiet.world.run_for(1_000)
    true = [
        encode(message)
        for message in (
            BlockDecided(quiet.world.nodes[0].disk.blocks[0]),
            Blocks((quiet.world.nodes[0].disk.blocks[0],)),
            Erase(quiet.world.nodes[0].disk.blocks[0].certificate),
            Submit(sender, 0, (quiet.sealed(5)[1],)),
            GetBlocks(Height(1), 3),
            VotesAgain(()),
        )
    ]
    for _ in range(30):
        data = bytearray(chance.choice(true) if chance.random() < 0.8 else chance.randbytes(80))
        for _ in range(chance.randint(0, 3)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        effects = replica.step(MessageReceived(sender, bytes(data)), now(quiet))
        assert all(item.who == sender for item in effects if isinstance(item, ReportFault))
    assert [] == quiet.world.checkers.violations


def test_strangers_are_not_heard(quiet) -> None:
    """A key of no member gets no answer."""
    replica = quiet.world.nodes[0].replica
    effects = replica.step(MessageReceived(bytes(32), encode(GetBlocks(Height(1), 1))), now(quiet))
    assert () == effects


def test_odd_events_do_nothing(quiet) -> None:
    """A timer nobody set, a peer nobody had."""
    replica = quiet.world.nodes[0].replica
    assert () == replica.step(TimerFired("propose"), now(quiet))
    assert () == replica.step(PeerLost(bytes(32)), now(quiet))
    assert replica.step(Started(), now(quiet))


def test_an_expired_submission_is_settled_at_once(quiet) -> None:
    """The submitter need not wait for what cannot come."""
    node = quiet.world.nodes[5]
    _, sealed = quiet.sealed(5)
    node.replica._context.height = sealed.expires + 1
    effects = node.replica.step(Submitted(sealed), now(quiet))
    settled = [item for item in effects if isinstance(item, SettleTransaction)]
    assert ["expired"] == [item.status for item in settled]


def test_a_committed_submission_is_settled_again(quiet) -> None:
    """A client that lost the answer asks once more."""
    node = quiet.world.nodes[5]
    _, sealed = quiet.sealed(5)
    quiet.world.submit(5, Submitted(sealed))
    quiet.world.run_for(1_000)
    effects = node.replica.step(Submitted(sealed), now(quiet))
    settled = [item for item in effects if isinstance(item, SettleTransaction)]
    assert [("committed", 1)] == [(item.status, item.height) for item in settled]


def test_a_refused_one_is_told_why(quiet) -> None:
    """Step 2: the master's signed refusal reaches the submitter; no block is spent."""
    world = quiet.world
    client, node = world.clients[5], world.nodes[5]
    body_time = START_MS - 10_000_000
    transaction = client.sign(client.add_user(), height=0, time_ms=body_time)
    sealed = client.seal(transaction, node.replica.sealing_notices())
    world.submit(5, Submitted(sealed))
    world.run_for(2_000)
    effect = world.settled[transaction.digest()]
    assert ("refused", "time-window", 0) == (effect.status, effect.code, effect.height)
    assert {0} == set(world.heights())


def test_views_tell_where_it_stands(quiet) -> None:
    """What the node shows to people."""
    replica = quiet.world.nodes[0].replica
    progress = replica.progress()
    assert (1, 0, True) == (progress.height, progress.round, progress.is_synced)
    assert (0, 0, True) == (replica.height, replica.round, replica.is_super_node)
    assert (0, 0, 0) == (replica.pool_size, replica.copies_held, replica.erasures_waiting)
    assert replica.master() in replica.state.super_nodes()
    assert replica.tip is None


def test_shutdown_erases_the_vault(quiet) -> None:
    """Copies and sealing keys go with the node."""
    replica = quiet.world.nodes[0].replica
    replica._vault.hold(1, 0, bytes(32), b"secret")
    replica.step(Stopped(), now(quiet))
    assert 0 == replica.copies_held


def test_a_false_block_from_a_peer_is_not_committed(quiet) -> None:
    """Without a quorum's proof it is a fault; with one that is against the state, too."""
    world = quiet.world
    quiet.submit(5)
    world.run_for(1_000)
    certified = world.nodes[0].disk.blocks[0]
    fresh = type(quiet)().world.nodes[4].replica
    sender = next(iter(fresh._context.super_peers()))
    vote, parts = certified.certificate.vote, certified.certificate.signatures
    poor = msgspec.structs.replace(certified, certificate=Certificate(vote, parts[:2]))
    assert not fresh._commit_certified(sender, poor)
    kinds = [e.kind for e in fresh._context.take_effects() if isinstance(e, ReportFault)]
    assert ["malformed"] == kinds
    header = msgspec.structs.replace(certified.block.header, state_root=bytes(32))
    block = msgspec.structs.replace(certified.block, header=header)
    lie = msgspec.structs.replace(vote, digest=header.digest())
    votes = [sign_vote(lie, member.node_key) for member in world.members[:4]]
    signed = sorted(
        (CertificateSignature(item.voter, item.signature) for item in votes),
        key=lambda part: part.voter,
    )
    false = CertifiedBlock(block, Certificate(lie, tuple(signed)))
    assert not fresh._commit_certified(sender, false)
    kinds = [e.kind for e in fresh._context.take_effects() if isinstance(e, ReportFault)]
    assert ["invalid-decision"] == kinds
    assert 0 == fresh.height
    assert not fresh._commit_certified(sender, world.nodes[0].disk.blocks[1])
    assert () == fresh._context.take_effects(), "a later block is no fault"
    assert fresh._commit_certified(sender, certified)
    assert fresh._commit_certified(sender, certified), "once more is harmless"
    assert 1 == fresh.height


def test_a_decided_block_is_appended_with_the_body_that_was_judged(quiet) -> None:
    """Its header was executed here before; a peer's certificate does not vouch for the peer's body."""
    world, node = quiet.world, quiet.world.nodes[0]
    world.drops = lambda _, to, data: to == node.key and isinstance(decode_message(data), Confirm)
    quiet.submit(5)
    world.run_for(300)
    certified = world.nodes[1].disk.blocks[0]
    assert 0 == node.replica.height
    assert node.replica._agreement.height.candidates[certified.block.header.digest()].execution
    spoilt = msgspec.structs.replace(certified.block.transactions[0], signature=bytes(64))
    block = msgspec.structs.replace(certified.block, transactions=(spoilt,))
    false = BlockDecided(CertifiedBlock(block, certified.certificate))
    effects = node.replica.step(MessageReceived(world.nodes[2].key, encode(false)), now(quiet))
    (commit,) = [item for item in effects if isinstance(item, CommitBlock)]
    assert certified.block == commit.certified.block


def test_a_long_vote_log_is_begun_anew_with_a_block(quiet, monkeypatch) -> None:
    """Promises for decided heights bind no more: the log stays bounded."""
    monkeypatch.setattr(module, "VOTE_LOG_BYTES_MAX", 1)
    world = quiet.world
    quiet.submit(5)
    world.run_for(1_000)
    assert [] == world.checkers.violations
    assert [0] * 4 == [node.replica._context.vote_bytes for node in world.nodes[:4]]
    assert [[]] * 4 == [list(node.disk.votes) for node in world.nodes[:4]]


def test_the_view_tells_the_last_height_a_peer_told(quiet) -> None:
    """What the node shows of its neighbours."""
    quiet.submit(5)
    quiet.world.run_for(20_000)
    replica = quiet.world.nodes[0].replica
    assert 2 == replica.peer_height(quiet.world.nodes[1].key)
    assert 0 == replica.peer_height(bytes(32))


@pytest.mark.parametrize("is_failing", [False, True])
def test_what_is_proposed_goes_to_another_master_only_if_its_round_fails(
    quiet, monkeypatch, *, is_failing: bool
) -> None:
    """One master gets it and proposes it; were its round to fail, the next one is told at once."""
    world, told = quiet.world, []
    monkeypatch.setattr(module.Outbox, "spread", lambda _outbox, _patience_ms: None)
    monkeypatch.setattr(module, "PROPOSED_FEW_MAX", 0)

    def drops(_sender: bytes, to: bytes, data: bytes) -> bool:
        message = decode_message(data)
        if isinstance(message, Submit) and message.hops == 0:
            told.append(to)
        # Only the submitting node sees the proposal: two approve, two have none.
        is_lost = isinstance(message, Propose) and message.proposal.round == 0
        return is_failing and is_lost and to != world.nodes[index].key

    world.drops = drops
    masters = [world.nodes[5].replica._agreement.master(number) for number in range(2)]
    index = next(at for at in range(4) if world.nodes[at].key not in masters)
    transaction = quiet.submit(index)
    assert world.run_for(20_000, until=lambda: transaction in world.settled)
    assert "committed" == world.settled[transaction].status
    assert (masters if is_failing else masters[:1]) == told
    assert [] == world.checkers.violations
