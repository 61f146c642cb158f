"""Hansa's engine beside restic, borg and rclone crypt: ingest, next versions, restore, ranges, deletion.

    make bench-ingest                                    all, 1 GiB corpora, about twenty minutes
    make bench-ingest BENCH="--mib 64 --repeats 1"       small, about a minute
    make bench-ingest BENCH="--only a --only b"          some corpora
    make bench-ingest BENCH="--end-to-end"               also over four nodes, REST and agreement

Each operation is a process of its own (start-up included); tools take turns in one run; the source files are read
before each measurement, so that they come from memory for all alike. Peers: `python benchmarks/peers.py --install`;
those that are missing are told and left out. Writes benchmarks/results/ingest.json.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import ingest_report
import machine
from timing import Timing, are_same, run_timed, size_of, warm

from tools import Hansa, Tool, find_tools, settings_of

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).parent
BUILT = ROOT / "build" / "bench"
CITY = ROOT.parent / "shared" / "data"
Row = dict[str, object]


@dataclass(frozen=True)
class Group:
    """Versions that one repository takes one after the other."""

    name: str
    steps: list[tuple[str, str]]
    """Name of the corpus and the folder's name in it."""
    restored: list[str]
    deleted: list[str]
    """At the end, in this order."""


def groups_of(corpora: Path) -> list[Group]:
    """Return what is measured; city data only where it is there."""
    rounds = sorted(path.name for path in corpora.glob("e*"))
    found = [
        Group("a", [("a", "blobs")], ["a"], ["a"]),
        Group("b", [(name, "readings") for name in "bcd"], ["b"], ["d"]),
        Group("e", [(name, "city") for name in rounds], [], []),
        Group("f", [("f", "notes")], ["f"], []),
    ]
    return [group for group in found if group.steps]


@dataclass
class Bench:
    """One run."""

    options: argparse.Namespace
    corpora: Path
    folder: Path
    rows: list[Row] = field(default_factory=list)

    def measure(self, group: Group, tools: list[Tool]) -> None:
        """Run a group with all tools in turn, some times; a different one begins each time."""
        for repeat in range(self.options.repeats):
            first = repeat % len(tools)
            for tool in tools[first:] + tools[:first]:
                sys.stderr.write(f"{group.name}: {tool.name}, {repeat + 1} …\n")
                place = self.folder / "tool"
                place.mkdir()
                tool.start(place)
                self._run(group, tool, repeat)
                shutil.rmtree(place)
            self._ceilings(group, repeat)

    def _run(self, group: Group, tool: Tool, repeat: int) -> None:
        for corpus, inside in group.steps:
            source = self.corpora / corpus / inside
            size = warm(source)
            before = _stored(tool)
            timing, told = self._timed(tool, tool.saving(source, corpus), source.parent)
            stored = _stored(tool)
            self._add(
                repeat, tool, corpus, "ingest", timing, size=size,
                new_bytes=stored - before, stored_bytes=stored, **told,
            )  # fmt: skip
            if corpus in group.restored:
                self._restore(tool, repeat, source, corpus, "restore", tool.restoring)
                if isinstance(tool, Hansa) and tool.name == "hansa":
                    how = tool.restoring_durably
                    self._restore(tool, repeat, source, corpus, "restore, synced", how)
        for corpus in group.deleted:
            before = _stored(tool)
            timing, _ = self._timed(tool, tool.deleting(corpus), self.folder)
            left = _stored(tool)
            self._add(
                repeat, tool, corpus, "delete", timing, freed_bytes=before - left, stored_bytes=left
            )

    def _restore(
        self,
        tool: Tool,
        repeat: int,
        source: Path,
        corpus: str,
        operation: str,
        how: Callable[[str, Path], list[list[str]]],
    ) -> None:
        output = self.folder / "restored"
        output.mkdir()
        timing, told = self._timed(tool, how(corpus, output), output)
        size = size_of(source)
        assert are_same(source, output / source.name), f"{tool.name} restored other bytes"
        shutil.rmtree(output)
        self._add(repeat, tool, corpus, operation, timing, size=size, **told)

    def ranges(self, tool: Hansa) -> Row:
        """Read 64 KiB at random places of a large dataset; its bytes are made as they are read."""
        mib = int(self.options.range_gib * 1024)
        sys.stderr.write(f"ranges: {mib} MiB …\n")
        place = self.folder / "tool"
        place.mkdir()
        tool.start(place)
        timing, _ = self._timed(tool, tool.streaming("ranges", mib), self.folder)
        read, told = self._timed(tool, tool.reading_ranges("ranges", 2_000), self.folder)
        shutil.rmtree(place)
        return {
            **told,
            "ingest_mb_per_s": round((mib << 20) / 1e6 / timing.seconds, 1),
            "ingest_rss_mib": timing.rss_mib,
            "read_rss_mib": read.rss_mib,
            "others": read.others,
        }

    def starts(self, tools: list[Tool]) -> list[Row]:
        """Return how long each tool takes for one small file: start-up, keys, syncs."""
        source = self.folder / "one" / "file"
        source.mkdir(parents=True)
        (source / "one.txt").write_bytes(b"one")
        found: list[Row] = []
        for tool in tools:
            place = self.folder / "tool"
            place.mkdir()
            tool.start(place)
            self._timed(tool, tool.saving(source, "first"), source.parent)
            timing, _ = self._timed(tool, tool.saving(source, "second"), source.parent)
            found.append({"tool": tool.name, "seconds": timing.seconds})
            shutil.rmtree(place)
        return found

    def _ceilings(self, group: Group, repeat: int) -> None:
        for corpus, inside in group.steps:
            if corpus[0] == "e" and corpus != "e0":
                continue
            words = [sys.executable, str(HERE / "ceiling.py"), str(self.corpora / corpus / inside)]
            if corpus in ("c", "d"):
                words += ["--before", str(self.corpora / "b" / inside)]
            environment = machine.hansa_environment(self.folder)
            done = subprocess.run(
                words, env=environment, check=True, capture_output=True, text=True
            )
            self.rows.append(
                {"repeat": repeat, "tool": "ceiling", "corpus": corpus, "operation": "ceiling"}
                | json.loads(done.stdout)
            )

    def _timed(self, tool: Tool, commands: list[list[str]], folder: Path) -> tuple[Timing, Row]:
        """Run commands; return also what Hansa's engine told of itself."""
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        timing = run_timed(commands, folder, tool.environment, log)
        told = json.loads(log.read_text().splitlines()[-1]) if isinstance(tool, Hansa) else {}
        return timing, told

    def _add(
        self,
        repeat: int,
        tool: Tool,
        corpus: str,
        operation: str,
        timing: Timing,
        *,
        size: int = 0,
        **more: object,
    ) -> None:
        row: Row = {"repeat": repeat, "tool": tool.name, "corpus": corpus, "operation": operation}
        row |= {"seconds": timing.seconds, "cpu_s": timing.cpu_s}
        row |= {"rss_mib": timing.rss_mib, "others": timing.others, **more}
        if size:
            row |= {"bytes": size, "mb_per_s": round(size / 1e6 / timing.seconds, 1)}
        self.rows.append(row)


