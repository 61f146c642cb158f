"""The information index beside a full scan, SQLite, BallTree and FAISS, at growing sizes.

    make bench-index                               10^4, 10^5 and 10^6 descriptions
    make bench-index BENCH="--smoke"               2,000 descriptions: shows that it runs
    make bench-index BENCH="--sizes 10000,100000"
    make bench-index BENCH="--sizes 1000000 --no-clustering --join"
    make bench-index BENCH="--sizes= --join"       clustering alone

Writes benchmarks/results/index.json and the picture docs/benchmarks-index.svg; `document.py` puts the
tables into docs/benchmarks.md. All questions come from a seed; each is asked of Hansa and of the peer in
turn, and ratios are taken question by question.
"""

import argparse
import gc
import json
import random
import resource
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import index_clustering
import index_report
import machine
import numpy as np
from index_corpus import CATALOGUE, real_records, resample
from index_peers import Scan, Sqlite, nearest_peers

from hansa.bootstrap.opening import open_index_files
from hansa.index import IndexChange, IndexParameters, InformationIndex, Question
from hansa.index.clusters import Clusters, cluster_anew
from hansa.index.features import FEATURES, MODEL
from hansa.index.mean_shift import assign
from hansa.index.pages import Row
from hansa.index.records import IndexRecord
from hansa.index.rowsum import sum_rows, to_bytes
from hansa.index.writing import write_data_index
from hansa.types import Box, Interval

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results") / "index.json"
PICTURE = ROOT / "docs" / "benchmarks-index.svg"
CLUSTERED_MAX = 10_000
"""The files are what is measured here; `index_clustering` measures mean shift."""
NEAREST = 10
TURN = 10
SLOW_US = 50_000
"""What takes longer varies little: once is enough, and a million descriptions are done in minutes."""
Spent = dict[str, list[float]]


def build(records: Sequence[IndexRecord], folder: Path) -> tuple[InformationIndex, dict[str, Any]]:
    """Return an open index; above 10,000 descriptions centres are those of a part of them."""
    start, wall = time.process_time(), time.perf_counter()
    table = np.array([record.features for record in records], dtype=np.int64)
    clusters, labels = cluster_anew(table[:CLUSTERED_MAX])
    if len(table) > CLUSTERED_MAX:
        labels = assign(table, clusters.centres)
    clustered = time.process_time() - start
    rows = [Row(r, int(c), r.digest()) for r, c in zip(records, labels, strict=True)]
    total = to_bytes(sum_rows((r.record.dataset, r.digest, r.cluster) for r in rows))
    files = open_index_files(folder)
    write_data_index(
        files, "base-000000000001", rows, Clusters(clusters.centres, clusters.bandwidth_squared),
        height=1, registered=len(rows), feature_model=MODEL, rows_sum=total,
    )  # fmt: skip
    spent = time.process_time() - start
    index = InformationIndex.open(files, IndexParameters(MODEL, 10**9))
    stats = index.stats()
    return index, {
        "build_cpu_s": round(spent - clustered, 1),
        "build_wall_s": round(time.perf_counter() - wall, 1),
        "clusters": len(stats.clusters),
        "upper_layers_bytes": stats.upper_layers_bytes,
        "bytes_per_description": round(stats.upper_layers_bytes / len(rows), 2),
        "file_bytes": stats.file_bytes,
    }


def _tell(done: str) -> None:
    """Say how far a run has come, and when: a million descriptions take minutes."""
    print(f"{time.process_time():7.0f} s of processor time: {done}", file=sys.stderr, flush=True)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return the result and the microseconds of one call."""
    start = time.perf_counter_ns()
    result = work()
    return result, (time.perf_counter_ns() - start) / 1_000


def compare(
    questions: Sequence[Any], asks: dict[str, Callable[[Any], Any]], repeats: int
) -> tuple[Spent, int]:
    """Ask all in turn; return the best time of each question, and how many answers differ.

    A turn is ten questions, so that each tool finds its own code in the processor's caches, as in a
    process that does nothing else; no question comes twice in a row. Who takes longer than `SLOW_US`
    for a question is asked it once.
    """
    spent: Spent = {name: [float("inf")] * len(questions) for name in asks}
    found: dict[str, dict[int, Any]] = {name: {} for name in asks}
    for start in range(0, len(questions), TURN):
        places = range(start, min(start + TURN, len(questions)))
        for again in range(repeats):
            for (name, ask), place in product(asks.items(), places):
                if again and spent[name][place] > SLOW_US:
                    continue
                found[name][place], took = timed(partial(ask, questions[place]))
                spent[name][place] = min(spent[name][place], took)
    differing = sum(
        any(answers[place] != found["hansa"][place] for answers in found.values())
        for place in range(len(questions))
    )
    return spent, differing


def summary(spent: Spent, differing: int) -> dict[str, Any]:
    """Return medians in microseconds, and the median of the ratios to Hansa's time."""
    ours = spent["hansa"]
    told: dict[str, Any] = {"questions": len(ours), "answers_differing": differing}
    for name, values in spent.items():
        told[f"{name}_us"] = round(median(values), 1)
        if name != "hansa":
            told[f"{name}_ratio"] = round(
                median(b / a for a, b in zip(ours, values, strict=True)), 2
            )
    return told


