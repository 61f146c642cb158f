"""The clusters in force: who belongs where, what a cluster is called, when all are found anew.

An added dataset joins the nearest mode within the bandwidth or founds a cluster of its own (the
paper's step 6); after a number of registrations that follows from the chain alone all are clustered
anew. So the partition is a pure function of the changes in their order, equal on every node.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.codec import digest
from hansa.index.features import FEATURES
from hansa.index.mean_shift import SCALE, Integers, derive_bandwidth, mean_shift, nearest
from hansa.index.records import IndexRecord
from hansa.index.words import fold

CENTRE_TAG = "hansa.index.centre.1"
BANDWIDTH_SQUARED = 1_160
"""Used below `_POINTS_MIN`: what the quantile gives on 38,714 real descriptions (model 1)."""
NEIGHBOURS_PER_MILLE = 5
TELLING_WORDS = 6

_POINTS_MIN = 4_096
"""With fewer points a quantile of neighbours says little."""
_FIRST_CLUSTERING = 8
_TELLING_LENGTH_MIN = 3


@dataclass(frozen=True, slots=True)
class Clusters:
    """Centres and reach; values, replaced as a whole."""

    centres: npt.NDArray[np.integer[Any]]
    """(k, d), units of 1/256; held in 16 bits, for they are in memory as long as the index is."""
    bandwidth_squared: int

    def __post_init__(self) -> None:
        centres = self.centres.astype(np.int16)
        # They are means of features: 127 * 256 at most.
        assert (centres == self.centres).all()
        object.__setattr__(self, "centres", centres)

    @classmethod
    def none(cls) -> "Clusters":
        """Return the clusters of an empty index."""
        return cls(np.zeros((0, FEATURES), dtype=np.int64), BANDWIDTH_SQUARED)

    @property
    def count(self) -> int:
        """Return how many clusters there are, empty ones included."""
        return len(self.centres)

    def label(self, number: int) -> str:
        """Return a cluster's label: eight hex digits of its centre's digest."""
        centre = self.centres[number].astype("<i4").tobytes()
        return digest(CENTRE_TAG, centre)[:4].hex()

    def find(self, features: Sequence[int]) -> int | None:
        """Return the nearest cluster if it is within the bandwidth, the lowest of equals."""
        if not self.count:
            return None
        number, square = nearest(np.array(features, dtype=np.int64), self.centres)
        return number if square <= self.bandwidth_squared * SCALE * SCALE else None

    def join(self, features: Sequence[int]) -> tuple[int, "Clusters"]:
        """Return the cluster of an addition, and the clusters after it."""
        number = self.find(features)
        if number is not None:
            return number, self
        centre = np.array([features], dtype=np.int64) * SCALE
        grown = np.concatenate((self.centres, centre))
        return self.count, Clusters(grown, self.bandwidth_squared)


def cluster_anew(points: Integers) -> tuple[Clusters, Integers]:
    """Return clusters and the cluster of each point (n,); the order of points does not matter."""
    if not len(points):
        return Clusters.none(), np.zeros(0, dtype=np.int64)
    bandwidth = BANDWIDTH_SQUARED
    if len(points) >= _POINTS_MIN:
        bandwidth = derive_bandwidth(points, NEIGHBOURS_PER_MILLE)
    found = mean_shift(points, bandwidth)
    return Clusters(found.centres, bandwidth), found.labels


def next_clustering(registered: int, interval: int) -> int:
    """Return the number of registrations at which all are clustered anew, after `registered`.

    At 8, then doubling until the interval, then every interval, but never more often than at each
    eighth more: so the work for each registration stays bounded as the alliance grows.
    """
    mark = _FIRST_CLUSTERING
    while mark <= registered:
        if mark < interval:
            mark = min(2 * mark, mark + interval)
        else:
            mark += max(interval, mark // 8)
    return mark


def tell_words(members: Iterable[Sequence[str]], everywhere: Counter[str]) -> tuple[str, ...]:
    """Return the words that describe a cluster: frequent inside, rare outside, readable.

    No numbers and no single letters; a word that is part of one already told (a character of a pair, a
    plural) says nothing more; in a cluster of several, what one member alone says does not count.

    Args:
        members: the strong words (title, keywords, themes) of each member, each once.
        everywhere: in how many datasets each word occurs.
    """
    inside: Counter[str] = Counter()
    count = 0
    for words in members:
        inside.update(words)
        count += 1
    ranked = sorted(
        (word for word in inside if is_telling(word)),
        key=lambda word: (
            inside[word] == 1 < count,
            -(inside[word] ** 2 * 1_000 // everywhere[word]),
            word,
        ),
    )
    told: list[str] = []
    for word in ranked:
        if not any(word in other or _is_plural(word, other) for other in told):
            told.append(word)
            if len(told) == TELLING_WORDS:
                break
    return tuple(told)


def tell_facets(members: Sequence[IndexRecord]) -> tuple[str, ...]:
    """Return theme, format and place that at least half of a cluster's members have, as "theme: …".

    Of each kind the most frequent, the first in order of equals.
    """
    told: list[str] = []
    for kind, values in (
        ("theme", ({fold(theme) for theme in record.themes} for record in members)),
        ("format", ({fold(name) for name in record.formats} for record in members)),
        ("place", ({record.place.strip()} for record in members)),
    ):
        counts: Counter[str] = Counter()
        for found in values:
            counts.update(found - {""})
        if counts:
            value, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
            if 2 * count >= len(members):
                told.append(f"{kind}: {value}")
    return tuple(told)


def is_telling(word: str) -> bool:
    """Tell whether a word can describe anything to a person: no number, no scrap."""
    shortest = _TELLING_LENGTH_MIN if word.isascii() else 2
    return len(word) >= shortest and not any(map(str.isdigit, word))


def _is_plural(word: str, other: str) -> bool:
    """Tell whether two words are the same but for an ending s."""
    return word in (other + "s", other + "es")
