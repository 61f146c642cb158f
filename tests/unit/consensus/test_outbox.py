"""The outbox: kept until settled, sent to whom it concerns, not twice."""

import itertools

import msgspec

from hansa import limits
from hansa.chain.findings import Refusal, sign_refusal
from hansa.consensus import outbox as module
from hansa.consensus.effects import Send, SettleTransaction
from hansa.consensus.messages import Appeal, Submit, decode_message
from hansa.consensus.outbox import Outbox
from hansa.types import Height, Signature


def sent(context) -> list[tuple[bytes, Submit]]:
    """Return what was sent in this step."""
    effects = context.take_effects()
    return [(item.to, decode_message(item.data)) for item in effects if isinstance(item, Send)]


def refusal(quiet, context, index: int, transaction, code: str, height: int = 1) -> Refusal:
    """Return a super node's signed refusal."""
    member = quiet.world.members[index]
    return sign_refusal(
        Refusal(
            context.alliance,
            transaction,
            code,
            Height(height),
            bytes(32),
            member.node,
            Signature(b""),
        ),
        member.node_key,
    )


def test_a_master_gets_each_once(quiet, context) -> None:
    """A new master gets all, the old one nothing again."""
    outbox, master = Outbox(context), context.super_peers()[0]
    for _ in range(2):
        outbox.add(quiet.sealed(5)[1])
    outbox.forward_fresh(master)
    assert [2] == [len(message.sealed) for _, message in sent(context)]
    outbox.forward_all(master)
    assert [] == sent(context)
    outbox.forward_all(context.super_peers()[1])
    assert [2] == [len(message.sealed) for _, message in sent(context)]


def test_what_is_proposed_is_left_out(quiet, context) -> None:
    """It is not taken for sent: with the round that failed it goes to whoever is master then."""
    outbox, (master, other) = Outbox(context), context.super_peers()[:2]
    several = [quiet.sealed(5)[1] for _ in range(2)]
    for sealed in several:
        outbox.add(sealed)
    outbox.forward_fresh(master)
    sent(context)
    outbox.forward_all(other, {several[0].transaction})
    assert [(other, (several[1],))] == [(to, message.sealed) for to, message in sent(context)]
    outbox.forward_all(other)
    assert [(other, (several[0],))] == [(to, message.sealed) for to, message in sent(context)]


def test_a_lost_peer_gets_it_again(quiet, context) -> None:
    """It may have restarted with an empty pool."""
    outbox, master = Outbox(context), context.super_peers()[0]
    outbox.add(quiet.sealed(5)[1])
    outbox.forward_fresh(master)
    sent(context)
    outbox.forget_peer(master)
    outbox.forward_all(master)
    assert 1 == len(sent(context))


def test_after_a_while_all_super_nodes_know(quiet, context) -> None:
    """Only then can they move on from a dead master."""
    outbox = Outbox(context)
    outbox.add(quiet.sealed(5)[1])
    outbox.spread(200)
    assert [] == sent(context)
    context.now = type(context.now)(context.now.wall_ms, 10_000)
    outbox.spread(200)
    assert set(context.super_peers()) == {to for to, _ in sent(context)}


def test_while_no_block_comes_it_is_told_again_ever_more_seldom(quiet, context) -> None:
    """One that was just elected drops what comes before the block that says so."""
    outbox = Outbox(context)
    outbox.add(quiet.sealed(5)[1])
    told = []
    for now_ms in range(1_000, 101_000, 100):
        context.now = type(context.now)(context.now.wall_ms, now_ms)
        outbox.spread(100)
        if found := sent(context):
            assert set(context.super_peers()) == {to for to, _ in found}
            told.append(now_ms)
    waits = [later - earlier for earlier, later in itertools.pairwise(told)]
    longest = 100 * module.SPREAD_WAITS_MAX
    assert waits[:5] == [200, 400, 800, 1_600, 3_200]
    assert set(waits[6:]) == {longest}


