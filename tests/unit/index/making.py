"""Datasets for the index's tests, and a naive scan that answers questions without any index."""

import hashlib
import random

from hansa.index.cells import strong_words
from hansa.index.features import Described, compute_features, compute_words
from hansa.index.pages import texts_of
from hansa.index.question import Question
from hansa.index.records import IndexRecord
from hansa.index.words import fold, split_sequence
from hansa.types import Box, Interval

TOPICS = {
    "transport": "bus stop timetable tram parking bicycle lane traffic count ticket route",
    "environment": "air quality sensor tree river noise weather water sample station",
    "health": "hospital vaccination clinic inspection restaurant food disease rate",
    "planning": "building permit zoning parcel housing street district map plan",
}
DAY_MS = 86_400_000
DEGREE = 1_000_000


def dataset_id(number: int) -> bytes:
    """Return the id of a made dataset."""
    return hashlib.sha256(b"dataset %d" % number).digest()[:16]


def make_record(number: int, seed: int = 0, **changes) -> IndexRecord:
    """Return a made dataset: its topic, place, time and words follow from number and seed."""
    draw = random.Random(f"{seed}/{number}")
    topic = draw.choice(sorted(TOPICS))
    words = TOPICS[topic].split()
    box = interval = None
    if draw.random() < 0.7:
        west, south = draw.randrange(-20, 20) * DEGREE, draw.randrange(40, 60) * DEGREE
        width = draw.choice((1_000, 300_000, 2 * DEGREE, 60 * DEGREE))
        box = Box(west, south, west + width, min(90 * DEGREE, south + width // 2))
    if draw.random() < 0.7:
        start = draw.randrange(0, 20_000) * DAY_MS
        interval = Interval(start, start + draw.choice((0, 30, 4_000, 30_000)) * DAY_MS)
    described = Described(
        title=" ".join(draw.sample(words, 3)).capitalize(),
        description="Yearly "
        + " ".join(draw.choices(words, k=8))
        + f" of zone{draw.randrange(40)}",
        keywords=tuple(sorted(draw.sample(words, 2))),
        themes=(topic.capitalize(),),
        place=draw.choice(("", "Lübeck", "Αθήνα", "上海市")),
        box=box,
        interval=interval,
        formats=tuple(sorted(draw.sample(("csv", "json", "geojson", "pdf"), draw.randrange(1, 3)))),
    )
    fields = {
        "dataset": dataset_id(number),
        "version": 1,
        "height": 1,
        "owner": draw.choice(("alpha", "beta", "gamma")),
        "title": described.title,
        "description": described.description,
        "keywords": described.keywords,
        "themes": described.themes,
        "place": described.place,
        "box": box,
        "interval": interval,
        "formats": described.formats,
        "words": compute_words(described),
        "features": compute_features(described),
        "content_bytes": draw.randrange(10**9),
    }
    return IndexRecord(**(fields | changes))


def scan(records: list[IndexRecord], question: Question) -> list[tuple[int, bytes]]:
    """Return score and id of all that match, in the order of an answer, by looking at every record."""
    features = question.like_features
    if question.like is not None:
        features = next(r.features for r in records if r.dataset == question.like)
    found = []
    for record in records:
        if record.dataset == question.like or not _matches(record, question):
            continue
        if features is not None:
            score = sum((a - b) ** 2 for a, b in zip(record.features, features, strict=True))
            found.append((score, record.dataset))
        else:
            found.append((_score(record, question), record.dataset))
    sign = 1 if features is not None else -1
    return sorted(found, key=lambda hit: (sign * hit[0], hit[1]))


def _matches(record: IndexRecord, question: Question) -> bool:
    words = set(record.words)
    tests = [
        all(word in words for word in question.words),
        all(any(word.startswith(stem) for word in words) for stem in question.prefixes),
        all(_has(record, phrase) for phrase in question.phrases),
        question.dataset in (None, record.dataset),
        question.owner in ("", record.owner),
        not question.theme or fold(question.theme) in map(fold, record.themes),
        not question.format or fold(question.format) in map(fold, record.formats),
        not question.title or fold(question.title) == fold(record.title),
    ]
    if question.box is not None:
        box, asked = record.box, question.box
        tests.append(
            box is not None
            and not (box.east < asked.west or asked.east < box.west)
            and not (box.north < asked.south or asked.north < box.south)
        )
    if question.interval is not None:
        time, asked = record.interval, question.interval
        tests.append(
            time is not None and not (time.end_ms < asked.start_ms or asked.end_ms < time.start_ms)
        )
    return all(tests)


def _has(record: IndexRecord, phrase: tuple[str, ...]) -> bool:
    text = "\0".join(" ".join(split_sequence(text)) + " " for text in texts_of(record))
    return f" {' '.join(phrase)} " in f" {text} ".replace("\0", "\0 ")


def _score(record: IndexRecord, question: Question) -> int:
    strong = strong_words(record)
    stems = sum(3 if any(w.startswith(s) for w in strong) else 1 for s in question.prefixes)
    return stems + sum(3 if word in strong else 1 for word in question.words)


def draw_question(draw: random.Random, records: list[IndexRecord]) -> Question:
    """Return a question of one to three parts, most about what is there, some about what is not."""
    example = draw.choice(records)
    absent = draw.random() < 0.2
    parts = {}
    for part in draw.sample(sorted(_PARTS), draw.choice((1, 1, 2, 3))):
        parts |= _PARTS[part](draw, example, absent)
    return Question(limit=draw.choice((1, 5, 1_000)), offset=draw.choice((0, 0, 2)), **parts)


def _ask_box(draw, example, absent):
    west, south = (
        draw.randrange(-25 * DEGREE, 75 * DEGREE),
        draw.randrange(35 * DEGREE, 89 * DEGREE),
    )
    if example.box is not None and not absent:
        west, south = example.box.west, example.box.south
    size = draw.choice((0, 10_000, DEGREE, 20 * DEGREE))
    return {"box": Box(west, south, west + size, min(90 * DEGREE, south + size))}


def _ask_interval(draw, example, absent):
    start = draw.randrange(-5_000, 60_000) * DAY_MS
    if example.interval is not None and not absent:
        start = example.interval.start_ms
    return {"interval": Interval(start, start + draw.choice((0, 10, 500, 20_000)) * DAY_MS)}


_PARTS = {
    "words": lambda d, e, a: {"words": ("nowhere",) if a else tuple(d.sample(e.words, 2))},
    "prefixes": lambda d, e, a: {"prefixes": ("qx",) if a else (d.choice(e.words)[:2],)},
    "phrases": lambda d, e, a: {"phrases": (tuple(split_sequence(e.title)[a : a + 2 + a]),)},
    "theme": lambda d, e, a: {"theme": "Sport" if a else e.themes[0].upper()},
    "format": lambda d, e, a: {"format": "xls" if a else e.formats[0]},
    "owner": lambda d, e, a: {"owner": "omega" if a else e.owner},
    "title": lambda d, e, a: {"title": "Nothing" if a else e.title.upper()},
    "dataset": lambda d, e, a: {"dataset": bytes(16) if a else e.dataset},
    "like": lambda d, e, a: {"like": e.dataset},
    "box": _ask_box,
    "interval": _ask_interval,
}
