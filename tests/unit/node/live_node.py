"""A real node in this process: an alliance of one organisation, with disk, TLS and agreement."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "e2e"))

from local_alliance import LocalAlliance, Member, problem

from hansa.bootstrap.building import build_node
from hansa.node.api.services import Services
from hansa.node.daemon import Daemon


@dataclass
class LiveNode:
    """A running node and what is needed to talk to it."""

    alliance: LocalAlliance
    member: Member
    daemon: Daemon
    services: Services

    async def call(self, method: str, path: str, **options) -> tuple[int, bytes, object]:
        """Make one HTTPS request as the member's user."""
        return await self.alliance.request(self.member, method, path, **options)

    async def get(self, path: str, kind: type):
        """GET a JSON answer."""
        return await self.alliance.get(self.member, path, kind)

    async def refused(self, method: str, path: str, **options) -> dict[str, object]:
        """Make a call that must fail; return its problem document."""
        _, body, headers = await self.call(method, path, **options)
        assert headers["Content-Type"] == "application/problem+json", body
        return problem(body)

    async def submit(self, *operations, **options):
        """Submit operations and wait for the block."""
        return await self.alliance.submit(self.member, *operations, **options)


@contextlib.asynccontextmanager
async def run_in_process(alliance: LocalAlliance) -> AsyncIterator[LiveNode]:
    """Run the first member's node on this event loop."""
    member = alliance.members[0]
    with contextlib.ExitStack() as closing:
        daemon = build_node(member.folder, closing)
        async with asyncio.TaskGroup() as group:
            group.create_task(daemon.run())
            try:
                async with asyncio.timeout(60):
                    while not (member.folder / "node.json").exists():
                        await asyncio.sleep(0.01)
                yield LiveNode(alliance, member, daemon, daemon.services)
            finally:
                daemon.stop()
