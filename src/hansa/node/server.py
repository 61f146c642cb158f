"""The API's HTTPS server: uvicorn inside the daemon's loop, with the node's own certificate."""

import contextlib
import socket
import ssl
from asyncio import sslproto
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from typing_extensions import override
from uvicorn._types import ASGIApplication

from hansa.errors import ConflictError, InvalidError
from hansa.node.connection import IDLE_S_MAX, ApiConnection

BACKLOG = 256
STOP_S_MAX = 3
HEAD_BYTES_MAX = 32_768
READ_BUFFER_BYTES = 65_536


class ApiServer(uvicorn.Server):
    """A server that leaves signals to the daemon."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def make_context(certificate: Path, key: Path, passphrase: bytes | None) -> ssl.SSLContext:
    """Return the TLS 1.3 context of the node; clients pin its certificate.

    Raises:
        InvalidError: certificate and key do not belong together or cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(certificate, key, password=lambda: passphrase or b"")
    except (ssl.SSLError, OSError) as error:
        raise InvalidError(
            f"{certificate} and {key} cannot be used for TLS.",
            remedy="Both must be of this node; make the node's folder anew if one is lost.",
        ) from error
    return context


def bind(host: str, port: int, key: str) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConflictError: the port is in use or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # What is accepted inherits it. asyncio sets it only on sockets that were made for TCP by name,
        # and without it the second part of an answer waits 40 ms for the caller's delayed ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConflictError(
            f"Cannot listen on {host}:{port}: {error.strerror}.",
            remedy=f"Stop what uses the port, or choose another in node.toml: {key}.",
        ) from error
    listener.setblocking(False)  # noqa: FBT003 - the standard library's own form
    return listener


def make_server(app: ASGIApplication, context: ssl.SSLContext) -> ApiServer:
    """Return a server for an ASGI application."""
    config = uvicorn.Config(
        app,
        http=ApiConnection,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        date_header=False,
        timeout_keep_alive=IDLE_S_MAX,
        timeout_graceful_shutdown=STOP_S_MAX,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        proxy_headers=False,
    )
    # asyncio keeps a buffer of this size for each TLS connection: a thousand silent callers would
    # cost 256 MiB by its default.
    sslproto.SSLProtocol.max_size = READ_BUFFER_BYTES
    config.load()
    config.ssl = context
    return ApiServer(config)
