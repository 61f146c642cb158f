"""Messages in, answers out."""

import msgspec

from hansa.chain.findings import Refusal
from hansa.chain.state import State
from hansa.codec import encode
from hansa.consensus.dialogue import EARLY_PER_SENDER_MAX
from hansa.consensus.effects import ReportFault, Send, ServeBlocks
from hansa.consensus.events import MessageReceived, Now, Submitted
from hansa.consensus.messages import (
    Certified,
    Erase,
    GetBlocks,
    Propose,
    Status,
    Submit,
    VotesAgain,
    decode_message,
)
from hansa.sim.members import START_MS
from hansa.types import Digest, Height, PublicKey, Round


def tell(quiet, message, *, sender: int = 1):
    """Give a message to the first node; return the effects."""
    world = quiet.world
    return world.nodes[0].replica.step(
        MessageReceived(world.nodes[sender].key, encode(message)),
        Now(START_MS + world.now_ms, world.now_ms),
    )


def status(quiet, height: int, *, is_answer: bool = False) -> Status:
    """Return a status at a height."""
    return Status(
        quiet.world.alliance,
        Height(height),
        Digest(bytes(32)),
        Round(0),
        Round(-1),
        False,
        is_answer,
    )


def test_whoever_is_behind_learns_so(quiet) -> None:
    """A lower status is answered with the own one."""
    quiet.submit(5)
    quiet.world.run_for(1_000)
    effects = tell(quiet, status(quiet, 0))
    answers = [decode_message(item.data) for item in effects if isinstance(item, Send)]
    assert [2] == [item.height for item in answers if isinstance(item, Status)]


def test_an_answer_is_not_answered(quiet) -> None:
    """Two equals do not talk for ever."""
    assert [] == [
        item for item in tell(quiet, status(quiet, 0, is_answer=True)) if isinstance(item, Send)
    ]


def test_whoever_is_ahead_is_asked(quiet) -> None:
    """A higher status makes this node fetch."""
    effects = tell(quiet, status(quiet, 3))
    asked = [decode_message(item.data) for item in effects if isinstance(item, Send)]
    assert GetBlocks(Height(1), 64) in asked


def test_blocks_are_served_within_what_is_there(quiet) -> None:
    """The driver reads them; absurd wishes are faults."""
    quiet.submit(5)
    quiet.world.run_for(1_000)
    effects = tell(quiet, GetBlocks(Height(1), 1_000))
    assert [(1, 2)] == [(e.first, e.count) for e in effects if isinstance(e, ServeBlocks)]
    assert not [e for e in tell(quiet, GetBlocks(Height(9), 1)) if isinstance(e, ServeBlocks)]
    assert not [e for e in tell(quiet, GetBlocks(Height(0), 1)) if isinstance(e, ServeBlocks)]


def test_early_messages_are_kept_within_bounds(quiet) -> None:
    """A sender cannot fill memory with the future."""
    quiet.submit(5)
    quiet.world.run_for(1_000)
    certificate = quiet.world.nodes[0].disk.blocks[0].certificate
    for round_number in range(3 * EARLY_PER_SENDER_MAX):
        vote = msgspec.structs.replace(certificate.vote, height=4, round=round_number)
        tell(quiet, Erase(msgspec.structs.replace(certificate, vote=vote)))
    dialogue = quiet.world.nodes[0].replica._dialogue
    assert EARLY_PER_SENDER_MAX == len(dialogue._early)


def faults(effects) -> list[str]:
    """Return the faults in some effects."""
    return [item.kind for item in effects if isinstance(item, ReportFault)]


def sent(effects) -> list[object]:
    """Return the messages in some effects."""
    return [decode_message(item.data) for item in effects if isinstance(item, Send)]


def test_what_is_out_of_place_is_a_fault(quiet) -> None:
    """A status of another chain, a wish for no blocks, blocks nobody asked for."""
    foreign = msgspec.structs.replace(status(quiet, 0), alliance=Digest(bytes(32)))
    assert ["malformed"] == faults(tell(quiet, foreign))
    assert ["malformed"] == faults(tell(quiet, GetBlocks(Height(1), 0), sender=2))


def test_a_super_node_that_lacks_something_gets_it_once_in_a_while(quiet) -> None:
    """Proposal, certificate with its block, and own votes; not again for every status."""
    world = quiet.world
    quiet.submit(5)
    replica = world.nodes[0].replica
    world.run_for(1_000, until=lambda: replica._agreement.height.valid is not None)
    height = replica._agreement.height
    certified = Certified(height.valid, height.candidates[height.valid.vote.digest].block)
    answer = sent(tell(quiet, status(quiet, replica.height)))
    assert certified in answer
    assert height.present.proposal in answer
    assert any(isinstance(item, VotesAgain) for item in answer)
    again = sent(tell(quiet, status(quiet, replica.height)))
    assert not any(isinstance(item, Certified | VotesAgain) for item in again)
    lower = msgspec.structs.replace(status(quiet, replica.height), round=Round(-1))
    assert not any(isinstance(m, VotesAgain) for m in sent(tell(quiet, lower, sender=2)))


