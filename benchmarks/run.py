"""Measure Hansa on this machine: real node processes, real disk, real sockets.

    make bench                                 all, nine minutes
    make bench BENCH="--only agreement"        one section: agreement, profile, transfer, rest, catch-up
    make bench BENCH="--smoke"                 all, small, below a minute: shows that it runs, figures mean little

Writes benchmarks/results/DATE.json and prints tables. No figure is judged: machines differ.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import agreement
import catchup
import machine
import msgspec
import profile_node
import report
import rest
import transfer

ROOT = Path(__file__).resolve().parents[1]
Measure = Callable[[Path | None, Any], Awaitable[dict[str, object]]]

SECTIONS: dict[str, tuple[Measure, Any, Any]] = {
    "agreement": (agreement.measure_agreement, agreement.Plan(), agreement.SMOKE),
    "profile": (profile_node.measure_profile, profile_node.Plan(), profile_node.SMOKE),
    "transfer": (transfer.measure_transfer, transfer.Plan(), transfer.SMOKE),
    "rest": (rest.measure_rest, rest.Plan(), rest.SMOKE),
    "catch-up": (catchup.measure_catch_up, catchup.Plan(), catchup.SMOKE),
}


def main() -> int:
    """Parse the options, measure, write, print."""
    options = _options()
    chosen = options.only or list(SECTIONS)
    results = asyncio.run(_measure(chosen, options))
    target = options.json or _default_target()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    sys.stdout.write(report.render(results))
    sys.stdout.write(f"\nWritten to {target}\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=list(SECTIONS), help="may be repeated")
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--folder", type=Path, help="where the nodes' folders go, while it runs")
    return parser.parse_args()


def _default_target() -> Path:
    return ROOT / "benchmarks" / "results" / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"


async def _measure(chosen: list[str], options: argparse.Namespace) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="hansa-bench-", dir=options.folder) as folder:
        results: dict[str, object] = {
            "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "command": "make bench" + _told(),
            "machine": machine.describe_machine(ROOT),
            "load_average_before": machine.load_average(),
            "fdatasync": machine.measure_fdatasync(Path(folder)),
            "operations": machine.measure_operations(),
        }
    for name in chosen:
        measure, plan, small = SECTIONS[name]
        sys.stderr.write(f"measuring {name} …\n")
        began = datetime.now(UTC)
        found = await measure(options.folder, small if options.smoke else plan)
        found["took_s"] = round((datetime.now(UTC) - began).total_seconds(), 1)
        results[name.replace("-", "_")] = found
    results["load_average_after"] = machine.load_average()
    return results


def _told() -> str:
    words = " ".join(sys.argv[1:])
    return f' BENCH="{words}"' if words else ""


if __name__ == "__main__":
    sys.exit(main())
