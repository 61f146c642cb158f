"""Questions to the index and the answers they get."""

from collections.abc import Mapping
from math import asin, ceil, cos, inf, radians, sin, sqrt

import msgspec

from hansa import limits
from hansa.errors import InvalidError
from hansa.index.features import FEATURE_MAX, FEATURES
from hansa.index.records import (
    DATASET_ID_BYTES,
    LATITUDE_MAX,
    LONGITUDE_MAX,
    IndexRecord,
    validate_box,
    validate_interval,
)
from hansa.index.words import WORD_CHARACTERS_MAX, fold, split_question, split_sequence
from hansa.types import Box, DatasetId, Height, Interval

_TEXT_CHARACTERS_MAX = 4_096
_OFFSET_MAX = 10_000_000
_LIMIT_MAX, _WORDS_MAX = limits.QUESTION_LIMIT_MAX, limits.QUESTION_WORDS_MAX
_MICRO = 1_000_000
_EARTH_RADIUS_M = 6_371_008.8
_METRES_PER_DEGREE = 111_195.0
"""Of latitude, rounded down."""
_POLE = 0.01
RADIUS_M_MAX = 20_100_000
"""Half around the globe."""


class Circle(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A place on the globe and how far around it."""

    longitude: int
    """Microdegrees, -180 to 180 degrees."""
    latitude: int
    """Microdegrees, -90 to 90 degrees."""
    radius_m: int
    """Metres on a sphere of the Earth's mean radius."""

    def bounds(self) -> Box:
        """Return a box that holds the circle; all longitudes if it comes near a pole or the date line."""
        degrees = self.radius_m / _METRES_PER_DEGREE
        reach = ceil(degrees * _MICRO) + _MICRO // 10_000
        south = max(-LATITUDE_MAX, self.latitude - reach)
        north = min(LATITUDE_MAX, self.latitude + reach)
        widest = cos(radians(max(abs(south), abs(north)) / _MICRO))
        # 2 asin(sin(d/2) / widest) <= (pi / 2) d / widest
        across = ceil(1.5708 * reach / widest) if widest > _POLE else 2 * LONGITUDE_MAX
        west, east = self.longitude - across, self.longitude + across
        if west < -LONGITUDE_MAX or east > LONGITUDE_MAX:
            west, east = -LONGITUDE_MAX, LONGITUDE_MAX
        return Box(west, south, east, north)

    def meets(self, box: Box) -> bool:
        """Tell whether the nearest place of a box lies within the radius."""
        x, y = self.longitude / _MICRO, self.latitude / _MICRO
        latitude = min(max(y, box.south / _MICRO), box.north / _MICRO)
        best = inf
        for turn in (-360.0, 0.0, 360.0):
            longitude = min(max(x + turn, box.west / _MICRO), box.east / _MICRO)
            best = min(best, _metres(x + turn, y, longitude, latitude))
        return best <= self.radius_m


class Question(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """All given parts must hold for a dataset to match; an empty question matches every dataset."""

    words: tuple[str, ...] = ()
    """Normalised words that must all occur."""
    prefixes: tuple[str, ...] = ()
    """Each must begin some word."""
    phrases: tuple[tuple[str, ...], ...] = ()
    """Each must occur as neighbouring words in one text of the description."""
    box: Box | None = None
    """The place covered must meet it."""
    near: Circle | None = None
    """The place covered must come so near."""
    interval: Interval | None = None
    """The time covered must meet it."""
    theme: str = ""
    format: str = ""
    owner: str = ""
    title: str = ""
    """Exact title, but for case, form and white space."""
    dataset: DatasetId | None = None
    like: DatasetId | None = None
    """Nearest to this dataset first, itself left out."""
    like_features: tuple[int, ...] | None = None
    """Nearest to these features first."""
    limit: int = 20
    offset: int = 0
    counts: bool = True
    """Count themes, formats and owners of all that match."""

    @property
    def is_words_alone(self) -> bool:
        """Tell whether only words, id and title are asked for."""
        return not (
            self.prefixes
            or self.phrases
            or self.theme
            or self.format
            or self.owner
            or self.box is not None
            or self.near is not None
            or self.interval is not None
        )

    @property
    def asks_words_only(self) -> bool:
        """Tell whether words are asked for and nothing else."""
        return (
            bool(self.words)
            and not self.title
            and self.dataset is None
            and self.like is None
            and self.like_features is None
            and self.is_words_alone
        )

    @property
    def has_bounds(self) -> bool:
        """Tell whether a place or a time is asked for."""
        return self.box is not None or self.near is not None or self.interval is not None

    @property
    def has_place(self) -> bool:
        """Tell whether a place is asked for."""
        return self.box is not None or self.near is not None

    @property
    def is_facets_alone(self) -> bool:
        """Tell whether only facets, place and time are asked for: all that match do so equally well."""
        return not (
            self.words
            or self.prefixes
            or self.phrases
            or self.title
            or self.dataset is not None
            or self.like is not None
            or self.like_features is not None
        )

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Return the boxes that every matching place meets."""
        asked = (self.box, self.near.bounds() if self.near is not None else None)
        return tuple(box for box in asked if box is not None)

    @property
    def bounds(self) -> Box | None:
        """Return a box that every matching place meets, if a place is asked for."""
        if self.near is None:
            return self.box
        around = self.near.bounds()
        # Two boxes asked for at once need not meet each other: the smaller says more.
        return around if self.box is None or _area(around) < _area(self.box) else self.box

    @property
    def is_nearness_alone(self) -> bool:
        """Tell whether nearness is asked for and nothing else: then not all rows need be seen."""
        if self.like is None and self.like_features is None:
            return False
        return self.is_words_alone and not (self.words or self.title or self.dataset is not None)


class Match(msgspec.Struct, frozen=True):
    """One dataset that answers a question."""

    dataset: DatasetId
    version: int
    score: int
    """Squared distance of features for `like` (smaller first); else how well words match."""
    record: IndexRecord


class Found(msgspec.Struct, frozen=True):
    """What matches at one height, by id alone: no record is read for it."""

    height: Height
    total: int
    matches: tuple[tuple[int, bytes], ...]
    """Score and id, as in an answer."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a cluster was not looked into."""

    cluster: str
    reason: str


class Explanation(msgspec.Struct, frozen=True):
    """What a question cost, layer by layer."""

    clusters: int = 0
    """Clusters with rows on disk."""
    refusals: tuple[Refusal, ...] = ()
    """At most 50 of them."""
    clusters_refused: int = 0
    refused_by: str = ""
    """Layer that answered "not here" before anything was read, or empty."""
    pages_read: int = 0
    rows_read: int = 0
    """Rows on the pages read, and rows of additions in memory looked at."""
    bytes_read: int = 0
    """Bytes asked of index files; measured by the files, not estimated."""
    discriminant_us: int = 0
    cluster_us: int = 0
    data_us: int = 0

    @property
    def read_anything(self) -> bool:
        """Tell whether an index file was touched."""
        return self.bytes_read > 0


class Answer(msgspec.Struct, frozen=True):
    """All that match at one height."""

    height: Height
    total: int
    """Datasets that match, whatever limit and offset."""
    matches: tuple[Match, ...]
    """Those from offset to limit, in a stable order: score, then id."""
    facets: Mapping[str, Mapping[str, int]] = msgspec.field(default_factory=dict)
    """theme, format, owner: how many of all matches have it (`like` alone: of those returned)."""
    explanation: Explanation = Explanation()


def parse_words(
    text: str,
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return words, prefixes and phrases of what a person typed: `bus stop* "air quality"`.

    A phrase's words are in `words` too, so that the upper layers can refuse by them.

    Raises:
        InvalidError: too long.
    """
    if len(text) > _TEXT_CHARACTERS_MAX:
        raise InvalidError(f"A question has at most {_TEXT_CHARACTERS_MAX} characters.")
    words: dict[str, None] = {}
    prefixes: dict[str, None] = {}
    phrases: dict[tuple[str, ...], None] = {}
    # Every second piece stood between quotation marks; an unclosed one runs to the end.
    for number, piece in enumerate(text.replace("“", '"').replace("”", '"').split('"')):
        if number % 2:
            words.update(dict.fromkeys(split_question(piece)))
            sequence = tuple(split_sequence(piece))
            if len(sequence) > 1:
                phrases[sequence] = None
            continue
        for part in piece.split():
            stem = fold(part[:-1]) if part.endswith("*") else ""
            if stem and split_question(stem) == [stem[:WORD_CHARACTERS_MAX]]:
                prefixes[stem[:WORD_CHARACTERS_MAX]] = None
            else:
                words.update(dict.fromkeys(split_question(part)))
    return tuple(words), tuple(prefixes), tuple(phrases)


def validate_question(question: Question) -> None:  # noqa: C901 - flat, and asked each time
    """Check that a question is of sane size and form.

    Raises:
        InvalidError: the message names what is wrong.
    """
    if not 1 <= question.limit <= _LIMIT_MAX:
        raise InvalidError(f"A question asks for 1 to {_LIMIT_MAX} matches at once.")
    if not 0 <= question.offset <= _OFFSET_MAX:
        raise InvalidError(f"An answer can be paged up to {_OFFSET_MAX} matches.")
    words = question.words
    if len(words) > _WORDS_MAX:
        raise _too_many_words()
    for word in words:
        if len(word) > _TEXT_CHARACTERS_MAX:
            raise _too_long()
    dataset, like = question.dataset, question.like
    if dataset is not None and len(dataset) != DATASET_ID_BYTES:
        raise _wrong_id()
    if like is not None and len(like) != DATASET_ID_BYTES:
        raise _wrong_id()
    if len(question.title) > _TEXT_CHARACTERS_MAX:
        raise _too_long()
    if not question.is_words_alone:
        _validate_rest(question)
    if question.like_features is not None:
        _validate_likeness(question)


def _validate_rest(question: Question) -> None:
    if question.prefixes or question.phrases:
        within = [word for phrase in question.phrases for word in phrase]
        if len(question.words) + len(question.prefixes) + len(within) > _WORDS_MAX:
            raise _too_many_words()
        if any(len(text) > _TEXT_CHARACTERS_MAX for text in (*question.prefixes, *within)):
            raise _too_long()
    for text in (question.theme, question.format, question.owner):
        if len(text) > _TEXT_CHARACTERS_MAX:
            raise _too_long()
    if question.box is not None:
        validate_box(question.box)
    if question.near is not None:
        _validate_circle(question.near)
    if question.interval is not None:
        validate_interval(question.interval)


def _wrong_id() -> InvalidError:
    return InvalidError(f"A dataset id has {DATASET_ID_BYTES} bytes.")


def _too_many_words() -> InvalidError:
    return InvalidError(f"A question has at most {_WORDS_MAX} words.")


def _too_long() -> InvalidError:
    return InvalidError(f"A part of the question exceeds {_TEXT_CHARACTERS_MAX} characters.")


def _validate_likeness(question: Question) -> None:
    features = question.like_features
    if features is not None and (
        len(features) != FEATURES or max(features) > FEATURE_MAX or min(features) < -FEATURE_MAX
    ):
        raise InvalidError(f"Nearness is asked by {FEATURES} features from -127 to 127.")
    if question.like is not None and features is not None:
        raise InvalidError("Ask for what is like a dataset or like features, not both.")


def _validate_circle(circle: Circle) -> None:
    if abs(circle.longitude) > LONGITUDE_MAX or abs(circle.latitude) > LATITUDE_MAX:
        raise InvalidError("A place needs -180 to 180 degrees east and -90 to 90 degrees north.")
    if not 0 <= circle.radius_m <= RADIUS_M_MAX:
        raise InvalidError(f"A radius is from 0 to {RADIUS_M_MAX} metres.")


def _metres(x: float, y: float, longitude: float, latitude: float) -> float:
    """Return the distance of two places in degrees, on a sphere (haversine)."""
    half_x, half_y = radians(longitude - x) / 2, radians(latitude - y) / 2
    chord = sin(half_y) ** 2 + cos(radians(y)) * cos(radians(latitude)) * sin(half_x) ** 2
    return 2 * _EARTH_RADIUS_M * asin(sqrt(min(1.0, chord)))


def _area(box: Box) -> int:
    return (box.east - box.west + 1) * (box.north - box.south + 1)
