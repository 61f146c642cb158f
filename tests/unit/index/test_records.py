"""Records and changes are checked whole before the index takes them in."""

import msgspec
import pytest

from hansa.errors import InvalidError
from hansa.index.records import IndexChange, settle_features, validate_change
from hansa.types import Box, Interval


def test_a_made_record_is_valid(made):
    """The valid case beside the invalid ones; retiring needs no record."""
    record = made.make_record(1)
    validate_change(IndexChange(record.dataset, record))
    validate_change(IndexChange(record.dataset, None))


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 0},
        {"content_bytes": -1},
        {"words": ("x" * 500,)},
        {"words": tuple(f"w{number}" for number in range(5_000))},
        {"box": Box(1, 0, 0, 0)},
        {"box": Box(0, 1, 0, 0)},
        {"box": Box(0, 0, 180_000_001, 0)},
        {"box": Box(0, -90_000_001, 0, 0)},
        {"interval": Interval(2, 1)},
        {"interval": Interval(0, 1 << 63)},
        {"dataset": bytes(16)},
    ],
)
def test_each_bad_field_is_invalid(made, changes):
    """A field out of range refuses the change."""
    record = msgspec.structs.replace(made.make_record(1), **changes)
    with pytest.raises(InvalidError):
        validate_change(IndexChange(made.dataset_id(1), record))


@pytest.mark.parametrize("features", [(), (0,) * 5, (0,) * 19 + (128,), (1,) * 64])
def test_features_that_cannot_be_right_become_zero(made, features):
    """They are on the chain already: the record is kept, near to nothing; sound ones are untouched."""
    sound = made.make_record(1)
    change = IndexChange(sound.dataset, sound)
    assert change is settle_features(change, 1)
    odd = msgspec.structs.replace(sound, features=features)
    settled = settle_features(IndexChange(sound.dataset, odd), 1).record
    assert msgspec.structs.replace(sound, features=(0,) * 20) == settled
    gone = IndexChange(sound.dataset, None)
    assert gone is settle_features(gone, 1)


def test_id_of_wrong_length_is_invalid():
    """A dataset id has 16 bytes, also for retiring."""
    with pytest.raises(InvalidError):
        validate_change(IndexChange(b"short", None))


def test_digest_depends_on_every_field(made):
    """A changed field is another record."""
    record = made.make_record(1)
    for field in ("version", "height", "title", "content_bytes"):
        value = "other" if field == "title" else getattr(record, field) + 1
        assert record.digest() != msgspec.structs.replace(record, **{field: value}).digest()
