"""Answer questions by looking at every record: slow, plain, and without anything of the index.

What a question means is written down here a second time, so that the index can be checked against
it. Words are those of the description (the rule `words` is part of the format); what is compared, counted
and ordered is done here by plain loops.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from unicodedata import ucd_3_2_0 as unicodedata

import numpy as np

from hansa.index.question import Question
from hansa.index.records import IndexRecord
from hansa.index.words import split_sequence, split_words

_EARTH_RADIUS_M = 6_371_008.8
_MICRO = 1_000_000
_MARK = "\0"


@dataclass(frozen=True, slots=True)
class Found:
    """What a naive scan finds."""

    total: int
    matches: tuple[tuple[int, bytes], ...]
    """Score and id of those from offset to limit, in order."""
    facets: dict[str, dict[str, int]]
    """theme, format, owner: how many of all matches have each."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A record with its words as a scan compares them."""

    record: IndexRecord
    words: frozenset[str]
    strong: frozenset[str]
    beginnings: str
    """All words, each after a mark, so that what begins with a stem is found by one search."""
    strong_beginnings: str
    themes: frozenset[str]
    formats: frozenset[str]
    title: str


class NaiveScan:
    """All records of a catalogue, looked at one by one."""

    def __init__(self, records: Sequence[IndexRecord]) -> None:
        self._seen = [_see(record) for record in records]
        self._features = np.array([record.features for record in records], dtype=np.int64)
        self._number = {record.dataset: number for number, record in enumerate(records)}

    @property
    def records(self) -> list[IndexRecord]:
        """Return the records."""
        return [seen.record for seen in self._seen]

    def ask(self, question: Question) -> Found:
        """Answer a question; `like` must name a record there is."""
        seen = self._matching(question)
        features = question.like_features
        if question.like is not None:
            features = self._seen[self._number[question.like]].record.features
            seen = [item for item in seen if item.record.dataset != question.like]
        if features is not None:
            numbers = [self._number[item.record.dataset] for item in seen]
            away = self._features[numbers] - np.array(features, dtype=np.int64)
            scores = [int(value) for value in (away * away).sum(axis=1)]
            order = sorted(zip(scores, (i.record.dataset for i in seen), strict=True))
        else:
            order = sorted(
                ((_score(item, question), item.record.dataset) for item in seen),
                key=lambda hit: (-hit[0], hit[1]),
            )
        shown = tuple(order[question.offset : question.offset + question.limit])
        counted = seen
        if question.is_nearness_alone:
            counted = [self._seen[self._number[dataset]] for _, dataset in shown]
        return Found(len(seen), shown, _facets(counted))

    def has_any(self, question: Question) -> bool:
        """Tell whether anything matches; nearness rules nothing out."""
        return bool(self._matching(question))

    def _matching(self, question: Question) -> list[_Seen]:
        """Return the records that match, part by part."""
        seen = self._seen
        for test in _tests(question):
            seen = [item for item in seen if test(item)]
        return seen


@lru_cache(maxsize=1 << 18)
def plain(text: str) -> str:
    """Return a word or name without accents, white space runs as one."""
    if text.isascii():
        return " ".join(text.split())
    apart = unicodedata.normalize("NFD", text)
    bare = "".join(sign for sign in apart if not "\u0300" <= sign <= "\u036f")
    return " ".join(unicodedata.normalize("NFC", bare).split())


@lru_cache(maxsize=1 << 18)
def _name(text: str) -> str:
    """Return a name in one case and form; characters younger than the frozen table stay as they are."""
    signs = [
        sign if unicodedata.category(sign) == "Cn" else sign.casefold()
        for sign in unicodedata.normalize("NFKC", text)
    ]
    return " ".join(unicodedata.normalize("NFKC", "".join(signs)).split())


def _see(record: IndexRecord) -> _Seen:
    listed = set(record.words)
    strong = {
        word
        for text in (record.title, *record.keywords, *record.themes)
        for word in split_words(text)
        if word in listed
    }
    words, strongest = frozenset(map(plain, record.words)), frozenset(map(plain, strong))
    return _Seen(
        record,
        words,
        strongest,
        _marked(words),
        _marked(strongest),
        frozenset(map(_name, record.themes)),
        frozenset(map(_name, record.formats)),
        _name(record.title),
    )