def facet_questions(
    draw: random.Random, records: Sequence[IndexRecord], count: int
) -> list[Question]:
    """Return questions by two or three of theme, format, publisher, place and time of one record."""
    found: list[Question] = []
    while len(found) < count:
        record = draw.choice(records)
        parts: dict[str, dict[str, Any]] = {"owner": {"owner": record.owner}}
        if record.themes:
            parts["theme"] = {"theme": record.themes[0]}
        if record.formats:
            parts["format"] = {"format": record.formats[0]}
        if record.box is not None:
            b, size = record.box, draw.choice((10_000, 100_000))
            parts["box"] = {"box": Box(b.west, b.south, b.west + size, b.south + size)}
        if record.interval is not None:
            start = record.interval.start_ms
            parts["time"] = {"interval": Interval(start, start + 30 * 86_400_000)}
        if len(parts) < 3:
            continue
        chosen = draw.sample(sorted(parts), draw.choice((2, 3)))
        asked = {key: value for name in chosen for key, value in parts[name].items()}
        found.append(Question(**asked, counts=False))
    return found


def measure(records: list[IndexRecord], seed: int, count: int) -> dict[str, Any]:
    """Return the figures of one size."""
    draw = random.Random(f"bench {seed}")
    with TemporaryDirectory() as folder:
        _tell(f"{len(records)} descriptions")
        sqlite = Sqlite(records)
        index, told = build(records, Path(folder))
        _tell("index")
        scan = Scan(records)
        _tell("scan")
        sqlite.wait()
        _tell("SQLite")
        told["peak_bytes"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        place = {dataset: number for number, dataset in enumerate(scan.ids)}
        gc.collect()
        gc.freeze()

        def ours(question: Question) -> tuple[int, list[int]]:
            found = index.find(question)
            return found.total, [place[dataset] for _, dataset in found.matches]

        told["facets"] = summary(
            *compare(facet_questions(draw, records, count),
                     {"hansa": ours, "scan": scan.ask, "sqlite": sqlite.ask}, 3))  # fmt: skip
        _tell("facets")
        told["words"] = words(index, sqlite, draw, records, count)
        _tell("words")
        told["absent"] = absent(index, sqlite, draw, records, 20 * count)
        _tell("absent")
        told["nearest"] = nearest(index, draw, records, count)
        _tell("nearest")
        told["addition"] = additions(index, draw, records, count)
        told["kept_bytes"] = index.stats().kept_bytes
        index.close()
        gc.unfreeze()
    return told


def words(
    index: InformationIndex,
    sqlite: Sqlite,
    draw: random.Random,
    records: list[IndexRecord],
    count: int,
) -> dict[str, Any]:
    """Questions by one or two words of a record: how many match, and the first twenty."""
    plain = [r for r in records if len(r.words) > 1 and all(word.isascii() for word in r.words)]
    asked = [
        Question(words=tuple(set(draw.sample(r.words, draw.choice((1, 2))))), counts=False)
        for r in draw.choices(plain, k=count)
    ]
    asks = {"hansa": lambda q: index.find(q).total, "fts5": lambda q: sqlite.words(q)[0]}
    return summary(*compare(asked, asks, 3))


def absent(
    index: InformationIndex,
    sqlite: Sqlite,
    draw: random.Random,
    records: list[IndexRecord],
    count: int,
) -> dict[str, Any]:
    """Ids, names and words that are not there, and facets that are nowhere together."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    known = {word for record in records for word in record.words}
    common = sorted(known)[:5_000]
    asked: dict[str, list[Any]] = {
        "word": [w for w in ("".join(draw.choices(letters, k=7)) for _ in range(count)) if w not in known],
        "id": [draw.randbytes(16) for _ in range(count)],
        "title": [" ".join(draw.choices(common, k=3)) for _ in range(count // 4)],
    }  # fmt: skip
    makers: dict[str, Callable[[Any], Question]] = {
        "word": lambda word: Question(words=(word,)),
        "id": lambda dataset: Question(dataset=dataset),
        "title": lambda title: Question(title=title),
    }
    told: dict[str, Any] = {}
    for name, values in asked.items():
        questions = [makers[name](value) for value in values]
        told[name] = _refusing(index, questions)
    told["word"]["fts5_us"] = _p50(sqlite.absent_word, asked["word"])
    told["id"]["sqlite_us"] = _p50(sqlite.absent_id, asked["id"])
    apart: list[Question] = []
    while len(apart) < count // 4:
        one, two = draw.choice(records), draw.choice(records)
        if not one.themes or not two.formats or one is two:
            continue
        question = Question(theme=one.themes[0], owner=two.owner, format=two.formats[0])
        if not index.find(question).total:
            apart.append(question)
    told["facets apart"] = _refusing(index, apart)
    return told


def _refusing(index: InformationIndex, questions: list[Question]) -> dict[str, Any]:
    refused = sum(
        index.ask(q, explain=False).explanation.refused_by != ""
        and index.ask(q, explain=False).explanation.bytes_read == 0
        for q in questions
    )
    return {
        "questions": len(questions),
        "refused_unread_share": round(refused / max(1, len(questions)), 5),
        "hansa_us": _p50(lambda q: index.ask(q, explain=False), questions),
    }


def _p50(ask: Callable[[Any], Any], values: Sequence[Any]) -> float:
    return round(median([timed(lambda v=value: ask(v))[1] for value in values] or [0.0]), 2)


def nearest(
    index: InformationIndex, draw: random.Random, records: list[IndexRecord], count: int
) -> dict[str, Any]:
    """The ten nearest of a point of the data, and of uniform random points: distances compared."""
    table = np.array([record.features for record in records], dtype=np.int16)
    peers = nearest_peers(table)

    def ours(point: Any) -> list[int]:
        question = Question(like_features=tuple(map(int, point)), limit=NEAREST, counts=False)
        return [score for score, _ in index.find(question).matches]

    asks: dict[str, Callable[[Any], Any]] = {"hansa": ours}
    for name, ask in peers.items():
        asks[name] = lambda point, a=ask: np.rint(a(point, NEAREST)).astype(int).tolist()
    real = [table[draw.randrange(len(table))] for _ in range(count)]
    uniform = [
        np.array([draw.randint(-60, 60) for _ in range(FEATURES)], dtype=np.int16)
        for _ in range(max(5, count // 5))
    ]
    return {
        "of the data": summary(*compare(real, asks, 3)),
        "uniform random": summary(*compare(uniform, asks, 2)),
    }


def additions(
    index: InformationIndex, draw: random.Random, records: list[IndexRecord], count: int
) -> dict[str, Any]:
    """One block with one new dataset: all three layers, the log and the digest."""
    spent: list[float] = []
    for record in resample(draw.sample(records, min(50, len(records))), count, 99):
        change = IndexChange(record.dataset, record)
        spent.append(timed(lambda c=change: index.apply(index.height + 1, [c]))[1])
    return {"blocks": count, "hansa_us": round(median(spent), 1), "worst_us": round(max(spent), 1)}


def main() -> int:
    """Measure, and write results and picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--catalogue", type=Path, default=CATALOGUE)
    parser.add_argument("--no-clustering", action="store_true")
    parser.add_argument(
        "--join", action="store_true", help="add to what an earlier run of the same day wrote"
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    if not options.catalogue.exists():
        print("No catalogue: give --catalogue FILE.jsonl.gz", file=sys.stderr)
        return 2
    start = time.monotonic()
    sizes = [2_000] if options.smoke else [int(size) for size in options.sizes.split(",") if size]
    real = real_records(options.catalogue)
    report: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": machine.describe_machine(ROOT),
        "real_descriptions": len(real),
        "load_before": machine.load_average(),
        "sizes": {},
    }
    if options.join:
        earlier = json.loads(options.output.read_text())
        report |= {
            key: earlier[key] for key in ("load_before", "sizes", "clustering") if key in earlier
        }
        start -= earlier["seconds"]
    for size in sizes:
        # What is made here stays: to look through it again and again only costs time.
        gc.disable()
        records = list(resample(real, size, options.seed))
        gc.freeze()
        gc.enable()
        report["sizes"][str(size)] = measure(records, options.seed, 20 if options.smoke else 60)
        print(json.dumps({size: report["sizes"][str(size)]}), flush=True)
        report["load_after"] = machine.load_average()
        report["seconds"] = round(time.monotonic() - start)
        if not options.smoke:
            _keep(report, options.output)
        del records
        gc.collect()
    if not options.no_clustering:
        vectors = np.array([record.features for record in real], dtype=np.int64)
        report["clustering"] = index_clustering.run(vectors, smoke=options.smoke)
    report["load_after"] = machine.load_average()
    report["seconds"] = round(time.monotonic() - start)
    if not options.smoke:
        _keep(report, options.output)
    print(index_report.render(report))
    return 0


def _keep(report: dict[str, Any], output: Path) -> None:
    """Write what there is so far: a run that is stopped has not been for nothing."""
    output.parent.mkdir(exist_ok=True)
    report["sizes"] = {key: report["sizes"][key] for key in sorted(report["sizes"], key=int)}
    output.write_text(json.dumps(report, indent=1) + "\n")
    if output == RESULTS:
        PICTURE.write_text(index_report.draw(report))


if __name__ == "__main__":
    machine.take_one_blas_thread()
    sys.exit(main())
