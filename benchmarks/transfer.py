"""Publish and fetch: MB/s of plain bytes, bytes stored, and what the bare operations would take."""

import hmac
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from alliance import Running, running, seats
from blake3 import blake3
from corpus import make_random, make_readings, make_small
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from machine import load_average
from peers import Peer, find_peers

from hansa.chain.genesis import FULL
from hansa.client.client import HansaClient
from hansa.data.partition import Partitioner

try:
    from compression import zstd
except ImportError:
    from backports import zstd


@dataclass(frozen=True)
class Plan:
    """How much is moved."""

    bytes_each: int = 256 << 20
    small_files: int = 2_000
    repeats: int = 3
    has_peers: bool = True
    nodes: int = 4
    super_nodes: int = 4


SMOKE = Plan(4 << 20, 50, 1, has_peers=False, nodes=2, super_nodes=1)


@dataclass(frozen=True)
class Corpora:
    """Where the data lies."""

    random: Path
    readings: Path
    following: Path
    small: Path


def make_corpora(folder: Path, plan: Plan) -> Corpora:
    """Write all corpora; their pages are in memory afterwards, on every run alike."""
    readings, following = make_readings(
        folder / "v1" / "readings", folder / "v2" / "readings", plan.bytes_each
    )
    return Corpora(
        make_random(folder / "random", plan.bytes_each),
        readings,
        following,
        make_small(folder / "small", plan.small_files),
    )


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def measure_transfer(parent: Path | None, plan: Plan) -> dict[str, object]:
    """Publish each corpus, fetch it at home and with a grant; each repeat in an alliance of its own."""
    runs: list[dict[str, dict[str, object]]] = []
    peers = find_peers() if plan.has_peers else []
    for _ in range(plan.repeats):
        async with running(parent, plan.nodes, seats(FULL, plan.super_nodes)) as alliance:
            folder = alliance.alliance.folder / "bench"
            corpora = make_corpora(folder, plan)
            rows = await _measure_alliance(alliance, corpora, folder)
            rows |= _measure_bare(corpora)
            for peer in peers:
                rows |= _measure_peer(peer, corpora, folder)
            runs.append(rows)
    combined = [_combine([run[name] for run in runs]) for name in runs[0]]
    return {"rows": combined, "peers": {peer.name: peer.version for peer in peers}}


async def _measure_alliance(
    alliance: Running, corpora: Corpora, folder: Path
) -> dict[str, dict[str, object]]:
    owner, reader = list(alliance.clients.values())[-2:]
    rows: dict[str, dict[str, object]] = {}
    made: dict[str, bytes] = {}
    for name, source in _named(corpora):
        dataset = made.get("readings") if name == "readings, next version" else None
        with alliance.cost() as cost:
            began = time.perf_counter()
            published = await owner.publish([source], dataset=dataset, title=f"Corpus {name}")
            seconds = time.perf_counter() - began
        made[name] = bytes(published.dataset)
        rows[f"publish {name}"] = _row("hansa", f"publish {name}", published.bytes_in, seconds) | {
            "stored_bytes": published.bytes_stored,
            "node_cpu_s": round(max(cost.node_s.values()), 2),
            "client_cpu_s": round(cost.here_s, 2),
        }
    for name, source in _named(corpora):
        if name == "readings, next version":
            continue
        version = 1 if name == "readings" else None
        row = await _fetch(alliance, owner, made[name], folder, source, version)
        rows[f"fetch {name}"] = _row("hansa", f"fetch {name}, own", *row[:2]) | row[2]
        await _grant(owner, reader, made[name])
        row = await _fetch(alliance, reader, made[name], folder, source, version)
        operation = f"fetch {name}, granted"
        rows[operation] = _row("hansa", operation, *row[:2]) | row[2]
    return rows


def _named(corpora: Corpora) -> list[tuple[str, Path]]:
    return [
        ("incompressible", corpora.random),
        ("readings", corpora.readings),
        ("readings, next version", corpora.following),
        ("small files", corpora.small),
    ]


