"""Tests of node.server."""

import socket
import ssl

import pytest

from hansa.errors import ConflictError, InvalidError
from hansa.node.server import bind, make_context


def test_port_in_use() -> None:
    """A taken port is refused with the setting to change."""
    listener = bind("127.0.0.1", 0, "listen.api")
    port = listener.getsockname()[1]
    with pytest.raises(ConflictError, match=rf"{port}.*listen\.api"):
        bind("127.0.0.1", port, "listen.api")
    listener.close()
    bind("127.0.0.1", port, "listen.api").close()


def test_address_of_another_machine() -> None:
    """An address that is not this machine's is refused."""
    with pytest.raises(ConflictError, match="Cannot listen"):
        bind("192.0.2.1", 0, "listen.api")


def test_context(alliance) -> None:
    """Certificate and key of the node make a TLS 1.3 context; others are refused."""
    folder = alliance.members[0].folder
    context = make_context(folder / "certificate.pem", folder / "node.key", None)
    assert ssl.TLSVersion.TLSv1_3 == context.minimum_version
    for certificate, key in (("node.key", "node.key"), ("certificate.pem", "absent")):
        with pytest.raises(InvalidError, match="cannot be used for TLS"):
            make_context(folder / certificate, folder / key, None)


async def test_old_tls_is_refused(live) -> None:
    """TLS 1.2 does not get through, and a plain request gets nothing."""
    port = int(live.member.url.rsplit(":", 1)[1])
    context = live.member.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def connect() -> None:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain),
        ):
            pass

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await live.services.workers.run(connect)


def test_what_is_accepted_sends_at_once() -> None:
    """An accepted connection does not hold small sends back: no answer waits for a delayed ACK."""
    with (
        bind("127.0.0.1", 0, "listen.api") as listener,
        socket.create_connection(listener.getsockname(), timeout=5),
    ):
        listener.settimeout(5)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
