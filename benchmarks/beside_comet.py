"""The speed of the agreement beside CometBFT, alternating in one run.

    make bench-agreement                       all, about eleven minutes; go must be there for CometBFT
    make bench-agreement BENCH="--smoke"       small: shows that it runs

Writes benchmarks/results/agreement.json; `python benchmarks/document.py` puts the tables into docs/benchmarks.md.
"""

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import aiohttp
import beside_comet_report
import comet
import machine
import msgspec
from alliance import NAMES, STILL, Running, running
from load import Outcome, Sender, make_senders, pack, prepare, register_users, run_bulk, run_open

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "benchmarks" / "results" / "agreement.json"
LARGE = msgspec.structs.replace(STILL, block_transactions_max=2_000, block_bytes_max=8 << 20)
LIGHT_RATE = 50
EACH = 64
"""Transactions in one call."""
BUNDLE = 100
"""Operations on one signature."""


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    seconds: float = 8
    light_seconds: float = 10
    repeats: int = 3
    calls: int = 32
    count: int = 36_000
    super_nodes: tuple[int, ...] = (4, 7, 10)
    has_seven: bool = True


SMOKE = Plan(2, 3, 1, 8, 2_000, (4,), False)


def main() -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    parser.add_argument("--only", choices=["rounds", "faults", "growth"], action="append")
    parser.add_argument("--json", type=Path, default=TARGET, help="where the results go")
    options = parser.parse_args()
    results = asyncio.run(_measure(SMOKE if options.smoke else Plan(), options.only))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    sys.stdout.write(beside_comet_report.render(json.loads(options.json.read_text())))
    sys.stdout.write(f"\nWritten to {options.json}\n")
    return 0


async def _measure(plan: Plan, only: list[str] | None) -> dict[str, object]:
    has_comet = comet.build()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hansa-bench-") as folder:
        results: dict[str, object] = {
            "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "machine": machine.describe_machine(ROOT),
            "load_average_before": machine.load_average(),
            "fdatasync": machine.measure_fdatasync(Path(folder)),
            "operations": machine.measure_operations(),
        }
        wanted = only or ["rounds", "faults", "growth"]
        if "rounds" in wanted:
            results["rounds"] = await _rounds(plan, Path(folder), has_comet=has_comet)
        if "faults" in wanted:
            _say("overload, a dead node, bundles")
            results |= await _faults(plan)
        if "growth" in wanted:
            results["growth"] = [await _growth(count) for count in plan.super_nodes]
    results["load_average_after"] = machine.load_average()
    results["took_s"] = round(time.monotonic() - began)
    return results


def _say(text: str) -> None:
    sys.stderr.write(f"measuring {text} …\n")


async def _rounds(plan: Plan, folder: Path, *, has_comet: bool) -> list[dict[str, object]]:
    """Measure all systems in turn, then again, so that what disturbs the machine disturbs all."""
    rows = []
    turns = [4] * plan.repeats + ([7] if plan.has_seven else [])
    for number, nodes in enumerate(turns):
        _say(f"{nodes} nodes, Hansa")
        rows.append({"system": "hansa", "nodes": nodes} | await _hansa(plan, nodes))
        for application in comet.APPLICATIONS if has_comet else ():
            _say(f"{nodes} nodes, CometBFT, {application}")
            with comet.running(folder / f"net{number}", nodes, application) as net:
                rows.append({"system": application, "nodes": nodes} | _comet(plan, net))
    return rows


def _comet(plan: Plan, net: comet.Net) -> dict[str, object]:
    light = net.load(
        "-rate", str(LIGHT_RATE), "-seconds", str(plan.light_seconds), "-count", "2000"
    )
    full = net.load("-workers", "64", "-seconds", str(plan.seconds), "-count", "80000")
    return {"light": light, "full": full}


async def _hansa(plan: Plan, nodes: int) -> dict[str, object]:
    parameters = msgspec.structs.replace(LARGE, super_nodes=nodes, epoch_blocks=4_200)
    async with running(None, nodes, parameters) as alliance, _senders(alliance) as senders:
        light = await _light(alliance, senders, plan.light_seconds)
        full = await _full(alliance, senders, plan, plan.calls, plan.count)
    return {"light": light, "full": full}


class _senders:  # noqa: N801 - used like a function
    """Senders of all members, closed at the end."""

    def __init__(self, alliance: Running) -> None:
        self._alliance = alliance

    async def __aenter__(self) -> list[Sender]:
        self._made = await make_senders(self._alliance)
        return self._made

    async def __aexit__(self, *_: object) -> None:
        for sender in self._made:
            await sender.close()


async def _light(alliance: Running, senders: list[Sender], seconds: float) -> dict[str, object]:
    warm = await prepare(senders, LIGHT_RATE)
    await run_open(warm, LIGHT_RATE)
    prepared = await prepare(senders, int(LIGHT_RATE * seconds))
    with alliance.cost() as cost:
        outcome = await run_open(prepared, LIGHT_RATE)
    return _row(alliance, outcome, cost.node_s, cost.here_s)