def _stored(tool: Tool) -> int:
    os.sync()
    return size_of(tool.repository) if tool.repository.exists() else 0


def run(options: argparse.Namespace) -> dict[str, object]:
    """Make the corpora, measure everything asked for."""
    corpora = (options.corpora or BUILT / f"corpora-{options.mib}").resolve()
    words = [sys.executable, str(HERE / "corpus.py"), str(corpora), "--mib", str(options.mib)]
    words += ["--files", str(options.files)] + (["--city", str(CITY)] if CITY.exists() else [])
    sys.stderr.write("making the corpora …\n")
    subprocess.run(words, check=True)
    if not CITY.exists():
        sys.stderr.write("no city data beside the checkout: corpus e is left out\n")
    described = machine.describe_machine(ROOT)
    tools, missing = find_tools(options.tool, str(described["commit"]))
    if missing:
        sys.stderr.write(f"missing, left out: {', '.join(missing)} (see peers.py --install)\n")
    BUILT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ingest-", dir=options.folder or BUILT) as folder:
        bench = Bench(options, corpora, Path(folder))
        results: dict[str, object] = {
            "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "command": "make bench-ingest" + _told(options),
            "machine": described,
            "mib": options.mib,
            "files": options.files,
            "fdatasync": machine.measure_fdatasync(Path(folder)),
            "load_average_before": machine.load_average(),
            "tools": {t.name: {"version": t.version, "settings": settings_of(t)} for t in tools},
            "missing": missing,
            "starts": bench.starts(tools),
        }
        for group in groups_of(corpora):
            if not options.only or group.name in options.only:
                bench.measure(group, tools)
        ours = [tool for tool in tools if isinstance(tool, Hansa)]
        if ours and options.range_gib and (not options.only or "ranges" in options.only):
            results["ranges"] = bench.ranges(ours[0])
    results |= {"rows": bench.rows, "load_average_after": machine.load_average()}
    if options.end_to_end:
        import transfer  # noqa: PLC0415 - the client library, only where it is measured

        plan = transfer.Plan(options.mib << 20, options.files, options.repeats, has_peers=False)
        results["end_to_end"] = asyncio.run(transfer.measure_transfer(options.folder, plan))
    return results


def _told(options: argparse.Namespace) -> str:
    """Return the options that decide what is measured, not where it lies."""
    parser = _parser()
    words = []
    for name in ("mib", "files", "repeats", "range_gib", "only", "tool", "end_to_end"):
        value = getattr(options, name)
        if value != parser.get_default(name):
            for item in value if isinstance(value, list) else [value]:
                words += [f"--{name.replace('_', '-')}"] + [str(item)] * (item is not True)
    return f' BENCH="{" ".join(words)}"' if words else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=1024, help="size of corpora a to d")
    parser.add_argument("--files", type=int, default=20_000, help="files of corpus f")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--range-gib", type=float, default=10, help="0 leaves the ranges out")
    parser.add_argument("--only", action="append", help="a, b (with c and d), e, f, ranges")
    parser.add_argument("--tool", action="append", help="only these; may be repeated")
    parser.add_argument("--end-to-end", action="store_true", help="also over nodes and agreement")
    parser.add_argument("--corpora", type=Path, help="where the corpora lie or go")
    parser.add_argument("--folder", type=Path, help="where repositories go, while it runs")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "ingest.json")
    return parser


def main() -> int:
    """Parse the options, measure, write, print."""
    options = _parser().parse_args()
    results = run(options)
    options.json.write_text(json.dumps(results, indent=1) + "\n")
    sys.stdout.write(ingest_report.render(results))
    sys.stdout.write(f"\nWritten to {options.json}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
