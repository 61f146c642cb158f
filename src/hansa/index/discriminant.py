"""Discriminant table: the first layer. Says whether and where a question can be answered (seed 4.1).

In memory: one filter over all keys and pairs of keys, tables of where and when there is any data, a
filter bit-sliced over pages for facets, bounds of place and time of each page. A question that needs
what is nowhere is answered "not here" without a read. Exact in the one direction that counts: what
holds a match is never ruled out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hansa.index.cells import bare, digest_of, facet_asked, key_of, pairs_asked, stem_keys
from hansa.index.filters import KeyFilter, PageFilter
from hansa.index.pages import DAY_MS, PAGE, clip_day
from hansa.index.question import Question
from hansa.index.regions import Places, Times
from hansa.index.words import fold

Mask = npt.NDArray[np.bool_]
_PASSED_MAX = 256
_PASSED_BYTES = 128
"""Memory of one of them: a digest and its place in a set."""


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
        self._passed: set[bytes] = set()
        self._count = len(pages)
        self._west, self._south, self._east, self._north = pages["box"].T.copy()
        self._start, self._end = pages["days"].T.copy()

    @property
    def memory_bytes(self) -> int:
        """Return the memory of filters, tables and bounds."""
        parts = (self._whole, self._by_page, self._places, self._times)
        kept = _PASSED_BYTES * len(self._passed)
        return sum(part.memory_bytes for part in parts) + 24 * self._count + kept

    def absent(self, question: Question) -> str:
        """Return what a question needs that is nowhere in the index, or an empty text."""
        may = self._whole.may_contain
        for word in question.words:
            plain = word if word.isascii() else bare(word)
            if not may(digest_of(b"w" + plain.encode("utf-8", "surrogatepass"))):
                return f"no word {word!r}"
        if question.dataset is not None and not may(digest_of(b"i" + question.dataset)):
            return "no dataset of this id"
        if question.title and not may(digest_of(key_of("n", fold(question.title)))):
            return f"no title {question.title!r}"
        if question.is_words_alone:
            return ""
        return self._absent_rest(question)

    def _absent_rest(self, question: Question) -> str:  # noqa: C901, PLR0911, PLR0912 - one for each reason
        may = self._whole.may_contain
        values: dict[str, str] = {}
        digests: list[bytes] = []
        for kind, what, text in _asked(question):
            values[kind], digest = facet_asked(kind, text)
            if digest not in self._passed:
                if not may(digest):
                    return f"no {what} {values[kind]!r}"
                self._pass(digest)
            digests.append(digest)
        for what, key in _singles(question, self._groups):
            if not may(digest_of(key)):
                return f"no {what}"
        has_place = question.box is not None or question.near is not None
        interval = question.interval
        if interval is not None and not self._times.may_meet(interval):
            return "no data of this time"
        if has_place and not all(map(self._places.may_meet, question.boxes)):
            return "no data in this place"
        if len(values) + has_place + (interval is not None) < 2:
            return ""
        for group, keys in pairs_asked(question, values, self._groups):
            if not any(may(digest_of(key)) for key in keys):
                return f"nothing with both {_KINDS[group[0]]} and {_KINDS[group[1]]} asked for"
        left = -1
        for digest in digests:
            left &= self._by_page.pages_with(digest)
        if not left:
            return "no page with all facets asked for"
        if (has_place or interval is not None) and not self._any_page(question, left):
            return "no page has all that is asked for"
        return ""

    def _pass(self, digest: bytes) -> None:
        """Remember a facet that the filter lets pass: the same ones are asked for again and again."""
        if len(self._passed) >= _PASSED_MAX:
            self._passed = set()
        self._passed.add(digest)

    def _any_page(self, question: Question, left: int) -> bool:
        """Tell whether one of the pages left by facets is left by its bounds too."""
        inside = self._mask(left)
        for ruling in self._rule_bounds(question):
            inside &= ruling.pages
        return bool(inside.any())

    def rule(self, question: Question) -> list[Ruling]:
        """Return what each part of a question leaves of the pages."""
        rulings = self._rule_bounds(question)
        for kind, what, text in _asked(question):
            plain, digest = facet_asked(kind, text)
            bits = self._by_page.pages_with(digest)
            rulings.append(Ruling(f"no {what} {plain!r}", self._mask(bits)))
        return rulings

    def _rule_bounds(self, question: Question) -> list[Ruling]:
        rulings: list[Ruling] = []
        for box in question.boxes:
            inside = (self._west <= box.east) & (self._east >= box.west)
            inside &= (self._south <= box.north) & (self._north >= box.south)
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


def _asked(question: Question) -> list[tuple[str, str, str]]:
    """Return kind, name and text of the facets that a question asks for."""
    found: list[tuple[str, str, str]] = []
    if question.owner:
        found.append(("o", "owner", question.owner))
    if question.theme and facet_asked("t", question.theme)[0]:
        found.append(("t", "theme", question.theme))
    if question.format and facet_asked("f", question.format)[0]:
        found.append(("f", "format", question.format))
    return found
