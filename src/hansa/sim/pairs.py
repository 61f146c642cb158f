"""Every pair of lost messages: two heights in which nothing else goes wrong, again for each pair.

The messages of the faultless heights are counted once; then the i-th and the j-th message sent are lost, j
counted in the run that lost i (as the journals of HDFS are tested, TestQJMWithFaults). One lost message
is the pair of it with itself.
"""

from collections.abc import Iterator

from hansa.sim.scene import Outcome, Scene
from hansa.types import PublicKey

Pair = tuple[int, int]


def count_messages() -> int:
    """Return how many messages are sent from the first submission until all have both blocks."""
    scene, counted = Scene(confidential=True), [0]

    def count(sender: PublicKey, to: PublicKey, data: bytes) -> bool:
        del sender, to, data
        counted[0] += 1
        return False

    scene.start()
    scene.world.drops = count
    scene.hand_to_all()
    scene.demand(1)
    assert not scene.world.checkers.violations
    return counted[0]


def all_pairs(messages: int) -> Iterator[Pair]:
    """Yield every pair once."""
    return ((first, second) for first in range(messages) for second in range(first, messages))


def play(pair: Pair, *, commits: int = 2) -> Outcome:
    """Lose the two messages, then demand progress."""
    scene, counted = Scene(confidential=True), [0]

    def lose(sender: PublicKey, to: PublicKey, data: bytes) -> bool:
        del sender, to, data
        counted[0] += 1
        return counted[0] - 1 in pair

    scene.start()
    scene.world.drops = lose
    scene.hand_to_all()
    scene.demand(commits)
    return scene.outcome(f"{pair[0]},{pair[1]}")
