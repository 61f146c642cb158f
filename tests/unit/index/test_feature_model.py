"""The shipped feature model: unknown and damaged ones are refused."""

from collections import Counter
from importlib.resources import files
from types import SimpleNamespace

import pytest

from hansa.errors import CorruptError, InvalidError
from hansa.index import feature_model
from hansa.index.feature_model import DIRECTIONS, ROWS, load_model
from hansa.index.words import split_words


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
        load_model(3)


def test_damaged_model_is_corrupt(monkeypatch):
    """A changed file is another model, and refused."""
    broken = SimpleNamespace(joinpath=lambda _: SimpleNamespace(read_bytes=lambda: b"\0" * 17))
    monkeypatch.setattr(feature_model, "files", lambda _: broken)
    for number in (1, 2):
        with pytest.raises(CorruptError):
            load_model.__wrapped__(number)


def test_a_damaged_glossary_is_corrupt(monkeypatch):
    """Model 2 is its table and its glossary; model 1 does not look at the glossary."""
    real = feature_model.files("hansa.index")

    class Broken:
        @staticmethod
        def joinpath(name):
            path = real.joinpath(name)
            if name.endswith(".tsv"):
                return SimpleNamespace(read_bytes=lambda: path.read_bytes() + b"a\tde b\n")
            return path

    monkeypatch.setattr(feature_model, "files", lambda _: Broken)
    assert not load_model.__wrapped__(1).glossary
    with pytest.raises(CorruptError, match="glossary_2"):
        load_model.__wrapped__(2)


def test_the_glossary():
    """Each word is one word under the word rule and leads to one English word, which leads nowhere."""
    text = files("hansa.index").joinpath("models/glossary_2.tsv").read_text("utf-8")
    lines = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    entries = [entry.split(" ") for _, *languages in lines for entry in languages]
    words = {word for _, *spelt in entries for word in spelt}
    pairs = {(w, line[0]) for line in lines for entry in line[1:] for w in entry.split(" ")[1:]}
    assert len(words) == len(pairs)
    assert all(word in split_words(word) for word in words)
    assert {line[0] for line in lines}.isdisjoint(words)
    covered = Counter(code for code, *_ in entries)
    assert set(covered) == {"de", "fr", "es", "it", "pt", "nl", "pl", "sv", "ru", "zh"}
    assert min(covered.values()) >= 85
    glossary = load_model(2).glossary
    assert words == set(glossary)
    assert ("air", "air", "tree") == (
        glossary["luftqualität"],
        glossary["空氣"],
        glossary["arbol"],
    )
    assert (load_model(1).weights == load_model(2).weights).all()
