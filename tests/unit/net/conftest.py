"""Nodes on loopback for the tests of links: real sockets, real TLS."""

import asyncio
import contextlib
import itertools
import socket
from pathlib import Path

import pytest

from hansa.crypto.signing import SigningKey
from hansa.errors import DeniedError
from hansa.keyfile import certificate_pem, create_certificate, create_key_file
from hansa.net.peers import Handlers, PeerEntry, PeerNetwork
from hansa.net.tls import Credentials
from hansa.system import SystemClock, SystemEntropy

ALLIANCE = b"a" * 32


def free_port():
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Node:
    """One node's links, with what its handlers heard."""

    def __init__(self, folder: Path, number: int, *, alliance=ALLIANCE, passphrase=None):
        self.folder = folder
        folder.mkdir()
        self.key = SigningKey(bytes([number]) * 32)
        self.certificate = create_certificate(self.key, f"node-{number}")
        create_key_file(folder / "node.key", "signing", self.key.seed(), passphrase)
        (folder / "certificate.pem").write_bytes(certificate_pem(self.certificate))
        self.credentials = Credentials(folder / "certificate.pem", folder / "node.key", passphrase)
        self.alliance = alliance
        self.port = free_port()
        self.members = {}
        self.heard = []
        self.log = []
        self.serve = self.echo

    @property
    def public(self):
        """Return the node key."""
        return self.key.public

    @property
    def entry(self):
        """Return what the chain says of the node."""
        return PeerEntry(f"node-{self.port}", f"127.0.0.1:{self.port}", self.certificate)

    @staticmethod
    async def echo(sender, method, payload):
        """Serve a call: answer, refuse or fail as its method says."""
        if method == "deny":
            raise DeniedError("no grant", remedy="Ask the owner.")
        if method == "fail":
            raise ZeroDivisionError
        if method == "hang":
            await asyncio.sleep(60)
        return payload[::-1]

    def make_network(self):
        """Return a fresh network of this node."""

        async def on_call(sender, method, payload):
            return await self.serve(sender, method, payload)

        return PeerNetwork(
            key=self.key,
            credentials=self.credentials,
            alliance=self.alliance,
            listen=("127.0.0.1", self.port),
            directory=lambda: self.members,
            handlers=Handlers(
                on_message=lambda sender, data: self.heard.append((sender, data)),
                on_connected=lambda sender: self.log.append(("connected", sender)),
                on_lost=lambda sender: self.log.append(("lost", sender)),
                on_call=on_call,
            ),
            clock=SystemClock(),
            entropy=SystemEntropy(),
        )

    @contextlib.asynccontextmanager
    async def running(self):
        """Run the network inside the block."""
        self.network = self.make_network()
        task = asyncio.ensure_future(self.network.run())
        try:
            yield self.network
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until(condition, seconds=10):
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def acquaint(*nodes):
    """Make the nodes members of one alliance."""
    members = {node.public: node.entry for node in nodes}
    for node in nodes:
        node.members = dict(members)


@pytest.fixture
def make_node(tmp_path):
    """Give a function that makes a node; its key is the smaller, the sooner it is asked for."""
    seeds = sorted(range(1, 60), key=lambda number: SigningKey(bytes([number]) * 32).public)
    numbers = iter(seeds)
    count = itertools.count()
    return lambda **options: Node(tmp_path / f"n{next(count)}", next(numbers), **options)


@pytest.fixture
def net():
    """Give the helpers above."""
    from types import SimpleNamespace

    return SimpleNamespace(until=until, acquaint=acquaint, ALLIANCE=ALLIANCE)
