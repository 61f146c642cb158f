"""One connection to the API: bounded in number and in how long it may stay without a request.

uvicorn starts a timer only after a first answer, and drops it at the next byte: whoever connects and
says nothing, or goes on in drips, would keep a place for ever. Here a connection without a request
in work is closed after a while, whatever arrives; and what is no HTTP gets a problem document.
"""

import asyncio

import h11
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from hansa.errors import InvalidError
from hansa.node.api.problems import PROBLEM_TYPE, encode_problem, problem_of

CONNECTIONS_MAX = 1_024
IDLE_S_MAX = 30
"""From the start or the last answer to the whole head of the next request."""


class ApiConnection(H11Protocol):
    """HTTP/1.1 with a deadline for each head, and a bound on connections."""

    deadline: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, unless there are too many: then the oldest without a request goes."""
        super().connection_made(transport)
        self._expect_head()
        if len(self.connections) > CONNECTIONS_MAX:
            idle = [
                other
                for other in self.connections
                if isinstance(other, ApiConnection) and other is not self and other.is_idle
            ]
            min(idle, key=_deadline_of, default=self).close_now()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._forget_deadline()
        super().connection_lost(exc)

    @override
    def on_response_complete(self) -> None:
        """Expect the next request's head in time."""
        super().on_response_complete()
        self._expect_head()

    @override
    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with a problem document, and close."""
        error = InvalidError(msg, remedy="Send HTTP/1.1; a head has at most 32 KiB.")
        headers = [("content-type", PROBLEM_TYPE), ("connection", "close")]
        events: list[h11.Event] = [
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=encode_problem(problem_of(error, ""))),
            h11.EndOfMessage(),
        ]
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    @property
    def is_idle(self) -> bool:
        """Tell whether no request is in work."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def close_now(self) -> None:
        """Drop the connection."""
        self._forget_deadline()
        self.transport.abort()

    def _expect_head(self) -> None:
        self._forget_deadline()
        self.deadline = self.loop.call_later(IDLE_S_MAX, self._end_idle, self.cycle)

    def _end_idle(self, before: RequestResponseCycle | None) -> None:
        """Close, if no request has begun since."""
        if self.cycle is before:
            self.close_now()

    def _forget_deadline(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None


def _deadline_of(connection: ApiConnection) -> float:
    return connection.deadline.when() if connection.deadline is not None else 0.0
