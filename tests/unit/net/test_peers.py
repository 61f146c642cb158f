"""Tests of hansa.net.peers: real sockets and TLS on loopback."""

import asyncio
import contextlib
import socket
import ssl

import pytest

from hansa import limits
from hansa.codec import encode
from hansa.errors import (
    ConflictError,
    DeniedError,
    HansaError,
    MissingError,
    ProtocolError,
    UnavailableError,
)
from hansa.net.calls import CallTable
from hansa.net.frames import Frame, Kind, encode_frame_header
from hansa.net.handshake import Hello
from hansa.net.link import Link
from hansa.net.peers import PeerEntry
from hansa.net.tls import Credentials
from hansa.system import SystemClock


@contextlib.asynccontextmanager
async def alliance(net, *nodes):
    """Run the nodes as one alliance, all connected."""
    net.acquaint(*nodes)
    async with contextlib.AsyncExitStack() as stack:
        for node in nodes:
            await stack.enter_async_context(node.running())
        others = len(nodes) - 1
        await net.until(lambda: all(len(n.network.connected()) == others for n in nodes))
        yield


async def test_messages_and_calls_between_three_nodes(make_node, net):
    """Messages arrive in order with their sender; calls are answered with the caller known."""
    nodes = [make_node(), make_node(), make_node()]
    async with alliance(net, *nodes):
        for one in nodes:
            for two in nodes:
                if one is not two:
                    for number in range(100):
                        assert one.network.send(two.public, b"%d" % number)
                    answer = await one.network.call(two.public, "echo", b"abc")
                    assert answer == b"cba"
        for node in nodes:
            await net.until(lambda node=node: len(node.heard) == 200)
            for other in nodes:
                got = [data for sender, data in node.heard if sender == other.public]
                assert got in ([b"%d" % number for number in range(100)], [])
        assert not nodes[0].network.send(b"x" * 32, b"nobody")
        assert nodes[0].network.problems() == {}


async def test_a_flush_writes_at_once(make_node, net):
    """What is queued leaves in the same turn of the loop if it is flushed; twice is harmless."""
    one, two, three = make_node(), make_node(), make_node()
    async with alliance(net, one, two, three):
        others = [two.public, three.public]
        links = [one.network._links[other, "agreement"] for other in others]
        for other in others:
            assert one.network.send(other, b"a")
            assert one.network.send(other, b"b")
        assert all(link._queued_bytes for link in links)
        one.network.flush()
        one.network.flush()
        assert not any(link._queued_bytes for link in links)
        assert one.network.send(two.public, b"c"), "by itself, a turn later"
        await net.until(lambda: [data for _, data in two.heard] == [b"a", b"b", b"c"])
        await net.until(lambda: [data for _, data in three.heard] == [b"a", b"b"])


async def test_large_messages_and_many_calls_at_once(make_node, net):
    """A frame at its bound arrives; sixty-four calls wait at once, one more is refused."""
    one, two = make_node(), make_node()
    async with alliance(net, one, two):
        big = bytes(limits.FRAME_BYTES_MAX)
        assert one.network.send(two.public, big)
        payload = b"x" * limits.CONTENT_RANGE_BYTES_MAX
        answers = []

        async def call():
            answers.append(await two.network.call(one.public, "echo", payload[: limits.MIB]))

        async with asyncio.TaskGroup() as group:
            for _ in range(30):
                group.create_task(call())
        assert answers == [payload[: limits.MIB]] * 30
        assert await one.network.call(two.public, "echo", payload) == payload
        await net.until(lambda: two.heard == [(one.public, big)])
        async with asyncio.TaskGroup() as group:
            hanging = [
                group.create_task(one.network.call(two.public, "hang", b""))
                for _ in range(limits.PEER_CALLS_IN_FLIGHT_MAX)
            ]
            await asyncio.sleep(0)
            with pytest.raises(UnavailableError, match="wait for an answer"):
                await one.network.call(two.public, "echo", b"")
            for task in hanging:
                task.cancel()


