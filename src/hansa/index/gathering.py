"""What a data index file is made of, collected from the records row by row (counterpart: `writing`).

Descriptions say the same words, themes and places again and again. So each is taken apart when it is
first seen, and is a number from then on; what a row has lies in flat arrays of numbers. That is what
lets a million descriptions be gathered in the memory of some hundred bytes each.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.index.cells import GROUPS, bare, facets_of, key_of, pair_key, pair_values, strong_words
from hansa.index.records import IndexRecord
from hansa.index.words import fold

Rows = npt.NDArray[np.uint32]
_NO_ROWS: Rows = np.zeros(0, dtype=np.uint32)
_PAIRS_AT_ONCE = 1 << 20
_HIGH, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


class Numbers(dict[str, int]):
    """Numbers words by their form without accents, in the order in which they come."""

    def __init__(self) -> None:
        super().__init__()
        self.plain: dict[str, int] = {}
        """Each form without accents, and its number."""

    def __missing__(self, word: str) -> int:
        number = self[word] = self.plain.setdefault(bare(word), len(self.plain))
        return number


class Postings:
    """Which numbers each row has: flat, row after row."""

    def __init__(self) -> None:
        self.numbers: array[int] = array("I")
        self.counts: array[int] = array("I")
        """How many each row has."""

    def add(self, numbers: Iterable[int]) -> None:
        """Take the numbers of the next row."""
        before = len(self.numbers)
        self.numbers.extend(numbers)
        self.counts.append(len(self.numbers) - before)

    def lists(
        self, count: int, places: npt.NDArray[np.uint64] | None = None
    ) -> tuple[npt.NDArray[np.int64], Rows]:
        """Return where each number's rows start, (count + 1,), and all rows: by number, rising, once.

        Args:
            count: numbers are below it.
            places: what stands for each number, below `count` too; the number itself if not given.
        """
        if not len(self.numbers):
            return np.zeros(count + 1, dtype=np.int64), _NO_ROWS
        numbers = np.frombuffer(self.numbers, dtype=np.uint32)
        counts = np.frombuffer(self.counts, dtype=np.uint32)
        values = np.repeat(np.arange(len(counts), dtype=np.uint64), counts)
        for start in range(0, len(values), _PAIRS_AT_ONCE):
            part = numbers[start : start + _PAIRS_AT_ONCE]
            high = part.astype(np.uint64) if places is None else places[part]
            values[start : start + _PAIRS_AT_ONCE] |= high << _HIGH
        values.sort()
        # Two words of a row may be the same without accents.
        again = np.flatnonzero(values[1:] == values[:-1])
        if len(again):
            values = np.delete(values, again)
        bounds = np.arange(count + 1, dtype=np.uint64) << _HIGH
        return values.searchsorted(bounds).astype(np.int64), (values & _LOW).astype(np.uint32)


class Pairs:
    """Distinct pairs of numbers."""

    def __init__(self) -> None:
        self._coming: array[int] = array("Q")
        self._known = np.zeros(0, dtype=np.uint64)

    def add(self, ones: Iterable[int], twos: Iterable[int]) -> None:
        """Take each of the ones with each of the twos."""
        self._coming.extend([one << 32 | two for one in ones for two in twos])
        if len(self._coming) >= _PAIRS_AT_ONCE:
            self._settle()

    def __len__(self) -> int:
        self._settle()
        return len(self._known)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        self._settle()
        yield from zip((self._known >> _HIGH).tolist(), (self._known & _LOW).tolist(), strict=True)

    def _settle(self) -> None:
        if len(self._coming):
            coming = np.frombuffer(self._coming, dtype=np.uint64)
            self._known = np.unique(np.concatenate((self._known, coming)))
            self._coming = array("Q")


class Gathered:
    """What is collected from the records.

    Attributes:
        words: the words of each row, numbered without accents; `strong` with the same numbers.
        keys: the keys of facets, titles and ids in the order in which they came.
        facets: kind and value of themes, formats and owners in the order in which they came.
        everywhere: in how many rows each word is strong.
        telling: the strong words of each row.
    """

    def __init__(self) -> None:
        self.words = Postings()
        self.strong = Postings()
        self.keyed = Postings()
        self.faceted = Postings()
        self.keys: dict[bytes, int] = {}
        self.facets: dict[str, int] = {}
        self.everywhere: Counter[str] = Counter()
        self.telling: list[tuple[str, ...]] = []
        self._numbers = Numbers()
        self._pairs = {group: Pairs() for group in GROUPS}
        self._paired: dict[bytes, int] = {}
        """Kind and value of whatever is in a pair."""

    @property
    def plain_words(self) -> dict[str, int]:
        """Return all words without accents, and the number of each."""
        return self._numbers.plain

    def take(self, record: IndexRecord) -> None:
        """Collect what the next row has."""
        number_of = self._numbers.__getitem__
        strong = strong_words(record)
        self.words.add(map(number_of, record.words))
        self.strong.add(map(number_of, strong))
        self.telling.append(tuple(strong))
        self.everywhere.update(strong)
        keys: list[bytes] = []
        facets: list[int] = []
        values = facets_of(record)
        for kind, texts in values.items():
            for text in texts:
                keys.append(_key_of(kind, text))
                facets.append(self.facets.setdefault(kind + text, len(self.facets)))
        keys += (key_of("n", fold(record.title)), b"i" + record.dataset)
        self.faceted.add(facets)
        known = self.keys
        self.keyed.add([known.setdefault(key, len(known)) for key in keys])
        self._take_pairs(pair_values(record, values))

    def _take_pairs(self, values: dict[str, list[bytes]]) -> None:
        known = self._paired
        numbers = {
            kind: [known.setdefault(text, len(known)) for text in texts]
            for kind, texts in values.items()
        }
        for group, pairs in self._pairs.items():
            if group[0] in numbers and group[1] in numbers:
                pairs.add(numbers[group[0]], numbers[group[1]])

    def count_pairs(self, group: str) -> int:
        """Return how many distinct pairs of a group there are."""
        return len(self._pairs[group])

    def pair_keys(self, group: str) -> Iterator[bytes]:
        """Yield the keys of a group's pairs."""
        texts = list(self._paired)
        for one, two in self._pairs[group]:
            yield pair_key(group, texts[one], texts[two])


@lru_cache(maxsize=1 << 14)
def _key_of(kind: str, text: str) -> bytes:
    return key_of(kind, text)


def places_of(words: list[str], numbers: dict[str, int]) -> npt.NDArray[np.uint64]:
    """Return for each number of a word its place among the sorted words, (numbers,)."""
    places = np.zeros(len(numbers), dtype=np.uint64)
    order: npt.NDArray[Any] = np.fromiter(map(numbers.__getitem__, words), np.int64, len(words))
    places[order] = np.arange(len(words), dtype=np.uint64)
    return places
