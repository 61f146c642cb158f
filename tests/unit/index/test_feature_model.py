"""The shipped feature model: unknown and damaged ones are refused."""

from types import SimpleNamespace

import pytest

from hansa.errors import CorruptError, InvalidError
from hansa.index import feature_model
from hansa.index.feature_model import DIRECTIONS, ROWS, load_model


def test_shipped_model():
    """Model 1 has a weight for each row and direction, exact in 64 bits when summed."""
    model = load_model(1)
    assert (ROWS, DIRECTIONS) == model.weights.shape
    assert int(abs(model.weights).max()) * 512 * 7 < 1 << 40
    assert 0 <= model.row_of("bus") < ROWS
    assert model.row_of("bus") == model.row_of("bus") != model.row_of("tram")


def test_unknown_model_is_invalid():
    """A model this version does not ship is refused with a remedy."""
    with pytest.raises(InvalidError, match="Update Hansa"):
        load_model(2)


def test_damaged_model_is_corrupt(monkeypatch):
    """A changed file is another model, and refused."""
    broken = SimpleNamespace(joinpath=lambda _: SimpleNamespace(read_bytes=lambda: b"\0" * 17))
    monkeypatch.setattr(feature_model, "files", lambda _: broken)
    with pytest.raises(CorruptError):
        load_model.__wrapped__(1)
