"""Feature model: what a word weighs in each direction of meaning; shipped inside the package.

Made by `tools/build_feature_model.py` from real catalogue descriptions: words are hashed to 2^15
rows, weighted by rarity and projected to 16 directions (truncated singular value decomposition of
words against descriptions). A row is stored as 16 signed bytes and one exponent, so the projection
is integer arithmetic and the same on every machine. The file is part of the alliance's rules: its
digest is checked at loading, a changed file is another model.

Model 2 projects by the same table. It also has a glossary, words of city data in ten languages with the
English word that is counted beside each, and takes the types of columns and the size of the data.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from hansa.errors import CorruptError, InvalidError

ROWS = 1 << 15
DIRECTIONS = 16

_TABLE = "feature_model_1.bin"
_GLOSSARY = "glossary_2.tsv"
MODELS = {1: (_TABLE,), 2: (_TABLE, _GLOSSARY)}
"""The files that make each model."""
_DIGESTS = {
    _TABLE: "77e6eac4be40c5c40f00d15821fd0e4919f39e7cd8149af9a88ce63efefde71a",
    _GLOSSARY: "c1bb4c6fc64577ff74028ce08d03765260f109ac8ad4df04081d473d42a21212",
}
"""SHA-256 of each shipped file."""


@dataclass(frozen=True, slots=True)
class FeatureModel:
    """One version of the projection."""

    number: int
    weights: npt.NDArray[np.int64]
    """(ROWS, DIRECTIONS): what one occurrence of a word adds."""
    glossary: Mapping[str, str] = field(default_factory=dict)
    """Word of another language → the English word that is counted beside it."""
    takes_content: bool = False
    """Whether types of columns and size take part."""

    def row_of(self, word: str) -> int:
        """Return the row of a word, 0 to ROWS-1."""
        head = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=4).digest()
        return int.from_bytes(head, "big") % ROWS


@cache
def load_model(number: int) -> FeatureModel:
    """Return a shipped feature model.

    Raises:
        InvalidError: no such model in this version of Hansa.
        CorruptError: the package was damaged.
    """
    if number not in MODELS:
        raise InvalidError(
            f"Feature model {number} is unknown.",
            remedy="Update Hansa, or found the alliance with a feature model it ships.",
        )
    names = MODELS[number]
    read = {name: _read(name, number) for name in names}
    table = np.frombuffer(read[_TABLE], dtype=np.int8).reshape(ROWS, DIRECTIONS + 1)
    exponents = table[:, DIRECTIONS].astype(np.int64)
    weights = table[:, :DIRECTIONS].astype(np.int64) << exponents[:, None]
    if _GLOSSARY not in names:
        return FeatureModel(number, weights)
    return FeatureModel(
        number, weights, parse_glossary(read[_GLOSSARY].decode()), takes_content=True
    )


def _read(name: str, number: int) -> bytes:
    data = files("hansa.index").joinpath(f"models/{name}").read_bytes()
    if hashlib.sha256(data).hexdigest() != _DIGESTS[name]:
        raise CorruptError(
            f"The file {name} of feature model {number} is not the one this version was built with.",
            remedy="Install Hansa anew.",
        )
    return data


def parse_glossary(text: str) -> dict[str, str]:
    """Return word → English word; of a word that stands twice, the first.

    Args:
        text: lines of an English word, then, after a tab each, a language's code and its words.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        english, *languages = line.split("\t")
        for entry in languages:
            for word in entry.split(" ")[1:]:
                found.setdefault(word, english)
    return found
