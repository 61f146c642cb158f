"""Records and changes are checked whole before the index takes them in."""

import msgspec
import pytest

from hansa.errors import InvalidError
from hansa.index.records import IndexChange, validate_change
from hansa.types import Box, Interval


def test_a_made_record_is_valid(made):
    """The valid case beside the invalid ones; retiring needs no record."""
    record = made.make_record(1)
    validate_change(IndexChange(record.dataset, record), 1)
    validate_change(IndexChange(record.dataset, None), 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 0},
        {"content_bytes": -1},
        {"features": (0,) * 5},
        {"features": (0,) * 19 + (128,)},
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
        validate_change(IndexChange(made.dataset_id(1), record), 1)


def test_id_of_wrong_length_is_invalid():
    """A dataset id has 16 bytes, also for retiring."""
    with pytest.raises(InvalidError):
        validate_change(IndexChange(b"short", None), 1)


def test_digest_depends_on_every_field(made):
    """A changed field is another record."""
    record = made.make_record(1)
    for field in ("version", "height", "title", "content_bytes"):
        value = "other" if field == "title" else getattr(record, field) + 1
        assert record.digest() != msgspec.structs.replace(record, **{field: value}).digest()
