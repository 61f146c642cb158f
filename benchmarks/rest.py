"""A node at rest: time to start, memory, processor time over idle seconds; and the commands' start."""

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from alliance import Running, running, seats
from machine import hansa_environment, load_average

from hansa.chain.genesis import FULL

POLL_S = 0.01


@dataclass(frozen=True)
class Plan:
    """How long, how often, with how many nodes (of them super nodes)."""

    idle_s: float = 30
    repeats: int = 3
    nodes: int = 6
    super_nodes: int = 4


SMOKE = Plan(2, 1, 2, 1)


async def measure_rest(parent: Path | None, plan: Plan) -> dict[str, object]:
    """Measure in an alliance with one dataset."""
    async with running(parent, plan.nodes, seats(FULL, plan.super_nodes)) as alliance:
        names = list(alliance.clients)
        await alliance.clients[names[1]].publish([__file__], title="One dataset")
        await asyncio.sleep(min(2, plan.idle_s))
        result = await _measure_idle(alliance, plan)
        starts = [await _measure_start(alliance, names[-1]) for _ in range(plan.repeats)]
        result["start_to_ready_s"] = round(median(starts), 2)
        result["start_to_ready_runs_s"] = starts
        result["commands"] = [
            _measure_command(alliance, words, plan.repeats)
            for words in (["--help"], ["dataset", "ls"])
        ]
        result["load_average"] = load_average()
    return result


async def _measure_idle(alliance: Running, plan: Plan) -> dict[str, object]:
    before = (await next(iter(alliance.clients.values())).status()).height
    with alliance.cost() as cost:
        await asyncio.sleep(plan.idle_s)
    after = (await next(iter(alliance.clients.values())).status()).height
    sizes = [alliance.process(name).memory_info().rss / 2**20 for name in alliance.clients]
    unique = [alliance.process(name).memory_full_info().uss / 2**20 for name in alliance.clients]
    return {
        "nodes": len(alliance.clients),
        "idle_s": plan.idle_s,
        "idle_cpu_percent_of_a_core": round(100 * median(cost.node_s.values()) / plan.idle_s, 2),
        "rss_mib": round(median(sizes), 1),
        "uss_mib": round(median(unique), 1),
        "blocks_while_idle": after - before,
    }


async def _measure_start(alliance: Running, name: str) -> float:
    """Stop a node and start it again; return seconds until it says that it is ready."""
    alliance.alliance.stop([name])
    began = time.perf_counter()
    alliance.alliance.start(name)
    await alliance.alliance.wait_ready(alliance.clients[name], name)
    return round(time.perf_counter() - began, 2)


def _measure_command(alliance: Running, words: list[str], repeats: int) -> dict[str, object]:
    """Run a command as its own process."""
    folder = alliance.alliance.folder
    profile = folder / "members" / next(iter(alliance.clients)) / "profile.toml"
    environment = hansa_environment(folder / "home") | {"HANSA_PROFILE": str(profile)}
    taken = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "hansa.cli.main", *words],
            env=environment,
            check=True,
            capture_output=True,
        )
        taken.append(time.perf_counter() - began)
    return {
        "command": " ".join(["hansa", *words]),
        "seconds": round(median(taken[1:]), 3),
        "first_seconds": round(taken[0], 3),
    }
