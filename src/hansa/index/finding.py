"""Find how many of a file's rows match, and the first of them, by rank (`ranked`).

Where some key has few rows, or a place is asked for, ranks are listed and each condition thins them
out. Where all keys have many rows, sets of bits are joined and counted as a whole, and only as much of
them is looked at one by one as holds the first that match.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hansa.index.bits import Rows, Words, count_rows, is_in, rows_of
from hansa.index.members import Members
from hansa.index.time_order import TimeOrder, Window
from hansa.types import Interval

_PROBE_WORDS = 4
_NONE: Rows = np.zeros(0, dtype=np.uint32)


class First(NamedTuple):
    """How many match, and the first of them."""

    total: int
    ranks: Rows
    """Rising."""
    examined: int
    """Rows whose places or times were compared one by one."""


class Finding:
    """One question on its way."""

    __slots__ = ("_dead", "_rows", "_window", "asked", "examined", "times")

    def __init__(self, asked: list[Members], rows: int, dead: Rows) -> None:
        """Take the keys asked for, rarest first, how many rows there are, and ranks that ended, rising."""
        self.asked = asked
        self.times: TimeOrder | None = None
        self.examined = 0
        self._window = Window(0, 0)
        self._rows = rows
        self._dead = dead

    def take_time(self, times: TimeOrder, asked: Interval) -> bool:
        """Take a time that rows must meet too; False if none does."""
        self.times = times
        self._window = times.window(asked)
        return self._window.end > self._window.first_end

    def few(self, ranks: list[int]) -> list[int]:
        """Return those of the first key's ranks, a few, that have the rest of what is asked for."""
        for members in self.asked[1:]:
            ranks = members.among_few(ranks)
        if self.times is not None:
            self.examined += len(ranks)
            ranks = self.times.among_few(self._window, ranks)
        if len(self._dead):
            ended = set(self._dead[is_in(self._dead, np.array(ranks, dtype=np.uint32))].tolist())
            ranks = [rank for rank in ranks if rank not in ended]
        return ranks

    def first(self, best: int) -> First:
        """Return those that have all keys asked for, at least one, and meet the time."""
        least = self.asked[0]
        if least.ranks is not None:
            return self.of_list(least.ranks, self.asked[1:], best)
        return self.of_bits(best)

    def all_ranks(self) -> Rows:
        """Return the ranks of all that have the keys asked for, at least one, rising."""
        least = self.asked[0]
        if least.ranks is not None:
            return self._thin(least.ranks, self.asked[1:])
        found = rows_of(
            _joined([members.bits for members in self.asked if members.bits is not None])
        )
        return self._living(self._in_time(found))

    def of_list(self, ranks: Rows, asked: Sequence[Members], best: int) -> First:
        """Return those of some ranks, which rise, that have the rest of what is asked for."""
        ranks = self._thin(ranks, asked)
        return First(len(ranks), ranks[:best], self.examined)

    def of_heap(self, ranks: Rows, asked: Sequence[Members], best: int) -> First:
        """Return those of some ranks, in no order, that have the rest of what is asked for."""
        ranks = self._thin(ranks, asked)
        return First(len(ranks), _smallest(ranks, best), self.examined)

    def _thin(self, ranks: Rows, asked: Sequence[Members]) -> Rows:
        for members in asked:
            ranks = members.among(ranks)
        if self.times is not None:
            ranks = self._in_time(ranks)
        return self._living(ranks)

    def of_bits(self, best: int) -> First:
        """Return those that match where all keys have many rows."""
        sets = [members.bits for members in self.asked if members.bits is not None]
        if self.times is not None:
            return self._of_time(self.times, sets, best)
        whole = _joined(sets)
        count = count_rows(whole) if len(sets) > 1 else self.asked[0].count
        if len(self._dead):
            count -= self._dead_that_match()
        return First(count, self._probe([whole], count, best), self.examined)

    def _of_time(self, times: TimeOrder, sets: list[Words], best: int) -> First:
        count = self._window.end - self._window.first_end
        if sets:
            by_start = [members.by_start(times) for members in self.asked]
            start, part, edge = times.among_bits(self._window, by_start)
            self.examined += len(edge)
            count = count_rows(part) + len(edge)
            # Few are put in order one by one, many are met soon enough on the way from the first rank.
            if count * count <= 4 * self._rows:
                places = np.concatenate((rows_of(part) + np.uint32(start), edge))
                ranks = self._living(times.rows_at(places))
                return First(len(ranks), _smallest(ranks, best), self.examined)
        if len(self._dead):
            count -= self._dead_that_match()
        return First(count, self._probe(sets, count, best), self.examined)

    def _probe(self, sets: list[Words], count: int, best: int) -> Rows:
        """Return the first that match, looking at ever longer stretches of bits."""
        parts: list[Rows] = []
        words = -(-self._rows // 64)
        # So many hold enough of them on average; what is missing comes with the next stretches.
        start, step = 0, _PROBE_WORDS + (best * words + (best * words >> 2)) // max(1, count)
        left = min(best, count)
        while left > 0 and start < words:
            end = min(start + step, words)
            if sets:
                ranks = rows_of(_joined([bits[start:end] for bits in sets]))
                ranks += np.uint32(start << 6)
            else:
                ranks = np.arange(start << 6, min(end << 6, self._rows), dtype=np.uint32)
            hits = self._living(self._in_time(ranks))[:left]
            parts.append(hits)
            left -= len(hits)
            start, step = end, 2 * step
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else _NONE

    def _in_time(self, ranks: Rows) -> Rows:
        if self.times is None:
            return ranks
        self.examined += len(ranks)
        return self.times.among(self._window, ranks)

    def _living(self, ranks: Rows) -> Rows:
        return ranks.compress(~is_in(ranks, self._dead)) if len(self._dead) else ranks

    def _dead_that_match(self) -> int:
        dead: Rows = self._dead
        for members in self.asked:
            dead = members.among(dead)
        return len(self._in_time(dead))


def _smallest(ranks: Rows, best: int) -> Rows:
    """Return the first of some ranks in order."""
    ranks = ranks.copy()
    if len(ranks) > best:
        ranks.partition(best)
        ranks = ranks[:best]
    ranks.sort()
    return ranks


def _joined(sets: Sequence[Words]) -> Words:
    """Return what all of some sets have; of one the set itself."""
    found = sets[0]
    for more in sets[1:]:
        found = found & more
    return found
