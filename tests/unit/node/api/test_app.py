"""Tests of node.api.app: what holds for every request."""

import asyncio
import json

import pytest

from hansa.node.api import app as module


async def test_request_ids(live) -> None:
    """A sane id of the caller is taken over, another is replaced; it stands in the log."""
    _, _, headers = await live.call("GET", "/v1/status", headers={"X-Request-Id": "my-id.1"})
    assert headers["X-Request-Id"] == "my-id.1"
    for odd in ("x" * 100, "a b", '"{}'):
        _, _, headers = await live.call("GET", "/v1/status", headers={"X-Request-Id": odd})
        assert odd != headers["X-Request-Id"]
    log = (live.member.folder / "log" / "node.log").read_text()
    assert '"my-id.1"' in log


async def test_headers_and_counts(live) -> None:
    """Answers are not to be kept or guessed at; each is counted."""
    _, _, headers = await live.call("GET", "/v1/status")
    assert ("nosniff", "no-store") == (headers["X-Content-Type-Options"], headers["Cache-Control"])
    _, body, _ = await live.call("GET", "/metrics")
    assert b'hansa_api_requests_total{method="GET",status="200"}' in body


async def test_busy(live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound of work in flight a caller is told to come again."""
    monkeypatch.setattr(module, "IN_FLIGHT_MAX", 0)
    status, body, headers = await live.call("GET", "/v1/status")
    assert (503, "unavailable", True) == (
        status,
        json.loads(body)["code"],
        json.loads(body)["retryable"],
    )
    assert headers["Retry-After"] == "1"


async def test_every_call_under_v1_needs_a_token(live) -> None:
    """No call but the public ones answers without a token."""
    _, body, _ = await live.call("GET", "/openapi.json", token="")
    paths = json.loads(body)["paths"]
    assert len(paths) >= 30
    for path, calls in paths.items():
        filled = path.replace("{number}", "1").replace("{height}", "1")
        for method in calls:
            status, _, _ = await live.call(method.upper(), filled, token="")
            is_public = path in {"/healthz/live", "/healthz/ready", "/metrics", "/v1/genesis"}
            assert (200 if is_public else 401) == status, (method, path)


async def test_no_secret_is_logged(live) -> None:
    """Tokens, bodies and sealed bytes are not in the log."""
    done = await live.submit()
    assert done.status == "committed"
    log = (live.member.folder / "log" / "node.log").read_text()
    assert "Bearer" not in log
    assert live.member.token().split(".")[0] not in log


async def test_a_body_that_stops_is_given_up(live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that sends half a body does not keep its place; a whole one may wait for an answer."""
    monkeypatch.setattr(module, "BODY_PAUSE_S_MAX", 0.1)

    async def half():
        yield b"\x93"
        await asyncio.sleep(10)

    headers = {"Content-Type": "application/octet-stream", "Content-Length": "100"}
    found = await live.refused("POST", "/v1/transactions", data=half(), headers=headers)
    assert (408, "invalid") == (found["status"], found["code"])
    status, _, _ = await live.call("GET", f"/v1/transactions/{'0' * 64}?wait_ms=300")
    assert 404 == status


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"words": "\xff"}', b"{"])
async def test_json_that_no_parser_follows_is_refused(live, body: bytes) -> None:
    """Nested too deeply, no UTF-8, cut off: the caller's fault, not a defect of the node."""
    headers = {"Content-Type": "application/json"}
    found = await live.refused("POST", "/v1/questions", data=body, headers=headers)
    assert (400, "invalid") == (found["status"], found["code"])
