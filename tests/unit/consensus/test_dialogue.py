"""Messages in, answers out."""

from hansa.codec import encode
from hansa.consensus.dialogue import EARLY_PER_SENDER_MAX
from hansa.consensus.effects import Send, ServeBlocks
from hansa.consensus.events import MessageReceived, Now
from hansa.consensus.messages import Erase, GetBlocks, Status, decode_message
from hansa.sim.members import START_MS
from hansa.types import Digest, Height, Round


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
    import msgspec

    for round_number in range(3 * EARLY_PER_SENDER_MAX):
        vote = msgspec.structs.replace(certificate.vote, height=4, round=round_number)
        tell(quiet, Erase(msgspec.structs.replace(certificate, vote=vote)))
    dialogue = quiet.world.nodes[0].replica._dialogue
    assert EARLY_PER_SENDER_MAX == len(dialogue._early)