async def test_errors_of_a_call_reach_the_caller(make_node, net):
    """A HansaError keeps class, words and remedy; a bug is told as a failure, without its text."""
    one, two = make_node(), make_node()
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: reported.append(what))
    async with alliance(net, one, two):
        with pytest.raises(DeniedError, match="no grant") as caught:
            await one.network.call(two.public, "deny", b"")
        assert caught.value.remedy == "Ask the owner."
        with pytest.raises(HansaError, match="failed to serve"):
            await two.network.call(one.public, "fail", b"")
        assert isinstance(reported[0]["exception"], ZeroDivisionError)
        assert await two.network.call(one.public, "echo", b"on") == b"no"
    with pytest.raises(UnavailableError, match="not connected"):
        await one.network.call(b"x" * 32, "echo", b"")


async def test_a_call_without_an_answer_ends_at_its_deadline(make_node, net, monkeypatch):
    """And one whose link is lost ends at once."""
    monkeypatch.setattr(limits, "PEER_CALL_DEADLINE_MS", 100)
    one, two = make_node(), make_node()
    async with alliance(net, one, two):
        with pytest.raises(UnavailableError, match="in time"):
            await one.network.call(two.public, "hang", b"")
        monkeypatch.setattr(limits, "PEER_CALL_DEADLINE_MS", 60_000)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self_expecting_loss(one, two))
            await asyncio.sleep(0.05)
            for link in list(two.network._links.values()):
                link.abort(UnavailableError("test"))
            await task


async def self_expecting_loss(one, two):
    """Call and expect the link's loss."""
    with pytest.raises(UnavailableError, match="lost"):
        await one.network.call(two.public, "hang", b"")


async def test_a_node_that_comes_back_is_connected_again(make_node, net):
    """Whichever of the two restarts; the handlers hear of loss and return."""
    for dialler_restarts in (True, False):
        one, two = make_node(), make_node()
        stays, leaves = (two, one) if dialler_restarts else (one, two)
        net.acquaint(one, two)
        async with stays.running():
            for _ in range(2):
                async with leaves.running():
                    await net.until(lambda s=stays: len(s.network.connected()) == 1)
                await net.until(lambda s=stays: not s.network.connected())
            assert [what for what, _ in stays.log] == ["connected", "lost"] * 2
            if not dialler_restarts:
                await net.until(lambda s=stays, g=leaves: g.public in s.network.problems())
                problem = stays.network.problems()[leaves.public]
                assert isinstance(problem, UnavailableError)


async def test_a_suspended_member_is_cut_and_stays_out(make_node, net):
    """From the refresh on; admitted again, it is back."""
    one, two, three = make_node(), make_node(), make_node()
    async with alliance(net, one, two, three):
        for node in (one, three):
            node.members.pop(two.public)
            node.network.refresh()
        await net.until(lambda: not two.network.connected())
        assert one.network.connected() == {three.public}
        assert not one.network.send(two.public, b"x")
        await asyncio.sleep(0.5)
        assert not two.network.connected()
        assert two.public not in one.network.connected() | three.network.connected()
        refused = two.network.problems()[three.public]
        assert isinstance(refused, DeniedError)
        assert "no active member" in refused.message
        for node in (one, three):
            node.members[two.public] = two.entry
            node.network.refresh()
        await net.until(lambda: len(two.network.connected()) == 2)


async def test_another_alliance_is_refused_with_the_reason(make_node, net):
    """Both sides can tell their operators: wrong genesis."""
    one, two = make_node(), make_node(alliance=b"b" * 32)
    net.acquaint(one, two)
    async with one.running(), two.running():
        await net.until(one.network.problems)
        problem = one.network.problems()[two.public]
        assert isinstance(problem, ConflictError)
        assert "wrong genesis" in problem.message
        assert "genesis.hansa" in problem.remedy
        assert not one.network.connected() | two.network.connected()


