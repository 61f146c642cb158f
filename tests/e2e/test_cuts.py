"""Nodes with a network each are cut off, halved and half deafened under load: nothing is lost, nothing forks.

What a relay in user space cannot do: cables that go dead without a word, so that links end by silence alone,
and ways that lose what goes in one direction only.
"""

import asyncio
import contextlib
import errno
import functools
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hansa.rest import ProgressView
from tests.e2e.harness import converge, wait_for
from tests.e2e.load import Load, assert_all_there, load_on, publish_one_each
from tests.e2e.local_alliance import NAMES, LocalAlliance
from tests.e2e.namespaces import Namespace, Network, has_privileges

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
NODES = sorted(NAMES[:5])
SUPER_NODES = NODES[:4]
START_S = 90
CATCH_UP_S = 20
HALVES_S = 2
STEP_S = 90
"""How long the others may take for a few writes, the silent links of the cut-off one among them."""


def _make() -> Network:
    """Make the network; skip where privileges or the devices are missing, but never for less under CI."""
    if not has_privileges():
        pytest.skip("network namespaces need privileges")
    try:
        return Network([*SUPER_NODES[:2], NODES[4]], SUPER_NODES[2:])
    except OSError as error:
        if os.environ.get("CI") and error.errno != errno.EOPNOTSUPP:
            raise  # who holds both capabilities can make them, unless the kernel has no such devices
        pytest.skip(f"network namespaces cannot be made here: {error}")


@pytest.fixture
def network() -> Iterator[Network]:
    """Two super nodes and an ordinary node on one switch, two super nodes on the other."""
    made = _make()
    try:
        yield made
    finally:
        made.close()


def test_what_is_cut_is_lost(network: Network) -> None:
    """A pulled cable, parted switches and a closed way lose just what they should, and heal."""
    first, second, third, _, ordinary = NODES
    with contextlib.ExitStack() as stack:
        ends = {
            name: stack.enter_context(_datagrams(network.nodes[name], network.addresses[name]))
            for name in NODES
        }
        arrives = functools.partial(_arrives, network, ends)
        for source, target in [(first, second), (second, third), (third, ordinary)]:
            wait_for(lambda s=source, t=target: arrives(s, t))
        network.set_cable(first, is_up=False)
        assert not arrives(first, second)
        assert not arrives(third, first)
        assert arrives(second, third)
        network.set_cable(first, is_up=True)
        wait_for(lambda: arrives(first, second))
        network.set_joint(is_up=False)
        assert not arrives(first, third)
        assert not arrives(third, ordinary)
        assert arrives(first, ordinary)
        network.set_joint(is_up=True)
        wait_for(lambda: arrives(first, third))
        network.set_way(first, third, is_open=False)
        assert not arrives(first, third)
        assert arrives(third, first)
        network.set_way(first, third, is_open=True)
        wait_for(lambda: arrives(first, third))


@contextlib.contextmanager
def _datagrams(node: Namespace, address: str) -> Iterator[socket.socket]:
    """Yield a datagram socket of a node at its address."""
    made = node.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with made:
        made.settimeout(0.5)
        made.bind((address, 7777))
        yield made


def _arrives(network: Network, ends: dict[str, socket.socket], source: str, target: str) -> bool:
    """Send a datagram; tell whether it arrived."""
    mark = os.urandom(8)
    with contextlib.suppress(OSError):  # no way there: it does not arrive
        ends[source].sendto(mark, (network.addresses[target], 7777))
    with contextlib.suppress(TimeoutError):
        while ends[target].recv(64) != mark:
            pass
        return True
    return False


