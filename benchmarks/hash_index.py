"""The hash index table on disk: look-ups, memory, size and start-up, and a model of them to 10^9 chunks.

    python benchmarks/hash_index.py                       10^5, 10^6 and 10^7 chunks; about 15 minutes
    python benchmarks/hash_index.py --sizes 100000        small, some seconds

One table grows from size to size. At each it is opened by a process of its own, once after a clean end and
once after one without (what a kill leaves), asked, and measured. Writes benchmarks/results/table.json.
"""

import argparse
import gc
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import hash_index_report
import machine
import msgspec

from hansa.data.hash_index_table import HashIndexTable, StoredChunk, VersionRef
from hansa.data.manifest import DirectoryEntry
from hansa.storage.table import open_table
from hansa.types import Address, ChunkId, DatasetId

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).parent
BUILT = ROOT / "build" / "bench"
BATCH = 1_000
"""Chunks noted, bound or asked for at once."""
VERSION_BATCHES = 100
SEALED_BYTES = 40_000
PACK_CHUNKS = 3_000
"""About 128 MiB of chunks of that length."""
Names = list[tuple[bytes, bytes, bytes]]


def names_of(batch: int, kind: str = "chunk") -> Names:
    """Return chunk ids, sealed digests and fingerprints of a batch: the same at each call."""
    joined = random.Random(f"{kind} {batch}").randbytes(BATCH * 100)
    rows = (joined[at : at + 100] for at in range(0, len(joined), 100))
    return [(row[:32], row[32:64], row[64:]) for row in rows]


def place_of(number: int) -> Address:
    """Return where the chunk of this number lies."""
    pack, at = divmod(number, PACK_CHUNKS)
    return Address(
        random.Random(f"pack {pack}").randbytes(32), 16 + at * SEALED_BYTES, SEALED_BYTES
    )


