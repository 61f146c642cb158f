"""Transport: pinned TLS, tokens, problems as errors, bounded retries; on real sockets."""

import asyncio
import contextlib
import ssl

import jwt
import msgspec
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hansa import limits
from hansa.client.transport import Caller, Transport, pinned_context, to_error
from hansa.crypto.signing import SigningKey
from hansa.errors import (
    ConflictError,
    DeniedError,
    DiskFullError,
    HansaError,
    InvalidError,
    MissingError,
    ProtocolError,
    UnauthenticatedError,
    UnavailableError,
)
from hansa.keyfile import certificate_pem, create_certificate, create_key_file
from hansa.rest import Health, LookupRequest

from .conftest import CountedEntropy

USER, NODE = SigningKey(b"u" * 32), SigningKey(b"n" * 32)


def _problem(status: int, **members: object) -> web.Response:
    return web.json_response(members, status=status, content_type="application/problem+json")


class Server:
    """A node's API that answers from a list."""

    def __init__(self, tmp_path) -> None:
        self.answers: list = []
        self.requests: list[tuple[str, str, bytes, dict]] = []
        self.certificate = create_certificate(NODE, "node")
        (tmp_path / "c.pem").write_bytes(certificate_pem(self.certificate))
        create_key_file(tmp_path / "k.pem", "signing", NODE.seed(), None)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
        self.port = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request.method, str(request.rel_url), body, dict(request.headers)))
        answer = self.answers.pop(0)
        return answer(request) if callable(answer) else answer


@contextlib.asynccontextmanager
async def _serving(tmp_path, clock, certificate: bytes | None = None):
    server = Server(tmp_path)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server.context)
    await site.start()
    server.port = runner.addresses[0][1]
    pauses = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    server.pauses = pauses
    pem = certificate_pem(certificate or server.certificate).decode()
    caller = Caller(USER, NODE.public, clock)
    url = f"https://127.0.0.1:{server.port}"
    try:
        async with Transport(url, pem, caller, CountedEntropy(), pause=pause) as transport:
            yield server, transport
    finally:
        await runner.cleanup()


HEALTH = {"ready": True, "reasons": []}


async def test_json_and_octets(tmp_path, clock):
    """Calls carry a token of the user for this node, and come back as values."""
    async with _serving(tmp_path, clock) as (server, transport):
        server.answers = [web.json_response(HEALTH), web.Response(body=b"\x01")]
        health = await transport.get("/v1/x", Health, {"a": 1, "b": True})
        assert health == Health(ready=True, reasons=[])
        assert await transport.post_octets("/v1/y", LookupRequest(()), int) == 1
        method, url, _, headers = server.requests[0]
        assert (method, url) == ("GET", "/v1/x?a=1&b=true")
        token = headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(
            token,
            Ed25519PublicKey.from_public_bytes(USER.public),
            algorithms=["EdDSA"],
            audience=NODE.public.hex(),
            options={"verify_exp": False, "verify_iat": False},
        )
        assert claims["exp"] - claims["iat"] <= limits.TOKEN_LIFETIME_S_MAX
        assert jwt.get_unverified_header(token)["kid"] == USER.public.hex()
        assert server.requests[1][3]["Content-Type"] == "application/octet-stream"


async def test_only_the_pinned_certificate_is_trusted(tmp_path, clock):
    """A server with another certificate is refused at once, though its name is right."""
    stranger = create_certificate(SigningKey(b"s" * 32), "node")
    async with _serving(tmp_path, clock, stranger) as (server, transport):
        with pytest.raises(DeniedError, match="does not show the certificate"):
            await transport.get("/v1/x", Health)
        assert server.requests == []


async def test_what_may_succeed_later_is_tried_again(tmp_path, clock):
    """A 503 is retried with growing pauses; anything else is told at once."""
    async with _serving(tmp_path, clock) as (server, transport):
        server.answers = [_problem(503), _problem(503), web.json_response(HEALTH)]
        assert (await transport.get("/v1/x", Health)).ready
        assert len(server.pauses) == 2
        server.answers = [_problem(409, code="conflict", detail="Taken.", remedy="Rename it.")]
        with pytest.raises(ConflictError, match=r"Taken\. Rename it\.") as told:
            await transport.get("/v1/x", Health)
        assert told.value.remedy == "Rename it."
        server.answers = [_problem(503) for _ in range(limits.CLIENT_ATTEMPTS_MAX)]
        with pytest.raises(UnavailableError):
            await transport.get("/v1/x", Health)
        assert server.answers == []


async def test_a_refused_token_is_made_anew_once(tmp_path, clock):
    """After a node's clock jumped, a fresh token may do; a second refusal is final."""
    async with _serving(tmp_path, clock) as (server, transport):
        server.answers = [_problem(401), web.json_response(HEALTH)]
        assert (await transport.get("/v1/x", Health)).ready
        server.answers = [_problem(401), _problem(401, detail="Revoked.")]
        with pytest.raises(UnauthenticatedError, match="Revoked"):
            await transport.get("/v1/x", Health)


async def test_a_node_that_is_down_is_told(tmp_path, clock):
    """Nothing listens: unavailable, with what to do."""
    async with _serving(tmp_path, clock) as (server, _):
        port = server.port
    pem = certificate_pem(server.certificate).decode()
    caller = Caller(USER, NODE.public, clock)

    async def pause(_):
        await asyncio.sleep(0)

    url = f"https://127.0.0.1:{port}"
    async with Transport(url, pem, caller, CountedEntropy(), pause=pause) as transport:
        with pytest.raises(UnavailableError, match="cannot be reached"):
            await transport.get("/v1/x", Health)