def test_only_what_a_status_lacks_is_sent(quiet) -> None:
    """Who has proposal and certificate gets neither, and an ordinary node nothing of a round."""
    world = quiet.world
    quiet.submit(5)
    replica = world.nodes[0].replica
    world.run_for(1_000, until=lambda: replica._agreement.height.valid is not None)
    full = msgspec.structs.replace(
        status(quiet, replica.height), has_proposal=True, valid_round=Round(0)
    )
    assert not any(
        isinstance(item, Certified | Propose | VotesAgain) for item in sent(tell(quiet, full))
    )
    poor = sent(tell(quiet, status(quiet, replica.height), sender=5))
    assert [Status] == [type(item) for item in poor]


def test_a_submission_is_refused_by_whoever_can_say_so_for_good(quiet) -> None:
    """A malformed one by every super node; what hangs on the state, by the master alone."""
    world = quiet.world
    world.drops = lambda *_: True
    master = world.nodes[0].replica.master()
    _, sealed = quiet.sealed(5)
    broken = msgspec.structs.replace(sealed, ciphertext=bytes(len(sealed.ciphertext)))
    client, node = world.clients[5], world.nodes[5]
    old = client.sign(client.add_user(), height=0, time_ms=START_MS)
    stale = msgspec.structs.replace(
        client.seal(old, node.replica.sealing_notices()), expires=Height(0)
    )
    for place in world.nodes[:4]:
        now = Now(START_MS + world.now_ms, world.now_ms)
        effects = place.replica.step(
            MessageReceived(node.key, encode(Submit(node.key, 0, (broken, stale)))), now
        )
        told = {m.transaction: m.code for m in sent(effects) if isinstance(m, Refusal)}
        expected = {broken.transaction: "not-openable"}
        if place.key == master:
            expected[stale.transaction] = "expired"
        assert expected == told


def test_a_committed_submission_is_neither_taken_nor_refused(quiet) -> None:
    """Its block tells its node; a refusal would lie."""
    world = quiet.world
    _, sealed = quiet.sealed(5)
    world.submit(5, Submitted(sealed))
    world.run_for(1_000)
    effects = tell(quiet, Submit(world.nodes[5].key, 0, (sealed,)), sender=5)
    assert not any(isinstance(item, Refusal | Submit) for item in sent(effects))
    assert 0 == world.nodes[0].replica.pool_size


def test_a_stranger_s_submission_is_not_taken(quiet) -> None:
    """Whoever passes one on names the node it came from; that must be a member's."""
    _, sealed = quiet.sealed(5)
    tell(quiet, Submit(PublicKey(bytes(32)), 1, (sealed,)))
    assert 0 == quiet.world.nodes[0].replica.pool_size
    ordinary = quiet.world.nodes[4].replica
    ordinary.step(
        MessageReceived(quiet.world.nodes[5].key, encode(Submit(bytes(32), 0, (sealed,)))),
        Now(START_MS + quiet.world.now_ms, quiet.world.now_ms),
    )
    assert 0 == ordinary.pool_size, "only super nodes keep a pool"


def test_an_ordinary_node_cannot_send_others_after_blocks(quiet) -> None:
    """Only a super node's vote far ahead says that this node is behind."""
    quiet.submit(5)
    quiet.world.run_for(1_000)
    certificate = quiet.world.nodes[0].disk.blocks[0].certificate
    vote = msgspec.structs.replace(certificate.vote, height=5)
    order = Erase(msgspec.structs.replace(certificate, vote=vote))
    catch_up = quiet.world.nodes[0].replica._catch_up
    tell(quiet, order, sender=5)
    assert not catch_up.is_behind
    tell(quiet, order, sender=1)
    assert catch_up.is_behind


def test_a_suspended_node_may_only_fetch_blocks(quiet, monkeypatch) -> None:
    """It can learn of its suspension while its link lasts; nothing else of it is heard."""
    quiet.submit(5)
    quiet.world.run_for(1_000)
    suspended = quiet.world.nodes[5].key
    monkeypatch.setattr(State, "is_member_node", lambda _state, key: key != suspended)
    effects = tell(quiet, GetBlocks(Height(1), 1), sender=5)
    assert [suspended] == [item.to for item in effects if isinstance(item, ServeBlocks)]
    _, sealed = quiet.sealed(5)
    assert not sent(tell(quiet, Submit(suspended, 0, (sealed,)), sender=5))
    assert 0 == quiet.world.nodes[0].replica.pool_size
