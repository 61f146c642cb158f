"""Synced or not, and blocks that prove themselves."""

import msgspec

from hansa.consensus import catchup as module
from hansa.consensus.catchup import CatchUp
from hansa.consensus.messages import Blocks, Status
from hansa.types import Height, Round


def test_synced_takes_a_quorum_at_the_tip(context) -> None:
    """Itself and two others no higher; one that is higher does not count."""
    catch_up, peers = CatchUp(context), context.super_peers()
    assert not catch_up.is_synced()
    catch_up.note(peers[0], 0)
    assert not catch_up.is_synced()
    catch_up.note(peers[1], 1)
    assert not catch_up.is_synced()
    catch_up.note(peers[2], 0)
    assert catch_up.is_synced()


def test_one_request_at_a_time_and_another_peer_after_a_failure(context) -> None:
    """A peer that does not answer is asked last."""
    catch_up, peers = CatchUp(context), context.super_peers()
    for peer in peers[:2]:
        catch_up.note(peer, 5)
    catch_up.request()
    first = catch_up._asked
    catch_up.request()
    assert first == catch_up._asked
    catch_up.give_up()
    catch_up.request()
    assert catch_up._asked in peers[:2]
    assert first != catch_up._asked


def test_an_answer_nobody_asked_for_is_dropped(context) -> None:
    """And an empty one takes the claim back."""
    catch_up, peer = CatchUp(context), context.super_peers()[0]
    assert () == catch_up.take(peer, Blocks(()))
    catch_up.note(peer, 5)
    catch_up.request()
    assert () == catch_up.take(peer, Blocks(()))
    assert not catch_up.is_behind


def test_blocks_that_cannot_follow_send_to_another_peer(quiet, context) -> None:
    """True ones, but later than the next, or older: a liar could hold up who is behind for ever."""
    for _ in range(2):
        quiet.submit(5)
        quiet.world.run_for(1_000)
    first, second = quiet.world.nodes[0].disk.blocks[:2]
    catch_up, peers = CatchUp(context), context.super_peers()
    for peer in peers[:2]:
        catch_up.note(peer, 5)
    catch_up.request()
    liar = catch_up._asked
    assert () == catch_up.take(liar, Blocks((second,)))
    catch_up.request()
    assert catch_up._asked in set(peers[:2]) - {liar}
    assert (first, second) == catch_up.take(catch_up._asked, Blocks((first, second)))
    context.height = Height(2)
    catch_up.request()
    slow = catch_up._asked
    assert () == catch_up.take(slow, Blocks((first,)))
    catch_up.request()
    assert slow != catch_up._asked


def test_only_certificates_prove(quiet, context) -> None:
    """A true block is taken; another header, fewer signatures or another epoch is not."""
    quiet.submit(5)
    quiet.world.run_for(1_000)
    certified = quiet.world.nodes[0].disk.blocks[0]
    catch_up = CatchUp(context)
    assert catch_up.is_proven(certified)
    certificate = certified.certificate
    vote, signatures = certificate.vote, certificate.signatures
    header = msgspec.structs.replace(certified.block.header, time_ms=1)
    forged = (
        {"block": msgspec.structs.replace(certified.block, header=header)},
        {"certificate": msgspec.structs.replace(certificate, signatures=signatures[:2])},
        {
            "certificate": msgspec.structs.replace(
                certificate, vote=msgspec.structs.replace(vote, epoch=1)
            )
        },
        {
            "certificate": msgspec.structs.replace(
                certificate, vote=msgspec.structs.replace(vote, phase="review")
            )
        },
    )
    for change in forged:
        assert not catch_up.is_proven(msgspec.structs.replace(certified, **change))


def test_a_node_that_was_away_catches_up(quiet) -> None:
    """Blocks are fetched, and the node votes again only at the tip."""
    world = quiet.world
    world.crash(world.nodes[1])
    for _ in range(5):
        quiet.submit(5)
        world.run_for(3_000)
    assert world.nodes[1].disk.state.height < world.nodes[0].disk.state.height
    world.start(world.nodes[1])
    assert not world.nodes[1].replica.is_synced
    world.run_for(3_000)
    assert 1 == len(set(world.heights()))
    assert world.nodes[1].replica.is_synced


def test_what_peers_tell_is_bounded_and_kept(context, monkeypatch) -> None:
    """Known peers are followed, unknown ones only while there is room; nothing known is 0."""
    monkeypatch.setattr(module, "PEERS_KNOWN_MAX", 1)
    catch_up, peers = CatchUp(context), context.super_peers()
    catch_up.note(peers[0], 1)
    catch_up.note(peers[1], 9)
    catch_up.note(peers[0], 3)
    assert [3, 0] == [catch_up.height_of(peer) for peer in peers[:2]]
    catch_up.note_at_least(peers[0], 2)
    assert 3 == catch_up.height_of(peers[0])
    catch_up.note_at_least(peers[0], 4)
    assert 4 == catch_up.height_of(peers[0])


def test_a_lost_peer_is_waited_for_no_longer(context) -> None:
    """Its request is forgotten and another may be asked; the loss of others changes nothing."""
    catch_up, peers = CatchUp(context), context.super_peers()
    catch_up.note(peers[0], 5)
    catch_up.request()
    catch_up.lost(peers[1])
    assert (peers[0], True) == (catch_up._asked, context.is_timer_set("sync"))
    catch_up.lost(peers[0])
    assert (None, False) == (catch_up._asked, context.is_timer_set("sync"))
    assert 5 == catch_up.height_of(peers[0]), "what it said stays said"
    catch_up.give_up()
    catch_up.request()
    assert peers[0] == catch_up._asked, "nothing was awaited: it is not distrusted"


def test_a_status_of_another_alliance_says_nothing(context) -> None:
    """Neither does one below the genesis."""
    catch_up, peer = CatchUp(context), context.super_peers()[0]
    good = Status(context.alliance, Height(4), bytes(32), Round(0), Round(-1), False, False)
    assert not catch_up.take_status(peer, msgspec.structs.replace(good, alliance=bytes(32)))
    assert not catch_up.take_status(peer, msgspec.structs.replace(good, height=Height(-1)))
    assert 0 == catch_up.height_of(peer)
    assert catch_up.take_status(peer, good)
    assert 4 == catch_up.height_of(peer)


def test_after_all_have_failed_nobody_is_asked_for_a_while(context) -> None:
    """False answers on a link that repeats them would else multiply without end (seed 112)."""
    catch_up, peers = CatchUp(context), context.super_peers()
    for peer in peers[:2]:
        catch_up.note(peer, 5)
    for _ in range(2):
        catch_up.request()
        catch_up.give_up()
    context.take_effects()
    for _ in range(3):
        catch_up.request()
    assert [None] == [catch_up._asked]
    assert ["SetTimer"] == [type(effect).__name__ for effect in context.take_effects()]
    assert context.is_timer_set("sync")
    context.now = type(context.now)(context.now.wall_ms, 10_000)
    assert context.take_timer("sync")
    catch_up.give_up()
    catch_up.request()
    assert catch_up._asked in peers[:2]
