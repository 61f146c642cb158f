"""What the index is told about a dataset: one record for each living dataset, and changes to them."""

from dataclasses import dataclass

import msgspec

from hansa import limits
from hansa.codec import digest, encode
from hansa.errors import InvalidError
from hansa.index.features import FEATURES, validate_features
from hansa.types import Box, DatasetId, Digest, Height, Interval, OrganisationName

RECORD_TAG = "hansa.index.record.1"
DATASET_ID_BYTES = 16
LONGITUDE_MAX = 180_000_000
LATITUDE_MAX = 90_000_000
_TIME_MAX_MS = (1 << 63) - 1
_WORD_CHARACTERS_MAX = 2 * limits.KEYWORD_CHARACTERS_MAX


class IndexRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The public facts of a dataset's current version, as the chain holds them."""

    dataset: DatasetId
    """16 bytes."""
    version: int
    """Current version, from 1."""
    height: Height
    """Block of the change that made this record."""
    owner: OrganisationName
    title: str
    description: str
    keywords: tuple[str, ...]
    themes: tuple[str, ...]
    place: str
    """Name of the place covered, may be empty."""
    box: Box | None
    """Bounds of the place covered; without them no question for a place finds it."""
    interval: Interval | None
    """Time covered; without it no question for a time finds it."""
    formats: tuple[str, ...]
    words: tuple[str, ...]
    """Normalised words (`features.compute_words`), sorted, unique."""
    features: tuple[int, ...]
    content_bytes: int
    """Plain bytes of all files of the version."""

    def digest(self) -> Digest:
        """Return the record's digest, 32 bytes."""
        return digest(RECORD_TAG, encode(self))


@dataclass(frozen=True, slots=True)
class IndexChange:
    """One dataset's record from now on: registered, a new version, redescribed; or retired."""

    dataset: DatasetId
    record: IndexRecord | None
    """None retires the dataset; a dataset that is not there may be retired."""


def settle_features(change: IndexChange, feature_model: int) -> IndexChange:
    """Return the change with features that can be placed: all zero where they cannot be right.

    What is on the chain cannot be sent back. A publisher whose features are of the wrong number or out
    of range is found by words and facets like everyone, but is near to nothing; and no such record
    stops the index of every node.
    """
    if change.record is None:
        return change
    try:
        validate_features(change.record.features, feature_model)
    except InvalidError:
        placed = msgspec.structs.replace(change.record, features=(0,) * FEATURES)
        return IndexChange(change.dataset, placed)
    return change


def validate_change(change: IndexChange) -> None:
    """Check a change before anything of its block is taken in.

    Raises:
        InvalidError: a field is out of range; the message names it.
    """
    if len(change.dataset) != DATASET_ID_BYTES:
        raise InvalidError(f"A dataset id has {DATASET_ID_BYTES} bytes, not {len(change.dataset)}.")
    record = change.record
    if record is None:
        return
    if record.dataset != change.dataset:
        raise InvalidError("A change and its record name different datasets.")
    if record.box is not None:
        validate_box(record.box)
    if record.interval is not None:
        validate_interval(record.interval)
    if len(record.words) > limits.WORDS_MAX:
        raise InvalidError(f"A description has at most {limits.WORDS_MAX} words.")
    if any(len(word) > _WORD_CHARACTERS_MAX for word in record.words):
        raise InvalidError("A word of the description is too long.")
    if record.version < 1 or not 0 <= record.content_bytes < 1 << 63:
        raise InvalidError("Version or size of the dataset is out of range.")


def validate_box(box: Box) -> None:
    """Check that a box lies on the globe and is not turned inside out.

    Raises:
        InvalidError: it does not.
    """
    if not -LONGITUDE_MAX <= box.west <= box.east <= LONGITUDE_MAX:
        raise InvalidError("A box needs -180 <= west <= east <= 180 degrees.")
    if not -LATITUDE_MAX <= box.south <= box.north <= LATITUDE_MAX:
        raise InvalidError("A box needs -90 <= south <= north <= 90 degrees.")


def validate_interval(interval: Interval) -> None:
    """Check the order and range of an interval.

    Raises:
        InvalidError: it ends before it starts, or lies beyond any calendar.
    """
    if not -_TIME_MAX_MS <= interval.start_ms <= interval.end_ms <= _TIME_MAX_MS:
        raise InvalidError("A range of time must not end before it starts.")