def test_who_cannot_open_it_does_not_keep_others_from_judging(quiet, context) -> None:
    """The one master of an idle chain lacks the key, and the others hold it as doubtful: they are asked."""
    outbox, (_, sealed) = Outbox(context), quiet.sealed(5)
    outbox.add(sealed)
    for peer in context.super_peers():
        outbox.forward_fresh(peer)
        outbox.forward_all(peer)
    context.take_effects()
    said = refusal(quiet, context, 1, sealed.transaction, "reseal")
    outbox.refused(said)
    asked = sent(context)
    assert [Appeal(said, sealed)] * 2 == [message for _, message in asked]
    assert quiet.world.members[1].node not in {to for to, _ in asked}
    for index in (2, 3):
        outbox.refused(refusal(quiet, context, index, sealed.transaction, "not-owner"))
    settled = [item for item in context.take_effects() if isinstance(item, SettleTransaction)]
    assert [("refused", "not-owner")] == [(item.status, item.code) for item in settled]


def test_one_refusal_is_appealed_and_more_than_f_settle(quiet, context) -> None:
    """A lying master alone turns nobody away: the others are asked, each once."""
    outbox, (_, sealed) = Outbox(context), quiet.sealed(5)
    outbox.add(sealed)
    outbox.forward_fresh(quiet.world.members[1].node)
    context.take_effects()
    said = refusal(quiet, context, 1, sealed.transaction, "not-owner")
    outbox.refused(said)
    asked = sent(context)
    others = set(context.super_peers()) - {quiet.world.members[1].node}
    assert others == {to for to, _ in asked}
    assert {Appeal(said, sealed)} == {message for _, message in asked}
    outbox.refused(said)
    assert [] == sent(context)
    assert sealed.transaction in outbox
    outbox.refused(refusal(quiet, context, 2, sealed.transaction, "not-owner"))
    assert [SettleTransaction(sealed.transaction, "refused", "not-owner", 0)] == list(
        context.take_effects()
    )


def test_refusals_for_want_of_a_key_are_counted_apart(quiet, context) -> None:
    """A liar's reason and an honest "reseal" are not two refusals of the transaction."""
    outbox, (_, sealed) = Outbox(context), quiet.sealed(5)
    outbox.add(sealed)
    outbox.refused(refusal(quiet, context, 2, sealed.transaction, "busy"))
    outbox.refused(refusal(quiet, context, 1, sealed.transaction, "not-owner"))
    assert sealed.transaction in outbox


def test_what_an_older_state_refused_does_not_count(quiet, context) -> None:
    """A super node that lags behind may not know yet what the submitting node knows."""
    outbox, (_, sealed) = Outbox(context), quiet.sealed(5)
    outbox.add(sealed)
    outbox.refused(refusal(quiet, context, 1, sealed.transaction, "unknown-user", height=0))
    outbox.refused(refusal(quiet, context, 2, sealed.transaction, "unknown-user"))
    outbox.refused(refusal(quiet, context, 3, sealed.transaction, "no such word"))
    assert sealed.transaction in outbox


def test_a_forged_refusal_is_ignored(quiet, context) -> None:
    """It must be signed by a super node."""
    outbox = Outbox(context)
    _, sealed = quiet.sealed(5)
    outbox.add(sealed)
    outbox.forward_fresh(quiet.world.members[1].node)
    good = refusal(quiet, context, 1, sealed.transaction, "not-owner")
    outbox.refused(msgspec.structs.replace(good, code="expired"))
    outbox.refused(refusal(quiet, context, 5, sealed.transaction, "not-owner"))
    assert sealed.transaction in outbox


def test_reseal_needs_more_than_one_voice(quiet, context) -> None:
    """One restarted super node sends the others to help; f+1 send the client back."""
    outbox = Outbox(context)
    _, sealed = quiet.sealed(5)
    outbox.add(sealed)
    outbox.note_refusal(sealed.transaction, quiet.world.members[1].node, "reseal")
    assert sealed.transaction in outbox
    outbox.note_refusal(sealed.transaction, quiet.world.members[2].node, "reseal")
    statuses = [
        item.status for item in context.take_effects() if isinstance(item, SettleTransaction)
    ]
    assert ["reseal"] == statuses


