"""Load for fault tests: every organisation keeps writing, and remembers what was acknowledged."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from hansa import rest
from hansa.chain.transactions import Policy
from hansa.client.client import HansaClient
from hansa.errors import HansaError


@dataclass
class Load:
    """What the writers did so far."""

    acknowledged: list[tuple[str, int]] = field(default_factory=list)
    """(transaction, height) of each write that a node said is committed."""
    failed: list[str] = field(default_factory=list)

    async def more(self, count: int, seconds: float = 60) -> None:
        """Wait until `count` more writes were acknowledged."""
        wanted = len(self.acknowledged) + count
        async with asyncio.timeout(seconds):
            while len(self.acknowledged) < wanted:
                await asyncio.sleep(0.05)


async def _write(client: HansaClient, dataset: bytes, load: Load) -> None:
    policies = [Policy(undecided="ask"), Policy(undecided="deny")]
    for turn in range(1_000_000):
        try:
            status = await client.set_policy(dataset, policies[turn % 2])
        except HansaError as error:
            load.failed.append(f"{error.code}: {error.message}")
            await asyncio.sleep(0.2)
        else:
            load.acknowledged.append((status.transaction, status.height))


@asynccontextmanager
async def load_on(
    clients: dict[str, HansaClient], datasets: dict[str, bytes]
) -> AsyncIterator[Load]:
    """Run one writer for each organisation until the block ends."""
    load = Load()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_write(client, datasets[name], load))
            for name, client in clients.items()
        ]
        try:
            yield load
        finally:
            for task in tasks:
                task.cancel()


async def assert_all_there(clients: dict[str, HansaClient], load: Load) -> None:
    """Every acknowledged write is on every node's chain, at the height that was told."""
    for name, client in clients.items():
        for transaction, height in load.acknowledged:
            status = await client.get(f"/v1/transactions/{transaction}", rest.TransactionStatus)
            assert (status.status, status.height) == ("committed", height), (name, transaction)


async def publish_one_each(clients: dict[str, HansaClient], source: str) -> dict[str, bytes]:
    """Publish one small dataset for each organisation; return its id."""
    made = {}
    for name, client in clients.items():
        published = await client.publish([source], title=f"Counts of {name}")
        made[name] = bytes(published.dataset)
    return made
