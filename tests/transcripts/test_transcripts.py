"""A quiet height as text: who says what to whom, in order."""

from itertools import groupby
from pathlib import Path

from hansa.consensus.effects import CommitBlock, PersistVotes, Send, SettleTransaction
from hansa.consensus.events import Submitted
from hansa.consensus.messages import (
    BlockDecided,
    Confirm,
    Erased,
    Propose,
    Review,
    Submit,
    decode_message,
)
from hansa.consensus.schedule import Schedule
from hansa.sim.members import START_MS
from hansa.sim.network import LinkQuality
from hansa.sim.run import PARAMETERS
from hansa.sim.world import World
from hansa.types import Height

STEPS = (Submit, Propose, Review, Confirm, BlockDecided, Erased)
TRANSCRIPT = Path(__file__).with_name("quiet_height.txt")


def transcribe() -> str:
    """Run one transaction through a quiet world; return a line for each step of a node."""
    world = World(
        4,
        organisations=5,
        parameters=PARAMETERS,
        quality=LinkQuality(delay_ms_min=5, delay_ms_max=5),
    )
    world.start_all()
    world.run_for(100)
    members = world.nodes[0].disk.state.super_nodes()
    schedule = Schedule(world.alliance, PARAMETERS.epoch_blocks)
    # Named by the height at which each leads: keys and digests may change, the protocol may not.
    names = {
        schedule.master(Height(height), 0, members): f"master of {height}" for height in range(1, 5)
    }
    names[world.nodes[4].key] = "ordinary node"
    lines: list[tuple[int, str]] = []

    def describe(effect) -> str:
        if isinstance(effect, Send):
            message = decode_message(effect.data)
            return type(message).__name__ if isinstance(message, STEPS) else ""
        if isinstance(effect, CommitBlock):
            header = effect.certified.block.header
            return f"commit {header.height} with {header.transaction_count}"
        if isinstance(effect, PersistVotes):
            return f"write {len(effect.records)}"
        return f"settle {effect.status}" if isinstance(effect, SettleTransaction) else ""

    for node in world.nodes:
        step = node.replica.step

        def watched(event, now, step=step, key=node.key):
            effects = step(event, now)
            groups = groupby(word for word in map(describe, effects) if word)
            counted = [(word, len(list(group))) for word, group in groups]
            words = [word if count == 1 else f"{word} to {count}" for word, count in counted]
            if words:
                lines.append((world.now_ms - 100, f"{names[key]}: {', '.join(words)}"))
            return effects

        node.replica.step = watched
    client, replica = world.clients[4], world.nodes[4].replica
    transaction = client.sign(client.add_user(), height=0, time_ms=START_MS)
    world.submit(4, Submitted(client.seal(transaction, replica.sealing_notices())))
    world.run_for(400)
    return "".join(f"{ms:4} ms {text}\n" for ms, text in sorted(lines))


def test_a_quiet_height_reads_as_written() -> None:
    """The ten steps in order; a change of this text is a change of the protocol."""
    assert TRANSCRIPT.read_text() == transcribe()