def test_settled_by_its_block_or_its_expiry(quiet) -> None:
    """The world settles a committed one with its height."""
    digest = quiet.submit(5)
    quiet.world.run_for(1_000)
    effect = quiet.world.settled[digest]
    assert ("committed", 1) == (effect.status, effect.height)
    assert 0 == quiet.world.nodes[5].replica.outbox_size


def test_where_the_master_is_away_all_learn_of_what_waits(quiet, context) -> None:
    """So that they expect a block, and pass the master over together."""
    outbox, master = Outbox(context), context.super_peers()[0]
    outbox.add(quiet.sealed(5)[1])
    context.connected.discard(master)
    outbox.forward_fresh(master)
    others = [peer for peer in context.super_peers() if peer != master]
    assert others == [effect.to for effect in context.take_effects()]
    outbox.forward_all(master)
    assert () == context.take_effects(), "they have it"


def test_without_a_master_or_a_link_nothing_is_sent(quiet, context) -> None:
    """It waits, and goes out when there is somebody to take it."""
    outbox, master = Outbox(context), context.super_peers()[0]
    outbox.add(quiet.sealed(5)[1])
    connected = set(context.connected)
    context.connected.clear()
    outbox.forward_all(None)
    outbox.forward_all(master)
    outbox.forward_all(context.node)
    assert [] == sent(context)
    context.connected |= connected
    outbox.forward_all(master)
    assert 1 == len(sent(context))
    outbox.add(quiet.sealed(5)[1])
    outbox.forward_fresh(None)
    assert [] == sent(context)


def test_the_outbox_is_bounded_and_takes_each_once(quiet, context, monkeypatch) -> None:
    """What is here already is kept; a new one is told to come again."""
    monkeypatch.setattr(limits, "POOL_TRANSACTIONS_MAX", 1)
    outbox, first = Outbox(context), quiet.sealed(5)[1]
    assert ["", "", "busy"] == [outbox.add(item) for item in (first, first, quiet.sealed(5)[1])]
    assert 1 == len(outbox)


def test_a_batch_is_cut_to_what_one_message_holds(quiet, context, monkeypatch) -> None:
    """At least one goes; the others follow with the next master or height."""
    monkeypatch.setattr(module, "BATCH_BYTES_MAX", 1)
    outbox, master = Outbox(context), context.super_peers()[0]
    for _ in range(2):
        outbox.add(quiet.sealed(5)[1])
    outbox.forward_fresh(master)
    assert [1] == [len(message.sealed) for _, message in sent(context)]
    outbox.forward_all(master)
    assert [1] == [len(message.sealed) for _, message in sent(context)]


def test_what_is_settled_meanwhile_is_not_sent(quiet, context) -> None:
    """A refusal between coming in and going out ends it; another for it says nothing new."""
    outbox, master = Outbox(context), context.super_peers()[0]
    _, sealed = quiet.sealed(5)
    outbox.add(sealed)
    outbox.note_refusal(sealed.transaction, context.node, "not-owner")
    outbox.note_refusal(sealed.transaction, context.node, "not-owner")
    outbox.forward_fresh(master)
    assert [SettleTransaction(sealed.transaction, "refused", "not-owner", 0)] == list(
        context.take_effects()
    )
    assert 0 == outbox._bytes


def test_an_expired_one_is_settled_with_the_last_block_it_could_be_in(quiet) -> None:
    """Not a height earlier, and its client is told."""
    world = quiet.world
    quiet.submit(5)
    world.run_for(1_000)
    block = world.nodes[0].disk.blocks[0].block
    outbox = Outbox(world.nodes[5].replica._context)
    _, sealed = quiet.sealed(5)
    outbox.add(msgspec.structs.replace(sealed, expires=block.header.height + 1))
    outbox.advance(block, tuple(item.digest() for item in block.transactions))
    assert 1 == len(outbox)
    later = msgspec.structs.replace(block.header, height=block.header.height + 1)
    empty = msgspec.structs.replace(block, header=later, transactions=(), results=())
    outbox.advance(empty, ())
    statuses = [
        e.status for e in outbox._context.take_effects() if isinstance(e, SettleTransaction)
    ]
    assert (["expired"], 0, 0) == (statuses, len(outbox), outbox._bytes)
