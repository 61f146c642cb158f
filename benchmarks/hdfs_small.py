"""Small datasets on a real HDFS: found by the index and read from packs, beside one HDFS file each.

    make bench-hdfs-small                              starts three DataNodes, replication 2; about two minutes
    make bench-hdfs-small BENCH="--datasets 60 --fetched 40 --absent 200 --repeats 1"      small

Each dataset is one file of 4 KiB with a description, a manifest and a data key of its own, as an
organisation's users publish it. Two ways out are told apart: one dataset after the other, and many in one
call, so that manifests of one bundle and chunks of one pack are read at once. No manifest is in memory when
a pass begins. What is asked for and is nowhere goes to the index, and to the NameNode as the name of a
file that is not there; one after the other, and in turns for the middle. Writes benchmarks/results/hdfs-small.json.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from statistics import median

import hdfs_small_report
import machine
import repository
from hdfs import BUILT, CLUSTER, HERE, ROOT, USER, Place, command_of, write_results

from hansa import limits
from hansa.cli.hdfs import HdfsCluster
from hansa.cli.started import find_started
from hansa.data.manifest import build_manifest
from hansa.data.pipeline import Ingest
from hansa.data.stream import SourceFile
from hansa.data.whole import open_whole
from hansa.index.features import Described, derive
from hansa.index.information_index import IndexParameters, InformationIndex
from hansa.index.question import Question
from hansa.index.records import IndexChange, IndexRecord
from hansa.ledger.index_files import LocalIndexFiles
from hansa.storage.hdfs import HdfsStore
from hansa.storage.hdfs.settings import connect
from hansa.storage.hdfs.writing import options_for
from hansa.storage.version_store import VersionStore
from hansa.storage.whole import StoredWhole, read_whole
from hansa.system import SystemClock, SystemEntropy

FILE_BYTES = 4_096
BATCH = 250
READERS = 8
SUBJECTS = ("bridge", "tram", "tree", "school", "clinic", "noise", "water", "taxi", "park", "light")
Row = dict[str, object]


@dataclass
class Dataset:
    """What chain and reader know of one: where its manifest is, and its key."""

    title: str
    data: bytes
    root: bytes
    data_key: bytes
    path: str


@dataclass
class Bench:
    """Datasets stored both ways on one cluster, and an index of them."""

    options: argparse.Namespace
    place: Place
    folder: Path
    rows: list[Row] = field(default_factory=list)

    def run(self) -> None:
        """Store, fetch, ask for what is absent."""
        settings = self.place.settings("datasets/hansa")
        self.raw = connect(settings)
        self.raw.mkdirs(f"/{USER}/datasets/raw", 0o700, create_parent=True)
        store = HdfsStore(settings, "bench", clock=SystemClock(), entropy=SystemEntropy())
        self.opened = repository.Repository.open(self.folder / "repository", store)
        self.index = InformationIndex.open(
            LocalIndexFiles(self.folder / "index"), IndexParameters()
        )
        try:
            datasets = self._store()
            for repeat in range(self.options.repeats):
                for readers in (1, READERS):
                    self._fetch(repeat, datasets, readers)
                self._ask_absent(repeat)
                self._count_absent(repeat)
        finally:
            self.index.close()
            self.opened.close()

    # --- in -------------------------------------------------------------------------------------

    def _store(self) -> dict[bytes, Dataset]:
        """Publish all datasets both ways; count what the NameNode keeps of each part."""
        draw = random.Random(7)
        began = self.place.objects()
        made = {draw.randbytes(16): self._publish(n) for n in range(self.options.datasets)}
        self.opened.versions.chunks.flush()
        with_packs = self.place.objects()
        for dataset in made.values():
            writer = self.raw.create(
                dataset.path, options_for(FILE_BYTES, self.options.replication)
            )
            writer.write(dataset.data)
            writer.close()
        parts = (
            ("packs, manifests too", began, with_packs),
            ("one file each", with_packs, self.place.objects()),
        )
        for part, before, after in parts:
            count = sum(after.values()) - sum(before.values())
            self.rows.append(
                {"operation": "NameNode objects", "part": part, "datasets": len(made)}
                | {"objects": count}
            )
        changes = [IndexChange(key, _record(key, item.title)) for key, item in made.items()]
        self.index.apply(1, changes)
        return made

    def _publish(self, number: int) -> Dataset:
        """Publish one dataset as a client and its node do, but for the chain."""
        data, title = os.urandom(FILE_BYTES), _title(number)
        pipeline = Ingest(self.opened.dedup, self.opened.lookup, os.urandom)
        for batch in pipeline.batches([SourceFile("data.bin", len(data), lambda: BytesIO(data))]):
            self.opened.versions.chunks.put(batch, CLUSTER)
        contents, directory = pipeline.finish()
        data_key = os.urandom(32)
        manifest = build_manifest(
            contents,
            directory,
            data_key=data_key,
            directory_key=bytes.fromhex(self.opened.profile.directory_key),
            salt=os.urandom(32),
            nonces=(os.urandom(12), os.urandom(12)),
        )
        root = self.opened.versions.put_manifest(manifest)
        path = f"/{USER}/datasets/raw/{number}"
        return Dataset(title, data, root, data_key, path)

    # --- out ------------------------------------------------------------------------------------

    def _fetch(self, repeat: int, datasets: dict[bytes, Dataset], readers: int) -> None:
        """Fetch datasets drawn at random, batch by batch, the ways taking turns."""
        draw = random.Random(f"{repeat} {readers}")
        drawn = draw.sample(list(datasets.values()), self.options.fetched)
        key = bytes.fromhex(self.opened.profile.directory_key)
        # Begun anew, so that no manifest of an earlier pass is in its memory.
        versions = VersionStore(self.opened.versions.chunks, key, self.opened.clock)
        ways: dict[str, Callable[[list[Dataset]], None]] = {
            hdfs_small_report.SINGLY: lambda asked: self._one_by_one(versions, datasets, asked),
            hdfs_small_report.TOGETHER: lambda asked: self._in_one_call(versions, datasets, asked),
            hdfs_small_report.ONE_FILE: self._files,
        }
        spent = dict.fromkeys(ways, 0.0)
        with ThreadPoolExecutor(readers) as pool:
            # One call takes at most 256: all at once where eight run at a time.
            at_once = BATCH if readers == 1 else len(drawn)
            for batch in range(0, len(drawn), at_once):
                names = list(ways) if (batch // at_once + repeat) % 2 else list(ways)[::-1]
                some = drawn[batch : batch + at_once]
                parts = [some[at::readers] for at in range(readers)]
                for name in names:
                    started = time.perf_counter()
                    list(pool.map(ways[name], parts))
                    spent[name] += time.perf_counter() - started
        for name, seconds in spent.items():
            self.rows.append(
                {"operation": f"fetch, {readers} at a time", "repeat": repeat, "way": name}
                | {"count": len(drawn), "per_s": round(len(drawn) / seconds, 1)}
            )

    def _find(self, datasets: dict[bytes, Dataset], asked: Dataset) -> Dataset:
        (found,) = self.index.find(Question(title=asked.title)).matches
        return datasets[found[1]]

    def _one_by_one(
        self, versions: VersionStore, datasets: dict[bytes, Dataset], asked: list[Dataset]
    ) -> None:
        """Do what a reader's client and the owner's node do for each dataset."""
        for one in asked:
            found = self._find(datasets, one)
            manifest = versions.manifests.recall(found.root)
            content = versions.read_content(found.root, 0, versions.content_bytes(found.root))
            _compare(one, found, manifest, content)

    def _in_one_call(
        self, versions: VersionStore, datasets: dict[bytes, Dataset], asked: list[Dataset]
    ) -> None:
        """Do the same for many, as one answer to `POST /v1/reads` is made and opened."""
        found = [self._find(datasets, one) for one in asked]
        roots = [one.root for one in found]
        wholes = read_whole(versions, roots, [0] * len(roots), limits.READS_BYTES_MAX)
        for one, dataset, whole in zip(asked, found, wholes, strict=True):
            assert isinstance(whole, StoredWhole)
            _compare(one, dataset, whole.manifest, whole.content)

    def _files(self, asked: list[Dataset]) -> None:
        for one in asked:
            self._one_file(one)

    def _one_file(self, asked: Dataset) -> None:
        assert asked.data == bytes(self.raw.read(asked.path).read_range(0, FILE_BYTES))

    def _ask_absent(self, repeat: int) -> None:
        """Ask for what is nowhere, the index and the NameNode taking turns."""
        draw = random.Random(repeat)
        taken: dict[str, list[float]] = {}
        for number in range(self.options.absent):
            word = f"zq{draw.randrange(10**9)}"
            questions = {
                "index, by title": Question(title=f"{word} of the town"),
                "index, by word": Question(words=(word,)),
                "index, by id": Question(dataset=draw.randbytes(16)),
            }
            for name, question in questions.items():
                began = time.perf_counter()
                found = self.index.find(question)
                taken.setdefault(name, []).append(time.perf_counter() - began)
                assert not found.matches
            path = f"/{USER}/datasets/raw/absent-{number}"
            began = time.perf_counter()
            try:
                self.raw.get_file_info(path)
                raise AssertionError("it is there")
            except FileNotFoundError:
                taken.setdefault("NameNode", []).append(time.perf_counter() - began)
        for name, seconds in taken.items():
            self.rows.append(
                {"operation": "ask for what is absent", "repeat": repeat, "way": name}
                | {"count": len(seconds), "p50_us": round(1e6 * median(seconds), 2)}
            )

    def _count_absent(self, repeat: int) -> None:
        """Ask many times for what is nowhere; count processor time, the NameNode's too."""
        draw = random.Random(f"counted {repeat}")
        numbers = [draw.randrange(10**9) for _ in range(self.options.counted)]
        ways: dict[str, list[Question]] = {
            "index, by title": [Question(title=f"zq{one} of the town") for one in numbers],
            "index, by word": [Question(words=(f"zq{one}",)) for one in numbers],
            "index, by id": [Question(dataset=draw.randbytes(16)) for _ in numbers],
        }
        for name, questions in ways.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            for question in questions:
                found = self.index.find(question)
                assert not found.matches
            own = time.process_time() - began_cpu
            self._note_counted(repeat, name, time.perf_counter() - began, (own, 0.0))
        paths = [f"/{USER}/datasets/raw/absent-{one}" for one in numbers]
        name_node = find_started(self.place.cluster.state().namenode)
        assert name_node is not None
        before = sum(name_node.cpu_times()[:2])
        began, began_cpu = time.perf_counter(), time.process_time()
        for path in paths:
            try:
                self.raw.get_file_info(path)
                raise AssertionError("it is there")
            except FileNotFoundError:
                pass
        own, wall = time.process_time() - began_cpu, time.perf_counter() - began
        # Its clock ticks each 10 ms: that is nothing beside thousands of questions.
        other = sum(name_node.cpu_times()[:2]) - before
        self._note_counted(repeat, "NameNode", wall, (own, other))

    def _note_counted(self, repeat: int, way: str, wall: float, spent: tuple[float, float]) -> None:
        """Note wall and processor time of one way, seconds; spent by this process and by the NameNode."""
        count = self.options.counted
        self.rows.append(
            {"operation": "ask for what is absent, one after the other", "repeat": repeat}
            | {"way": way, "count": count, "wall_us": round(1e6 * wall / count, 2)}
            | {"cpu_us": round(1e6 * sum(spent) / count, 2)}
            | {"cpu_own_us": round(1e6 * spent[0] / count, 2)}
        )


