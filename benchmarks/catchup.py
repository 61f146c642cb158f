"""Catching up: blocks a second of a node that was down while the others agreed."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from alliance import STILL, Running, running, seats
from load import make_senders, prepare, run_closed
from machine import load_average

from hansa.client.client import HansaClient
from hansa.errors import UnavailableError

CATCH_UP_S_MAX = 120


@dataclass(frozen=True)
class Plan:
    """How far the node is behind, and how many nodes there are besides it."""

    blocks: int = 300
    in_flight: int = 16
    repeats: int = 2
    super_nodes: int = 4


SMOKE = Plan(20, 4, 1, 1)


async def measure_catch_up(parent: Path | None, plan: Plan) -> dict[str, object]:
    """Stop the last node, which only follows, let the others agree, start it again."""
    rows = []
    async with running(parent, plan.super_nodes + 1, seats(STILL, plan.super_nodes)) as alliance:
        name = list(alliance.clients)[-1]
        senders = await make_senders(alliance, 1)
        try:
            for _ in range(plan.repeats):
                alliance.alliance.stop([name])
                rows.append(await _measure_one(alliance, name, senders[:-1], plan))
        finally:
            for sender in senders:
                await sender.close()
    middle = sorted(rows, key=lambda row: float(str(row["blocks_per_s"])))[len(rows) // 2]
    return middle | {"runs_blocks_per_s": [row["blocks_per_s"] for row in rows]}


async def _measure_one(
    alliance: Running, name: str, senders: list, plan: Plan
) -> dict[str, object]:
    watcher = next(iter(alliance.clients.values()))
    before = (await watcher.status()).height
    transactions = 0
    while (target := (await watcher.status()).height) < before + plan.blocks:
        outcome = await run_closed(await prepare(senders, 400), plan.in_flight, 3)
        transactions += len(outcome.latencies_ms)
    began = time.perf_counter()
    alliance.alliance.start(name)
    client = alliance.clients[name]
    first_s, first = await _wait_for(client, 0)
    with alliance.cost([name]) as cost:
        reached_s, reached = await _wait_for(client, target)
    blocks = target - before
    return {
        "blocks_behind": blocks,
        "transactions_behind": transactions,
        "seconds_from_start": round(reached_s - began, 2),
        "seconds_from_first_answer": round(reached_s - first_s, 2),
        "blocks_at_first_answer": first - before,
        "blocks_per_s": round((reached - first) / max(0.001, reached_s - first_s), 1)
        if reached > first
        else round(blocks / (reached_s - began), 1),
        "node_cpu_s": round(max(cost.node_s.values()), 2),
        "load_average": load_average(),
    }


async def _wait_for(client: HansaClient, target: int) -> tuple[float, int]:
    """Return when a node has reached a height, and which."""
    async with asyncio.timeout(CATCH_UP_S_MAX):
        while True:
            try:
                await client.health()
                height = (await client.status()).height
            except UnavailableError:
                await asyncio.sleep(0.02)
                continue
            if height >= target:
                return time.perf_counter(), height
            await asyncio.sleep(0.02)
