"""One connection to another node: frames in and out, the handshake, bounds. Counterpart: `peers`.

An asyncio.Protocol, not streams, which cost many times more; what is sent in one turn of the loop
is joined into one write, but for what is queued and flushed because others wait for it.
"""

import asyncio
import ssl
from collections import deque
from typing import Protocol

from typing_extensions import override

from hansa import limits
from hansa.codec import encode
from hansa.crypto.certificate import certificate_public_key
from hansa.errors import DeniedError, HansaError, InvalidError, ProtocolError, UnavailableError
from hansa.net.calls import CallTable, ServedCalls, Settled
from hansa.net.frames import Frame, FrameParser, Kind, encode_frame_header
from hansa.net.handshake import Hello, decode_refusal, encode_refusal
from hansa.ports import Clock
from hansa.types import PublicKey

PIECE_BYTES = 256 * limits.KIB
"""Written at once, so that a long frame does not hold the loop."""
ROOM_BYTES = limits.MIB
"""Below this much waiting, there is room for more of the bulk."""


class LinkOwner(Protocol):
    """What a link tells: the peer network."""

    def judge(self, link: "Link", data: bytes, leaf: PublicKey) -> Hello:
        """Return the other side's HELLO if the link may stand; raises HansaError."""
        ...

    def link_opened(self, link: "Link") -> None:
        """The handshake is done."""
        ...

    def link_closed(self, link: "Link") -> None:
        """The link is gone; called once, and only for one that was opened."""
        ...

    def frame_arrived(self, link: "Link", frame: Frame) -> None:
        """A frame for those above; raises ProtocolError."""
        ...


