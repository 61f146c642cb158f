"""The stage of the demo: the alliance, its clients, and what earlier steps left for later ones."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from hansa import rest
from hansa.cli import processes
from hansa.cli.local_alliance import LocalAlliance
from hansa.cli.story.catalogue import SampleDataset
from hansa.cli.story.checks import Checks
from hansa.client.client import HansaClient

ORGANISATIONS = ["transport", "environment", "health", "safety", "planning", "energy"]
SUPER_NODES = 4
ARRIVAL_S_MAX = 10
POLL_S = 0.05
MARKER = "Ward 7 intake list of Tuesday night"
"""Stands in a published file and in a confidential purpose; must be found at no node."""


@dataclass(slots=True)
class Stage:
    """What the steps share."""

    alliance: LocalAlliance
    clients: dict[str, HansaClient]
    checks: Checks
    scratch: Path
    sample: list[SampleDataset]
    datasets: dict[str, str] = field(default_factory=dict)
    """Title → dataset id."""
    transactions: list[str] = field(default_factory=list)
    grant_transaction: str = ""

    async def status(self, name: str) -> rest.NodeStatus:
        """Return one node's status."""
        return await self.clients[name].status()

    async def everywhere(self, height: int) -> None:
        """Wait until every node has a block: another node than the writer's may hear of it later."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ARRIVAL_S_MAX):
                for name in self.clients:
                    while (await self.status(name)).index_height < height:  # noqa: ASYNC110 - another process
                        await asyncio.sleep(POLL_S)

    def process(self, name: str) -> psutil.Process | None:
        """Return one node's process."""
        return processes.find_process(self.alliance.node_folder(name))

    def files_read(self, name: str) -> int | None:
        """Return how many bytes a node's process has read from files; None where not told.

        Linux counts what `read` and `pread` return, sockets' `recv` apart.
        """
        process = self.process(name)
        if process is None or not hasattr(process, "io_counters"):
            return None
        counters = process.io_counters()
        return int(getattr(counters, "read_chars", 0)) or None
