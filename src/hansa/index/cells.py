"""Keys that a dataset has and a question asks for: words, facets, and cells of place and time.

A filter can only say whether a key is present. Ranges become keys by cells: a row takes the finest
grid on which it covers few cells; a question asks on each grid for the cells it covers, and for rows
too wide for any grid. Two boxes that meet share a cell on the row's grid, so nothing is missed; and a
question inside the bounds of a cluster, but where it has no data, is refused like any absent key.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from hansa.index.question import Question
from hansa.index.records import IndexRecord
from hansa.index.words import fold, split_words
from hansa.types import Box, Interval

_PLACE_STEPS = (100_000, 1_000_000, 10_000_000)
"""A tenth of a degree, one, ten."""
_DAY_MS = 86_400_000
_TIME_STEPS = (_DAY_MS, 32 * _DAY_MS, 1_024 * _DAY_MS)
_CELLS_PER_ROW_MAX = 16
_CELLS_PER_QUESTION_MAX = 256
_STEM_MAX = 3
"""Prefixes are filtered by their first three characters."""


@dataclass(frozen=True, slots=True)
class Need:
    """One thing a question asks for: at least one of the keys must be there."""

    what: str
    """For people: completes "no …"."""
    keys: tuple[bytes, ...]


def key_of(kind: str, text: str) -> bytes:
    """Return the key of a word (w), strong word (W), theme (t), format (f), owner (o), title (n)."""
    return kind.encode() + text.encode("utf-8", "surrogatepass")


def word_keys(record: IndexRecord) -> set[bytes]:
    """Return the keys of all words, and of strong words (title, keywords, themes) once more."""
    return {key_of("w", word) for word in record.words} | {
        key_of("W", word) for word in strong_words(record)
    }


def strong_words(record: IndexRecord) -> set[str]:
    """Return the words of title, keywords and themes that the description lists."""
    listed = set(record.words)
    texts = (record.title, *record.keywords, *record.themes)
    return {word for text in texts for word in split_words(text) if word in listed}


def facet_keys(record: IndexRecord) -> set[bytes]:
    """Return the keys of themes, formats, owner and title."""
    return {
        key_of("n", fold(record.title)),
        key_of("o", record.owner),
        *(key_of("t", fold(theme)) for theme in record.themes),
        *(key_of("f", fold(name)) for name in record.formats),
    }


def filter_keys(record: IndexRecord) -> set[bytes]:
    """Return every key under which filters must know a record."""
    keys = facet_keys(record)
    keys.add(b"i" + record.dataset)
    for word in record.words:
        keys.add(key_of("w", word))
        keys.update(key_of("x", word[:length]) for length in range(1, _STEM_MAX + 1))
    if record.box is not None:
        keys.update(_place_keys(record.box))
    if record.interval is not None:
        keys.update(_time_keys(record.interval))
    return keys


def needs_of(question: Question) -> list[Need]:
    """Return what a question needs, most telling first; empty if it could match anything."""
    needs: list[Need] = []
    if question.dataset is not None:
        needs.append(Need("dataset of this id", (b"i" + question.dataset,)))
    for kind, what, text in (
        ("n", "title", fold(question.title)),
        ("o", "owner", question.owner),
        ("t", "theme", fold(question.theme)),
        ("f", "format", fold(question.format)),
    ):
        if text:
            needs.append(Need(f"{what} {text!r}", (key_of(kind, text),)))
    needs.extend(Need(f"word {word!r}", (key_of("w", word),)) for word in question.words)
    needs.extend(
        Need(f"word {prefix!r}…", (key_of("x", prefix[:_STEM_MAX]),))
        for prefix in question.prefixes
    )
    if question.box is not None:
        needs.append(Need("data in this place", tuple(_place_probes(question.box))))
    if question.interval is not None:
        needs.append(Need("data of this time", tuple(_time_probes(question.interval))))
    return needs


def _place_keys(box: Box) -> Iterator[bytes]:
    """Yield the cells of a box on the finest grid that needs few, and the grid's own key."""
    for level, step in enumerate(_PLACE_STEPS):
        columns, rows = _span(box.west, box.east, step), _span(box.south, box.north, step)
        if len(columns) * len(rows) <= _CELLS_PER_ROW_MAX:
            yield b"G%d" % level
            for column in columns:
                for row in rows:
                    yield b"g%d:%d:%d" % (level, column, row)
            return
    yield b"G*"


def _place_probes(box: Box) -> Iterator[bytes]:
    """Yield on each grid the cells a question covers; the grid's own key where they are too many."""
    yield b"G*"
    for level, step in enumerate(_PLACE_STEPS):
        columns, rows = _span(box.west, box.east, step), _span(box.south, box.north, step)
        if len(columns) * len(rows) > _CELLS_PER_QUESTION_MAX:
            yield b"G%d" % level
            continue
        for column in columns:
            for row in rows:
                yield b"g%d:%d:%d" % (level, column, row)


def _time_keys(interval: Interval) -> Iterator[bytes]:
    for level, step in enumerate(_TIME_STEPS):
        cells = _span(interval.start_ms, interval.end_ms, step)
        if len(cells) <= _CELLS_PER_ROW_MAX:
            yield b"H%d" % level
            for cell in cells:
                yield b"h%d:%d" % (level, cell)
            return
    yield b"H*"


def _time_probes(interval: Interval) -> Iterator[bytes]:
    yield b"H*"
    for level, step in enumerate(_TIME_STEPS):
        cells = _span(interval.start_ms, interval.end_ms, step)
        if len(cells) > _CELLS_PER_QUESTION_MAX:
            yield b"H%d" % level
            continue
        for cell in cells:
            yield b"h%d:%d" % (level, cell)


def _span(first: int, last: int, step: int) -> range:
    """Return the cells from `first` to `last`, both included."""
    return range(first // step, last // step + 1)
