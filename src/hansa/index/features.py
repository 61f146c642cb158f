"""Features of a description: a short vector of small integers, the same on every machine (seed 4.1).

The publisher computes them, super nodes compute them again from the same public fields. Sixteen
directions of meaning come from the words (feature model), four more from place, time and kind of
data. Only integers, only the frozen word rule of `words`: no float and no Unicode table of the
running Python has a say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np

from hansa import limits
from hansa.errors import InvalidError
from hansa.index.feature_model import DIRECTIONS, FeatureModel, load_model
from hansa.index.words import fold, split_words
from hansa.types import Box, Interval

FEATURES = DIRECTIONS + 4
FEATURE_MAX = 127
MODEL = 2
"""The feature model a new alliance starts with."""

_LENGTH = 100
"""Length of the part that comes from words."""
_WORDS_MAX = 512
_WEIGHT_STRONG = 3
_WEIGHT_PLAIN = 1
_COUNT_MAX = 4
"""A word counts at most this often in the running text."""
_ENGLISH_TIMES = 10
"""How often the English word counts for each time of a glossary's word: what stands around that in another
language mostly tells the language (`benchmarks/features.py` shows what fewer do)."""

_LONGITUDE_STEP = 8_000_000
_LATITUDE_STEP = 6_000_000
_PLACE_MAX = 22
_TIME_ORIGIN_MS = 1_262_304_000_000
"""2010-01-01."""
_TIME_STEP_MS = 31_557_600_000
"""One step for each year."""
_TIME_MAX = 12
_SIZE_DIGITS = 7
"""Of a size that moves nothing: from a megabyte to below ten."""
_SIZE_MAX = 2

_KINDS = (
    (
        12,
        frozenset({"geojson", "shapefile", "shp", "kml", "kmz", "gpkg", "wms", "wfs", "topojson"}),
    ),
    (6, frozenset({"gtfs", "gtfs-rt", "gpx", "osm"})),
    (-6, frozenset({"pdf", "doc", "docx", "html", "txt", "md"})),
    (-12, frozenset({"jpg", "jpeg", "png", "tif", "tiff", "mp3", "mp4", "wav"})),
)


@dataclass(frozen=True, slots=True)
class Described:
    """The public fields of a description that words and features follow from."""

    title: str
    description: str = ""
    keywords: Sequence[str] = ()
    themes: Sequence[str] = ()
    place: str = ""
    box: Box | None = None
    interval: Interval | None = None
    formats: Sequence[str] = ()
    columns: Sequence[str] = ()
    """Empty where the publisher withholds what the data itself tells."""
    rhythm: str = ""
    """How often the data is brought up to date: a word."""
    column_types: Sequence[str] = ()
    """Of the columns, from a closed list of words; empty texts where unknown. Moves no word, and nothing in model 1."""
    content_bytes: int = 0
    """Size of the data; 0 where unknown. Counts only where columns are told, and in no word and not in model 1."""


@dataclass(frozen=True, slots=True)
class Derived:
    """What follows from the public fields of a description, on every machine alike."""

    words: tuple[str, ...]
    """Normalised words: sorted, unique, at most `limits.WORDS_MAX`."""
    features: tuple[int, ...]
    """`FEATURES` integers from -127 to 127."""


def derive(described: Described, model: int = MODEL) -> Derived:
    """Return words and features of a description; each of its texts is cut into words once.

    Raises:
        InvalidError: the feature model is unknown.
    """
    loaded = load_model(model)
    strong, plain = _split(described)
    weights = _weigh(strong, plain)
    size = 0
    if loaded.glossary:
        _count_english(weights, loaded.glossary)
    if loaded.takes_content and described.columns:
        _count_types(weights, described.column_types)
        size = _magnitude(described.content_bytes)
    return Derived(
        _words(strong, plain),
        (
            *_project(weights, loaded),
            *_place(described.box),
            _time(described.interval),
            _kind(described.formats) + size,
        ),
    )


def compute_words(described: Described) -> tuple[str, ...]:
    """Return the normalised words of a description: sorted, unique, at most `limits.WORDS_MAX`."""
    return _words(*_split(described))


def compute_features(described: Described, model: int = MODEL) -> tuple[int, ...]:
    """Return the feature vector of a description: `FEATURES` integers from -127 to 127.

    Raises:
        InvalidError: the feature model is unknown.
    """
    return derive(described, model).features


def count_words(described: Described) -> dict[str, int]:
    """Return the weight of each word: title, keywords and themes count three times.

    At most 512 words, those of title, keywords, themes first; the work is bounded whatever the text.
    """
    return _weigh(*_split(described))


def _split(described: Described) -> tuple[list[str], list[list[str]]]:
    """Return the words of title, keywords and themes, and those of place, description, columns, rhythm."""
    strong = [
        word
        for text in (described.title, *described.keywords, *described.themes)
        for word in split_words(text)
    ]
    columns = [word for column in described.columns for word in split_words(column)]
    texts = (described.place, described.description)
    return strong, [*map(split_words, texts), columns, split_words(described.rhythm)]


def _words(strong: list[str], plain: list[list[str]]) -> tuple[str, ...]:
    found: dict[str, None] = dict.fromkeys(strong)
    for words in plain:
        found.update(dict.fromkeys(words))
    return tuple(sorted(tuple(found)[: limits.WORDS_MAX]))


def _weigh(strong: list[str], plain: list[list[str]]) -> dict[str, int]:
    place, description, columns, rhythm = plain
    weights: dict[str, int] = {}
    for word in strong:
        if word not in weights and len(weights) < _WORDS_MAX:
            weights[word] = _WEIGHT_STRONG
    for words in (description, place, columns, rhythm):
        for word in words:
            if word not in weights:
                if len(weights) == _WORDS_MAX:
                    continue
                weights[word] = _WEIGHT_PLAIN
            elif weights[word] < _WEIGHT_STRONG + _COUNT_MAX:
                weights[word] += _WEIGHT_PLAIN
    return weights


def _count_english(weights: dict[str, int], glossary: Mapping[str, str]) -> None:
    """Count beside each word of the glossary the English word it stands for, many times as often."""
    for word, weight in tuple(weights.items()):
        english = glossary.get(word)
        if english is not None:
            weights[english] = weights.get(english, 0) + _ENGLISH_TIMES * weight


def _count_types(weights: dict[str, int], types: Sequence[str]) -> None:
    """Count the word of each type of column once, however many columns have it."""
    for word in dict.fromkeys(types):
        if word:
            weights[word] = weights.get(word, 0) + _WEIGHT_PLAIN


def _magnitude(content_bytes: int) -> int:
    """Return the power of ten of a size against a megabyte, -2 to 2; 0 where it is not known."""
    return _clip(len(str(content_bytes)) - _SIZE_DIGITS, _SIZE_MAX) if content_bytes > 0 else 0


def validate_features(features: Sequence[int], model: int = MODEL) -> None:
    """Check length and range.

    Raises:
        InvalidError: unknown model, wrong number of features, or one out of range.
    """
    load_model(model)
    if len(features) != FEATURES:
        raise InvalidError(
            f"Feature model {model} has {FEATURES} features, not {len(features)}.",
            remedy="Describe the dataset with a client of the alliance's feature model.",
        )
    if any(not -FEATURE_MAX <= feature <= FEATURE_MAX for feature in features):
        raise InvalidError(f"Features must be from {-FEATURE_MAX} to {FEATURE_MAX}.")


def _project(weights: dict[str, int], model: FeatureModel) -> tuple[int, ...]:
    """Return the words' direction of meaning, scaled to length 100; zeros if there are none."""
    if not weights:
        return (0,) * DIRECTIONS
    rows = np.fromiter((model.row_of(word) for word in weights), dtype=np.int64)
    counts = np.fromiter(weights.values(), dtype=np.int64)
    sums = [int(value) for value in counts @ model.weights[rows]]
    length = isqrt(sum(value * value for value in sums))
    if not length:
        return (0,) * DIRECTIONS
    return tuple(_round(value * _LENGTH, length) for value in sums)


def _place(box: Box | None) -> tuple[int, int]:
    """Return where the middle of the box lies, coarsely; zeros if it is not known."""
    if box is None:
        return 0, 0
    east = _round(box.west + box.east, 2 * _LONGITUDE_STEP)
    north = _round(box.south + box.north, 2 * _LATITUDE_STEP)
    return _clip(east, _PLACE_MAX), _clip(north, _PLACE_MAX)


def _time(interval: Interval | None) -> int:
    """Return the middle of the time covered, in years from 2010; 0 if it is not known."""
    if interval is None:
        return 0
    twice = interval.start_ms + interval.end_ms - 2 * _TIME_ORIGIN_MS
    return _clip(_round(twice, 2 * _TIME_STEP_MS), _TIME_MAX)


def _kind(formats: Sequence[str]) -> int:
    """Return what kind of data it is: maps, networks, tables (0), documents, media."""
    names = {fold(name) for name in formats}
    for value, kinds in _KINDS:
        if names & kinds:
            return value
    return 0


def _round(numerator: int, denominator: int) -> int:
    """Divide and round to nearest, halves away from zero."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude if numerator >= 0 else -magnitude


def _clip(value: int, bound: int) -> int:
    return max(-bound, min(bound, value))