def tls_context(*, credentials=None, version=ssl.TLSVersion.TLSv1_3):
    """Return a client's settings that trust anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = version
    if credentials:
        context.load_cert_chain(credentials.certificate, credentials.key)
    return context


async def knock(port, context, data=b""):
    """Connect, send, and return what comes back until the end; raises what the link raises."""
    async with asyncio.timeout(8):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        try:
            writer.write(data)
            return await reader.read()
        finally:
            writer.transport.abort()


async def test_strangers_are_refused_before_anything_they_say_is_read(make_node, net):
    """No certificate, an unknown one, an old TLS; a member's certificate needs its key."""
    one, two, stranger = make_node(), make_node(), make_node()
    async with alliance(net, one, two):
        contexts = [
            tls_context(),
            tls_context(credentials=stranger.credentials),
            tls_context(credentials=one.credentials, version=ssl.TLSVersion.TLSv1_2),
        ]
        hello = encode(Hello(1, net.ALLIANCE, one.public, "agreement", bytes(16)))
        data = encode_frame_header(Kind.HELLO, len(hello)) + hello
        for context in contexts:
            assert await knock_or_empty(two.port, context, data) == b""
        stolen = Credentials(one.credentials.certificate, stranger.credentials.key)
        with pytest.raises(ssl.SSLError):
            tls_context(credentials=stolen)
        assert one.network.connected() == {two.public}
        assert two.heard == []


async def test_a_members_key_with_the_name_of_another_is_refused(make_node, net):
    """HELLO must name the key of the certificate; the refusal says so."""
    one, two, three = make_node(), make_node(), make_node()
    async with alliance(net, one, two, three):
        hello = encode(Hello(1, net.ALLIANCE, one.public, "agreement", bytes(16)))
        data = encode_frame_header(Kind.HELLO, len(hello)) + hello
        answer = await knock(three.port, tls_context(credentials=two.credentials), data)
        assert answer[4] == Kind.REFUSAL
        assert b"does not match its certificate" in answer


async def test_garbage_slowness_and_oversize_hurt_nobody_else(make_node, net, monkeypatch):
    """Plain bytes, silence, a frame beyond the bound, a frame of no kind, and a second greeting."""
    monkeypatch.setattr(limits, "PEER_HELLO_DEADLINE_MS", 500)
    one, two, three = make_node(), make_node(), make_node()
    async with alliance(net, one, two):
        two.members[three.public] = one.members[three.public] = three.entry
        two.network.refresh()
        assert await knock_or_empty(two.port, None, b"GET / HTTP/1.1\r\n\r\n" * 50) == b""
        quiet = [socket.create_connection(("127.0.0.1", two.port)) for _ in range(20)]
        context = tls_context(credentials=three.credentials)
        for data in (
            encode_frame_header(Kind.HELLO, 60_000),
            b"\xff\xff\xff\xff\x01",
            b"\0\0\0\0\x63",
            b"\0\0\0\0\x07",
            encode_frame_header(Kind.MESSAGE, 3) + b"abc",
        ):
            answer = await knock_or_empty(two.port, context, data)
            assert answer[4] == Kind.REFUSAL, data
        assert one.network.send(two.public, b"still here")
        await net.until(lambda: two.heard == [(one.public, b"still here")])
        await net.until(lambda: not two.network._strangers)
        for connection in quiet:
            connection.close()
        assert one.log == [("connected", two.public)]


async def knock_or_empty(port, context, data):
    """Knock; an error of the link counts as no answer."""
    try:
        return await knock(port, context, data)
    except (OSError, ssl.SSLError):
        return b""


