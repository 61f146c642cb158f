"""Build a feature model from catalogue descriptions (JSON lines, gzip or plain).

    python tools/build_feature_model.py CATALOGUE.jsonl.gz src/hansa/index/models/feature_model_1.bin

Needs scikit-learn and scipy (development only). Prints the digest to enter in
`hansa.index.feature_model`. The result depends on the versions of those libraries; the file that is
shipped is the model, not this script.
"""

import argparse
import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd

from hansa.index.feature_model import DIRECTIONS, ROWS, FeatureModel
from hansa.index.features import Described, count_words

SEED = 1
DOCUMENTS_MIN = 2
"""A word in fewer descriptions than this tells nothing about meaning."""


def read_descriptions(path: Path) -> list[Described]:
    """Read a catalogue, each distinct text once."""
    opener = gzip.open if path.suffix == ".gz" else open
    found: dict[tuple[str, str], Described] = {}
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            described = Described(
                title=record["title"] or "",
                description=record["description"] or "",
                keywords=record["keywords"] or (),
                themes=record["theme"] or (),
                columns=record["fields"] or (),
            )
            found.setdefault((described.title, described.description), described)
    return list(found.values())


def count_rows(descriptions: list[Described]) -> csr_matrix:
    """Return weights of hashed words, (descriptions, ROWS)."""
    hasher = FeatureModel(0, np.zeros((0, 0), dtype=np.int64))
    lines: list[int] = []
    columns: list[int] = []
    values: list[int] = []
    for number, described in enumerate(descriptions):
        for word, weight in count_words(described).items():
            lines.append(number)
            columns.append(hasher.row_of(word))
            values.append(weight)
    shape = (len(descriptions), ROWS)
    return csr_matrix((np.array(values, dtype=np.float64), (lines, columns)), shape=shape)


def build(counts: csr_matrix) -> bytes:
    """Return the model file: for each row 16 signed bytes and an exponent."""
    present = np.asarray((counts > 0).sum(axis=0)).ravel()
    rarity = np.where(present >= DOCUMENTS_MIN, np.log(counts.shape[0] / np.maximum(present, 1)), 0)
    weighted = counts.multiply(rarity[None, :]).tocsr()
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    unit = csr_matrix((1 / np.maximum(lengths, 1e-9))[:, None]).multiply(weighted).tocsr()
    _, _, directions = randomized_svd(unit, DIRECTIONS, n_iter=7, random_state=SEED)
    table = directions.T * rarity[:, None]
    table *= 1e5 / np.abs(table).max()
    exponents = np.ceil(np.log2(np.maximum(np.abs(table).max(axis=1), 1e-9) / 127))
    exponents = np.clip(exponents, 0, 30)
    rows = np.rint(table / 2 ** exponents[:, None]).clip(-127, 127)
    return np.column_stack((rows, exponents)).astype(np.int8).tobytes()


def main() -> None:
    """Read, build, write, tell the digest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    data = build(count_rows(read_descriptions(arguments.catalogue)))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(data)
    print(f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
