"""Discriminant table: the first layer. Says whether and where a question can be answered (seed 4.1).

In memory: one filter over all keys and pairs of keys, tables of where and when there is any data, a
filter bit-sliced over pages for facets, bounds of place and time of each page. A question that needs
what is nowhere is answered "not here" without a read. Exact in the one direction that counts: what
holds a match is never ruled out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hansa.index.cells import (
    Facet,
    bare,
    digest_of,
    facet_pairs,
    facets_asked,
    key_of,
    pairs_asked,
    stem_keys,
    triple_key,
    word_digest,
)
from hansa.index.filters import KeyFilter, PageFilter
from hansa.index.pages import DAY_MS, PAGE, clip_day
from hansa.index.question import Question
from hansa.index.regions import Places, Times, boxes_meet
from hansa.index.words import fold

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ruling:
    """Pages that one part of a question leaves."""

    reason: str
    """Why the others are out, for people."""
    pages: Mask


class Discriminant:
    """Rules out the whole, or pages."""

    def __init__(
        self,
        *,
        pages: npt.NDArray[np.void],
        whole: KeyFilter,
        by_page: PageFilter,
        places: Places,
        times: Times,
        groups: frozenset[str],
    ) -> None:
        """Take filters and tables over; `groups`: the pairs of kinds that `whole` knows."""
        assert pages.dtype == PAGE
        self._whole = whole
        self._by_page = by_page
        self._places = places
        self._times = times
        self._groups = groups
        self._count = len(pages)
        self._west, self._south, self._east, self._north = pages["box"].T.copy()
        self._start, self._end = pages["days"].T.copy()

    @property
    def memory_bytes(self) -> int:
        """Return the memory of filters, tables and bounds."""
        parts = (self._whole, self._by_page, self._places, self._times)
        return sum(part.memory_bytes for part in parts) + 24 * self._count

    def may_have(self, dataset: bytes) -> bool:
        """Tell whether a dataset of this id may be in the index; False is certain."""
        return self._whole.may_contain(digest_of(b"i" + dataset))

    def absent(self, question: Question, *, explain: bool = True) -> str:
        """Return what a question needs that is nowhere in the index, or an empty text.

        Two facets that are nowhere together are found out by one look; whether one of them is nowhere
        at all is asked only to `explain`.
        """
        may = self._whole.may_contain
        for word in question.words:
            if not may(word_digest(word)):
                return f"no word {word!r}"
        if question.dataset is not None and not self.may_have(question.dataset):
            return "no dataset of this id"
        if question.title and not may(digest_of(key_of("n", fold(question.title)))):
            return f"no title {question.title!r}"
        if question.is_words_alone:
            return ""
        return self._absent_rest(question, explain=explain)

    def _absent_rest(self, question: Question, *, explain: bool) -> str:  # noqa: C901 - one for each reason
        may = self._whole.may_contain
        facets = facets_asked(question)
        if explain or len(facets) < 2:
            for facet in facets:
                if not may(facet.digest):
                    return f"no {_KINDS[facet.kind]} {facet.text!r}"
        if len(facets) > 1:
            apart = self._absent_together(facets)
            if apart:
                return apart
        if question.prefixes or question.phrases:
            for what, key in _singles(question, self._groups):
                if not may(digest_of(key)):
                    return f"no {what}"
        if question.box is not None or question.near is not None or question.interval is not None:
            return self._absent_place_or_time(question, facets)
        if len(facets) > 1 and not self._pages_with(facets):
            return "no page with all facets asked for"
        return ""

    def _absent_together(self, facets: Sequence[Facet]) -> str:
        """Return which facets are nowhere together, or an empty text."""
        may = self._whole.may_contain
        by_kind = {facet.kind: facet for facet in facets}
        for one, two, head in facet_pairs(tuple(by_kind), self._groups):
            if not may(digest_of(head + by_kind[one].sized + by_kind[two].encoded)):
                return f"nothing with both {_KINDS[one]} and {_KINDS[two]} asked for"
        if len(by_kind) == 3 and "ob" in self._groups and not may(digest_of(triple_key(by_kind))):
            return "nothing with owner, theme and format asked for"
        return ""

    def _absent_place_or_time(self, question: Question, facets: Sequence[Facet]) -> str:
        may = self._whole.may_contain
        has_place = question.box is not None or question.near is not None
        interval = question.interval
        if interval is not None and not self._times.may_meet(interval):
            return "no data of this time"
        if has_place and not all(map(self._places.may_meet, question.boxes)):
            return "no data in this place"
        if len(facets) + has_place + (interval is not None) < 2:
            return ""
        for group, keys in pairs_asked(question, facets, self._groups):
            if not any(may(digest_of(key)) for key in keys):
                return f"nothing with both {_KINDS[group[0]]} and {_KINDS[group[1]]} asked for"
        left = self._pages_with(facets)
        if not left:
            return "no page with all facets asked for"
        return "" if self._any_page(question, left) else "no page has all that is asked for"

    def _pages_with(self, facets: Sequence[Facet]) -> int:
        """Return a number whose bit p tells whether page p may have all facets."""
        left = -1
        for facet in facets:
            left &= self._by_page.pages_with(facet.digest)
        return left

    def _any_page(self, question: Question, left: int) -> bool:
        """Tell whether one of the pages left by facets is left by its bounds too."""
        inside = self._mask(left)
        for ruling in self._rule_bounds(question):
            inside &= ruling.pages
        return bool(inside.any())

    def rule(self, question: Question) -> list[Ruling]:
        """Return what each part of a question leaves of the pages."""
        rulings = self._rule_bounds(question)
        for facet in facets_asked(question):
            bits = self._by_page.pages_with(facet.digest)
            reason = f"no {_KINDS[facet.kind]} {facet.text!r}"
            rulings.append(Ruling(reason, self._mask(bits)))
        return rulings

    def _rule_bounds(self, question: Question) -> list[Ruling]:
        rulings: list[Ruling] = []
        for box in question.boxes:
            inside = boxes_meet((self._west, self._south, self._east, self._north), box)
            rulings.append(Ruling("its places lie elsewhere", inside))
        if question.interval is not None:
            first = clip_day(question.interval.start_ms // DAY_MS)
            last = clip_day(question.interval.end_ms // DAY_MS)
            inside = (self._start <= last) & (self._end >= first)
            rulings.append(Ruling("its times lie elsewhere", inside))
        return rulings

    def _mask(self, bits: int) -> Mask:
        width = (self._count + 7) // 8
        packed = np.frombuffer((bits & (1 << 8 * width) - 1).to_bytes(width, "little"), np.uint8)
        return np.unpackbits(packed, count=self._count, bitorder="little").astype(np.bool_)


_KINDS = {"t": "theme", "f": "format", "o": "owner", "y": "year", "p": "place"}


def _singles(question: Question, groups: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and key of the words that beginnings and phrases need."""
    for prefix in question.prefixes:
        for key in stem_keys(bare(prefix), groups):
            yield f"word {prefix!r}…", key
    for phrase in question.phrases:
        for word in phrase:
            yield f"word {word!r}", key_of("w", bare(word))
