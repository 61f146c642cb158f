"""What each feature model makes of a real catalogue: clusters, like neighbours, and neighbours across languages.

    python benchmarks/features.py [--catalogue FILE.jsonl.gz] [--queries 2000] [--output FILE]

For each model: the clusters of mean shift; with how many of its ten nearest a description shares a theme; and, of
descriptions in German or Spanish, with how many of the ten nearest English ones it shares a topic, which their
catalogues' themes tell and the vectors are not given. Types of columns and sizes are in no catalogue, so they are drawn (seed fixed): what they move is told as the
same shares with them.
"""

import argparse
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from index_corpus import CATALOGUE

from hansa.cli.trying.dump import to_described
from hansa.index.clusters import cluster_anew
from hansa.index.features import FEATURES, Described, compute_features
from hansa.index.words import fold

SEED = 3
NEAREST = 10
TYPES = ("integer", "number", "date", "time", "text", "boolean", "geometry")
ENGLISH = "en"
OTHERS = ("de", "es")
TOPICS = {
    "agriculture": ("agriculture, fisheries, forestry and food", "farming", "agri", "agricultura y desarrollo rural"),
    "economy": ("economy", "economy and finance", "finance", "business and economy", "business", "econ", "finanzen",
                "arbeit und erwerb", "economía y finanzas", "hacienda y crédito público", "trabajo",
                "comercio, industria y turismo"),
    "education": ("education", "education, culture and sport", "educ", "bildung", "educación"),
    "energy": ("energy", "ener", "energie", "minas y energía"),
    "environment": ("environment", "envi", "umwelt", "ambiente y desarrollo sostenible"),
    "health": ("health", "health and social care", "heal", "gesundheit", "salud y protección social"),
    "housing": ("housing & development", "planning and development", "planning / cadastre", "housing and estates",
                "bauen und wohnen", "vivienda, ciudad y territorio", "ordenamiento territorial"),
    "population": ("demographics", "population and society", "society", "soci", "bevölkerung"),
    "safety": ("public safety", "kriminalität", "just", "justicia y derecho", "seguridad y defensa"),
    "transport": ("transport", "transportation", "tran", "mobilität", "transporte"),
}  # fmt: skip
"""What themes of the catalogues mean, in English, of codes, in German and in Spanish."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--catalogue", type=Path, default=CATALOGUE)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    with gzip.open(arguments.catalogue, "rt", encoding="utf-8") as lines:
        entries = [json.loads(line) for line in lines]
    described = [to_described(entry) for entry in entries]
    languages = [entry.get("language") or "" for entry in entries]
    drawn = draw_content(described)
    report = {
        name: measure(chosen, languages, model, arguments.queries)
        for name, chosen, model in (
            ("model 1", described, 1),
            ("model 2", described, 2),
            ("model 2 with drawn types and sizes", drawn, 2),
        )
    }
    text = json.dumps({"descriptions": len(described), **report}, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def draw_content(described: list[Described]) -> list[Described]:
    """Return descriptions with columns, each with drawn types of columns and a drawn size."""
    dice = np.random.default_rng(SEED)
    return [
        replace(
            item,
            column_types=[TYPES[k] for k in dice.integers(0, len(TYPES), len(item.columns))],
            content_bytes=int(10 ** dice.uniform(3, 10)),
        )
        if item.columns
        else item
        for item in described
    ]


def measure(
    described: list[Described], languages: list[str], model: int, queries: int
) -> dict[str, Any]:
    """Return clusters and shares of like neighbours under one model."""
    vectors = np.array([compute_features(item, model) for item in described], dtype=np.int32)
    themes = [{fold(theme) for theme in item.themes} for item in described]
    clusters, labels = cluster_anew(vectors.astype(np.int64))
    sizes = np.sort(np.bincount(labels))[::-1]
    themed = np.array([bool(found) for found in themes])
    anywhere = choose(themed, queries)
    return {
        "clusters": len(sizes),
        "bandwidth": clusters.bandwidth_squared,
        "largest_share": round(float(sizes[0] / len(described)), 4),
        "ten_largest_share": round(float(sizes[:10].sum() / len(described)), 4),
        "alone": int((sizes == 1).sum()),
        "share_of_neighbours_with_a_theme": share(vectors, themes, anywhere, themed),
        "across_languages": across(described, themes, languages, model),
    }


def across(
    described: list[Described], themes: list[set[str]], languages: list[str], model: int
) -> dict[str, Any]:
    """Return, for each other language, the share of the nearest English descriptions of its topics."""
    topics = [{name for name, told in TOPICS.items() if found & set(told)} for found in themes]
    told = np.array([bool(found) for found in topics])
    spoken = np.array(languages)
    asked = told & np.isin(spoken, (ENGLISH, *OTHERS))
    vectors = np.zeros((len(described), FEATURES), dtype=np.int32)
    for row in np.flatnonzero(asked):
        vectors[row] = compute_features(replace(described[row], themes=()), model)
    english = told & (spoken == ENGLISH)
    report = {}
    for language in OTHERS:
        rows = np.flatnonzero(told & (spoken == language))
        report[language] = {
            "queries": len(rows),
            "share_of_neighbours_with_a_topic": share(vectors, topics, rows, english),
            "share_by_chance": by_chance(topics, rows, english),
        }
    return report


def choose(which: np.ndarray, count: int) -> np.ndarray:
    """Return at most so many of the rows that are so, drawn."""
    rows = np.flatnonzero(which)
    return np.sort(np.random.default_rng(SEED).permutation(rows)[:count])


def share(
    vectors: np.ndarray, themes: list[set[str]], queries: np.ndarray, among: np.ndarray
) -> float:
    """Return of how many of its nearest rows a query shares a theme; ties by row."""
    rows = np.flatnonzero(among)
    points = vectors[rows].astype(np.float32)
    norms = (points**2).sum(axis=1)
    like = asked = 0
    for query in queries:
        squares = norms - 2 * (points @ vectors[query].astype(np.float32))
        squares[rows == query] = np.inf
        for place in np.argsort(squares, kind="stable")[:NEAREST]:
            like += bool(themes[query] & themes[rows[place]])
            asked += 1
    return round(like / asked, 4)


def by_chance(themes: list[set[str]], queries: np.ndarray, among: np.ndarray) -> float:
    """Return the same share of rows drawn without looking."""
    dice, rows = np.random.default_rng(SEED), np.flatnonzero(among)
    like = [bool(themes[q] & themes[r]) for q in queries for r in dice.choice(rows, NEAREST)]
    return round(float(np.mean(like)), 4)


if __name__ == "__main__":
    main()