def grow(path: Path, first: int, count: int, *, is_clean: bool) -> dict[str, float]:
    """Record and bind chunks as publishing does, from batch `first` until there are `count`."""
    table, _ = open_table(path)
    index = HashIndexTable(table)
    spent = {"record": 0.0, "bind": 0.0}
    for batch in range(first, count // BATCH):
        names = names_of(batch)
        stored = [
            (sealed, StoredChunk(ChunkId(chunk), fingerprint, place_of(batch * BATCH + at)))
            for at, (chunk, sealed, fingerprint) in enumerate(names)
        ]
        entries = [
            DirectoryEntry(ChunkId(chunk), sealed, SEALED_BYTES, 65_536)
            for chunk, sealed, _ in names
        ]
        version = VersionRef(DatasetId((batch // VERSION_BATCHES).to_bytes(16, "big")), 1)
        began = time.perf_counter()
        index.record(stored, is_durable=batch % 8 == 7)
        noted = time.perf_counter()
        index.bind(version, entries, lambda _stored: True)
        spent["record"] += noted - began
        spent["bind"] += time.perf_counter() - noted
    if not is_clean:
        table.write(())
        sys.stdout.write(json.dumps(spent))
        sys.stdout.flush()
        os._exit(0)
    index.close()
    table.close()
    return spent


def ask(path: Path, count: int, questions: int) -> dict[str, object]:
    """Open a table and ask it; return what that took. Read from the page cache as far as memory goes."""
    before = _anonymous_bytes()
    began = time.perf_counter()
    table, _ = open_table(path)
    index = HashIndexTable(table)
    opened_s = time.perf_counter() - began
    gc.collect()
    told: dict[str, object] = {
        "open_s": opened_s,
        "memory_bytes": index.memory_bytes,
        "process_memory_bytes": _anonymous_bytes() - before,
        "known": index.chunks,
        "file_bytes": path.stat().st_blocks * 512,
    }
    batches = max(1, questions // BATCH)
    draw = random.Random(7)
    told["new_per_s"] = _rate(index, [_ids(names_of(n, "new")) for n in range(batches)], 0)
    told["reads_for_new"] = index.reads / (batches * BATCH)
    again = [_ids(names_of(draw.randrange(count // BATCH))) for _ in range(batches)]
    told["known_together_per_s"] = _rate(index, again, BATCH)
    # A few of each of many batches: no two questions of one batch lie together.
    pool = [_ids(names_of(draw.randrange(count // BATCH))) for _ in range(min(batches, 100))]
    mixed = [[ids[draw.randrange(BATCH)] for ids in pool for _ in range(BATCH // len(pool))]
             for _ in range(batches)]  # fmt: skip
    told["known_scattered_per_s"] = _rate(index, mixed, len(mixed[0]))
    singly = [[ids[draw.randrange(BATCH)]] for ids in pool for _ in range(20)]
    told["known_singly_per_s"] = _rate(index, singly, 1)
    table.close()
    return told


def _ids(names: Names) -> list[ChunkId]:
    return [ChunkId(chunk) for chunk, _, _ in names]


def _rate(index: HashIndexTable, questions: list[list[ChunkId]], wanted: int) -> float:
    """Ask; return look-ups a second. Each question must find as many as wanted."""
    began = time.perf_counter()
    for ids in questions:
        found = index.lookup(ids)
        assert wanted == len(found) - found.count(None)
    return sum(map(len, questions)) / (time.perf_counter() - began)


def _anonymous_bytes() -> int:
    """Return the process's own memory, without files that are mapped."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return 0


# --- the stages, each a process -----------------------------------------------------------------


def _stage(*words: object) -> dict[str, object]:
    command = [sys.executable, str(Path(__file__)), "--stage", *map(str, words)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    told: dict[str, object] = json.loads(done.stdout)
    return told


def measure(options: argparse.Namespace, folder: Path) -> Iterator[dict[str, object]]:
    """Yield one row for each size."""
    path, before = folder / "table.mdb", 0
    for size in sorted(options.sizes):
        count = size // BATCH * BATCH
        sys.stderr.write(f"{count} chunks …\n")
        took = _stage("grow", path, before // BATCH, count, "crash")
        crashed = _stage("ask", path, count, options.questions)
        # Opened, and ended in order: the filter is saved.
        _stage("grow", path, count // BATCH, count, "clean")
        clean = _stage("ask", path, count, options.questions)
        added = count - before
        rates = {f"{name}_us": 1e6 * float(spent) / added for name, spent in took.items()}  # type: ignore[arg-type]
        yield {"chunks": count, "open_after_kill_s": crashed["open_s"]} | clean | rates
        before = count


def _run_stage(words: list[str]) -> None:
    kind, path, *rest = words
    if kind == "grow":
        first, count, how = rest
        told: dict[str, object] = dict(
            grow(Path(path), int(first), int(count), is_clean=how == "clean")
        )
    else:
        count, questions = rest
        told = ask(Path(path), int(count), int(questions))
    sys.stdout.write(json.dumps(told))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**5, 10**6, 10**7])
    parser.add_argument("--questions", type=int, default=200_000, help="look-ups of each kind")
    parser.add_argument("--folder", type=Path, help="where files go, while it runs")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "table.json")
    parser.add_argument("--stage", nargs="+", help=argparse.SUPPRESS)
    return parser


def main() -> int:
    """Parse the options, measure, write, print."""
    parser = _parser()
    options = parser.parse_args()
    if options.stage:
        _run_stage(options.stage)
        return 0
    BUILT.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="table-", dir=options.folder or BUILT))
    is_default = options.sizes == parser.get_default("sizes")
    sizes = "" if is_default else f" --sizes {' '.join(map(str, options.sizes))}"
    try:
        results: dict[str, object] = {
            "command": f"python benchmarks/hash_index.py{sizes}",
            "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "machine": machine.describe_machine(ROOT),
            "fdatasync": machine.measure_fdatasync(folder),
            "load_average_before": machine.load_average(),
            "rows": list(measure(options, folder)),
            "load_average_after": machine.load_average(),
        }
    finally:
        shutil.rmtree(folder)
    options.json.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    sys.stdout.write(hash_index_report.render(results))
    sys.stdout.write(f"\nWritten to {options.json}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