def _tests(  # noqa: C901 - one line for each part of a question
    question: Question,
) -> Iterator[Callable[[_Seen], bool]]:
    """Yield what each part of a question asks of a record."""
    theme, named, title = _name(question.theme), _name(question.format), _name(question.title)
    if question.dataset is not None:
        yield lambda seen: seen.record.dataset == question.dataset
    if question.owner:
        yield lambda seen: seen.record.owner == question.owner
    if theme:
        yield lambda seen: theme in seen.themes
    if named:
        yield lambda seen: named in seen.formats
    if title:
        yield lambda seen: title == seen.title
    for word in question.words:
        yield partial(_has_word, plain(word))
    if question.box is not None or question.near is not None:
        yield lambda seen: _meets_place(seen.record, question)
    if question.interval is not None:
        yield lambda seen: _meets_time(seen.record, question)
    for stem in question.prefixes:
        yield partial(_has_beginning, plain(stem))
    for phrase in question.phrases:
        yield partial(_has_phrase, tuple(map(plain, phrase)))


def _has_word(word: str, seen: _Seen) -> bool:
    return word in seen.words


def _has_beginning(stem: str, seen: _Seen) -> bool:
    return _MARK + stem in seen.beginnings


def _marked(words: Iterable[str]) -> str:
    """Return words in one text, a mark before each and after the last; no word holds a mark."""
    return "".join(_MARK + word for word in words) + _MARK


def _score(seen: _Seen, question: Question) -> int:
    words = sum(3 if plain(word) in seen.strong else 1 for word in question.words)
    return words + sum(
        3 if _MARK + plain(stem) in seen.strong_beginnings else 1 for stem in question.prefixes
    )


def _has_phrase(phrase: tuple[str, ...], seen: _Seen) -> bool:
    wanted = _marked(phrase)
    return any(wanted in sequence for sequence in _sequences(seen.record))


@lru_cache(maxsize=1 << 16)
def _sequences(record: IndexRecord) -> tuple[str, ...]:
    """Return each text of a record as its words in order: phrases do not reach over its end."""
    texts = (record.title, record.description, record.place, *record.keywords, *record.themes)
    return tuple(_marked(plain(word) for word in split_sequence(text)) for text in texts)


def _meets_place(record: IndexRecord, question: Question) -> bool:
    box = record.box
    if question.box is not None:
        asked = question.box
        if box is None or box.east < asked.west or asked.east < box.west:
            return False
        if box.north < asked.south or asked.north < box.south:
            return False
    near = question.near
    if near is not None:
        if box is None:
            return False
        sides = (box.west / _MICRO, box.south / _MICRO, box.east / _MICRO, box.north / _MICRO)
        away = _metres(near.longitude / _MICRO, near.latitude / _MICRO, *sides)
        return away <= near.radius_m
    return True


def _metres(x: float, y: float, west: float, south: float, east: float, north: float) -> float:
    """Return the distance from a point to the nearest place of a box, on a sphere."""
    latitude = min(max(y, south), north)
    best = math.inf
    for turn in (-360.0, 0.0, 360.0):
        longitude = min(max(x + turn, west), east)
        half_x = math.radians(longitude - x - turn) / 2
        half_y = math.radians(latitude - y) / 2
        across = math.cos(math.radians(y)) * math.cos(math.radians(latitude))
        chord = math.sin(half_y) ** 2 + across * math.sin(half_x) ** 2
        best = min(best, 2 * _EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord))))
    return best


def _meets_time(record: IndexRecord, question: Question) -> bool:
    if question.interval is None:
        return True
    time, asked = record.interval, question.interval
    return time is not None and time.start_ms <= asked.end_ms and asked.start_ms <= time.end_ms


def _facets(seen: Sequence[_Seen]) -> dict[str, dict[str, int]]:
    counters: dict[str, Counter[str]] = {
        "theme": Counter(),
        "format": Counter(),
        "owner": Counter(),
    }
    for item in seen:
        counters["theme"].update(item.themes)
        counters["format"].update(item.formats)
        counters["owner"][item.record.owner] += 1
    return {name: dict(counter) for name, counter in counters.items()}
