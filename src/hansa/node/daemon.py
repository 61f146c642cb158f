"""The running node: its tasks in one group, from the first event to a clean end.

A task that fails ends all of them: a node without its ledger, links or API must not look alive. On
SIGTERM or SIGINT the API finishes what it serves, then links, index and store are closed.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from hansa.chain.blocks import CertifiedBlock, quorum_of
from hansa.chain.state import State
from hansa.chain.transactions import AdmitOrganisation, SuspendOrganisation, UpdateOrganisation
from hansa.errors import HansaError
from hansa.node.api.services import Services
from hansa.node.packing import PackSealer
from hansa.node.server import ApiServer
from hansa.node.statuses import PENDING
from hansa.types import Digest

NOTES_EVERY_S = 3
SUSPENDED_LINK_S = 2
"""How long a suspended member's link stays, so that it learns of its suspension."""
STOP_S_MAX = 4
MEMBERSHIP = (AdmitOrganisation, UpdateOrganisation)


class ReadyRecord(msgspec.Struct, frozen=True):
    """What node.json in the node's folder says while it runs: for programs that started it."""

    pid: int
    organisation: str
    peer_port: int
    api_port: int


class _StopRequested(Exception):  # noqa: N818 - no error: the way out of the task group
    """The operator asked the node to stop."""


class Daemon:
    """One node: give it its parts, then `run`."""

    def __init__(
        self,
        services: Services,
        *,
        server: Callable[[], ApiServer],
        listener: socket.socket,
        ready_file: Path,
    ) -> None:
        """Take the parts.

        Args:
            services: everything the node is made of.
            server: makes the API's server; called once the loop runs.
            listener: the API's bound socket.
            ready_file: written when the node answers, removed when it stops.
        """
        self.services = services
        """Everything the node is made of."""
        self.on_listening: Callable[[ReadyRecord], None] = lambda _record: None
        """Called once, when both listeners are up."""
        self._make_server = server
        self._listener = listener
        self._ready_file = ready_file
        self._packing = PackSealer(services.versions.chunks, services.workers, services.log)
        self._stop = asyncio.Event()
        self._notes = asyncio.Event()

    def committed(self, certified: CertifiedBlock) -> None:
        """Follow a block that has just become durable: index, store and links."""
        services = self.services
        services.catalogue.committed(certified)
        operations = [
            operation
            for transaction in certified.block.transactions
            for operation in transaction.body.operations
        ]
        if any(isinstance(operation, MEMBERSHIP) for operation in operations):
            services.peers.refresh()
        if any(isinstance(operation, SuspendOrganisation) for operation in operations):
            # The suspended node may still hear of the block that suspends it; what it asks for is
            # refused from this block on all the same.
            asyncio.get_running_loop().call_later(SUSPENDED_LINK_S, services.peers.refresh)

    def record(self, certified: CertifiedBlock, state: State) -> None:
        """Keep the books on a durable block: figures, log, what waits for a block. Comes a little later."""
        services, header = self.services, certified.block.header
        services.metrics.commits.inc()
        services.metrics.transactions.inc(header.transaction_count)
        services.log.info(
            "block-committed",
            height=header.height,
            round=certified.certificate.vote.round,
            transactions=header.transaction_count,
            erasures=len(certified.block.erasures),
            datasets=state.counters.datasets,
        )
        if services.custody.outgoing_count() or len(services.outbox) or len(services.accuser):
            self._notes.set()

    def stop(self) -> None:
        """Ask the node to end."""
        self._stop.set()

    async def run(self) -> None:
        """Run until asked to stop.

        Raises:
            HansaError: a part failed; the node cannot go on.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        services = self.services
        services.log.info("node-started", organisation=services.organisation, pid=os.getpid())
        error: HansaError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                server = self._make_server()
                group.create_task(services.peers.run())
                group.create_task(services.driver.run())
                group.create_task(services.catalogue.run())
                group.create_task(self._carry_notes())
                group.create_task(self._packing.run())
                group.create_task(services.keeper.run())
                serving = group.create_task(self._serve(server))
                group.create_task(self._announce(server))
                await self._stop.wait()
                await self._drain(server, serving)
                raise _StopRequested  # noqa: TRY301 - the way out of the group
        except* _StopRequested:
            services.log.info("node-stopped", organisation=services.organisation)
        except* HansaError as failures:
            error = first_error(failures)
            services.log.error(  # noqa: TRY400 - an expected failure needs no trace
                "node-failed", code=error.code, message=error.message, remedy=error.remedy
            )
        finally:
            self._ready_file.unlink(missing_ok=True)
        if error is not None:
            # Not from within: earlier releases of Python 3.11 wrap what an `except*` raises in a group.
            raise error

    def _resume(self) -> None:
        """Take up the transactions that were not settled when the node stopped."""
        services = self.services
        for sealed in services.outbox.kept():
            if services.statuses.submitted(sealed.transaction).status == PENDING:
                services.driver.submit(sealed)

    def _is_settled(self, transaction: Digest) -> bool:
        status = self.services.statuses.get_or_none(transaction)
        return status is not None and status.status != PENDING

    async def _serve(self, server: ApiServer) -> None:
        try:
            await server.serve(sockets=[self._listener])
        finally:
            # After a failure elsewhere the server was cancelled in the middle.
            for listening in getattr(server, "servers", ()):
                listening.close()

    async def _drain(self, server: ApiServer, serving: asyncio.Task[None]) -> None:
        """Let the API finish what it serves, for a bounded time."""
        server.should_exit = True
        _, running = await asyncio.wait({serving}, timeout=STOP_S_MAX)
        server.force_exit = bool(running)

    async def _announce(self, server: ApiServer) -> None:
        """Write node.json once both listeners are up."""
        while not (server.started and self.services.peers.port):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        record = ReadyRecord(
            pid=os.getpid(),
            organisation=self.services.organisation,
            peer_port=self.services.peers.port,
            api_port=self._listener.getsockname()[1],
        )
        temporary = self._ready_file.with_suffix(".tmp")
        temporary.write_bytes(msgspec.json.encode(record))
        temporary.replace(self._ready_file)
        self.on_listening(record)

    async def _carry_notes(self) -> None:
        """Carry waiting notes and forget settled transactions, at blocks and every few seconds."""
        services = self.services
        self._resume()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(NOTES_EVERY_S):
                    await self._notes.wait()
            self._notes.clear()
            if services.custody.outgoing_count():
                await services.exchange.deliver_notes()
            if len(services.accuser):
                await self._accuse()
            if len(services.outbox):
                await services.outbox.sweep(self._is_settled)

    async def _accuse(self) -> None:
        """Bring the proofs of lies that are not settled to the chain, each by one transaction at a time."""
        services, state = self.services, self.services.state()
        services.accuser.settle(state)
        present = set(state.super_nodes())
        notices = tuple(
            notice
            for notice in services.driver.replica.sealing_notices()
            if notice.node_key in present
        )
        if len(notices) < quorum_of(len(present)):
            return
        for row, transaction in services.accuser.pending(state).items():
            if transaction is not None and not self._is_settled(transaction):
                continue
            sealed = services.accuser.seal(row, state, notices)
            await services.outbox.keep(sealed)
            services.statuses.submitted(sealed.transaction)
            services.driver.submit(sealed)


def first_error(failures: BaseExceptionGroup[HansaError]) -> HansaError:
    """Return the first expected failure in a group, however deep."""
    found: BaseException = failures
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, HansaError)
    return found