async def test_ranges_must_be_those_asked_for(tmp_path, clock):
    """Another status, range or length is refused."""
    async with _serving(tmp_path, clock) as (server, transport):
        good = {"Content-Range": "bytes 5-7/100"}
        server.answers = [web.Response(status=206, body=b"abc", headers=good)]
        assert await transport.get_range("/c", 5, 3) == b"abc"
        assert server.requests[0][3]["Range"] == "bytes=5-7"
        for answer in (
            web.Response(status=200, body=b"abc", headers=good),
            web.Response(status=206, body=b"abc", headers={"Content-Range": "bytes 6-8/100"}),
            web.Response(status=206, body=b"ab", headers=good),
            web.Response(status=206, body=b"abcd", headers=good),
        ):
            server.answers = [answer]
            with pytest.raises(ProtocolError):
                await transport.get_range("/c", 5, 3)


async def test_absurd_answers_are_refused(tmp_path, clock):
    """Too long, no JSON, JSON of another kind, a redirect elsewhere."""
    async with _serving(tmp_path, clock) as (server, transport):
        server.answers = [web.Response(body=b"x" * 11)]
        with pytest.raises(ProtocolError, match="longer"):
            await transport.get_octets("/x", bytes_max=10)
        for body in (b"{", b'{"ready": 3}'):
            server.answers = [web.Response(body=body)]
            with pytest.raises(ProtocolError, match="not understood"):
                await transport.get("/x", Health)
        server.answers = [web.Response(status=302, headers={"Location": "https://127.0.0.2/"})]
        with pytest.raises(ProtocolError):
            await transport.get("/x", Health)


async def test_puts_and_submissions(tmp_path, clock):
    """Both send the canonical encoding."""
    async with _serving(tmp_path, clock) as (server, transport):
        server.answers = [web.Response(status=204), web.json_response(HEALTH)]
        await transport.send_octets("PUT", "/w", LookupRequest((b"a",)))
        assert (await transport.submit("/t", LookupRequest(()), Health)).ready
        assert server.requests[0][:3] == ("PUT", "/w", b"\x91\x91\xc4\x01a")
        server.answers = [web.json_response(HEALTH)]
        await transport.post("/q", {"a": 1}, Health)
        assert server.requests[2][2] == b'{"a":1}'


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, b"", MissingError),
        (500, b"<html>", ProtocolError),
        (413, b"{}", InvalidError),
        (507, b"{}", DiskFullError),
        (400, b'{"code":"denied","title":"No."}', DeniedError),
        (400, b"[]", InvalidError),
    ],
)
def test_problems_become_errors(status, body, kind):
    """By code, else by status, whatever the body."""
    assert type(to_error(status, body)) is kind


def test_tokens_are_kept_until_they_are_old(clock):
    """One token serves many calls; an old one, or one from a clock set back, is replaced."""
    caller = Caller(USER, NODE.public, clock)
    first = caller.token()
    clock.time_ms += 200_000
    assert caller.token() == first
    clock.time_ms += 71_000
    second = caller.token()
    assert second != first
    clock.time_ms -= 3_600_000
    assert caller.token() not in (first, second)
    caller.forget()
    assert caller.token()


def test_a_bad_certificate_is_invalid():
    """A profile without a certificate says so before anything is sent."""
    with pytest.raises(InvalidError):
        pinned_context("no certificate")


async def test_a_deadline_ends_a_call(tmp_path, clock, monkeypatch):
    """A node that accepts and never answers is unavailable after the deadline."""
    monkeypatch.setattr(limits, "CLIENT_CALL_S_MAX", 0.01)
    monkeypatch.setattr(limits, "CLIENT_ATTEMPTS_MAX", 2)
    async with _serving(tmp_path, clock) as (_, transport):
        release = asyncio.Event()

        async def hold(*_, **__):
            await release.wait()
            return web.Response()

        transport._attempt = hold
        with pytest.raises(UnavailableError, match="in time"):
            await transport.get("/x", Health)
        release.set()


def test_answers_are_json(clock):
    """Problem documents are read leniently: unknown members do not matter."""
    body = msgspec.json.encode({"code": "missing", "detail": "Gone.", "other": [1]})
    assert str(to_error(404, body)) == "Gone."


async def test_health_is_asked_once(tmp_path, clock, monkeypatch):
    """Not ready is an answer and no error; a node that does not answer is told so, without retries."""
    async with _serving(tmp_path, clock) as (server, transport):
        unready = {"ready": False, "reasons": ["not synced"]}
        server.answers = [
            web.json_response(HEALTH),
            web.json_response(unready, status=503),
            web.json_response(unready, status=500),
        ]
        assert Health(ready=True, reasons=[]) == await transport.get_health()
        assert Health(ready=False, reasons=["not synced"]) == await transport.get_health()
        assert ["/healthz/ready"] * 2 == [url for _, url, _, _ in server.requests]
        with pytest.raises(HansaError):
            await transport.get_health()
        assert [] == server.pauses

        async def hang(*_, **__):
            await asyncio.sleep(60)

        monkeypatch.setattr(limits, "CLIENT_CALL_S_MAX", 0.01)
        monkeypatch.setattr(transport, "_attempt", hang)
        with pytest.raises(UnavailableError, match="in time"):
            await transport.get_health()