class Link(asyncio.Protocol):
    """One connection; made by the network, driven by the event loop."""

    def __init__(
        self, owner: LinkOwner, clock: Clock, own: Hello, expected: PublicKey | None
    ) -> None:
        """Prepare a link.

        Args:
            owner: who is told.
            clock: for keeping alive.
            own: what this side says; the listening side's channel is set by what arrives.
            expected: who was dialled; None on the listening side.
        """
        self.own = own
        self.expected = expected
        self.hello: Hello | None = None
        """What the other side said; set when the link is open."""
        self.error: HansaError | None = None
        """Why it ended."""
        self.settled = asyncio.Event()
        """Set when the link is open, or will never be."""
        self.closed = asyncio.Event()
        self.heard_ms = self.wrote_ms = clock.monotonic_ms()
        self.calls = CallTable()
        self.waiting: dict[int, asyncio.Future[bytes]] = {}
        self.served = ServedCalls()
        self.turns = asyncio.Semaphore(limits.PEER_CALLS_SERVED_AT_ONCE_MAX)
        self.tasks: set[asyncio.Task[None]] = set()
        self._owner = owner
        self._clock = clock
        self._transport: asyncio.Transport | None = None
        self._leaf: PublicKey | None = None
        self._parser = FrameParser(limits.PEER_HELLO_BYTES_MAX * 4)
        self._ended = False
        self._queue: deque[bytes | memoryview] = deque()
        self._queued_bytes = 0
        self._is_paused = False
        self._is_scheduled = False
        self._room = asyncio.Event()
        self._room.set()

    @property
    def peer(self) -> PublicKey:
        """The other node's key."""
        assert self.hello is not None
        return self.hello.node_key

    @property
    def is_open(self) -> bool:
        """Tell whether the handshake is done and nothing has ended the link."""
        return self.hello is not None and not self._ended

    @property
    def queued_bytes(self) -> int:
        """Bytes accepted for sending that the system has not taken yet."""
        held = self._transport.get_write_buffer_size() if self._transport else 0
        return self._queued_bytes + held

    # --- called by the event loop ---------------------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is up: find out whose certificate it was; the side that dialled speaks first."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._ended:
            transport.abort()
            return
        transport.set_write_buffer_limits(high=ROOM_BYTES)
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls else None
        try:
            self._leaf = certificate_public_key(certificate or b"")
        except InvalidError as error:
            self._refuse(DeniedError(f"Your certificate is of no use here: {error.message}"))
            return
        if self.expected is not None:
            self._send_hello()

    @override
    def data_received(self, data: bytes) -> None:
        """Cut frames out of the stream and hand them on."""
        if self._ended:
            return
        self.heard_ms = self._clock.monotonic_ms()
        try:
            for frame in self._parser.feed(data):
                self._take(frame)
        except HansaError as error:
            self._refuse(error)

    @override
    def pause_writing(self) -> None:
        """The system takes no more for now."""
        self._is_paused = True

    @override
    def resume_writing(self) -> None:
        """The system takes more again."""
        self._is_paused = False
        self.flush()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; tell the owner, release everybody who waits."""
        if self.error is None:
            self.error = _explain(exc)
        was_open = self.hello is not None
        self._ended = True
        self._queue.clear()
        self._queued_bytes = 0
        self._room.set()
        self.settled.set()
        self.closed.set()
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(UnavailableError("The link to the other node was lost."))
        for task in self.tasks:
            task.cancel()
        if was_open:
            self._owner.link_closed(self)

    # --- the handshake --------------------------------------------------------------------------

    def _take(self, frame: Frame) -> None:
        if self._ended:
            return  # what came in the same read as the frame that ended the link
        if frame.kind is Kind.REFUSAL:
            self.end(decode_refusal(frame.payload))
        elif self.hello is None:
            self._shake_hands(frame)
        elif frame.kind is Kind.HELLO:
            raise ProtocolError("A second greeting arrived.")
        elif frame.kind is not Kind.PING:
            self._owner.frame_arrived(self, frame)

    def _shake_hands(self, frame: Frame) -> None:
        if frame.kind is not Kind.HELLO or self._leaf is None:
            raise ProtocolError("The other side did not begin with a greeting.")
        hello = self._owner.judge(self, frame.payload, self._leaf)
        if self.expected is None:
            self.own = Hello(
                self.own.protocol,
                self.own.alliance,
                self.own.node_key,
                hello.channel,
                self.own.nonce,
            )
            self._send_hello()
        self.hello = hello
        self._parser.payload_bytes_max = limits.FRAME_BYTES_MAX
        self.settled.set()
        self._owner.link_opened(self)

    def _send_hello(self) -> None:
        self._enqueue(Kind.HELLO, encode(self.own))
        self._schedule()

    def _refuse(self, error: HansaError) -> None:
        """Tell the other side why, then end."""
        if not self._ended:
            self._enqueue(Kind.REFUSAL, encode_refusal(error))
            self.flush()
            self.end(error)

    # --- sending --------------------------------------------------------------------------------

    def send(self, kind: Kind, payload: bytes) -> bool:
        """Queue a frame; False if the link is down or too slow, which ends it.

        Raises:
            ProtocolError: the payload is longer than a frame may be.
        """
        if not self.queue(kind, payload):
            return False
        self._schedule()
        return True

    def queue(self, kind: Kind, payload: bytes) -> bool:
        """As `send`, but nothing is written before the next `flush`, which the caller owes."""
        if not self.is_open:
            return False
        if self.queued_bytes + len(payload) > limits.PEER_SEND_QUEUE_BYTES_MAX:
            self.abort(UnavailableError("The other node reads too slowly."))
            return False
        self._enqueue(kind, payload)
        return True

    async def wait_for_room(self) -> None:
        """Return when little waits to be sent, or the link is down; a cancel changes nothing."""
        await self._room.wait()

    def _enqueue(self, kind: Kind, payload: bytes) -> None:
        header = encode_frame_header(kind, len(payload))
        self._queue.append(header)
        if len(payload) <= PIECE_BYTES:
            self._queue.append(payload)
        else:
            view = memoryview(payload)
            self._queue.extend(
                view[start : start + PIECE_BYTES] for start in range(0, len(payload), PIECE_BYTES)
            )
        self._queued_bytes += len(header) + len(payload)
        self.wrote_ms = self._clock.monotonic_ms()
        if self._queued_bytes > ROOM_BYTES:
            self._room.clear()

    def _schedule(self) -> None:
        if not self._is_scheduled and not self._is_paused:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what has gathered: a piece of it now, the rest in the loop's next turns."""
        self._is_scheduled = False
        if self._ended or self._is_paused or self._transport is None or not self._queue:
            return
        batch: list[bytes | memoryview] = []
        size = 0
        while self._queue and size < PIECE_BYTES:
            batch.append(self._queue.popleft())
            size += len(batch[-1])
        self._queued_bytes -= size
        self._transport.write(b"".join(batch))
        if self._queued_bytes <= ROOM_BYTES:
            self._room.set()
        if self._queue:
            self._schedule()

    # --- ending ---------------------------------------------------------------------------------

    def resolve(self, settled: Settled | None) -> None:
        """Give a call's outcome to who waits for it."""
        future = self.waiting.get(settled.number) if settled else None
        if settled is None or future is None or future.done():
            return
        if isinstance(settled.outcome, HansaError):
            future.set_exception(settled.outcome)
        else:
            future.set_result(settled.outcome)

    def end(self, error: HansaError) -> None:
        """Close after what was written; nothing more is read."""
        if not self._ended:
            self._ended = True
            self.error = self.error or error
            if self._transport is not None:
                self._transport.close()

    def abort(self, error: HansaError) -> None:
        """Close at once; what waits is dropped."""
        self._ended = True
        self.error = self.error or error
        if self._transport is not None:
            self._transport.abort()


def _explain(error: Exception | None) -> HansaError:
    """Return what the loss of a connection means."""
    if isinstance(error, ssl.SSLError):
        return DeniedError(
            f"The other node ended the secure link: {error}.",
            remedy="Check that this node's certificate is the one on the chain.",
        )
    return UnavailableError("The other node closed the link.")
