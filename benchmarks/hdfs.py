"""Packs on a real HDFS beside its client library used bare: write, read, random reads, small objects.

    make bench-hdfs                            starts three DataNodes, replication 2; about three minutes
    make bench-hdfs BENCH="--packs 1 --repeats 1 --files 500"     small

Raw is hdfs-native's synchronous client, the one Hansa uses, with the same replication, block size and
settings; the two take turns, file by file and batch by batch. Writes benchmarks/results/hdfs.json.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import hdfs_native
import hdfs_report
import machine
import msgspec
import repository

import hansa.storage.hdfs.store as store_module
from hansa import limits
from hansa.cli.hdfs import HdfsCluster
from hansa.client.sources import collect
from hansa.data.pipeline import Ingest
from hansa.storage.chunk_store import ChunkStore
from hansa.storage.hdfs import HdfsSettings, HdfsStore
from hansa.storage.hdfs.settings import connect
from hansa.storage.hdfs.writing import options_for
from hansa.storage.names import name_pack
from hansa.storage.reading import read_many
from hansa.system import SystemClock, SystemEntropy
from hansa.types import Address

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).parent
BUILT = ROOT / "build" / "bench"
PIECE_BYTES = 8 * limits.MIB
RANGE_BYTES = 64 * limits.KIB
BATCH = 100
READERS = 8
CLUSTER = 7
USER = "bench"
Row = dict[str, object]


@dataclass
class Place:
    """A folder of a cluster that runs, with its user."""

    cluster: HdfsCluster
    replication: int

    def settings(self, folder: str) -> HdfsSettings:
        """Return where a store lies."""
        url = f"{self.cluster.url}/{USER}/{folder}"
        return HdfsSettings(url=url, replication=self.replication, user=USER)

    def objects(self) -> dict[str, int]:
        """Return what the NameNode counts: files and folders, and blocks."""
        told = self.cluster.web.figures()
        return {"files": told["FilesTotal"], "blocks": told["BlocksTotal"]}


@dataclass
class ReadBack:
    """Counts the seconds that a store spends in reading back what it wrote."""

    seconds: float = 0.0

    @contextmanager
    def counted(self) -> Iterator["ReadBack"]:
        """Stand between the store and its own function for a while."""
        original = store_module.read_back

        def counting(*arguments: object) -> object:
            began = time.perf_counter()
            try:
                return original(*arguments)  # type: ignore[arg-type]
            finally:
                self.seconds += time.perf_counter() - began

        store_module.read_back = counting  # type: ignore[assignment]
        try:
            yield self
        finally:
            store_module.read_back = original


@dataclass
class Bench:
    """One run against one cluster."""

    options: argparse.Namespace
    place: Place
    folder: Path
    rows: list[Row] = field(default_factory=list)

    def run(self) -> None:
        """Measure everything, some times."""
        for repeat in range(self.options.repeats):
            sys.stderr.write(f"packs, {repeat + 1} …\n")
            self._packs(repeat)
            sys.stderr.write(f"small objects, {repeat + 1} …\n")
            self._small(repeat)

    # --- packs ----------------------------------------------------------------------------------

    def _packs(self, repeat: int) -> None:
        place = f"/{USER}/packs-{repeat}"
        settings = self.place.settings(f"packs-{repeat}/hansa")
        raw = connect(settings)
        raw.mkdirs(f"{place}/raw", 0o700, create_parent=True)
        store = HdfsStore(settings, "bench", clock=SystemClock(), entropy=SystemEntropy())
        opened = repository.Repository.open(self.folder / f"packs-{repeat}", store)
        names = [os.urandom(32) for _ in range(self.options.packs)]
        paths = [f"{place}/raw/{name.hex()}" for name in names]
        try:
            self._write(repeat, raw, store, names, paths)
            self._read(repeat, raw, store, opened.versions.chunks, names, paths)
            self._read_at_random(repeat, raw, opened.versions.chunks, names, paths)
        finally:
            opened.close()
            raw.delete(place, True)

    def _write(
        self,
        repeat: int,
        raw: hdfs_native.Client,
        store: HdfsStore,
        names: list[bytes],
        paths: list[str],
    ) -> None:
        """Copy local files of a pack's size into HDFS."""
        size = self.options.pack_mib * limits.MIB
        spent = {"raw": 0.0, "hansa": 0.0}
        back = ReadBack()
        for at, (name, path) in enumerate(zip(names, paths, strict=True)):
            local = self.folder / "local"
            local.write_bytes(os.urandom(size))
            os.sync()

            def by_hand(path: str = path, local: Path = local) -> None:
                writer = raw.create(path, options_for(size, self.options.replication))
                with local.open("rb", buffering=0) as file:
                    while piece := file.read(limits.HDFS_PIECE_BYTES):
                        writer.write(piece)
                writer.close()

            def by_store(name: bytes = name, local: Path = local) -> None:
                with back.counted():
                    store.put_file(name_pack(name), local)

            _take_turns(at, spent, {"raw": by_hand, "hansa": by_store})
        total = size * len(names)
        without = {"hansa": spent["hansa"] - back.seconds, "raw": spent["raw"]}
        self._add(repeat, "sequential write, without the read-back", without, total)
        self._add(repeat, "sequential write, read back and compared", spent, total)

    def _read(
        self,
        repeat: int,
        raw: hdfs_native.Client,
        store: HdfsStore,
        chunks: ChunkStore,
        names: list[bytes],
        paths: list[str],
    ) -> None:
        """Read whole packs: as a node does for a fetch, beside the client's stream; and 8 MiB one by one."""
        size = self.options.pack_mib * limits.MIB
        places = range(0, size, PIECE_BYTES)
        spent = {"raw": 0.0, "hansa": 0.0}
        singly = {"raw": 0.0, "hansa": 0.0}
        with (
            ThreadPoolExecutor(limits.CLIENT_WINDOWS_IN_FLIGHT_MAX) as pool,
            ThreadPoolExecutor(limits.READERS_MAX) as readers,
        ):
            for at, (name, path) in enumerate(zip(names, paths, strict=True)):
                reader = raw.read(path)

                def stream(path: str = path) -> None:
                    assert size == sum(map(len, raw.read(path).read_range_stream(0, size)))

                def by_hand(start: int, reader: hdfs_native.FileReader = reader) -> int:
                    return len(reader.read_range(start, min(PIECE_BYTES, size - start)))

                def by_store(start: int, name: bytes = name) -> int:
                    return len(store.get(name_pack(name), start, min(PIECE_BYTES, size - start)))

                def by_addresses(start: int, name: bytes = name) -> int:
                    ends = range(start, min(start + PIECE_BYTES, size), RANGE_BYTES)
                    wanted = [Address(name, at, min(RANGE_BYTES, size - at)) for at in ends]
                    return sum(map(len, read_many(chunks.addresses, wanted, readers)))

                def some_at_a_time(by_addresses: Callable[[int], int] = by_addresses) -> None:
                    assert size == sum(pool.map(by_addresses, places))

                _take_turns(at, spent, {"raw": stream, "hansa": some_at_a_time})
                each = {
                    "raw": lambda by_hand=by_hand: sum(map(by_hand, places)),
                    "hansa": lambda by_store=by_store: sum(map(by_store, places)),
                }
                _take_turns(at, singly, each)
        self._add(repeat, "sequential read", spent, size * len(names))
        self._add(repeat, "sequential read, 8 MiB one by one", singly, size * len(names))

    def _read_at_random(
        self,
        repeat: int,
        raw: hdfs_native.Client,
        chunks: ChunkStore,
        names: list[bytes],
        paths: list[str],
    ) -> None:
        """Read 64 KiB at random addresses, one at a time and eight at a time."""
        size = self.options.pack_mib * limits.MIB
        readers = [raw.read(path) for path in paths]
        draw = random.Random(11 + repeat)

        def by_hand(place: tuple[int, int]) -> float:
            began = time.perf_counter()
            assert len(readers[place[0]].read_range(place[1], RANGE_BYTES)) == RANGE_BYTES
            return time.perf_counter() - began

        def by_address(place: tuple[int, int]) -> float:
            began = time.perf_counter()
            address = Address(names[place[0]], place[1], RANGE_BYTES)
            assert len(chunks.read(address)) == RANGE_BYTES
            return time.perf_counter() - began

        for threads in (1, READERS):
            spent = {"raw": 0.0, "hansa": 0.0}
            each: dict[str, list[float]] = {"raw": [], "hansa": []}
            with ThreadPoolExecutor(threads) as pool:
                # The first batch opens files and connections, and is not counted.
                for batch in range(-1, self.options.reads // BATCH):
                    places = [
                        (draw.randrange(len(names)), draw.randrange(size - RANGE_BYTES))
                        for _ in range(BATCH)
                    ]
                    work = {
                        "raw": lambda places=places: list(pool.map(by_hand, places)),
                        "hansa": lambda places=places: list(pool.map(by_address, places)),
                    }
                    took = {"raw": 0.0, "hansa": 0.0}
                    told = _take_turns(batch, took, work)
                    for name in spent if batch >= 0 else ():
                        spent[name] += took[name]
                        each[name] += told[name]
            count = len(each["raw"])
            operation = f"random reads of 64 KiB, {threads} at a time"
            for name, seconds in spent.items():
                taken = sorted(each[name])
                self.rows.append(
                    {"repeat": repeat, "operation": operation, "tool": name}
                    | {"per_s": round(count / seconds, 1)}
                    | {"p50_ms": round(1000 * median(taken), 3)}
                    | {"p99_ms": round(1000 * taken[int(0.99 * count)], 3)}
                )

    # --- small objects --------------------------------------------------------------------------

    def _small(self, repeat: int) -> None:
        """Store many small files: through packs, all of them; one HDFS file each, a sample."""
        notes = self.folder / "notes"
        place = f"/{USER}/small-{repeat}"
        settings = self.place.settings(f"small-{repeat}/hansa")
        raw = connect(settings)
        raw.mkdirs(f"{place}/raw", 0o700, create_parent=True)
        files = sorted(path for path in notes.rglob("*") if path.is_file())
        sample = files[: self.options.sample]
        began = self.place.objects()
        seconds, told = self._publish(repeat, settings, notes)
        after = self.place.objects()
        self._add_small(repeat, "hansa", len(files), seconds, began, after, told)
        started = time.perf_counter()
        for at, path in enumerate(sample):
            writer = raw.create(
                f"{place}/raw/{at}", options_for(path.stat().st_size, self.options.replication)
            )
            writer.write(path.read_bytes())
            writer.close()
        seconds = time.perf_counter() - started
        self._add_small(repeat, "raw", len(sample), seconds, after, self.place.objects(), {})
        raw.delete(place, True)

    def _publish(self, repeat: int, settings: HdfsSettings, notes: Path) -> tuple[float, Row]:
        """Publish a folder; return the seconds until all its chunks lie in packs in HDFS."""
        began = time.perf_counter()
        store = HdfsStore(settings, "bench", clock=SystemClock(), entropy=SystemEntropy())
        opened = repository.Repository.open(self.folder / f"small-{repeat}", store)
        try:
            with ThreadPoolExecutor(os.cpu_count()) as workers:
                pipeline = Ingest(opened.dedup, opened.lookup, os.urandom, spread=workers.map)
                for batch in pipeline.batches(collect([notes]).files()):
                    opened.versions.chunks.put(batch, CLUSTER)
                opened.register("small", pipeline)
            durable = time.perf_counter() - began
            opened.versions.chunks.flush()
            return time.perf_counter() - began, {"until_durable_s": round(durable, 3)}
        finally:
            opened.close()

    def _add_small(
        self,
        repeat: int,
        tool: str,
        count: int,
        seconds: float,
        before: dict[str, int],
        after: dict[str, int],
        more: Row,
    ) -> None:
        made = {name: after[name] - before[name] for name in before}
        self.rows.append(
            {"repeat": repeat, "operation": "small objects of 4 KiB", "tool": tool, "count": count}
            | {"seconds": round(seconds, 3), "per_s": round(count / seconds, 1)}
            | {"name_node_files": made["files"], "name_node_blocks": made["blocks"]}
            | {"objects_each": round(sum(made.values()) / count, 5)}
            | more
        )

    def _add(self, repeat: int, operation: str, spent: dict[str, float], size: int) -> None:
        for tool, seconds in spent.items():
            self.rows.append(
                {"repeat": repeat, "operation": operation, "tool": tool, "bytes": size}
                | {"seconds": round(seconds, 3), "mb_per_s": round(size / 1e6 / seconds, 1)}
            )


def _take_turns(
    turn: int, spent: dict[str, float], work: dict[str, Callable[[], object]]
) -> dict[str, object]:
    """Do all of it, beginning with another one at each turn; add up the seconds."""
    told = {}
    names = list(work) if turn % 2 else list(work)[::-1]
    for name in names:
        began = time.perf_counter()
        told[name] = work[name]()
        spent[name] += time.perf_counter() - began
    return told


def run(options: argparse.Namespace) -> dict[str, object]:
    """Make what is stored, measure, and tell on what."""
    BUILT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hdfs-", dir=options.folder or BUILT) as name:
        folder = Path(name)
        words = [sys.executable, str(HERE / "corpus.py"), str(folder / "corpora"), "--mib", "1"]
        subprocess.run([*words, "--files", str(options.files)], check=True)
        shutil.move(folder / "corpora" / "f" / "notes", folder / "notes")
        results: dict[str, object] = {
            "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "machine": machine.describe_machine(ROOT),
            "fdatasync": machine.measure_fdatasync(folder),
            "load_average_before": machine.load_average(),
            "client": f"hdfs-native {version('hdfs-native')}",
            "data_nodes": 3,
            "replication": options.replication,
            "packs": options.packs,
            "pack_mib": options.pack_mib,
        }
        cluster = HdfsCluster(folder / "cluster", tied=True)
        with cluster.start(datanodes=3, replication=options.replication):
            cluster.web.make_folder(f"/{USER}", USER)
            bench = Bench(options, Place(cluster, options.replication), folder)
            bench.run()
    return results | {"rows": bench.rows, "load_average_after": machine.load_average()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packs", type=int, default=6)
    parser.add_argument("--pack-mib", type=int, default=limits.PACK_BYTES_MAX // limits.MIB)
    parser.add_argument("--reads", type=int, default=2_000)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--sample", type=int, default=2_000, help="files written one by one")
    parser.add_argument("--replication", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where files go, while it runs")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "hdfs.json")
    return parser


def main() -> int:
    """Parse the options, measure, write, print."""
    parser = _parser()
    options = parser.parse_args()
    kept = ("packs", "pack_mib", "reads", "files", "sample", "replication", "repeats")
    command = command_of("make bench-hdfs", parser, options, kept)
    write_results({"command": command} | run(options), hdfs_report.render, options.json)
    return 0


def command_of(
    target: str, parser: argparse.ArgumentParser, options: argparse.Namespace, kept: Sequence[str]
) -> str:
    """Return what repeats a run: its make target, and those of some options that are not the default."""
    told = [
        f"--{name.replace('_', '-')} {getattr(options, name)}"
        for name in kept
        if getattr(options, name) != parser.get_default(name)
    ]
    return target + (f' BENCH="{" ".join(told)}"' if told else "")


def write_results(
    results: dict[str, object], render: Callable[[dict[str, object]], str], target: Path
) -> None:
    """Write the results of a run, and print its report."""
    target.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    sys.stdout.write(render(results))
    sys.stdout.write(f"\nWritten to {target}\n")


if __name__ == "__main__":
    sys.exit(main())
