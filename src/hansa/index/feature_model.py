"""Feature model: what a word weighs in each direction of meaning; shipped inside the package.

Made by `tools/build_feature_model.py` from real catalogue descriptions: words are hashed to 2^15
rows, weighted by rarity and projected to 16 directions (truncated singular value decomposition of
words against descriptions). A row is stored as 16 signed bytes and one exponent, so the projection
is integer arithmetic and the same on every machine. The file is part of the alliance's rules: its
digest is checked at loading, a changed file is another model.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from hansa.errors import CorruptError, InvalidError

ROWS = 1 << 15
DIRECTIONS = 16

_DIGESTS = {1: "77e6eac4be40c5c40f00d15821fd0e4919f39e7cd8149af9a88ce63efefde71a"}
"""SHA-256 of each shipped model file."""


@dataclass(frozen=True, slots=True)
class FeatureModel:
    """One version of the projection."""

    number: int
    weights: npt.NDArray[np.int64]
    """(ROWS, DIRECTIONS): what one occurrence of a word adds."""

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
    if number not in _DIGESTS:
        raise InvalidError(
            f"Feature model {number} is unknown.",
            remedy="Update Hansa, or found the alliance with a feature model it ships.",
        )
    data = files("hansa.index").joinpath(f"models/feature_model_{number}.bin").read_bytes()
    if hashlib.sha256(data).hexdigest() != _DIGESTS[number]:
        raise CorruptError(
            f"The file of feature model {number} is not the one this version was built with.",
            remedy="Install Hansa anew.",
        )
    table = np.frombuffer(data, dtype=np.int8).reshape(ROWS, DIRECTIONS + 1)
    exponents = table[:, DIRECTIONS].astype(np.int64)
    return FeatureModel(number, table[:, :DIRECTIONS].astype(np.int64) << exponents[:, None])
