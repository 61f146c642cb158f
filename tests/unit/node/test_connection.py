"""Tests of node.connection: who holds connections open is closed, the others are served."""

import asyncio
import contextlib
import json
import ssl

import pytest

from hansa.node import connection as module


async def connect(live) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection to the node's API."""
    port = int(live.member.url.rsplit(":", 1)[1])
    return await asyncio.open_connection("127.0.0.1", port, ssl=live.member.context())


async def rest_of(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return what comes until the other side closes; close this side too."""
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    except (ConnectionError, ssl.SSLError):
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


async def test_silence_and_drips_are_ended(live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither saying nothing nor sending a head in drips holds a place."""
    monkeypatch.setattr(module, "IDLE_S_MAX", 0.2)
    silent = await connect(live)
    dripping, writer = await connect(live)

    async def drip() -> None:
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        drips = group.create_task(drip())
        assert b"" == await rest_of(*silent)
        assert b"" == await rest_of(dripping, writer)
        drips.cancel()


async def test_a_body_after_the_answer_does_not_hold_a_place(live, monkeypatch) -> None:
    """An answered request whose body goes on for ever is ended too."""
    monkeypatch.setattr(module, "IDLE_S_MAX", 0.2)
    reader, writer = await connect(live)
    writer.write(b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\nx")
    assert b"401 Unauthorized" in await rest_of(reader, writer)


async def test_of_too_many_the_oldest_idle_one_goes(live, monkeypatch) -> None:
    """A newcomer is served even when strangers hold all places."""
    monkeypatch.setattr(module, "CONNECTIONS_MAX", 3)
    held = [await connect(live) for _ in range(4)]
    assert b"" == await rest_of(*held[0])
    status, _, _ = await live.call("GET", "/healthz/live", token="")
    assert 200 == status
    for _, writer in held[1:]:
        writer.close()


async def test_what_is_no_http_gets_a_problem_document(live) -> None:
    """Garbage and an endless head are answered once and closed."""
    for data in (b"\x00\x01garbage\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000):
        reader, writer = await connect(live)
        writer.write(data)
        head, _, body = (await rest_of(reader, writer)).partition(b"\r\n\r\n")
        assert b"application/problem+json" in head
        assert (400, "invalid") == (json.loads(body)["status"], json.loads(body)["code"])
