"""Mean shift against scikit-learn, a million points, one addition: the clustering part of the index benchmark.

    python benchmarks/index_clustering.py [--catalogue FILE.jsonl.gz] [--smoke] [--peer-seconds 400] [--output FILE]

Feature vectors are those of real descriptions; above their number, resampled with small noise. The peer
(MeanShift with bin seeding) clusters the same vectors at the same bandwidth, in a process of its own with
a deadline; times are of the processor, all threads together, since machines are shared. Sizes beyond
65,536 walk as crowds first; what that changes is measured at 5·10^4, where every point can be a seed.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import machine
import numpy as np
from index_corpus import CATALOGUE, real_records
from sklearn.metrics import adjusted_rand_score

from hansa.index.clusters import NEIGHBOURS_PER_MILLE, Clusters
from hansa.index.mean_shift import derive_bandwidth, mean_shift

SEED = 5
SIZES = (10_000, 50_000)
MILLION = 1_000_000
SHARE_ADDED = 0.1
PEER_TIMES = 21

_PEER = """
import sys, time, numpy as np
from sklearn.cluster import MeanShift
points = np.load(sys.argv[1]).astype(float)
start = time.process_time()
labels = MeanShift(bandwidth=float(sys.argv[2]) ** 0.5, bin_seeding=True).fit(points).labels_
np.save(sys.argv[3], labels)
print(time.process_time() - start)
"""


def draw(vectors: np.ndarray, count: int) -> np.ndarray:
    """Return so many vectors: real ones, each at most once; beyond their number, resampled with noise."""
    dice = np.random.default_rng(SEED)
    if count <= len(vectors):
        return vectors[dice.permutation(len(vectors))[:count]]
    more = vectors[dice.integers(0, len(vectors), count - len(vectors))]
    meaning = slice(0, 16)
    more[:, meaning] += np.rint(dice.normal(0, 2, more[:, meaning].shape)).astype(np.int64)
    return np.concatenate((vectors, more.clip(-127, 127)))


def cluster(points: np.ndarray, **options: int) -> tuple[dict[str, Any], np.ndarray, int]:
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
    still = adjusted_rand_score(anew.labels[:known], before.labels)
    return {
        "known": known,
        "added": len(points) - known,
        "cpu_us_p50": float(np.median(times)) * 1e6,
        "cpu_us_p99": float(np.percentile(times, 99)) * 1e6,
        "ari_with_all_anew": float(adjusted_rand_score(anew.labels, labels)),
        "ari_of_known_before_and_after": float(still),
    }


def run(vectors: np.ndarray, *, smoke: bool = False, peer_seconds: int = 400) -> dict[str, object]:
    """Return all figures; `smoke` takes sizes a hundred times smaller, or less.

    Args:
        vectors: (n, d) features of real descriptions.
        smoke: show that it runs.
        peer_seconds: the peer is stopped then, or when it has taken a little more than 20 times as long.
    """
    part = 100 if smoke else 1
    sizes = []
    for size in SIZES:
        points = draw(vectors, size // part)
        figures, labels, _ = cluster(points)
        seconds = min(peer_seconds, max(60 // part, round(PEER_TIMES * figures["cpu_s"])) + 5)
        _measure_peer(figures, points, labels, seconds)
        sizes.append(figures)
        _say(figures)
    crowds = []
    for options in ({"seeds_max": 1}, {"seeds_max": 1, "direct_max": 1}):
        figures, found, _ = cluster(points, **options)
        figures["ari_with_exact"] = float(adjusted_rand_score(labels, found))
        crowds.append(figures)
        _say(figures)
    million, _, _ = cluster(draw(vectors, MILLION // part // (5 if smoke else 1)))
    _say(million)
    return {
        "exact": sizes,
        "crowds": crowds,
        "million": million,
        "additions": time_additions(draw(vectors, SIZES[0] // part)),
    }


def _measure_peer(
    figures: dict[str, Any], points: np.ndarray, labels: np.ndarray, seconds: int
) -> None:
    """Add the peer's time, or how long it was given, and how well its partition agrees."""
    before = _children_cpu_s()
    spent, theirs = ask_peer(points, figures["bandwidth_squared"], seconds)
    figures["peer_is_done"] = spent is not None
    figures["peer_cpu_s"] = _children_cpu_s() - before if spent is None else spent
    figures["times_faster"] = figures["peer_cpu_s"] / figures["cpu_s"]
    agreed = None if theirs is None else float(adjusted_rand_score(labels, theirs))
    figures["peer_ari_with_exact"] = agreed


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _say(figures: dict[str, Any]) -> None:
    print(json.dumps(figures), flush=True)


def main() -> None:
    """Run and print or write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--catalogue", type=Path, default=CATALOGUE)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--peer-seconds", type=int, default=400)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    vectors = np.array([r.features for r in real_records(arguments.catalogue)], dtype=np.int64)
    found = run(vectors, smoke=arguments.smoke, peer_seconds=arguments.peer_seconds)
    text = json.dumps(found, indent=2)
    print(text)
    if arguments.output is not None:
        arguments.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    machine.take_one_blas_thread()
    main()
