"""Tests of hansa.net.link without a network; over real sockets it is tested in test_peers.py."""

import asyncio
import ssl

import pytest

from hansa import limits
from hansa.errors import DeniedError, ProtocolError, UnavailableError
from hansa.net.calls import Settled
from hansa.net.frames import Frame, FrameParser, Kind, encode_frame_header
from hansa.net.handshake import Hello, encode_refusal
from hansa.net.link import PIECE_BYTES, ROOM_BYTES, Link
from hansa.system import SystemClock

HELLO = Hello(1, b"a" * 32, b"k" * 32, "bulk", bytes(16))


class FakeTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self):
        super().__init__()
        self.writes = []
        self.ended = ""

    def write(self, data):
        """Keep it."""
        self.writes.append(bytes(data))

    def get_write_buffer_size(self):
        """Say nothing waits below."""
        return 0

    def set_write_buffer_limits(self, high=None, low=None):
        """Accept."""

    def close(self):
        """Note it."""
        self.ended = "closed"

    def abort(self):
        """Note it."""
        self.ended = "aborted"


class Owner:
    """Notes what a link tells."""

    def __init__(self):
        self.told = []

    def judge(self, link, data, leaf):
        """Accept."""
        return HELLO

    def link_opened(self, link):
        """Note it."""
        self.told.append("opened")

    def link_closed(self, link):
        """Note it."""
        self.told.append("closed")

    def frame_arrived(self, link, frame):
        """Note it."""
        self.told.append(frame.kind)


@pytest.fixture
async def link():
    """Give an open link over a fake transport."""
    made = Link(Owner(), SystemClock(), HELLO, None)
    made._transport = FakeTransport()
    made.hello = HELLO
    return made


async def test_what_is_sent_in_one_turn_is_one_write(link):
    """Small frames are joined; a long one is cut into pieces over several turns."""
    for _ in range(10):
        link.send(Kind.MESSAGE, b"abc")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(link._transport.writes) == 1
    link.send(Kind.MESSAGE, bytes(3 * PIECE_BYTES))
    link.send(Kind.MESSAGE, b"last")
    for _ in range(10):
        await asyncio.sleep(0)
    assert max(map(len, link._transport.writes)) < 2 * PIECE_BYTES
    frames = list(FrameParser().feed(b"".join(link._transport.writes)))
    assert [len(frame.payload) for frame in frames] == [3] * 10 + [3 * PIECE_BYTES, 4]
    assert link.queued_bytes == 0


async def test_what_is_queued_leaves_with_a_flush(link):
    """Queued frames are one write at the flush, in order with what is sent; a second flush writes nothing."""
    assert link.queue(Kind.MESSAGE, b"one")
    assert link.queue(Kind.MESSAGE, b"two")
    await asyncio.sleep(0)
    assert link._transport.writes == []
    link.flush()
    link.flush()
    assert len(link._transport.writes) == 1
    link.queue(Kind.MESSAGE, b"three")
    link.send(Kind.MESSAGE, b"four")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    frames = list(FrameParser().feed(b"".join(link._transport.writes)))
    assert [frame.payload for frame in frames] == [b"one", b"two", b"three", b"four"]
    link.abort(UnavailableError("gone"))
    assert not link.queue(Kind.MESSAGE, b"late")


async def test_a_paused_link_waits_and_has_no_room(link):
    """Nothing is written until the system takes more; who waits for room is released then."""
    link.pause_writing()
    link.send(Kind.MESSAGE, bytes(ROOM_BYTES + 1))
    waiter = asyncio.ensure_future(link.wait_for_room())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiter.done()
    assert link._transport.writes == []
    link.resume_writing()
    await waiter


