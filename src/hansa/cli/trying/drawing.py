"""Draw questions about a catalogue from a seed: what is there, what is not, what lies in between.

Kinds: *present* ask for a part of a record that is there; *absent* for what lies outside of all that
is there; *in-range* for what is not there although it lies inside the range of words, ids, names,
places or times that are; *combined* join several parts of one record; *apart* join facets that are
there, but on no record together; *words-apart* the same with two words.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hansa.cli.trying.naive import NaiveScan, plain
from hansa.index.features import FEATURES
from hansa.index.question import Circle, Question
from hansa.index.records import IndexRecord
from hansa.index.words import split_sequence
from hansa.types import Box, DatasetId, Interval, Millis

KINDS = ("present", "absent", "in-range", "combined", "apart", "words-apart")
ABSENT_KINDS = frozenset({"absent", "in-range", "apart", "words-apart"})
_TRIES = 64
_DAY_MS = 86_400_000
_MICRO = 1_000_000
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Drawn:
    """One question and how it came about."""

    kind: str
    about: str
    """What it asks by: word, title, box …"""
    question: Question


class Drawing:
    """Draws questions; the same for the same records, count and seed."""

    def __init__(self, scan: NaiveScan, seed: int) -> None:
        self._scan = scan
        self._draw = random.Random(f"hansa index try {seed}")  # noqa: S311 - no secret
        self._records = sorted(scan.records, key=lambda record: record.dataset)
        self._words = sorted({plain(word) for record in self._records for word in record.words})
        self._known = frozenset(self._words)
        self._titles = frozenset(plain(record.title) for record in self._records)
        self._owners = frozenset(record.owner for record in self._records)
        self._themes = sorted({theme for record in self._records for theme in record.themes})
        self._formats = sorted({name for record in self._records for name in record.formats})
        self._ids = frozenset(record.dataset for record in self._records)
        self._boxes = [record.box for record in self._records if record.box is not None]
        self._intervals = [
            record.interval for record in self._records if record.interval is not None
        ]

    def questions(self, count: int) -> Iterator[Drawn]:
        """Yield so many questions, the kinds in turn; kinds that the catalogue cannot give are not."""
        makers: dict[str, Callable[[], tuple[str, Question] | None]] = {
            "present": self._present,
            "absent": self._absent,
            "in-range": self._in_range,
            "combined": self._combined,
            "apart": self._apart,
            "words-apart": self._words_apart,
        }
        # Two words that never meet must be looked up: few of these, for what they cost is known.
        turn = [kind for kind in KINDS for _ in range(1 if kind == "words-apart" else 3)]
        yielded = failures = 0
        while yielded < count and failures < 10 * len(turn):
            kind = turn[(yielded + failures) % len(turn)]
            made = makers[kind]()
            if made is None:
                failures += 1
                continue
            yielded += 1
            yield Drawn(kind, *made)

    # --- what is there ----------------------------------------------------------------------------

    def _present(self) -> tuple[str, Question]:
        example = self._draw.choice(self._records)
        parts = self._parts_of(example)
        about = self._draw.choice(sorted(parts))
        return about, Question(**parts[about], **self._paging())

    def _combined(self) -> tuple[str, Question] | None:
        parts = self._parts_of(self._draw.choice(self._records))
        chosen = self._draw.sample(sorted(parts), min(len(parts), self._draw.choice((2, 2, 3, 4))))
        joined: dict[str, Any] = {}
        for about in chosen:
            joined.update(parts[about])
        if "like" in joined:
            joined.pop("like_features", None)
        return "+".join(sorted(chosen)), Question(**joined, **self._paging())

    def _paging(self) -> dict[str, Any]:
        return {
            "limit": self._draw.choice((1, 5, 20, 1_000)),
            "offset": self._draw.choice((0, 0, 0, 3, 50)),
        }

    def _parts_of(self, example: IndexRecord) -> dict[str, dict[str, Any]]:
        """Return what can be asked so that this record matches."""
        draw = self._draw
        parts: dict[str, dict[str, Any]] = {
            "id": {"dataset": example.dataset},
            "like": {"like": example.dataset},
            "features": {"like_features": tuple(draw.randint(-90, 90) for _ in range(FEATURES))},
        }
        if example.title.strip():
            parts["title"] = {"title": draw.choice((str.upper, str))(example.title)}
        if example.words:
            word = draw.choice(example.words)
            parts["word"] = {"words": (draw.choice((word, plain(word))) or word,)}
            parts["words"] = {"words": tuple(draw.choices(example.words, k=2))}
            parts["prefix"] = {"prefixes": (word[: draw.randint(1, 6)],)}
        sequence = split_sequence(draw.choice((example.title, example.description)))
        if len(sequence) > 1:
            start = draw.randrange(len(sequence) - 1)
            parts["phrase"] = {"phrases": (tuple(sequence[start : start + draw.choice((2, 3))]),)}
        if example.owner:
            parts["publisher"] = {"owner": example.owner}
        if example.themes:
            parts["theme"] = {"theme": draw.choice(example.themes)}
        if example.formats:
            parts["format"] = {"format": draw.choice(example.formats)}
        if example.box is not None:
            parts["box"] = {"box": self._box_around(example.box)}
            parts["near"] = {"near": self._circle_around(example.box)}
        if example.interval is not None:
            start_ms = example.interval.start_ms
            span = draw.choice((0, _DAY_MS, 400 * _DAY_MS))
            parts["time"] = {"interval": Interval(start_ms, Millis(start_ms + span))}
        return parts

    def _box_around(self, box: Box) -> Box:
        size = self._draw.choice((0, 10_000, _MICRO, 20 * _MICRO))
        return Box(
            box.west,
            box.south,
            min(180 * _MICRO, box.west + size),
            min(90 * _MICRO, box.south + size),
        )

    def _circle_around(self, box: Box) -> Circle:
        return Circle(box.east, box.north, self._draw.choice((0, 500, 25_000, 900_000)))

    # --- what is not there ------------------------------------------------------------------------

    def _absent(self) -> tuple[str, Question] | None:
        draw = self._draw
        strange = "".join(draw.choices("qxzjv", k=14)) + str(draw.randrange(10**6))
        asks: dict[str, Question] = {
            "id": Question(dataset=DatasetId(bytes(draw.choices(range(256), k=16)))),
            "title": Question(title=f"{strange} {strange}"),
            "word": Question(words=(strange,)),
            "prefix": Question(prefixes=(strange,)),
            "publisher": Question(owner=strange),
            "theme": Question(theme=strange),
            "format": Question(format=strange),
        }
        if self._boxes:
            north = max(box.north for box in self._boxes)
            if north < 89 * _MICRO:
                asks["box"] = Question(box=Box(-180 * _MICRO, north + 1, 180 * _MICRO, 90 * _MICRO))
        if self._intervals:
            end = max(interval.end_ms for interval in self._intervals)
            asks["time"] = Question(interval=Interval(Millis(end + 1), Millis(end + _DAY_MS)))
        about = draw.choice(sorted(asks))
        return self._if_absent(about, asks[about])

    def _in_range(self) -> tuple[str, Question] | None:
        draw = self._draw
        makers: list[Callable[[], tuple[str, Question]]] = [
            lambda: ("word", Question(words=(self._near_word(),))),
            lambda: ("id", Question(dataset=DatasetId(draw.randbytes(16)))),
            lambda: ("title", Question(title=self._mixed_title())),
            lambda: ("publisher", Question(owner=self._changed(draw.choice(sorted(self._owners))))),
        ]
        if self._boxes:
            makers.append(lambda: ("box", Question(box=self._box_between())))
        if self._intervals:
            makers.append(lambda: ("time", Question(interval=self._time_between())))
        maker = draw.choice(makers)
        for _ in range(_TRIES):
            made = self._if_absent(*maker())
            if made is not None:
                return made
        return None

    def _apart(self) -> tuple[str, Question] | None:
        """Return facets of two records that no record has together."""
        draw = self._draw
        names = ("publisher", "theme", "format", "box", "time")
        for _ in range(_TRIES):
            first = self._parts_of(draw.choice(self._records))
            second = self._parts_of(draw.choice(self._records))
            has = [name for name in names if name in first]
            other = [name for name in names if name in second]
            if not has or not other:
                continue
            one, two = draw.choice(has), draw.choice(other)
            if one == two:
                continue
            question = Question(**(first[one] | second[two]))
            made = self._if_absent("+".join(sorted((one, two))), question)
            if made is not None:
                return made
        return None

    def _words_apart(self) -> tuple[str, Question] | None:
        for _ in range(_TRIES if len(self._words) > 1 else 0):
            made = self._if_absent(
                "words", Question(words=tuple(self._draw.sample(self._words, 2)))
            )
            if made is not None:
                return made
        return None

    def _if_absent(self, about: str, question: Question) -> tuple[str, Question] | None:
        known = any(plain(word) in self._known for word in question.words)
        if question.words and not known:
            return about, question
        if question.dataset is not None and question.dataset not in self._ids:
            return about, question
        return None if self._scan.has_any(question) else (about, question)

    def _near_word(self) -> str:
        return plain(self._changed(self._draw.choice(self._words))) if self._words else "q"

    def _changed(self, text: str) -> str:
        """Return a text with one letter changed or added: among those that are there."""
        at = self._draw.randrange(len(text) + 1)
        skip = self._draw.choice((0, 1))
        return text[:at] + self._draw.choice(_LETTERS) + text[at + skip :]

    def _mixed_title(self) -> str:
        one, two = (self._draw.choice(self._records).title.split() for _ in range(2))
        return " ".join((*one[: len(one) // 2 + 1], *two[len(two) // 2 :])) or "untitled"

    def _box_between(self) -> Box:
        west = min(box.west for box in self._boxes)
        east = max(box.east for box in self._boxes)
        south = min(box.south for box in self._boxes)
        north = max(box.north for box in self._boxes)
        size = self._draw.choice((1_000, 50_000, 500_000))
        x, y = self._draw.randint(west, east), self._draw.randint(south, north)
        return Box(x, y, min(180 * _MICRO, x + size), min(90 * _MICRO, y + size))

    def _time_between(self) -> Interval:
        first = min(interval.start_ms for interval in self._intervals)
        last = max(interval.end_ms for interval in self._intervals)
        start = self._draw.randint(first, last)
        return Interval(Millis(start), Millis(start + self._draw.choice((0, _DAY_MS))))
