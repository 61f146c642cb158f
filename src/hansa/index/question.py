"""Questions to the index and the answers they get."""

from dataclasses import dataclass, field

from hansa import limits
from hansa.errors import InvalidError
from hansa.index.features import FEATURE_MAX, FEATURES
from hansa.index.records import DATASET_ID_BYTES, IndexRecord, validate_box, validate_interval
from hansa.index.words import WORD_CHARACTERS_MAX, fold, split_question, split_sequence
from hansa.types import Box, DatasetId, Height, Interval

_TEXT_CHARACTERS_MAX = 4_096
_OFFSET_MAX = 10_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """All given parts must hold for a dataset to match; an empty question matches every dataset."""

    words: tuple[str, ...] = ()
    """Normalised words that must all occur."""
    prefixes: tuple[str, ...] = ()
    """Each must begin some word."""
    phrases: tuple[tuple[str, ...], ...] = ()
    """Each must occur as neighbouring words in one text of the description."""
    box: Box | None = None
    """The place covered must meet it."""
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

    @property
    def is_nearness_alone(self) -> bool:
        """Tell whether nearness is asked for and nothing else: then not all rows need be seen."""
        if self.like is None and self.like_features is None:
            return False
        texts = (self.words, self.prefixes, self.phrases, self.theme, self.format)
        others = (self.box, self.interval, self.dataset)
        return not any((*texts, self.owner, self.title)) and all(part is None for part in others)


@dataclass(frozen=True, slots=True)
class Match:
    """One dataset that answers a question."""

    dataset: DatasetId
    version: int
    score: int
    """Squared distance of features for `like` (smaller first); else how well words match."""
    record: IndexRecord


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a cluster was not looked into."""

    cluster: str
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
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


@dataclass(frozen=True, slots=True)
class Answer:
    """All that match at one height."""

    height: Height
    total: int
    """Datasets that match, whatever limit and offset."""
    matches: tuple[Match, ...]
    """Those from offset to limit, in a stable order: score, then id."""
    facets: dict[str, dict[str, int]] = field(default_factory=dict)
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


def validate_question(question: Question) -> None:
    """Check that a question is of sane size and form.

    Raises:
        InvalidError: the message names what is wrong.
    """
    parts = len(question.words) + len(question.prefixes) + sum(map(len, question.phrases))
    if parts > limits.QUESTION_WORDS_MAX:
        raise InvalidError(f"A question has at most {limits.QUESTION_WORDS_MAX} words.")
    if not 1 <= question.limit <= limits.QUESTION_LIMIT_MAX:
        raise InvalidError(f"A question asks for 1 to {limits.QUESTION_LIMIT_MAX} matches at once.")
    if not 0 <= question.offset <= _OFFSET_MAX:
        raise InvalidError(f"An answer can be paged up to {_OFFSET_MAX} matches.")
    _validate_texts(question)
    if question.box is not None:
        validate_box(question.box)
    if question.interval is not None:
        validate_interval(question.interval)
    for dataset in (question.dataset, question.like):
        if dataset is not None and len(dataset) != DATASET_ID_BYTES:
            raise InvalidError(f"A dataset id has {DATASET_ID_BYTES} bytes.")
    _validate_likeness(question)


def _validate_texts(question: Question) -> None:
    texts = (*question.words, *question.prefixes, question.theme, question.format)
    for text in (*texts, question.owner, question.title):
        if len(text) > _TEXT_CHARACTERS_MAX:
            raise InvalidError(f"A part of the question exceeds {_TEXT_CHARACTERS_MAX} characters.")


def _validate_likeness(question: Question) -> None:
    features = question.like_features
    if features is not None and (
        len(features) != FEATURES or any(abs(feature) > FEATURE_MAX for feature in features)
    ):
        raise InvalidError(f"Nearness is asked by {FEATURES} features from -127 to 127.")
    if question.like is not None and features is not None:
        raise InvalidError("Ask for what is like a dataset or like features, not both.")