async def test_the_queue_is_bounded(link):
    """One byte beyond the bound ends the link at once."""
    link.pause_writing()
    payload = bytes(limits.PEER_SEND_QUEUE_BYTES_MAX // 4 - 5)
    for _ in range(4):
        assert link.send(Kind.MESSAGE, payload)
    assert not link.send(Kind.MESSAGE, b"x")
    assert link._transport.ended == "aborted"
    assert isinstance(link.error, UnavailableError)
    assert not link.send(Kind.MESSAGE, b"")


async def test_bad_frames_end_the_link_with_a_reason(link):
    """A refusal goes out; what follows in the same read is not looked at."""
    link.data_received(b"\0\0\0\0\x63" + encode_frame_header(Kind.MESSAGE, 0))
    assert isinstance(link.error, ProtocolError)
    assert link._transport.writes[-1][4] == Kind.REFUSAL
    assert link._transport.ended == "closed"
    link.data_received(encode_frame_header(Kind.MESSAGE, 0))
    assert link._owner.told == []


async def test_a_lost_connection_releases_everybody(link):
    """Who waits for an answer gets an error, the owner is told once; TLS alerts are explained."""
    future = asyncio.get_running_loop().create_future()
    link.waiting[1] = future
    link.connection_lost(ssl.SSLError(1, "alert"))
    assert isinstance(link.error, DeniedError)
    with pytest.raises(UnavailableError):
        await future
    assert link._owner.told == ["closed"]
    assert link.closed.is_set()
    await link.wait_for_room()


async def test_a_link_given_up_before_it_was_up_is_closed_at_once():
    """Aborted while it was dialled: the connection that comes after all is dropped unheard."""
    owner, transport = Owner(), FakeTransport()
    made = Link(owner, SystemClock(), HELLO, None)
    made.abort(UnavailableError("No longer wanted."))
    made.connection_made(transport)
    assert ("aborted", [], []) == (transport.ended, transport.writes, owner.told)


async def test_a_certificate_that_is_none_is_refused_with_the_reason():
    """Who connects without a usable certificate is told so before anything is read."""
    transport = FakeTransport()
    made = Link(Owner(), SystemClock(), HELLO, None)
    made.connection_made(transport)
    assert isinstance(made.error, DeniedError)
    (written,) = transport.writes
    assert (Kind.REFUSAL, "closed") == (written[4], transport.ended)
    assert b"certificate" in written
    made.end(ProtocolError("Later."))
    assert isinstance(made.error, DeniedError), "the first reason stays"


async def test_a_greeting_comes_once_and_first(link):
    """A second one, or anything else before it, ends the link."""
    link._take(Frame(Kind.PING, b""))
    link._take(Frame(Kind.MESSAGE, b"x"))
    assert [Kind.MESSAGE] == link._owner.told
    with pytest.raises(ProtocolError, match="second greeting"):
        link._take(Frame(Kind.HELLO, b""))
    link.hello = None
    with pytest.raises(ProtocolError, match="begin with a greeting"):
        link._take(Frame(Kind.MESSAGE, b"x"))


async def test_a_refusal_is_kept_as_the_reason(link):
    """What the other side says last is what the operator reads; nothing after it counts."""
    link._take(Frame(Kind.REFUSAL, encode_refusal(DeniedError("Suspended."))))
    assert "Suspended" in link.error.message
    link._take(Frame(Kind.MESSAGE, b"x"))
    assert [] == link._owner.told


async def test_an_outcome_is_given_once(link):
    """A late or unknown answer changes nothing."""
    future = asyncio.get_running_loop().create_future()
    link.waiting[1] = future
    link.resolve(None)
    link.resolve(Settled(2, b"another's"))
    link.resolve(Settled(1, b"first"))
    link.resolve(Settled(1, UnavailableError("late")))
    assert b"first" == await future
    failing = asyncio.get_running_loop().create_future()
    link.waiting[3] = failing
    link.resolve(Settled(3, UnavailableError("away")))
    with pytest.raises(UnavailableError):
        await failing
    link.connection_lost(None)
    assert b"first" == future.result(), "who was answered is not told of the loss"


async def test_a_lost_connection_ends_what_it_served(link):
    """Calls of a peer that is gone are not served to their end."""
    task = asyncio.ensure_future(asyncio.sleep(60))
    link.tasks.add(task)
    link.connection_lost(None)
    with pytest.raises(asyncio.CancelledError):
        await task
