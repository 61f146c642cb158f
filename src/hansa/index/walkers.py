"""Centres of mean shift on their way, and where they come to rest (used by `kernel`)."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hansa.index.neighbourhoods import Integers, unique_rows


@dataclass(frozen=True, slots=True)
class Walkers:
    """Centres on their way."""

    centres: Integers
    """(m, d), units of 1/256."""
    landmarks: Integers
    """(m, d): where each was at the last power of two of its steps; back there it runs in a cycle."""
    steps: Integers
    """(m,): steps made."""

    @classmethod
    def begin(cls, seeds: Integers) -> "Walkers":
        """Return walkers at their seeds (m, d)."""
        return cls(seeds, seeds, np.zeros(len(seeds), dtype=np.int64)).merged()

    @classmethod
    def join(cls, parts: "list[Walkers]") -> "Walkers":
        """Return several groups as one."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.centres for part in parts]),
            np.concatenate([part.landmarks for part in parts]),
            np.concatenate([part.steps for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.centres)

    def take(self, chosen: npt.NDArray[np.bool_] | Integers) -> "Walkers":
        """Return some of them."""
        return Walkers(self.centres[chosen], self.landmarks[chosen], self.steps[chosen])

    def merged(self) -> "Walkers":
        """Return them with those at one place walking on as one: the one with the fewest steps."""
        if len(self) < 2:
            return self
        order = np.argsort(self.steps, kind="stable")
        return self.take(order[unique_rows(self.centres[order])[0]])


@dataclass(frozen=True, slots=True)
class Rests:
    """Where walkers came to rest."""

    places: list[Integers] = field(default_factory=list)
    strengths: list[Integers] = field(default_factory=list)

    def add(self, places: Integers, strengths: Integers) -> None:
        """Take resting places (m, d) and the weight within reach of each (m,)."""
        self.places.append(places)
        self.strengths.append(strengths)

    def distinct(self) -> tuple[Integers, Integers]:
        """Return places (m, d), each once and sorted, and their strengths (m,)."""
        rested = np.concatenate(self.places)
        first, _ = unique_rows(rested)
        return rested[first], np.concatenate(self.strengths)[first]