async def _fetch(
    alliance: Running,
    client: HansaClient,
    dataset: bytes,
    folder: Path,
    source: Path,
    version: int | None,
) -> tuple[int, float, dict[str, object]]:
    output = folder / "fetched"
    with alliance.cost() as cost:
        began = time.perf_counter()
        fetched = await client.fetch(dataset, output, version=version)
        seconds = time.perf_counter() - began
    for path in source.rglob("*"):
        if path.is_file():
            same = output / path.relative_to(source.parent)
            assert same.read_bytes() == path.read_bytes(), f"{same} differs"
    shutil.rmtree(output)
    extra: dict[str, object] = {
        "node_cpu_s": round(sum(cost.node_s.values()), 2),
        "client_cpu_s": round(cost.here_s, 2),
    }
    return fetched.bytes, seconds, extra


async def _grant(owner: HansaClient, reader: HansaClient, dataset: bytes) -> None:
    asked = await reader.request_access(dataset, purpose="Measuring how fast it comes.")
    await owner.grant_access(bytes(asked.request))


def _row(tool: str, operation: str, size: int, seconds: float) -> dict[str, object]:
    return {
        "tool": tool,
        "operation": operation,
        "bytes": size,
        "seconds": round(seconds, 3),
        "mb_per_s": round(size / 1e6 / seconds, 1),
        "load_average": load_average(),
    }


# --- what it can be compared with ---------------------------------------------------------------


def _measure_bare(corpora: Corpora) -> dict[str, dict[str, object]]:
    """Cut, digest, fingerprint, compress and seal in one thread, and keep nothing."""
    rows = {}
    for name, source in (("incompressible", corpora.random), ("readings", corpora.readings)):
        paths = sorted(path for path in source.rglob("*") if path.is_file())
        began = time.perf_counter()
        stored = sum(_seal_bare(path) for path in paths)
        operation = f"bare operations, {name}"
        seconds = time.perf_counter() - began
        rows[operation] = _row("one thread", operation, size_of(source), seconds) | {
            "stored_bytes": stored
        }
    return rows


def _seal_bare(path: Path) -> int:
    key, stored = os.urandom(32), 0
    with path.open("rb") as reader:
        for chunk in Partitioner(1).partition(reader):
            blake3(chunk, key=key).digest()
            hmac.digest(key, chunk, "md5")
            hmac.digest(key, chunk, "sha1")
            packed = zstd.compress(chunk, 1)
            body = packed if len(packed) < len(chunk) else chunk
            stored += len(AESGCM(os.urandom(32)).encrypt(os.urandom(12), body, None))
    return stored


def _measure_peer(peer: Peer, corpora: Corpora, folder: Path) -> dict[str, dict[str, object]]:
    """Back up and restore with another tool, in this same run."""
    rows: dict[str, dict[str, object]] = {}
    place = folder / peer.name
    place.mkdir()
    peer.start(place)
    for name, source in _named(corpora):
        before = size_of(peer.repository)
        operation = f"publish {name}"
        seconds = _timed(lambda source=source, name=name: peer.save(source, name))
        rows[f"{peer.name} {operation}"] = _row(peer.name, operation, size_of(source), seconds) | {
            "stored_bytes": size_of(peer.repository) - before
        }
    for name, source in _named(corpora)[:2]:
        output = folder / "restored"
        output.mkdir()
        seconds = _timed(lambda output=output, name=name: peer.restore(name, output))
        operation = f"fetch {name}"
        rows[f"{peer.name} {operation}"] = _row(peer.name, operation, size_of(source), seconds)
        assert size_of(output) == size_of(source)
        shutil.rmtree(output)
    shutil.rmtree(place)
    return rows


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _combine(rows: list[dict[str, object]]) -> dict[str, object]:
    """Return the run of the median rate, with every run's rate."""
    rates = [float(str(row["mb_per_s"])) for row in rows]
    middle = sorted(rows, key=lambda row: float(str(row["mb_per_s"])))[len(rows) // 2]
    return middle | {"runs_mb_per_s": rates, "median_mb_per_s": round(median(rates), 1)}
