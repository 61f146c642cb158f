"""Discriminant table: the first layer. Says which clusters a question can concern at all (seed 4.1).

In memory: one filter over the whole index, one bit-sliced over pages, bounds of place and time. A
question that needs what is nowhere is answered "not here" without a read. Exact in the one direction
that counts: a page that holds a match is never ruled out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hansa.index.cells import Need
from hansa.index.filters import KeyFilter, PageFilter, hash_key
from hansa.index.pages import PageEntry
from hansa.index.question import Question

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ruling:
    """Pages that one part of a question leaves."""

    reason: str
    """Why the others are out, for people."""
    pages: Mask


class Discriminant:
    """Rules pages out."""

    def __init__(self, pages: Sequence[PageEntry], whole: KeyFilter, by_page: PageFilter) -> None:
        """Take the filters over; `whole` also learns the keys of additions."""
        self.whole = whole
        self._by_page = by_page
        self._count = len(pages)
        boxes = np.array([page.box for page in pages], dtype=np.int64).reshape(-1, 4)
        self._west, self._south, self._east, self._north = boxes.T.copy()
        times = np.array([page.interval for page in pages], dtype=np.int64).reshape(-1, 2)
        self._start, self._end = times.T.copy()

    @property
    def memory_bytes(self) -> int:
        """Return the memory of filters and bounds."""
        return self.whole.memory_bytes + self._by_page.memory_bytes + 48 * self._count

    def rule(self, question: Question, needs: Sequence[Need]) -> list[Ruling]:
        """Return what each part of a question leaves of the pages."""
        rulings: list[Ruling] = []
        box, interval = question.box, question.interval
        if box is not None:
            inside = (self._west <= box.east) & (self._east >= box.west)
            inside &= (self._south <= box.north) & (self._north >= box.south)
            rulings.append(Ruling("its places lie elsewhere", inside))
        if interval is not None:
            inside = (self._start <= interval.end_ms) & (self._end >= interval.start_ms)
            rulings.append(Ruling("its times lie elsewhere", inside))
        for need in needs:
            hashes = [hash_key(key) for key in need.keys]
            rulings.append(Ruling(f"no {need.what}", self._by_page.pages_with(hashes)))
        return rulings

    def pages_with_key(self, hashed: int) -> Mask:
        """Return which pages may have a hashed key, (pages,)."""
        return self._by_page.pages_with((hashed,))

    def join(self, rulings: Sequence[Ruling]) -> Mask:
        """Return the pages that every part leaves, (pages,)."""
        left = np.ones(self._count, dtype=np.bool_)
        for ruling in rulings:
            left &= ruling.pages
        return left


def find_absent(whole: KeyFilter, needs: Sequence[Need]) -> str:
    """Return what a question needs that is nowhere in the index, or an empty text."""
    for need in needs:
        if not any(whole.may_contain(hash_key(key)) for key in need.keys):
            return need.what
    return ""
