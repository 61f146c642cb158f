"""Committed transactions a second and their latency, with four super nodes, at several loads."""

import os
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from alliance import STILL, Running, running
from load import Outcome, Sender, make_senders, prepare, run_clients, run_closed, run_open
from machine import load_average

from hansa.chain.genesis import FULL

OPEN_RATE = 50


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    seconds: float = 6
    repeats: int = 3
    loads: tuple[int, ...] = (1, 8, 64, 256)
    is_whole: bool = True
    """Also six nodes, and the client library."""


SMOKE = Plan(seconds=1.5, repeats=1, loads=(1, 8), is_whole=False)


async def measure_agreement(parent: Path | None, plan: Plan) -> dict[str, object]:
    """Return one row for each number of nodes and load."""
    rows: list[dict[str, object]] = []
    for nodes in (4, 6) if plan.is_whole else (4,):
        async with running(parent, nodes, STILL) as alliance:
            rows += await _measure_prepared(alliance, plan)
    if plan.is_whole:
        async with running(parent, 4, FULL) as alliance:
            rows += await _measure_clients(alliance, plan)
    return {"rows": rows}


async def _measure_prepared(alliance: Running, plan: Plan) -> list[dict[str, object]]:
    senders = await make_senders(alliance)
    loads: list[int | str] = ["open", *plan.loads]
    if len(alliance.clients) > 4:
        loads = ["open", 64, 256]
    found: dict[int | str, list[dict[str, object]]] = {load: [] for load in loads}
    rate = 100.0
    try:
        # Once over all loads, then again: what disturbs the machine for a while disturbs all alike.
        for _ in range(plan.repeats):
            for load in loads:
                row = await _measure_one(alliance, senders, load, plan.seconds, rate)
                found[load].append(row)
                rate = max(rate, float(str(row["committed_per_s"])))
    finally:
        for sender in senders:
            await sender.close()
    return [_combine(rows) for rows in found.values()]


async def _measure_one(
    alliance: Running, senders: list[Sender], load: int | str, seconds: float, rate: float
) -> dict[str, object]:
    """Measure one load once; a closed load is given more than it can take."""
    count = OPEN_RATE * seconds if load == "open" else min(rate, 40 * int(load)) * 2 * seconds
    prepared = await prepare(senders, int(count))
    before = await _height(alliance)
    with alliance.cost() as cost:
        if load == "open":
            outcome = await run_open(prepared, OPEN_RATE)
        else:
            outcome = await run_closed(prepared, int(load), seconds)
    blocks = await _height(alliance) - before
    size = senders[0].transaction_bytes
    return _row(alliance, load, outcome, blocks, cost.node_s, cost.here_s) | {
        "sealing": "before the clock starts",
        "transaction_bytes": size,
        "sealed_bytes": len(prepared[0].body),
    }


async def _measure_clients(alliance: Running, plan: Plan) -> list[dict[str, object]]:
    senders = await make_senders(alliance)
    found: dict[int, list[dict[str, object]]] = {1: [], 8: [], 48: []}
    try:
        for _ in range(plan.repeats):
            for load, rows in found.items():
                before = await _height(alliance)
                with alliance.cost() as cost:
                    outcome = await run_clients(alliance.clients, senders, load, plan.seconds)
                blocks = await _height(alliance) - before
                row = _row(alliance, load, outcome, blocks, cost.node_s, cost.here_s)
                rows.append(row | {"sealing": "inside: the whole client library"})
    finally:
        for sender in senders:
            await sender.close()
    return [_combine(rows) for rows in found.values()]


async def _height(alliance: Running) -> int:
    return (await next(iter(alliance.clients.values())).status()).height


def _row(
    alliance: Running,
    load: int | str,
    outcome: Outcome,
    blocks: int,
    node_s: dict[str, float],
    here_s: float,
) -> dict[str, object]:
    committed = len(outcome.latencies_ms)
    ended = max(outcome.finished_s, default=outcome.began_s + 1)
    elapsed = ended - outcome.began_s
    latencies = sorted(outcome.latencies_ms) or [0.0]
    return {
        "nodes": len(alliance.clients),
        "super_nodes": alliance.alliance.state.super_nodes,
        "load": f"open, {OPEN_RATE}/s" if load == "open" else f"closed, {load} in flight",
        "committed": committed,
        "committed_per_s": round(committed / elapsed, 1),
        "p50_ms": round(median(latencies), 1),
        "p99_ms": round(latencies[int(len(latencies) * 0.99)], 1),
        "blocks_per_s": round(blocks / elapsed, 1),
        "transactions_per_block": round(committed / max(1, blocks), 1),
        "node_cpu_ms_per_transaction": round(sum(node_s.values()) * 1000 / max(1, committed), 2),
        "busiest_node_cores": round(max(node_s.values()) / elapsed, 2),
        "all_nodes_cores": round(sum(node_s.values()) / elapsed, 2),
        "generator_cores": round(here_s / elapsed, 2),
        "cores": os.cpu_count(),
        "failed": outcome.failed,
        "load_average": load_average(),
    }


def _combine(rows: list[dict[str, object]]) -> dict[str, object]:
    """Return the medians of repeated rows, and each run's rate."""
    combined = dict(rows[0])
    for name, value in rows[0].items():
        if isinstance(value, float):
            combined[name] = round(median(float(str(row[name])) for row in rows), 2)
    combined["committed"] = sum(int(str(row["committed"])) for row in rows)
    combined["runs_per_s"] = [row["committed_per_s"] for row in rows]
    failed: dict[str, int] = {}
    for row in rows:
        for reason, count in dict(row["failed"]).items():  # type: ignore[call-overload]
            failed[reason] = failed.get(reason, 0) + count
    combined["failed"] = failed
    return combined
