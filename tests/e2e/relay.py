"""User-space TCP relays before the nodes' peer ports, so that one node can be cut off from all others.

Each node is reached by the others through its relay. Cutting a node off closes and refuses its links in
both directions: those into its relay, and those it opened to the relays of others, which are known by
the local ports that its process holds.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psutil


@dataclass
class Relay:
    """Relays of one alliance."""

    targets: dict[str, tuple[int, int]]
    """Name → (port of its relay, port its node listens on)."""
    pids: dict[str, int]
    cut: set[str] = field(default_factory=set)
    spoil_every: int = 0
    """One bit of so many bytes is turned over on every link; 0: none."""
    spoiled: int = 0
    """Bits turned over so far."""
    delay_s: float = 0.0
    """How long each piece of a stream waits."""
    _links: dict[asyncio.StreamWriter, tuple[str, str]] = field(default_factory=dict)

    def cut_off(self, name: str) -> None:
        """Close every link of a node, and refuse new ones until `join_again`."""
        self.cut.add(name)
        for writer, ends in list(self._links.items()):
            if name in ends:
                writer.transport.abort()

    def join_again(self, name: str) -> None:
        """Let a node be reached again."""
        self.cut.discard(name)

    def _source(self, port: int) -> str:
        for name, pid in self.pids.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                for link in psutil.Process(pid).net_connections("tcp"):
                    if link.laddr and link.laddr.port == port:
                        return name
        return "?"

    async def serve(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Relay one connection to `name` until either side closes or it is cut."""
        source = self._source(writer.get_extra_info("peername")[1])
        if {source, name} & self.cut:
            writer.transport.abort()
            return
        try:
            inner_reader, inner = await asyncio.open_connection("127.0.0.1", self.targets[name][1])
        except OSError:
            writer.transport.abort()
            return
        self._links |= {writer: (source, name), inner: (source, name)}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, inner))
                group.create_task(self._copy(inner_reader, writer))
        finally:
            for end in (writer, inner):
                self._links.pop(end, None)
                end.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        try:
            while data := await reader.read(65_536):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                passed += len(data)
                if self.spoil_every and passed >= self.spoil_every:
                    passed = 0
                    self.spoiled += 1
                    data = data[:-1] + bytes((data[-1] ^ 1,))
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # cut, or the other end died: both ends are closed next
        writer.transport.abort()


@asynccontextmanager
async def relays(relay: Relay) -> AsyncIterator[Relay]:
    """Run the relays."""
    servers = []
    for name, (port, _) in relay.targets.items():

        async def accept(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str = name
        ) -> None:
            await relay.serve(name, reader, writer)

        servers.append(await asyncio.start_server(accept, "127.0.0.1", port))
    try:
        yield relay
    finally:
        for server in servers:
            server.close()
        for writer in list(relay._links):
            writer.transport.abort()
        for server in servers:
            await server.wait_closed()
