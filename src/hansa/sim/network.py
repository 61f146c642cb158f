"""Links of a simulated world: loss, duplication, delay, reordering, partitions, one-way cuts."""

import random
from dataclasses import dataclass

from hansa.types import PublicKey


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
        quality = self.quality
        if self.is_cut(sender, receiver) or self._chance.random() < quality.loss:
            return []
        times = 2 if self._chance.random() < quality.duplication else 1
        return [
            self._chance.randint(quality.delay_ms_min, quality.delay_ms_max) for _ in range(times)
        ]
