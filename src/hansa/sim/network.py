"""Links of a simulated world: loss, duplication, delay, reordering, partitions, one-way cuts."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from hansa.types import PublicKey

T = TypeVar("T")

PartitionKind = Literal["halves", "random", "single", "bridge"]
PARTITION_KINDS: tuple[PartitionKind, ...] = ("halves", "random", "single", "bridge")


@dataclass(frozen=True, slots=True)
class LinkQuality:
    """How bad the links are; shares from 0 to 1, times in virtual milliseconds."""

    loss: float = 0.0
    duplication: float = 0.0
    delay_ms_min: int = 1
    delay_ms_max: int = 10


class Network:
    """Decides the fate of each message; the world delivers."""

    def __init__(self, chance: random.Random, quality: LinkQuality) -> None:
        self._chance = chance
        self.quality = quality
        self._cuts: set[tuple[PublicKey, PublicKey]] = set()
        self.sent = 0
        self.bytes_sent = 0

    def is_cut(self, sender: PublicKey, receiver: PublicKey) -> bool:
        """Tell whether nothing passes in this direction."""
        return (sender, receiver) in self._cuts

    def cut(self, sender: PublicKey, receiver: PublicKey) -> None:
        """Cut one direction."""
        self._cuts.add((sender, receiver))

    def mend(self, sender: PublicKey, receiver: PublicKey) -> None:
        """Mend one direction; not cut is fine."""
        self._cuts.discard((sender, receiver))

    def heal(self) -> None:
        """Mend all cuts and make the links good."""
        self._cuts.clear()
        self.quality = LinkQuality()

    def delays(self, sender: PublicKey, receiver: PublicKey, size: int) -> list[int]:
        """Return after how many milliseconds the message arrives: none, once or twice."""
        self.sent += 1
        self.bytes_sent += size
        quality, chance = self.quality, self._chance
        if (sender, receiver) in self._cuts or chance.random() < quality.loss:
            return []
        times = 2 if chance.random() < quality.duplication else 1
        # Not randint: it costs more than all the rest, and is called for every message.
        span = quality.delay_ms_max - quality.delay_ms_min + 1
        return [quality.delay_ms_min + int(chance.random() * span) for _ in range(times)]


def split(kind: PartitionKind, nodes: Sequence[T], chance: random.Random) -> list[tuple[T, T]]:
    """Return the pairs, in one direction, between which a partition of a kind cuts.

    `halves` are as equal as can be, `random` groups of any size, `single` one against all others, and
    a `bridge` two halves that only one node in the middle reaches (each pair of neighbours overlaps).
    """
    order = list(nodes)
    chance.shuffle(order)
    count = len(order)
    if kind == "random":
        first = [node for node in order if chance.random() < 0.5]
        second = [node for node in order if node not in first]
    elif kind == "single":
        first, second = order[:1], order[1:]
    elif kind == "bridge":
        middle = count // 2
        first, second = order[:middle], order[middle + 1 :]
    else:
        first, second = order[: count // 2], order[count // 2 :]
    return [(one, other) for one in first for other in second]
