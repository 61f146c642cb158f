"""The application: routes, the guard before /v1, problem documents, one log line for each request."""

import asyncio
import re
from typing import cast

from litestar import Litestar, Request, Response, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from typing_extensions import override
from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)

import hansa
from hansa import limits
from hansa.errors import HansaError, InvalidError, UnavailableError
from hansa.node.api import (
    blocks,
    datasets,
    public,
    questions,
    reads,
    requests,
    status,
    store,
    transactions,
)
from hansa.node.api.guard import require_user
from hansa.node.api.problems import (
    PROBLEM_TYPE,
    AnyRequest,
    answer_expected,
    answer_framework,
    answer_unexpected,
    encode_problem,
    problem_of,
)
from hansa.node.api.services import Services

IN_FLIGHT_MAX = 512
BODY_PAUSE_S_MAX = 20
SEND_S_MAX = 60
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"strict-transport-security", b"max-age=31536000"),
]


class Gateway:
    """Around the whole application: correlation ids, a bound on work in flight, figures, a log line."""

    def __init__(self, app: ASGI3Application, services: Services) -> None:
        self._app = app
        self._services = services
        self._in_flight = 0

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        services = self._services
        request_id = self._request_id(scope)
        scope["hansa_request_id"] = request_id  # type: ignore[typeddict-unknown-key]
        start_ms = services.clock.monotonic_ms()
        status = 0

        async def send_marked(message: ASGISendEvent) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in HEADERS if name not in present),
                    (b"x-request-id", request_id.encode()),
                ]
            # Whoever stops reading does not keep a place for ever.
            async with asyncio.timeout(SEND_S_MAX):
                await send(message)

        self._in_flight += 1
        try:
            if self._in_flight > IN_FLIGHT_MAX:
                await _refuse(send_marked, request_id)
            else:
                await self._app(scope, _hurry(receive), send_marked)
        finally:
            self._in_flight -= 1
            took_ms = services.clock.monotonic_ms() - start_ms
            method = scope["method"] if scope["method"] in _METHODS else "other"
            services.metrics.requests.labels(method=method, status=str(status)).inc()
            services.metrics.seconds.labels(method=method).observe(took_ms / 1000)
            services.log.info(
                "request", id=request_id, method=method, path=scope["path"][:200], status=status,
                ms=took_ms,
            )  # fmt: skip

    def _request_id(self, scope: HTTPScope) -> str:
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                text = value.decode("latin-1")
                if REQUEST_ID.fullmatch(text):
                    return str(text)
        return self._services.entropy.random_bytes(8).hex()


class SlowBodyError(InvalidError):
    """The caller stopped in the middle of a body."""

    http_status = 408


def _hurry(receive: ASGIReceiveCallable) -> ASGIReceiveCallable:
    """Bound the wait for each next part of a body; what follows a whole body may take its time."""
    is_whole = False

    async def receive_soon() -> ASGIReceiveEvent:
        nonlocal is_whole
        if is_whole:
            return await receive()
        try:
            async with asyncio.timeout(BODY_PAUSE_S_MAX):
                message = await receive()
        except TimeoutError as error:
            raise SlowBodyError(
                f"Nothing more of the body came in {BODY_PAUSE_S_MAX} s.", remedy="Send it again."
            ) from error
        is_whole = message["type"] != "http.request" or not message["more_body"]
        return message

    return receive_soon


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})


async def _refuse(send: ASGISendCallable, request_id: str) -> None:
    error = UnavailableError("The node is busy.", remedy="Try again in a second.")
    body = encode_problem(problem_of(error, request_id))
    headers = [(b"content-type", PROBLEM_TYPE.encode()), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class ApiRequest(Request[object, object, State]):
    """A request whose JSON body is refused, not a defect, where the parser itself gives up."""

    @override
    async def json(self) -> object:
        """Return the body's JSON value.

        Raises:
            InvalidError: nested beyond all reason, or no UTF-8.
        """
        try:
            return await super().json()
        except RecursionError as error:
            raise InvalidError("The body is nested too deeply.") from error
        except UnicodeDecodeError as error:
            raise InvalidError("The body is not UTF-8.") from error


def create_app(services: Services) -> Gateway:
    """Return the ASGI application of a node."""

    def provide_services() -> Services:
        return services

    def answer_defect(request: AnyRequest, error: Exception) -> Response[bytes]:
        services.log.error(
            "request-failed", id=request.scope.get("hansa_request_id", ""), exc_info=error
        )
        return answer_unexpected(request, error)

    handlers = [
        *status.HANDLERS,
        *transactions.HANDLERS,
        *blocks.HANDLERS,
        *datasets.HANDLERS,
        *reads.HANDLERS,
        *questions.HANDLERS,
        *store.HANDLERS,
        *requests.HANDLERS,
    ]
    app = Litestar(
        route_handlers=[
            *public.HANDLERS,
            Router(path="/v1", route_handlers=handlers, guards=[require_user]),
        ],
        dependencies={"services": Provide(provide_services, sync_to_thread=False)},
        exception_handlers={
            HansaError: answer_expected,
            HTTPException: answer_framework,
            Exception: answer_defect,
        },
        request_class=ApiRequest,
        request_max_body_size=limits.REQUEST_BODY_BYTES_MAX,
        openapi_config=OpenAPIConfig(
            title="Hansa node",
            version=hansa.__version__,
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
        ),
        logging_config=None,
    )
    app.state.services = services
    # Litestar types the same protocol with its own names.
    return Gateway(cast("ASGI3Application", app), services)
