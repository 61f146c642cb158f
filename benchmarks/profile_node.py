"""Where one super node's processor time goes under load: sampled in the running process."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alliance import STILL, Running, running, seats
from load import make_senders, prepare, run_closed
from machine import load_average

SAMPLER = Path(__file__).parent / "sampling"
GROUPS = [
    (
        "signature checks (Ed25519)",
        ("hansa.crypto.signing.is_signed", "hansa.crypto.signing.check"),
    ),
    ("signing (Ed25519)", ("hansa.crypto.signing.",)),
    ("opening what is sealed (HPKE, AES-GCM)", ("hansa.crypto.envelope.", "hansa.crypto.sealing.")),
    ("writing and syncing blocks, state, votes", ("hansa.ledger.",)),
    ("state and its authenticated tree", ("hansa.chain.authenticated.", "hansa.chain.state.")),
    ("encoding, decoding, hashing", ("hansa.codec.", "hansa.crypto.merkle.")),
    ("judging and applying transactions", ("hansa.chain.",)),
    ("agreement's own logic", ("hansa.consensus.",)),
    ("index and catalogue", ("hansa.index.", "hansa.node.catalogue.")),
    ("outbox on disk", ("hansa.node.outbox.", "hansa.storage.table.")),
    ("log", ("structlog.", "hansa.node.observe.")),
    ("links between nodes", ("hansa.net.", "asyncio.sslproto.")),
    ("API (HTTP, TLS)", ("hansa.node.api.", "litestar.", "uvicorn.", "httptools.", "h11.")),
    ("event loop and waiting", ("asyncio.", "selectors.")),
]
"""A sample counts for the first group of which any function was under way."""


@dataclass(frozen=True)
class Plan:
    """How long, under which load, with how many nodes (of them super nodes)."""

    seconds: float = 8
    in_flight: int = 64
    nodes: int = 4
    super_nodes: int = 4


SMOKE = Plan(1.5, 8, 1, 1)


async def measure_profile(parent: Path | None, plan: Plan) -> dict[str, object]:
    """Sample the first super node while a closed load runs."""
    with _sampler_on_path():
        async with running(parent, plan.nodes, seats(STILL, plan.super_nodes)) as alliance:
            return await _measure(alliance, plan)


@contextmanager
def _sampler_on_path() -> Iterator[None]:
    """Have nodes started inside listen for the sampler's signals."""
    kept = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SAMPLER), kept]))
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH")
        if kept is not None:
            os.environ["PYTHONPATH"] = kept


async def _measure(alliance: Running, plan: Plan) -> dict[str, object]:
    name = next(iter(alliance.clients))
    target = alliance.alliance.folder / "samples.json"
    os.environ["HANSA_BENCH_SAMPLES"] = str(target)
    try:
        alliance.alliance.stop([name])
        alliance.alliance.start(name)
    finally:
        os.environ.pop("HANSA_BENCH_SAMPLES")
    await alliance.alliance.wait_ready(alliance.clients[name], name)
    senders = await make_senders(alliance)
    try:
        prepared = await prepare(senders, int(plan.seconds * 400))
        await run_closed(prepared[:50], plan.in_flight, 1)
        alliance.process(name).send_signal(signal.SIGUSR1)
        outcome = await run_closed(prepared[50:], plan.in_flight, plan.seconds)
        alliance.process(name).send_signal(signal.SIGUSR2)
    finally:
        for sender in senders:
            await sender.close()
    async with asyncio.timeout(20):
        while not target.exists():
            await asyncio.sleep(0.05)
    kept = os.environ.get("HANSA_BENCH_KEEP_SAMPLES")
    if kept:
        Path(kept).write_bytes(target.read_bytes())
    rows = json.loads(target.read_text())
    return summarise(rows) | {
        "load": f"closed, {plan.in_flight} in flight",
        "committed": len(outcome.latencies_ms),
        "load_average": load_average(),
    }


def summarise(rows: list[tuple[int, list[str]]]) -> dict[str, object]:
    """Return the shares by group, and by innermost function of Hansa."""
    groups: Counter[str] = Counter()
    innermost: Counter[str] = Counter()
    for count, stack in rows:
        groups[_group(stack)] += count
        innermost[next((name for name in stack if _is_ours(name)), stack[0])] += count
    total = max(1, sum(groups.values()))
    return {
        "samples": total,
        "groups": _shares(groups, total, 20),
        "innermost": _shares(innermost, total, 25),
    }


def _is_ours(name: str) -> bool:
    return name.startswith("hansa.") and not name.startswith(("hansa.bootstrap.", "hansa.cli."))


def _group(stack: list[str]) -> str:
    for group, starts in GROUPS:
        if any(name.startswith(starts) for name in stack):
            return group
    return "other"


def _shares(counter: Counter[str], total: int, most: int) -> list[dict[str, object]]:
    return [
        {"where": name, "percent": round(100 * count / total, 1)}
        for name, count in counter.most_common(most)
    ]
