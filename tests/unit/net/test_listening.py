"""Tests of hansa.net.listening."""

import errno
import socket

import pytest

from hansa.errors import ConflictError, DeniedError, InvalidError
from hansa.net.listening import open_listener, split_address


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("node.example:7000", ("node.example", 7000)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:65535", ("::1", 65_535)),
    ],
)
def test_addresses_are_split(address, expected):
    """Names, IPv4, IPv6 in brackets."""
    assert split_address(address) == expected


@pytest.mark.parametrize("address", ["", "host", ":1", "host:", "host:x", "host:65536", "h:²"])
def test_what_is_no_address_is_refused(address):
    """With the form that is expected."""
    with pytest.raises(InvalidError, match="host:port"):
        split_address(address)


def test_a_port_is_had_once():
    """Any free one for 0; the same again is a conflict that names it; a foreign host is invalid."""
    with open_listener("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert listener.gettimeout() == 0
        with pytest.raises(ConflictError, match=str(port)):
            open_listener("127.0.0.1", port)
    with pytest.raises(InvalidError, match="Cannot listen"):
        open_listener("192.0.2.1", 0)


def test_what_is_accepted_sends_at_once():
    """An accepted connection does not hold small sends back: no vote waits for a delayed ACK."""
    with (
        open_listener("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname(), timeout=5),
    ):
        listener.settimeout(5)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_port_that_may_not_be_used_is_denied(monkeypatch):
    """A low port without the right to it: another answer than a wrong address."""

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(DeniedError, match="Port 80"):
        open_listener("127.0.0.1", 80)
