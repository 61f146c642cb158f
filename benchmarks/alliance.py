"""An alliance of real node processes to measure on: parameters as wanted, started, stopped, weighed."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil

from hansa.chain.genesis import FULL, Parameters
from hansa.cli import processes
from hansa.cli.founding import Place, complete_member, create_member, found_alliance
from hansa.cli.local_alliance import STATE_FILE, DevnetState, LocalAlliance
from hansa.client.client import HansaClient
from hansa.codec import encode
from hansa.system import SystemClock, SystemEntropy

NAMES = ["energy", "environment", "health", "planning", "safety", "transport", "water"]
STILL = msgspec.structs.replace(FULL, epoch_blocks=4_096, transaction_lifetime_heights=5_000)
"""FULL with long epochs: what is sealed before the clock starts can still be opened."""


def seats(parameters: Parameters, super_nodes: int) -> Parameters:
    """Return the parameters with another number of super nodes."""
    return msgspec.structs.replace(parameters, super_nodes=super_nodes)


@dataclass
class Running:
    """An alliance whose nodes run, with an open client for each member's first user."""

    alliance: LocalAlliance
    clients: dict[str, HansaClient]

    def process(self, name: str) -> psutil.Process:
        """Return a node's process."""
        found = processes.find_process(self.alliance.node_folder(name))
        assert found is not None, f"the node of {name} does not run"
        return found

    def cost(self, names: Iterable[str] | None = None) -> "Cost":
        """Return a meter of the processor time of some nodes and of this process."""
        return Cost({name: self.process(name) for name in names or self.clients})


@dataclass
class Cost:
    """Processor seconds between entering and leaving."""

    nodes: dict[str, psutil.Process]
    node_s: dict[str, float] = field(default_factory=dict)
    here_s: float = 0

    def __enter__(self) -> Self:
        self._before = self._read()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        nodes, here = self._read()
        self.node_s = {name: seconds - self._before[0][name] for name, seconds in nodes.items()}
        self.here_s = here - self._before[1]

    def _read(self) -> tuple[dict[str, float], float]:
        return {name: _seconds(process) for name, process in self.nodes.items()}, sum(
            os.times()[:2]
        )


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def create_alliance(folder: Path, names: list[str], parameters: Parameters) -> LocalAlliance:
    """Make a devnet folder whose founders, the first by name, are the super nodes from block 1."""
    clock, entropy = SystemClock(), SystemEntropy()
    ports = processes.free_ports(2 * len(names))
    pairs = {name: ports[2 * at : 2 * at + 2] for at, name in enumerate(names)}
    candidates = []
    for name in names:
        peer, api = (f"127.0.0.1:{port}" for port in pairs[name])
        member = folder / "members" / name
        candidates.append(create_member(member, name, name, Place(peer, api), entropy=entropy))
    genesis = encode(found_alliance("benchmark", candidates, parameters, clock=clock))
    (folder / "genesis.hansa").write_bytes(genesis)
    for name in names:
        complete_member(folder / "members" / name, genesis)
    state = DevnetState(
        organisations=names, super_nodes=parameters.super_nodes, ports=pairs, store=""
    )
    (folder / STATE_FILE).write_bytes(msgspec.json.encode(state))
    return LocalAlliance(folder, state)


@contextmanager
def scratch(parent: Path | None) -> "Iterable[Path]":
    """Yield a temporary folder; the home of Hansa is inside it."""
    with tempfile.TemporaryDirectory(prefix="hansa-bench-", dir=parent) as name:
        folder = Path(name)
        kept = os.environ.get("HANSA_HOME")
        os.environ["HANSA_HOME"] = str(folder / "home")
        try:
            yield folder
        finally:
            os.environ.pop("HANSA_HOME")
            if kept is not None:
                os.environ["HANSA_HOME"] = kept


@asynccontextmanager
async def running(
    parent: Path | None, count: int, parameters: Parameters = FULL, names: list[str] = NAMES
) -> AsyncIterator[Running]:
    """Run `count` nodes in a folder of their own until the block ends."""
    with scratch(parent) as folder:
        alliance = create_alliance(folder, names[:count], parameters)
        try:
            for name in alliance.state.organisations:
                alliance.start(name)
            async with alliance.clients() as clients:
                for name, client in clients.items():
                    await alliance.wait_ready(client, name)
                yield Running(alliance, clients)
        finally:
            alliance.stop()
