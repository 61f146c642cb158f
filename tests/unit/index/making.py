"""Datasets for the index's tests, and a naive scan that answers questions without any index."""

import hashlib
import random

import msgspec

from hansa.cli.trying.naive import NaiveScan
from hansa.index.features import Described, compute_features, compute_words
from hansa.index.question import Circle, Question
from hansa.index.records import IndexRecord
from hansa.index.words import split_sequence, split_words
from hansa.types import Box, Interval

TOPICS = {
    "transport": "bus stop timetable tram parking bicycle lane traffic count ticket route",
    "environment": "air quality sensor tree river noise weather water sample station",
    "health": "hospital vaccination clinic inspection restaurant food disease rate",
    "planning": "building permit zoning parcel housing street district map plan",
}
DAY_MS = 86_400_000
DEGREE = 1_000_000
_SCANS: dict[tuple[int, ...], NaiveScan] = {}


__all__ = ["split_words"]


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
    key = tuple(map(id, records))
    if key not in _SCANS:
        _SCANS.clear()
        _SCANS[key] = NaiveScan(records)
    everything = msgspec.structs.replace(question, limit=1_000_000, offset=0)
    return list(_SCANS[key].ask(everything).matches)


def scan_facets(records: list[IndexRecord], question: Question) -> dict[str, dict[str, int]]:
    """Return the facet counts of all that match."""
    return NaiveScan(records).ask(question).facets


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


def _ask_near(draw, example, absent):
    x, y = draw.randrange(-180 * DEGREE, 180 * DEGREE), draw.randrange(-90 * DEGREE, 90 * DEGREE)
    if example.box is not None and not absent:
        x, y = example.box.east, example.box.north
    return {"near": Circle(x, y, draw.choice((0, 1_000, 50_000, 3_000_000)))}


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
    "near": _ask_near,
    "interval": _ask_interval,
}
