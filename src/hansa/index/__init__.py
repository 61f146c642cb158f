"""Information index: from words, place, time and features to datasets, reading as little as can be.

Features (`features`, `words`, `feature_model`) place a description among others; mean shift
(`mean_shift`, `clusters`) finds the clusters; three layers (`discriminant`, `cluster_index`,
`data_index`) answer questions (`question`, `lookup`); `information_index` keeps all of it in step
with the chain. Pure: files come in through the `IndexFiles` protocol (`files`).
"""

from hansa.index.features import (
    Derived,
    Described,
    compute_features,
    compute_words,
    derive,
    validate_features,
)
from hansa.index.files import IndexFile, IndexFiles, MemoryIndexFiles
from hansa.index.information_index import IndexParameters, IndexStats, InformationIndex
from hansa.index.question import Answer, Circle, Explanation, Match, Question, Refusal, parse_words
from hansa.index.records import IndexChange, IndexRecord

__all__ = [
    "Answer",
    "Circle",
    "Derived",
    "Described",
    "Explanation",
    "IndexChange",
    "IndexFile",
    "IndexFiles",
    "IndexParameters",
    "IndexRecord",
    "IndexStats",
    "InformationIndex",
    "Match",
    "MemoryIndexFiles",
    "Question",
    "Refusal",
    "compute_features",
    "compute_words",
    "derive",
    "parse_words",
    "validate_features",
]