async def _full(
    alliance: Running, senders: list[Sender], plan: Plan, calls: int, count: int
) -> dict[str, object]:
    bulks = pack(await prepare(senders, count), EACH)
    warm = max(len(bulks) // 20, len(senders))
    await run_bulk(bulks[:warm], calls, 5)
    height = await _height(alliance, senders)
    with alliance.cost([sender.name for sender in senders]) as cost:
        outcome = await run_bulk(bulks[warm:], calls, plan.seconds)
    row = _row(alliance, outcome, cost.node_s, cost.here_s)
    blocks = await _height(alliance, senders) - height
    return row | {"blocks": blocks, "calls": calls, "each": EACH}


async def _height(alliance: Running, senders: list[Sender]) -> int:
    return (await alliance.clients[senders[0].name].status()).height


def _row(
    alliance: Running, outcome: Outcome, node_s: dict[str, float], here_s: float
) -> dict[str, object]:
    latencies = sorted(outcome.latencies_ms) or [0.0]
    elapsed = max(outcome.finished_s, default=outcome.began_s + 1) - outcome.began_s
    committed = len(outcome.latencies_ms)
    return {
        "committed": committed,
        "committed_per_s": round(committed / elapsed, 1),
        "p50_ms": round(median(latencies), 1),
        "p99_ms": round(latencies[int((len(latencies) - 1) * 0.99)], 1),
        "max_ms": round(latencies[-1], 1),
        "node_cpu_us_per_transaction": round(sum(node_s.values()) * 1e6 / max(1, committed), 1),
        "generator_cpu_us_per_transaction": round(here_s * 1e6 / max(1, committed), 1),
        "nodes_cores": round(sum(node_s.values()) / elapsed, 2),
        "rss_mib": round(max(alliance.process(name).memory_info().rss for name in node_s) / 2**20),
        "not_committed": outcome.failed,
    }


# --- faults and bundles ----------------------------------------------------------------------------


async def _faults(plan: Plan) -> dict[str, object]:
    found: dict[str, object] = {}
    async with running(None, 4, LARGE) as alliance, _senders(alliance) as senders:
        found["peak"] = await _full(alliance, senders, plan, plan.calls, plan.count // 2)
        found["overload"] = await _full(alliance, senders, plan, 4 * plan.calls, plan.count)
        found["bundles"] = await _bundles(senders, plan)
        found["killed"] = await _kill(alliance, senders)
        living = senders[1:]
        found["one_dead"] = await _full(alliance, living, plan, plan.calls, plan.count // 2)
    return found


async def _bundles(senders: list[Sender], plan: Plan) -> dict[str, object]:
    """Registrations of users, one and a hundred on a signature."""
    rates = {}
    for operations, each in ((1, EACH), (BUNDLE, 8)):
        count = plan.count // 6 if operations == 1 else plan.count // 120
        prepared = await register_users(senders, count, operations)
        outcome = await run_bulk(pack(prepared, each), plan.calls // 2, plan.seconds / 2)
        elapsed = max(outcome.finished_s) - outcome.began_s
        rates[operations] = round(len(outcome.finished_s) * operations / elapsed, 1)
    return {
        "operations_per_s_single": rates[1],
        f"operations_per_s_bundles_of_{BUNDLE}": rates[BUNDLE],
        "ratio": round(rates[BUNDLE] / rates[1], 2),
    }


async def _kill(alliance: Running, senders: list[Sender]) -> dict[str, object]:
    """Kill a super node under a light load at the others; return the longest time without a block."""
    prepared = await prepare(senders[1:], int(LIGHT_RATE * 6))
    killed_at = 0.0

    async def kill() -> None:
        nonlocal killed_at
        await asyncio.sleep(2)
        alliance.process(senders[0].name).kill()
        killed_at = time.perf_counter()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run_open(prepared, LIGHT_RATE))
        group.create_task(kill())
    outcome = task.result()
    times = [killed_at, *sorted(at for at in outcome.finished_s if at > killed_at)]
    gaps = [round((later - sooner) * 1000, 1) for sooner, later in itertools.pairwise(times)]
    return {
        "to_next_block_ms": gaps[0],
        "longest_without_block_ms": max(gaps),
        "proposal_timeout_ms": LARGE.proposal_timeout_ms,
        "not_committed": outcome.failed,
    }


# --- messages --------------------------------------------------------------------------------------


async def _growth(super_nodes: int) -> dict[str, object]:
    """Count the agreement's messages for each block with r super nodes."""
    _say(f"messages with {super_nodes} super nodes")
    names = sorted([*NAMES, "culture", "sports", "waste"])
    parameters = msgspec.structs.replace(LARGE, super_nodes=super_nodes, epoch_blocks=4_200)
    async with (
        running(None, super_nodes, parameters, names) as alliance,
        _senders(alliance) as senders,
    ):
        prepared = await prepare(senders, 120)
        await run_open(prepared[:20], 20)
        before = await _messages(alliance), await _height(alliance, senders)
        outcome = await run_open(prepared[20:], 20)
        after = await _messages(alliance), await _height(alliance, senders)
    blocks = after[1] - before[1]
    sent = {kind: after[0][kind] - before[0].get(kind, 0) for kind in sorted(after[0])}
    r = super_nodes
    formula = {"Propose": r - 1, "Review": r * (r - 1), "Confirm": r * (r - 1)}
    latencies = sorted(outcome.latencies_ms)
    return {
        "super_nodes": r,
        "blocks": blocks,
        "sent_for_each_block": {
            kind: round(count / blocks, 2) for kind, count in sent.items() if count
        },
        "formula": formula,
        "p50_ms": round(median(latencies), 1),
    }


async def _messages(alliance: Running) -> dict[str, float]:
    """Return how many messages of each kind all nodes have sent."""
    found: dict[str, float] = {}
    async with aiohttp.ClientSession() as http:
        for client in alliance.clients.values():
            url = f"{client._session.profile.node_url}/metrics"
            async with http.get(url, ssl=False) as answer:
                for line in (await answer.text()).splitlines():
                    if line.startswith("hansa_messages_sent_total{"):
                        kind = line.split('"')[1]
                        found[kind] = found.get(kind, 0) + float(line.rsplit(" ", 1)[1])
    return found


if __name__ == "__main__":
    sys.exit(main())
