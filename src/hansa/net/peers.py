"""The links of a node to all members: who is connected, messages, calls.

Of each pair the node with the smaller key dials, two links: one for the agreement, one for bulk.
A lost link is dialled again, with growing pauses. A peer counts as connected when both are up.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from hansa import limits
from hansa.crypto.signing import SigningKey
from hansa.errors import ConflictError, DeniedError, HansaError, ProtocolError, UnavailableError
from hansa.net.calls import Call, encode_answer, encode_failure
from hansa.net.frames import Frame, Kind
from hansa.net.handshake import (
    CHANNELS,
    NONCE_BYTES,
    PROTOCOL_VERSION,
    Channel,
    Hello,
    judge_hello,
)
from hansa.net.link import Link
from hansa.net.listening import open_listener, split_address
from hansa.net.tls import Credentials, TlsContexts
from hansa.ports import Clock, Entropy
from hansa.types import Digest, Millis, PublicKey

TICK_S = 0.5
PAUSED_MS = 2_000
"""A tick this late means that this process stood still, not that the others were silent."""


@dataclass(frozen=True, slots=True)
class PeerEntry:
    """A member as the newest block knows it."""

    name: str
    address: str
    """host:port of its node for other nodes."""
    certificate: bytes
    """Self-signed, DER."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """What the network calls, all on the event loop; none but `on_call` may wait."""

    on_message: Callable[[PublicKey, bytes], None]
    """A message of the agreement, from a member."""
    on_connected: Callable[[PublicKey], None]
    on_lost: Callable[[PublicKey], None]
    on_call: Callable[[PublicKey, str, bytes], Awaitable[bytes]]
    """Serves a call (caller, method, payload); a HansaError it raises reaches the caller."""


class PeerNetwork:
    """All links of one node."""

    def __init__(
        self,
        *,
        key: SigningKey,
        credentials: Credentials,
        alliance: Digest,
        listen: tuple[str, int],
        directory: Callable[[], Mapping[PublicKey, PeerEntry]],
        handlers: Handlers,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        """Prepare the network; nothing is opened yet.

        Args:
            key: the node key.
            credentials: certificate and key files of the same key, for TLS.
            alliance: the alliance id.
            listen: host and port; port 0 takes any that is free.
            directory: active members by node key, this node included or not, by the newest block.
            handlers: what is called.
            clock: for keeping alive and deadlines.
            entropy: for pauses between attempts, and the nonce of this run.

        Raises:
            MissingError, DeniedError: the credentials cannot be used.
        """
        self._key = key.public
        self._address = listen
        self._directory = directory
        self._handlers = handlers
        self._clock = clock
        self._entropy = entropy
        self._tls = TlsContexts(credentials)
        self._hello = Hello(
            PROTOCOL_VERSION, alliance, key.public, "agreement", entropy.random_bytes(NONCE_BYTES)
        )
        self._socket: socket.socket | None = None
        self._members: dict[PublicKey, PeerEntry] = {}
        self._links: dict[tuple[PublicKey, Channel], Link] = {}
        self._dialling: dict[tuple[PublicKey, Channel], asyncio.Task[None]] = {}
        self._connected: set[PublicKey] = set()
        self._problems: dict[PublicKey, HansaError] = {}
        self._group: asyncio.TaskGroup | None = None
        self._unwritten: dict[Link, None] = {}
        """Links on which messages of the agreement wait for `flush`."""
        self._strangers: dict[asyncio.Task[None], None] = {}
        """Greetings under way, oldest first."""

    # --- for those above ------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port that is listened on; known after `bind`."""
        assert self._socket is not None, "bind first"
        return int(self._socket.getsockname()[1])

    def bind(self) -> None:
        """Take the port, so that a conflict shows before anything else starts.

        Raises:
            ConflictError, DeniedError, InvalidError: the port cannot be had; says what to do.
        """
        if self._socket is None:
            self._socket = open_listener(*self._address)

    def connected(self) -> frozenset[PublicKey]:
        """Return the members both links to whom are up."""
        return frozenset(self._connected)

    def problems(self) -> Mapping[PublicKey, HansaError]:
        """Return why members are not connected, for those where a reason is known."""
        return dict(self._problems)

    def send(self, to: PublicKey, data: bytes) -> bool:
        """Queue a message of the agreement; False if it cannot be sent now.

        It is written in the loop's next turn, or by `flush`. Messages arrive in order or, where the
        link breaks, not at all. A member that reads too slowly loses its link rather than the node
        its memory.
        """
        link = self._links.get((to, "agreement"))
        if link is None or not link.queue(Kind.MESSAGE, data):
            return False
        if not self._unwritten:
            asyncio.get_running_loop().call_soon(self.flush)
        self._unwritten[link] = None
        return True

    def flush(self) -> None:
        """Write the messages that are queued now: others wait for them."""
        if self._unwritten:
            links, self._unwritten = self._unwritten, {}
            for link in links:
                link.flush()

    async def call(self, to: PublicKey, method: str, payload: bytes) -> bytes:
        """Return what the other node answers. A cancel forgets the call; it may still be served.

        Raises:
            UnavailableError: not connected, too many calls wait, or no answer in time.
            HansaError: what the other node's handler raised, by its code.
        """
        link = self._links.get((to, "bulk"))
        if link is None:
            entry = self._members.get(to)
            raise UnavailableError(
                f"The node of {entry.name if entry else 'that organisation'} is not connected.",
                remedy="Try again later; if it stays so, ask its operator.",
            )
        number, data = link.calls.open(method, payload, self._now())
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        link.waiting[number] = future
        try:
            async with asyncio.timeout(2 * limits.PEER_CALL_DEADLINE_MS / 1000):
                await link.wait_for_room()
                if not link.send(Kind.CALL, data):
                    raise UnavailableError("The link to the other node was lost.")
                return await future
        except TimeoutError as error:
            raise UnavailableError("The other node did not answer in time.") from error
        finally:
            link.calls.abandon(number)
            link.waiting.pop(number, None)
            if future.done() and not future.cancelled():
                future.exception()  # seen, whether or not somebody still waited

    def refresh(self) -> None:
        """Follow a change of the membership: cut who is no member, dial who is new."""
        if self._group is None:
            return
        members = {key: entry for key, entry in self._directory().items() if key != self._key}
        changed = {key for key, entry in self._members.items() if members.get(key) != entry}
        self._members = members
        for key in changed:
            for channel in CHANNELS:
                if task := self._dialling.pop((key, channel), None):
                    task.cancel()
                if link := self._links.get((key, channel)):
                    link.abort(DeniedError("The membership of that node ended or changed."))
            self._problems.pop(key, None)
        certificates = [entry.certificate for entry in members.values()]
        self._tls.server(certificates)
        self._tls.keep_only(certificates)
        for key, entry in members.items():
            for channel in CHANNELS:
                if self._key < key and (key, channel) not in self._dialling:
                    self._dialling[key, channel] = self._group.create_task(
                        self._keep_dialling(key, entry, channel)
                    )

    async def run(self) -> None:
        """Listen, dial all members, keep the links; until cancelled, which closes all of them.

        Raises:
            ConflictError, DeniedError, InvalidError: the port cannot be had.
        """
        self.bind()
        assert self._socket is not None
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self.refresh()
                group.create_task(self._accept(self._socket))
                group.create_task(self._tick())
        finally:
            self._group = None
            self._socket.close()
            self._socket = None
            for link in list(self._links.values()):
                link.abort(UnavailableError("This node is stopping."))

    # --- listening ------------------------------------------------------------------------------

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        assert self._group is not None
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError:  # out of descriptors, or gone before it was taken
                await asyncio.sleep(TICK_S)
                continue
            if len(self._strangers) >= limits.PEER_STRANGERS_MAX:
                # The oldest goes: who holds connections open must not shut members out.
                oldest = next(iter(self._strangers))
                del self._strangers[oldest]
                oldest.cancel()
            task = self._group.create_task(self._welcome(connection))
            self._strangers[task] = None
            task.add_done_callback(partial(self._welcomed, connection))

    def _welcomed(self, connection: socket.socket, done: asyncio.Task[None]) -> None:
        """Forget a greeting; one cancelled, perhaps before its first step, leaves no socket open."""
        self._strangers.pop(done, None)
        if done.cancelled():
            connection.close()

    async def _welcome(self, connection: socket.socket) -> None:
        """Give a stranger a few seconds to prove who it is."""
        link = Link(self, self._clock, self._hello, None)
        seconds = limits.PEER_HELLO_DEADLINE_MS / 1000
        try:
            async with asyncio.timeout(2 * seconds):
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: link,
                    connection,
                    ssl=self._tls.server(()),
                    ssl_handshake_timeout=seconds,
                    ssl_shutdown_timeout=1.0,
                )
                await link.settled.wait()
        except (OSError, TimeoutError):
            link.abort(ProtocolError("The other side did not prove who it is."))
        except asyncio.CancelledError:
            link.abort(UnavailableError("Too many others wait to prove who they are."))
            raise

    # --- dialling -------------------------------------------------------------------------------

    async def _keep_dialling(self, key: PublicKey, entry: PeerEntry, channel: Channel) -> None:
        """Keep one link to one member up until cancelled."""
        pause_ms = limits.PEER_REDIAL_MS_MIN
        while True:
            began = self._now()
            try:
                await self._dial(key, entry, channel)
            except HansaError as error:
                self._problems[key] = error
            if self._now() - began > limits.PEER_SILENCE_MS_MAX:
                pause_ms = limits.PEER_REDIAL_MS_MIN
            # Between half the pause and all of it, so that nodes do not dial in step.
            jitter = int.from_bytes(self._entropy.random_bytes(2), "big")
            await asyncio.sleep(pause_ms * (65_536 + jitter) / 131_072 / 1000)
            pause_ms = min(2 * pause_ms, limits.PEER_REDIAL_MS_MAX)

    async def _dial(self, key: PublicKey, entry: PeerEntry, channel: Channel) -> None:
        """Make one link and return when it is gone.

        Raises:
            HansaError: it could not be made, or why it ended.
        """
        host, port = split_address(entry.address)
        hello = Hello(
            self._hello.protocol,
            self._hello.alliance,
            self._hello.node_key,
            channel,
            self._hello.nonce,
        )
        link = Link(self, self._clock, hello, key)
        seconds = limits.PEER_HELLO_DEADLINE_MS / 1000
        try:
            async with asyncio.timeout(2 * seconds):
                await asyncio.get_running_loop().create_connection(
                    lambda: link,
                    host,
                    port,
                    ssl=self._tls.client(entry.certificate),
                    server_hostname="",
                    ssl_handshake_timeout=seconds,
                    ssl_shutdown_timeout=1.0,
                )
                await link.settled.wait()
            await link.closed.wait()
        except ssl.SSLCertVerificationError as error:
            raise DeniedError(
                f"The node at {entry.address} shows another certificate than {entry.name}'s.",
                remedy="Check the address; another program or node may listen there.",
            ) from error
        except (OSError, TimeoutError) as error:
            raise UnavailableError(
                f"The node of {entry.name} at {entry.address} does not answer: {error}.",
                remedy="It is dialled again; if it stays so, ask its operator.",
            ) from error
        finally:
            link.abort(UnavailableError("This node closed the link."))
        assert link.error is not None
        raise link.error

    # --- what links tell (LinkOwner) ------------------------------------------------------------

    def judge(self, link: Link, data: bytes, leaf: PublicKey) -> Hello:
        """Return the other side's HELLO if the link may stand; raises HansaError."""
        members = self._directory()
        hello = judge_hello(
            data, link.own, leaf=leaf, expected=link.expected, is_member=members.__contains__
        )
        if link.expected is None and hello.node_key > self._key:
            raise ConflictError("Of two nodes the one with the smaller key dials.")
        return hello

    def link_opened(self, link: Link) -> None:
        """Keep the link; of two for one purpose the newer stands, for its peer gave up the other."""
        place = (link.peer, link.own.channel)
        old = self._links.pop(place, None)
        if old is not None:
            old.abort(UnavailableError("A newer link took its place."))
            self._lose(link.peer)
        self._links[place] = link
        if all((link.peer, channel) in self._links for channel in CHANNELS):
            self._connected.add(link.peer)
            self._problems.pop(link.peer, None)
            self._handlers.on_connected(link.peer)

    def link_closed(self, link: Link) -> None:
        """Forget the link; its peer is lost if the link still counted."""
        place = (link.peer, link.own.channel)
        if self._links.get(place) is link:
            del self._links[place]
            if link.error is not None:
                self._problems[link.peer] = link.error
            self._lose(link.peer)

    def _lose(self, peer: PublicKey) -> None:
        if peer in self._connected:
            self._connected.discard(peer)
            self._handlers.on_lost(peer)

    def frame_arrived(self, link: Link, frame: Frame) -> None:
        """Hand a frame to whom it is for; raises ProtocolError."""
        if link.own.channel == "agreement":
            if frame.kind is not Kind.MESSAGE:
                raise ProtocolError("Only messages of the agreement travel on this link.")
            self._handlers.on_message(link.peer, frame.payload)
        elif frame.kind is Kind.CALL:
            self._admit(link, frame.payload)
        elif frame.kind is Kind.ANSWER:
            link.resolve(link.calls.settle_answer(frame.payload))
        elif frame.kind is Kind.FAILURE:
            link.resolve(link.calls.settle_failure(frame.payload))
        else:
            raise ProtocolError("Only calls travel on this link.")

    # --- serving calls --------------------------------------------------------------------------

    def _admit(self, link: Link, data: bytes) -> None:
        call, refusal = link.served.admit(data)
        if refusal is not None:
            link.send(Kind.FAILURE, encode_failure(call.number, refusal))
        elif self._group is not None:
            task = self._group.create_task(self._serve(link, call))
            link.tasks.add(task)
            task.add_done_callback(link.tasks.discard)

    async def _serve(self, link: Link, call: Call) -> None:
        """Serve one call; a few at once for each link, the others wait their turn."""
        try:
            async with link.turns:
                kind, data = await self._answer(link.peer, call)
                await link.wait_for_room()
                link.send(kind, data)
        finally:
            link.served.finish(call.number)

    async def _answer(self, peer: PublicKey, call: Call) -> tuple[Kind, bytes]:
        try:
            data = encode_answer(
                call.number, await self._handlers.on_call(peer, call.method, call.payload)
            )
        except HansaError as error:
            return Kind.FAILURE, encode_failure(call.number, error)
        except Exception as error:  # noqa: BLE001 - the root of a task that a peer starts
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"call {call.method!r} failed", "exception": error}
            )
            failure = HansaError("The other node failed to serve the call.")
            return Kind.FAILURE, encode_failure(call.number, failure)
        if len(data) > limits.FRAME_BYTES_MAX:
            failure = ProtocolError("The answer is longer than a frame may be.")
            return Kind.FAILURE, encode_failure(call.number, failure)
        return Kind.ANSWER, data

    # --- keeping alive --------------------------------------------------------------------------

    def _now(self) -> Millis:
        return self._clock.monotonic_ms()

    async def _tick(self) -> None:
        """Ping where this side was quiet, end links whose other side is, expire calls."""
        last = self._now()
        while True:
            await asyncio.sleep(TICK_S)
            now = self._now()
            was_paused, last = now - last > PAUSED_MS, now
            for link in list(self._links.values()):
                if was_paused:
                    link.heard_ms = now
                elif now - link.heard_ms > limits.PEER_SILENCE_MS_MAX:
                    link.abort(UnavailableError("The other node fell silent."))
                elif now - link.wrote_ms >= limits.PEER_PING_MS:
                    link.send(Kind.PING, b"")
                for settled in link.calls.expire(now):
                    link.resolve(settled)