class _City:
    """An alliance in a network: its nodes' processes are there, their interfaces reached from here."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.network = network
        hosts = [network.addresses[name] for name in NODES]
        self.alliance = LocalAlliance.create(
            folder, len(NODES), super_nodes=len(SUPER_NODES), hosts=hosts
        )
        self.members = {member.name: member for member in self.alliance.members}

    @contextlib.asynccontextmanager
    async def interfaces(self) -> AsyncIterator[None]:
        """Pass connections to a node's interface on to the same loopback address of its namespace."""
        async with contextlib.AsyncExitStack() as stack:
            for name, member in self.members.items():
                port = int(member.url.rpartition(":")[2])
                serve = functools.partial(_pass_on, self.network.nodes[name], port)
                server = await asyncio.start_server(serve, "127.0.0.1", port)
                stack.push_async_callback(server.wait_closed)
                stack.callback(server.close)
            yield

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run all nodes, each in its namespace."""
        try:
            for name, member in self.members.items():
                self.network.nodes[name].run(member.start)
            yield
        finally:
            for member in self.members.values():
                if member.process is not None:
                    member.process.kill()
                    member.process.wait(10)

    async def caught_up(self) -> None:
        """Wait until every node has what any node has now."""
        height = await self.height()

        async def is_there() -> bool:
            found = [(await self.alliance.status(m)).height for m in self.alliance.members]
            assert min(found) >= height, found
            return True

        await self.alliance.until(is_there, CATCH_UP_S)

    async def until_no_quorum(self) -> int:
        """Wait until every super node tells that it reaches no quorum; return the greatest height."""

        async def is_told() -> bool:
            for name in SUPER_NODES:
                view = await self.progress(name)
                assert view.cause == "no-quorum", (name, view)
            return True

        await self.alliance.until(is_told)
        return await self.height()

    async def height(self) -> int:
        """Return the greatest height of all nodes."""
        return max([(await self.alliance.status(m)).height for m in self.alliance.members])

    async def progress(self, name: str) -> ProgressView:
        """Return what a node tells of the agreement."""
        return await self.alliance.get(self.members[name], "/v1/progress", ProgressView)


async def _torment(city: _City, folder: Path) -> None:
    source = folder / "counts.csv"
    source.write_text("place,count\nbridge,7\n")
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(city.interfaces())
        await city.alliance.until_ready(seconds=START_S)
        clients = {
            name: await stack.enter_async_context(city.alliance.client(member))
            for name, member in city.members.items()
        }
        datasets = await publish_one_each(clients, str(source))
        async with load_on(clients, datasets) as load:
            await load.more(5)
            await _passed_over(city, SUPER_NODES[0])
            for turn, name in enumerate(SUPER_NODES):
                await _cut_off(city, name, load)
                await _half_open(city, name, load, is_heard=bool(turn % 2))
            await _two_halves(city, load)
        await city.caught_up()
        await converge(clients)
        await assert_all_there(clients, load)


async def _passed_over(city: _City, victim: str) -> None:
    """The others tell that they stand in for one that is cut off, and no more once it has voted again."""

    async def is_told(names: list[str]) -> bool:
        view = await city.progress(NODES[4])
        assert [item.organisation for item in view.absent] == names, view
        assert all(name in view.absence for name in names)
        assert all(item.since <= view.height <= item.until for item in view.absent)
        return True

    city.network.set_cable(victim, is_up=False)
    await city.alliance.until(lambda: is_told([victim]), STEP_S)
    city.network.set_cable(victim, is_up=True)
    await city.alliance.until(lambda: is_told([]), STEP_S)
    await city.caught_up()


async def _cut_off(city: _City, victim: str, load: Load) -> None:
    """One super node is alone: the others go on, and it catches up."""
    before = await city.height()
    city.network.set_cable(victim, is_up=False)
    await load.more(5, STEP_S)
    assert await city.height() > before
    city.network.set_cable(victim, is_up=True)
    await city.caught_up()


async def _half_open(city: _City, victim: str, load: Load, *, is_heard: bool) -> None:
    """One super node hears nobody, or nobody hears it: the others go on, and it catches up."""
    ways = [(name, victim) if is_heard else (victim, name) for name in NODES if name != victim]
    for source, target in ways:
        city.network.set_way(source, target, is_open=False)
    await load.more(5, STEP_S)
    for source, target in ways:
        city.network.set_way(source, target, is_open=True)
    await city.caught_up()


async def _two_halves(city: _City, load: Load) -> None:
    """Neither half goes on alone; joined again, both do."""
    city.network.set_joint(is_up=False)
    height = await city.until_no_quorum()
    await asyncio.sleep(HALVES_S)
    assert height == await city.height(), "a half of the super nodes made a block"
    city.network.set_joint(is_up=True)
    await load.more(5, STEP_S)
    await city.caught_up()


def test_cut_off_deafened_halved(network: Network, tmp_path: Path) -> None:
    """Each super node in turn under load, then two halves; afterwards all five nodes are equal."""
    city = _City(tmp_path, network)
    with city.running():
        asyncio.run(_torment(city, tmp_path))


async def _pass_on(
    node: Namespace, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Join one connection to a port of a node's loopback address until either side closes."""
    try:
        made = node.socket()
        made.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
        except OSError:
            made.close()
            return
        inner_reader, inner = await asyncio.open_connection(sock=made)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, inner))
                group.create_task(_copy(inner_reader, writer))
        finally:
            inner.transport.abort()
    finally:
        writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # either end is gone: both are closed next
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
