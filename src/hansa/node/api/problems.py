"""Errors as problem details (RFC 9457): a code and a remedy, never a stack trace."""

import http

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from hansa.errors import (
    ConflictError,
    DeniedError,
    HansaError,
    InvalidError,
    MissingError,
    UnauthenticatedError,
    UnavailableError,
)

PROBLEM_TYPE = "application/problem+json"
DETAIL_CHARACTERS_MAX = 1_000
RETRY_AFTER_S = "1"

AnyRequest = Request[object, object, State]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One problem document."""

    type: str
    """urn:hansa:problem:<code>."""
    title: str
    status: int
    code: str
    detail: str
    remedy: str
    retryable: bool
    instance: str
    """The request's correlation id, as in the header X-Request-Id."""


_BY_STATUS: dict[int, type[HansaError]] = {
    401: UnauthenticatedError,
    403: DeniedError,
    404: MissingError,
    409: ConflictError,
    503: UnavailableError,
}


def problem_of(error: HansaError, instance: str, *, status: int | None = None) -> Problem:
    """Return the document for an expected failure."""
    status = error.http_status if status is None else status
    return Problem(
        type=f"urn:hansa:problem:{error.code}",
        title=http.HTTPStatus(status).phrase,
        status=status,
        code=error.code,
        detail=error.message[:DETAIL_CHARACTERS_MAX],
        remedy=error.remedy,
        retryable=error.retryable,
        instance=instance,
    )


def encode_problem(problem: Problem) -> bytes:
    """Return the document's bytes."""
    return msgspec.json.encode(problem)


def answer_expected(request: AnyRequest, error: HansaError) -> Response[bytes]:
    """Answer one of our own errors."""
    response = _response(problem_of(error, _instance(request)))
    length = request.scope.get("hansa_content_length")
    if error.http_status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        response.headers["Content-Range"] = f"bytes */{length}"
    return response


def answer_framework(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Answer what the framework refused: an unknown path, a body that does not parse, too much of it."""
    kind = _BY_STATUS.get(error.status_code, InvalidError)
    extra = error.extra
    detail = error.detail or http.HTTPStatus(error.status_code).phrase
    if isinstance(extra, list) and extra and isinstance(extra[0], dict):
        first = extra[0]
        detail = f"{first.get('key', 'body')}: {first.get('message', detail)}"
    problem = problem_of(
        kind(detail, remedy=_REMEDIES.get(error.status_code, "")),
        _instance(request),
        status=error.status_code,
    )
    response = _response(problem)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


_REMEDIES = {
    400: "See /openapi.json for what this call takes.",
    404: "See /openapi.json for the paths there are.",
    405: "See /openapi.json for the methods there are.",
    413: "Send less at once.",
}


def answer_unexpected(request: AnyRequest, _error: Exception) -> Response[bytes]:
    """Answer a defect of ours: the log has the details, under the correlation id."""
    error = HansaError(
        "The node failed at this request.",
        remedy="Its operator finds the cause in log/node.log under this request's id.",
    )
    return _response(problem_of(error, _instance(request)))


def _response(problem: Problem) -> Response[bytes]:
    headers = {}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.retryable:
        headers["Retry-After"] = RETRY_AFTER_S
    return Response(
        encode_problem(problem),
        status_code=problem.status,
        media_type=PROBLEM_TYPE,
        headers=headers,
    )


def _instance(request: AnyRequest) -> str:
    return str(request.scope.get("hansa_request_id", ""))
