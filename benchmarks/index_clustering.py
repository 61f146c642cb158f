"""Mean shift against scikit-learn, a million points, one addition: the clustering part of the index benchmark.

    python benchmarks/index_clustering.py CATALOGUE.jsonl.gz [--smoke] [--peer-seconds 600] [--output FILE]

Feature vectors are those of real descriptions; above their number, resampled with small noise. The peer
(MeanShift with bin seeding) clusters the same vectors at the same bandwidth, in a process of its own with
a deadline; times are of the processor, all threads together, since machines are shared.
"""

import argparse
import gzip
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.metrics import adjusted_rand_score

from hansa.index.clusters import NEIGHBOURS_PER_MILLE, Clusters
from hansa.index.features import Described, compute_features
from hansa.index.mean_shift import derive_bandwidth, mean_shift

SEED = 5
SIZES = (10_000, 50_000)
MILLION = 1_000_000
SHARE_ADDED = 0.1

_PEER = """
import sys, time, numpy as np
from sklearn.cluster import MeanShift
points = np.load(sys.argv[1]).astype(float)
start = time.process_time()
labels = MeanShift(bandwidth=float(sys.argv[2]) ** 0.5, bin_seeding=True).fit(points).labels_
np.save(sys.argv[3], labels)
print(time.process_time() - start)
"""


def read_vectors(catalogue: Path, count: int | None = None) -> np.ndarray:
    """Return feature vectors of a dump of descriptions, (n, d), in the order of the file."""
    opener = gzip.open if catalogue.suffix == ".gz" else open
    rows = []
    with opener(catalogue, "rt", encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            described = Described(
                title=entry.get("title") or "",
                description=entry.get("description") or "",
                keywords=entry.get("keywords") or (),
                themes=entry.get("theme") or (),
                formats=entry.get("format") or (),
                columns=entry.get("fields") or (),
            )
            rows.append(compute_features(described))
            if len(rows) == count:
                break
    return np.array(rows, dtype=np.int64)


def draw(vectors: np.ndarray, count: int) -> np.ndarray:
    """Return so many vectors: real ones, each at most once; beyond their number, resampled with noise."""
    dice = np.random.default_rng(SEED)
    if count <= len(vectors):
        return vectors[dice.permutation(len(vectors))[:count]]
    more = vectors[dice.integers(0, len(vectors), count - len(vectors))]
    meaning = slice(0, 16)
    more[:, meaning] += np.rint(dice.normal(0, 2, more[:, meaning].shape)).astype(np.int64)
    return np.concatenate((vectors, more.clip(-127, 127)))


def cluster(points: np.ndarray, **options: int) -> tuple[dict[str, float], np.ndarray, int]:
    """Return figures, labels and the squared bandwidth of one clustering."""
    start, wall = time.process_time(), time.perf_counter()
    bandwidth = derive_bandwidth(points, NEIGHBOURS_PER_MILLE)
    derived = time.process_time()
    found = mean_shift(points, bandwidth, **options)
    figures = {
        "points": len(points),
        "bandwidth_squared": bandwidth,
        "bandwidth_cpu_s": derived - start,
        "cpu_s": time.process_time() - derived,
        "wall_s": time.perf_counter() - wall,
        "clusters": len(found.centres),
        "largest": int(np.bincount(found.labels).max()),
    }
    return figures, found.labels, bandwidth


def ask_peer(
    points: np.ndarray, bandwidth: int, seconds: int
) -> tuple[float | None, np.ndarray | None]:
    """Return processor seconds and labels of scikit-learn; None if it is not done in time."""
    with TemporaryDirectory() as folder:
        given, labels = Path(folder) / "points.npy", Path(folder) / "labels.npy"
        np.save(given, points)
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            _PEER,
            str(given),
            str(bandwidth),
            str(labels),
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return None, None
        return float(done.stdout), np.load(labels)


def time_additions(points: np.ndarray) -> dict[str, float]:
    """Cluster nine tenths, add the rest at the bandwidth found; compare with clustering all anew."""
    known = round(len(points) * (1 - SHARE_ADDED))
    bandwidth = derive_bandwidth(points[:known], NEIGHBOURS_PER_MILLE)
    before = mean_shift(points[:known], bandwidth)
    clusters, labels = Clusters(before.centres, bandwidth), before.labels.tolist()
    times = []
    for point in points[known:]:
        features = tuple(point.tolist())
        start = time.process_time()
        number, clusters = clusters.join(features)
        times.append(time.process_time() - start)
        labels.append(number)
    anew = mean_shift(points, bandwidth)
    return {
        "known": known,
        "added": len(points) - known,
        "cpu_us_p50": float(np.median(times)) * 1e6,
        "cpu_us_p99": float(np.percentile(times, 99)) * 1e6,
        "ari_with_all_anew": float(adjusted_rand_score(anew.labels, labels)),
    }


def run(*, catalogue: Path, smoke: bool = False, peer_seconds: int = 600) -> dict[str, object]:
    """Return all figures; `smoke` takes sizes a hundred times smaller, or less."""
    part = 100 if smoke else 1
    vectors = read_vectors(catalogue, 1_000 if smoke else None)
    sizes = []
    for size in SIZES:
        points = draw(vectors, size // part)
        figures, labels, bandwidth = cluster(points)
        seconds, theirs = ask_peer(points, bandwidth, peer_seconds)
        figures["peer_cpu_s"] = seconds
        figures["times_faster"] = seconds / figures["cpu_s"] if seconds else None
        figures["peer_ari_with_exact"] = (
            None if theirs is None else float(adjusted_rand_score(labels, theirs))
        )
        sizes.append(figures)
    points = draw(vectors, SIZES[-1] // part)
    exact = mean_shift(points, derive_bandwidth(points, NEIGHBOURS_PER_MILLE))
    crowded, labels, _ = cluster(points, seeds_max=1)
    crowded["ari_with_exact"] = float(adjusted_rand_score(exact.labels, labels))
    million, _, _ = cluster(draw(vectors, MILLION // part // (5 if smoke else 1)))
    return {
        "exact": sizes,
        "crowds": crowded,
        "million": million,
        "additions": time_additions(draw(vectors, SIZES[0] // part)),
    }


def main() -> None:
    """Run and print or write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--peer-seconds", type=int, default=600)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    found = run(
        catalogue=arguments.catalogue, smoke=arguments.smoke, peer_seconds=arguments.peer_seconds
    )
    text = json.dumps(found, indent=2)
    print(text)
    if arguments.output is not None:
        arguments.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