async def test_strangers_are_bounded(make_node, net, monkeypatch):
    """Of more silent connections than the bound the oldest are closed; members get in all the same."""
    monkeypatch.setattr(limits, "PEER_STRANGERS_MAX", 5)
    one, two, three = make_node(), make_node(), make_node()
    async with alliance(net, one, two):
        opened = [socket.create_connection(("127.0.0.1", two.port)) for _ in range(12)]
        await net.until(lambda: len(two.network._strangers) == 5)
        opened[0].settimeout(5)
        assert b"" == await asyncio.to_thread(opened[0].recv, 1)
        assert len(two.network._strangers) == 5
        assert one.network.send(two.public, b"x")
        two.members[three.public] = three.entry
        two.network.refresh()
        hello = encode(Hello(1, net.ALLIANCE, three.public, "agreement", bytes(16)))
        data = encode_frame_header(Kind.HELLO, len(hello)) + hello
        answer = await knock(two.port, tls_context(credentials=three.credentials), data)
        assert answer[4] in {Kind.HELLO, Kind.REFUSAL}, "it was heard"
        for connection in opened:
            connection.close()
        await net.until(lambda: not two.network._strangers)


async def test_a_peer_that_reads_too_slowly_loses_its_link(make_node, net, monkeypatch):
    """The queue is bounded in bytes; the link is made again."""
    monkeypatch.setattr(limits, "PEER_SEND_QUEUE_BYTES_MAX", 4 * limits.MIB)
    one, two = make_node(), make_node()
    async with alliance(net, one, two):
        link = two.network._links[one.public, "agreement"]
        link._transport.pause_reading()
        sent = 0
        while one.network.send(two.public, bytes(limits.MIB)):
            sent += 1
            await asyncio.sleep(0)
            assert one.network._links[two.public, "agreement"].queued_bytes <= 4 * limits.MIB
            assert sent < 100
        await net.until(lambda: ("lost", two.public) in one.log)
        await net.until(lambda: one.log[-1] == ("connected", two.public))


async def test_a_silent_peer_is_noticed(make_node, net, monkeypatch):
    """A link over which nothing comes is ended after the bound; pings keep a quiet one up."""
    monkeypatch.setattr(limits, "PEER_PING_MS", 200)
    monkeypatch.setattr(limits, "PEER_SILENCE_MS_MAX", 1_200)
    one, two = make_node(), make_node()
    async with alliance(net, one, two):
        await asyncio.sleep(2)
        assert one.log == [("connected", two.public)]
        two.network._links[one.public, "agreement"].send = lambda *_: True
        await net.until(lambda: ("lost", two.public) in one.log)


async def test_a_port_in_use_says_which_and_what_to_do(make_node, net):
    """Before anything else starts."""
    one, two = make_node(), make_node()
    two.port = one.port
    async with one.running():
        await asyncio.sleep(0)
        with pytest.raises(ConflictError, match=rf"Port {one.port} .* is in use") as caught:
            two.make_network().bind()
        assert "node.toml" in caught.value.remedy


async def test_a_protected_key_and_bad_credentials(make_node, net):
    """A passphrase opens the key for TLS; a wrong one or a missing file is named."""
    one, two = make_node(passphrase=b"long enough"), make_node()
    async with alliance(net, one, two):
        assert await one.network.call(two.public, "echo", b"ab") == b"ba"
    one.credentials = Credentials(one.credentials.certificate, one.credentials.key, None)
    with pytest.raises(DeniedError, match="does not open"):
        one.make_network()
    one.credentials = Credentials(one.folder / "none.pem", one.credentials.key)
    with pytest.raises(MissingError, match=r"none.pem"):
        one.make_network()


async def test_an_unreadable_certificate_or_address_shuts_out_its_member_only(make_node, net):
    """What the chain says of one member cannot stop the links of others."""
    one, two, three = make_node(), make_node(), make_node()
    net.acquaint(one, two)
    one.members[three.public] = PeerEntry("three", "nonsense", b"garbage")
    two.members[three.public] = PeerEntry("three", f"127.0.0.1:{three.port}", b"garbage")
    async with one.running(), two.running():
        await net.until(lambda: one.network.connected() and two.network.connected())
        await net.until(lambda: three.public in one.network.problems())
        await net.until(lambda: three.public in two.network.problems())


