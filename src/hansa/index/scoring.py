"""The first of what matches some words, by score and rank (`ranked`).

Each word counts 1, and 3 where it is strong (in title, keywords or themes). What has all words strong
comes first; if that is enough for what is shown, nothing else needs a score.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hansa.index.bits import Rows
from hansa.index.finding import Finding
from hansa.index.members import Members


class Word(NamedTuple):
    """The rows that have a word."""

    everywhere: Members
    strong: Members | None
    """Those of them where it is strong; None if there is none."""


Scored = tuple[int, list[int], list[int]]
"""How many match, and the ranks and scores of the first of them, in order."""


def first_of_words(words: Sequence[Word], rows: int, dead: Rows, best: int) -> Scored:
    """Return how many of a file's rows have all of some words, and the first of them.

    Args:
        words: at least one.
        rows: how many rows the file has.
        dead: ranks of those that ended, rising.
        best: so many are told.
    """
    asked = _sorted([word.everywhere for word in words])
    finding = Finding(asked, rows, dead)
    if asked[0].listed is not None:
        return _first_of_few(words, finding.few(asked[0].listed), best)
    count = asked[0].count if len(words) == 1 and not len(dead) else finding.first(0).total
    strong = [word.strong for word in words if word.strong is not None]
    if len(strong) == len(words):
        # What has a word strong has it: the others need not be asked.
        top = Finding(_sorted(strong), rows, dead).first(best)
        if top.total >= best or top.total == count:
            shown = top.ranks.tolist()
            return count, shown, [3 * len(words)] * len(shown)
    ranks = finding.all_ranks()
    scores = np.full(len(ranks), len(words), dtype=np.int64)
    for members in strong:
        scores[members.has(ranks)] += 2
    keys = ((3 * len(words) - scores) << 32) | ranks
    if len(keys) > best:
        keys.partition(best)
        keys = keys[:best]
    keys.sort()
    found = keys.tolist()
    return count, [key & _RANK for key in found], [3 * len(words) - (key >> 32) for key in found]


_RANK = (1 << 32) - 1


def _first_of_few(words: Sequence[Word], ranks: list[int], best: int) -> Scored:
    scores = dict.fromkeys(ranks, len(words))
    for word in words:
        if word.strong is not None:
            for rank in word.strong.among_few(ranks):
                scores[rank] += 2
    found = sorted([(-score, rank) for rank, score in scores.items()])[:best]
    return len(ranks), [rank for _, rank in found], [-score for score, _ in found]


def _sorted(members: list[Members]) -> list[Members]:
    """Return the rarest first."""
    if len(members) > 1:
        members.sort(key=_count_of)
    return members


def _count_of(members: Members) -> int:
    return members.count
