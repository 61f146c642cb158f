"""Tests of node.api.problems."""

import json

import pytest

from hansa.errors import ERRORS_BY_CODE, DiskFullError
from hansa.node.api.problems import encode_problem, problem_of


@pytest.mark.parametrize("kind", ERRORS_BY_CODE.values())
def test_every_error_has_a_document(kind) -> None:
    """Code, status, remedy and whether to retry come from the error's class."""
    told = json.loads(encode_problem(problem_of(kind("What.", remedy="Do."), "id-1")))
    assert {
        "type": f"urn:hansa:problem:{kind.code}",
        "title": told["title"],
        "status": kind.http_status,
        "code": kind.code,
        "detail": "What.",
        "remedy": "Do.",
        "retryable": kind.retryable,
        "instance": "id-1",
    } == told


def test_bounded() -> None:
    """A long message is cut."""
    assert len(problem_of(DiskFullError("x" * 9_999), "id").detail) == 1_000


async def test_defect_tells_nothing(live) -> None:
    """A defect of ours answers 500 without its text, and is in the log under the request's id."""

    def fail(*_arguments: object) -> None:
        raise RuntimeError("MARKER of a defect")

    live.services.health.disk_free_bytes = fail
    status, body, headers = await live.call("GET", "/metrics", token="")
    assert (500, "error") == (status, json.loads(body)["code"])
    assert b"MARKER" not in body
    log = (live.member.folder / "log" / "node.log").read_text()
    assert "MARKER" in log
    assert headers["X-Request-Id"] in log


async def test_framework_refusals(live) -> None:
    """Unknown paths, methods and arguments get documents too."""
    for method, path, status in (
        ("GET", "/nowhere", 404),
        ("GET", "/v1/nowhere", 404),
        ("DELETE", "/v1/status", 405),
        ("GET", "/v1/blocks?limit=many", 400),
        ("GET", "/v1/blocks/many", 404),
    ):
        found = await live.refused(method, path)
        assert status == found["status"], path
        assert found["remedy"], path
