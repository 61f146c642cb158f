"""Rows that are not in the file yet: additions in memory, found at once, exactly, without a read.

Only ever longer: a question that began at an earlier height passes over what came later (numbers from
its view's count on) and still sees what ended since (rows are marked with the height of their end).
One writer; readers in other threads need no lock.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from hansa.index.cells import bare, key_of, row_keys
from hansa.index.features import FEATURES
from hansa.index.pages import Row
from hansa.index.question import Question
from hansa.index.records import IndexRecord
from hansa.index.words import fold, split_sequence
from hansa.types import Box, Interval

_NEVER = 1 << 62
_GROWTH = 64


class Additions:
    """Rows in the order of their coming."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._ended: list[int] = []
        self._numbers: dict[bytes, list[int]] = {}
        self._words: dict[str, list[str]] = {}
        """First character → bare words that begin so."""
        self._current: dict[bytes, int] = {}
        self._features = np.zeros((_GROWTH, FEATURES), dtype=np.int8)

    def add(self, row: Row) -> None:
        """Add a row of a dataset that has none here at present."""
        number = len(self.rows)
        assert row.record.dataset not in self._current
        if number == len(self._features):
            self._features = np.concatenate((self._features, np.zeros_like(self._features)))
        self._features[number] = row.record.features
        for key in row_keys(row.record):
            members = self._numbers.get(key)
            if members is None:
                self._numbers[key] = [number]
                if key.startswith(b"w"):
                    word = key[1:].decode("utf-8", "surrogatepass")
                    self._words.setdefault(word[:1], []).append(word)
            else:
                members.append(number)
        self._current[row.record.dataset] = number
        self._ended.append(_NEVER)
        self.rows.append(row)

    def end(self, dataset: bytes, height: int) -> bool:
        """End a dataset's row at a height; tell whether it had one."""
        number = self._current.pop(dataset, None)
        if number is not None:
            self._ended[number] = height
        return number is not None

    def current(self, dataset: bytes) -> int | None:
        """Return the number of a dataset's row here at present."""
        return self._current.get(dataset)

    def holds(self, dataset: bytes) -> bool:
        """Tell whether a dataset has a row here at present."""
        return dataset in self._current

    def row_of(self, dataset: bytes, count: int, height: int) -> int | None:
        """Return the number of a dataset's row that lived at a height among the first `count`."""
        for number in reversed(self._numbers.get(b"i" + dataset, ())):
            if self._lives(number, count, height):
                return number
        return None

    def living(self, count: int, height: int) -> Iterator[int]:
        """Yield the rows among the first `count` that lived at a height."""
        return (number for number in range(count) if self._ended[number] > height)

    def select(self, question: Question, count: int, height: int) -> list[int]:
        """Return the rows that match, rising; nearness rules nothing out."""
        if not count:
            return []
        lists = self._lists(question)
        if lists is None:
            return []
        found: Sequence[int] = range(count)
        for members in sorted(lists, key=len):
            found = [number for number in found if _has(members, number)] \
                if len(found) < len(members) else [n for n in members if _has(found, n)]  # fmt: skip
            if not found:
                return []
        return [
            number
            for number in found
            if self._lives(number, count, height)
            and self._meets(number, question)
            and all(has_phrase(self.rows[number].record, part) for part in question.phrases)
        ]

    def score(self, question: Question, number: int) -> int:
        """Return how well the words of a question match a row that matches."""
        points = 0
        for word in question.words:
            strong = self._numbers.get(key_of("W", bare(word)), ())
            points += 3 if _has(strong, number) else 1
        for prefix in question.prefixes:
            points += 3 if self._has_strong(bare(prefix), number) else 1
        return points

    def distances(self, features: Sequence[int], numbers: Sequence[int]) -> list[int]:
        """Return the squared distance of the features of some rows."""
        away = self._features[list(numbers)].astype(np.int64) - np.array(features, dtype=np.int64)
        squares: npt.NDArray[np.int64] = (away * away).sum(axis=1)
        return [int(square) for square in squares]

    def _meets(self, number: int, question: Question) -> bool:
        record = self.rows[number].record
        return meets(record.box, record.interval, question)

    def _lives(self, number: int, count: int, height: int) -> bool:
        return number < count and self._ended[number] > height

    def _lists(self, question: Question) -> list[Sequence[int]] | None:
        """Return the rows of each part that is looked up, or None if one has none."""
        lists: list[Sequence[int]] = []
        for key in keys_asked(question):
            members = self._numbers.get(key)
            if members is None:
                return None
            lists.append(members)
        for prefix in question.prefixes:
            words = self._words_from(bare(prefix))
            union = {n for word in words for n in self._numbers[key_of("w", word)]}
            if not union:
                return None
            lists.append(sorted(union))
        return lists

    def _words_from(self, stem: str) -> list[str]:
        return [word for word in list(self._words.get(stem[:1], ())) if word.startswith(stem)]

    def _has_strong(self, stem: str, number: int) -> bool:
        words = self._words_from(stem)
        return any(_has(self._numbers.get(key_of("W", word), ()), number) for word in words)


def keys_asked(question: Question) -> list[bytes]:
    """Return the keys that a row must have, but for beginnings of words."""
    words = [*question.words, *(word for phrase in question.phrases for word in phrase)]
    keys = [key_of("w", bare(word)) for word in words]
    if question.dataset is not None:
        keys.append(b"i" + question.dataset)
    for kind, text in (
        ("n", fold(question.title)),
        ("o", question.owner),
        ("t", fold(question.theme)),
        ("f", fold(question.format)),
    ):
        if text:
            keys.append(key_of(kind, text))
    return keys


def meets(box: Box | None, covered: Interval | None, question: Question) -> bool:
    """Tell whether a record's box and time cover the place and time asked for."""
    asked, interval = question.box, question.interval
    if asked is not None and (
        box is None
        or box.east < asked.west
        or asked.east < box.west
        or box.north < asked.south
        or asked.north < box.south
    ):
        return False
    if question.near is not None and (box is None or not question.near.meets(box)):
        return False
    if interval is not None:
        if covered is None:
            return False
        return covered.start_ms <= interval.end_ms and covered.end_ms >= interval.start_ms
    return True


def texts_of(record: IndexRecord) -> tuple[str, ...]:
    """Return the texts in each of which a phrase may occur."""
    return (record.title, record.description, record.place, *record.keywords, *record.themes)


def has_phrase(record: IndexRecord, phrase: tuple[str, ...]) -> bool:
    """Tell whether the words of a phrase stand side by side in one text of a record."""
    wanted = [bare(word) for word in phrase]
    length = len(wanted)
    for text in texts_of(record):
        sequence = [bare(word) for word in split_sequence(text)]
        for start in range(len(sequence) - length + 1):
            if sequence[start : start + length] == wanted:
                return True
    return False


def _has(members: Sequence[int], number: int) -> bool:
    """Tell whether a rising sequence has a number."""
    at = bisect_left(members, number)
    return at < len(members) and members[at] == number