def _compare(asked: Dataset, found: Dataset, manifest: bytes, content: bytes) -> None:
    """Open manifest and content as a reader's client does, and compare."""
    whole = open_whole(manifest, found.root, found.data_key, content, plain_bytes_max=limits.MIB)
    assert (asked.data,) == whole.files


def _title(number: int) -> str:
    return f"{SUBJECTS[number % len(SUBJECTS)]} counts of quarter {number}"


def _record(dataset: bytes, title: str) -> IndexRecord:
    derived = derive(Described(title=title), IndexParameters().feature_model)
    return IndexRecord(
        dataset=dataset,
        version=1,
        height=1,
        owner="bench",
        title=title,
        description="",
        keywords=(),
        themes=(),
        place="",
        box=None,
        interval=None,
        formats=("bin",),
        words=derived.words,
        features=derived.features,
        content_bytes=FILE_BYTES,
    )


@contextmanager
def _cluster(options: argparse.Namespace, folder: Path) -> Iterator[Place]:
    cluster = HdfsCluster(folder / "cluster", tied=True)
    with cluster.start(datanodes=3, replication=options.replication):
        cluster.web.make_folder(f"/{USER}", USER)
        yield Place(cluster, options.replication)


def run(options: argparse.Namespace) -> dict[str, object]:
    """Measure on a cluster of its own, and tell on what."""
    BUILT.mkdir(parents=True, exist_ok=True)
    before = machine.load_average()
    with tempfile.TemporaryDirectory(prefix="hdfs-", dir=options.folder or BUILT) as name:
        folder = Path(name)
        disk = machine.measure_fdatasync(folder)
        with _cluster(options, folder) as place:
            bench = Bench(options, place, folder)
            bench.run()
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": machine.describe_machine(ROOT),
        "fdatasync": disk,
        "load_average_before": before,
        "load_average_after": machine.load_average(),
        "client": f"hdfs-native {version('hdfs-native')}",
        "data_nodes": 3,
        "replication": options.replication,
        "datasets": options.datasets,
        "fetched": options.fetched,
        "rows": bench.rows,
    }


def main() -> int:
    """Parse the options, measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", type=int, default=2_000)
    parser.add_argument("--fetched", type=int, default=1_000)
    parser.add_argument("--absent", type=int, default=5_000)
    parser.add_argument("--counted", type=int, default=20_000)
    parser.add_argument("--replication", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where files go, while it runs")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "hdfs-small.json")
    options = parser.parse_args()
    kept = ("datasets", "fetched", "absent", "counted", "replication", "repeats")
    command = command_of("make bench-hdfs-small", parser, options, kept)
    write_results({"command": command} | run(options), hdfs_small_report.render, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
