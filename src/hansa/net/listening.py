"""Addresses of nodes, and the socket a node listens on."""

import errno
import socket

from hansa.errors import ConflictError, DeniedError, InvalidError

BACKLOG = 128


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of "host:port" or "[v6]:port".

    Raises:
        InvalidError: it has another form.
    """
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise InvalidError(
            f"{address[:100]!r} is no address of a node.", remedy="It has the form host:port."
        )
    return host, int(port)


def open_listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens, not blocking; port 0 takes any that is free.

    Raises:
        ConflictError: the port is in use.
        DeniedError: the port may not be used.
        InvalidError: the host is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        remedy = "Change the address for other nodes in node.toml, and on the chain."
        if error.errno == errno.EADDRINUSE:
            raise ConflictError(
                f"Port {port} of {host} is in use.",
                remedy=f"Stop the program that uses it (is the node running already?). {remedy}",
            ) from error
        if error.errno in {errno.EACCES, errno.EPERM}:
            raise DeniedError(
                f"Port {port} may not be used by this user.", remedy=remedy
            ) from error
        raise InvalidError(f"Cannot listen on {host}:{port}: {error}.", remedy=remedy) from error
    # What is accepted inherits it. asyncio sets it only on sockets that were made for TCP by name, and
    # without it a vote behind another waits 40 ms for the other side's delayed ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.settimeout(0)
    return listener
