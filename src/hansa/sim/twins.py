"""Twins: two instances of one super node, scripted masters, scripted partitions (arXiv 2004.10617).

Two instances with one key and a disk each are a Byzantine node made of honest code: they equivocate,
vote twice and forget locks. A script fixes for each round of the first height who is master and which
of the five instances reach each other; then all links are good. With four super nodes there are 4 masters
and 16 two-way splits for a round, so 4,096 scripts of two rounds and 262,144 of three.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from hansa.sim.nodes import SimulatedNode
from hansa.sim.scene import SETTLING_MS, Outcome, Scene
from hansa.types import Height, PublicKey

MASTERS = 4
SPLITS = 16
STEPS_OF_A_ROUND = MASTERS * SPLITS
SKEW_MS = 3
"""The second twin's clock is ahead, so that both never build the same block."""
ROUND_MS = 1_200
"""Longer than any of the first rounds can last."""


@dataclass(frozen=True, slots=True)
class Script:
    """Rounds of the first height, each (master, split): split's bit i puts instance i+1 apart."""

    rounds: tuple[tuple[int, int], ...]

    @property
    def name(self) -> str:
        """What `--twins` takes to run this script alone."""
        return ",".join(f"{master}:{split:04b}" for master, split in self.rounds)


def decode_name(name: str) -> Script:
    """Return the script of a name; ValueError if there is none."""
    rounds = []
    for part in name.split(","):
        master, split = part.split(":")
        if not (0 <= int(master) < MASTERS and len(split) == 4):
            raise ValueError(name)
        rounds.append((int(master), int(split, 2)))
    return Script(tuple(rounds))


def script(number: int, rounds: int) -> Script:
    """Return one of the `STEPS_OF_A_ROUND ** rounds` scripts."""
    found = []
    for _ in range(rounds):
        number, step = divmod(number, STEPS_OF_A_ROUND)
        found.append((step // SPLITS, step % SPLITS))
    return Script(tuple(found))


def all_scripts(rounds: int = 2) -> Iterator[Script]:
    """Yield every script of so many rounds."""
    return (script(number, rounds) for number in range(STEPS_OF_A_ROUND**rounds))


def some_scripts(count: int, rounds: int, seed: int) -> Iterator[Script]:
    """Yield `count` different scripts, drawn from a seed."""
    total = STEPS_OF_A_ROUND**rounds
    chosen = random.Random(seed).sample(range(total), min(count, total))
    return (script(number, rounds) for number in chosen)


def play(script: Script, *, commits: int = 1) -> Outcome:
    """Run one script, then demand progress.

    A partition holds for what is sent by instances in its round, while the script's time lasts: who got
    the block from nobody must be able to fetch it in the end.

    Args:
        script: masters and partitions of the first rounds of height 1.
        commits: blocks demanded after it, besides the height itself.
    """
    scene = Scene(twinned=(0,))
    world = scene.world
    keys = [member.node for member in world.members]
    groups = {
        id(node): [bool(number and split >> (number - 1) & 1) for _, split in script.rounds]
        for number, node in enumerate(world.nodes)
    }

    def direct(node: SimulatedNode) -> None:
        assert node.replica is not None
        schedule = node.replica._context.schedule
        usual = schedule.master

        def master(
            height: Height, round_number: int, members: tuple[PublicKey, ...]
        ) -> PublicKey | None:
            if height == 1 and round_number < len(script.rounds):
                return keys[script.rounds[round_number][0]]
            return usual(height, round_number, members)

        schedule.master = master  # type: ignore[method-assign]

    end_ms = SETTLING_MS + ROUND_MS * len(script.rounds)

    def are_apart(sender: SimulatedNode, receiver: SimulatedNode) -> bool:
        replica = sender.replica
        if (
            world.now_ms >= end_ms
            or replica is None
            or replica.height
            or replica.round >= len(script.rounds)
        ):
            return False
        return groups[id(sender)][replica.round] != groups[id(receiver)][replica.round]

    world.on_start = direct
    world.nodes[-1].clock.skew_ms = SKEW_MS
    scene.start()
    world.parts = are_apart
    scene.hand_to_all()
    scene.demand(commits)
    return scene.outcome(script.name)