async def test_the_wrong_node_at_an_address_is_noticed(make_node, net):
    """A dialled address where another member answers is refused by its certificate."""
    one, two, three = make_node(), make_node(), make_node()
    net.acquaint(one, two, three)
    one.members[two.public] = PeerEntry("two", f"127.0.0.1:{three.port}", two.certificate)
    async with one.running(), three.running():
        await net.until(lambda: two.public in one.network.problems())
        assert "another certificate" in one.network.problems()[two.public].message
        await net.until(lambda: one.network.connected() == {three.public})


@pytest.fixture
async def pair(make_node, net):
    """Give a network that does not run, and a link of each channel to a peer, over nothing."""
    one, two = make_node(), make_node()
    network = one.make_network()
    links = {}
    for channel in ("agreement", "bulk"):
        hello = Hello(1, net.ALLIANCE, two.public, channel, bytes(16))
        links[channel] = Link(network, SystemClock(), hello, two.public)
        links[channel].hello = hello
        links[channel].sent = []
        links[channel].send = lambda kind, data, to=links[channel]: to.sent.append(kind) or True
    return network, links


async def test_each_channel_carries_its_own(pair):
    """A call on the link of the agreement, or a vote on the other, ends the link."""
    network, links = pair
    with pytest.raises(ProtocolError, match="agreement"):
        network.frame_arrived(links["agreement"], Frame(Kind.CALL, b""))
    with pytest.raises(ProtocolError, match="Only calls"):
        network.frame_arrived(links["bulk"], Frame(Kind.MESSAGE, b""))


async def test_a_link_that_was_replaced_is_lost_without_a_word(pair):
    """Its peer is still there over the newer one."""
    network, links = pair
    network._connected.add(links["bulk"].peer)
    network.link_closed(links["bulk"])
    assert links["bulk"].peer in network.connected()
    network._links[links["bulk"].peer, "bulk"] = links["bulk"]
    links["bulk"].error = UnavailableError("Gone.")
    network.link_closed(links["bulk"])
    assert frozenset() == network.connected()
    assert "Gone." == network._problems[links["bulk"].peer].message


async def test_too_many_calls_at_once_are_refused(pair, monkeypatch):
    """The peer is told at once; nothing is begun for it."""
    network, links = pair
    table = CallTable()
    (_, first), (_, second) = (table.open("echo", b"x", 0) for _ in range(2))
    monkeypatch.setattr(limits, "PEER_CALLS_IN_FLIGHT_MAX", 1)
    links["bulk"].served.admit(first)
    network.frame_arrived(links["bulk"], Frame(Kind.CALL, second))
    assert [Kind.FAILURE] == links["bulk"].sent
    assert set() == links["bulk"].tasks


async def test_an_answer_too_long_for_a_frame_is_a_failure(make_node, net):
    """The caller gets an error that says so, and the link stays."""
    one, two = make_node(), make_node()

    async def much(*_):
        return bytes(limits.FRAME_BYTES_MAX + 1)

    two.serve = much
    async with alliance(net, one, two):
        with pytest.raises(ProtocolError, match="longer than a frame"):
            await one.network.call(two.public, "echo", b"x")
        two.serve = two.echo
        assert b"x" == await one.network.call(two.public, "echo", b"x")


async def test_a_call_whose_link_breaks_meanwhile_is_unavailable(make_node, net, monkeypatch):
    """Between waiting for room and sending: nobody waits for an answer that cannot come."""
    one, two = make_node(), make_node()
    async with alliance(net, one, two):
        link = one.network._links[two.public, "bulk"]
        monkeypatch.setattr(link, "send", lambda *_: False)
        with pytest.raises(UnavailableError, match="lost"):
            await one.network.call(two.public, "echo", b"x")
        assert {} == link.waiting
