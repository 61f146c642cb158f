"""Calls over a link: requests, their answers, deadlines and bounds on both sides. Sans-I/O.

Upon a call, the caller's table gives it a number; upon ANSWER or FAILURE it is settled; upon its
deadline it is settled as unavailable, and an answer that comes later is dropped.
"""

from dataclasses import dataclass
from typing import TypeVar

import msgspec

from hansa import limits
from hansa.codec import decode, encode
from hansa.errors import (
    ERRORS_BY_CODE,
    HansaError,
    InvalidError,
    ProtocolError,
    UnavailableError,
)
from hansa.types import Millis

T = TypeVar("T")


class Call(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A request to the other node."""

    number: int
    """From 1, rising by one on each link."""
    method: str
    payload: bytes


class Answer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a call returned."""

    number: int
    payload: bytes


class Failure(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The error that a call ended with."""

    number: int
    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Settled:
    """The end of one call."""

    number: int
    outcome: bytes | HansaError


class CallTable:
    """The calls that this side waits for on one link."""

    def __init__(self) -> None:
        self._next = 1
        self._deadlines: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._deadlines)

    def open(self, method: str, payload: bytes, now_ms: Millis) -> tuple[int, bytes]:
        """Return a call's number and the payload of its CALL frame.

        Raises:
            UnavailableError: too many calls wait already.
        """
        if len(self._deadlines) >= limits.PEER_CALLS_IN_FLIGHT_MAX:
            raise UnavailableError(
                f"{limits.PEER_CALLS_IN_FLIGHT_MAX} calls to that node wait for an answer.",
                remedy="Try again in a moment.",
            )
        number = self._next
        data = encode(Call(number, method, payload))
        self._next += 1
        self._deadlines[number] = now_ms + limits.PEER_CALL_DEADLINE_MS
        return number, data

    def abandon(self, number: int) -> None:
        """Forget a call: its caller went away."""
        self._deadlines.pop(number, None)

    def settle_answer(self, data: bytes) -> Settled | None:
        """Return the call that an ANSWER ends; None if nobody waits any more.

        Raises:
            ProtocolError: malformed, or the answer to a call never made.
        """
        answer = _decode(Answer, data)
        return self._settle(answer.number, answer.payload)

    def settle_failure(self, data: bytes) -> Settled | None:
        """Return the call that a FAILURE ends, with the error of its code.

        Raises:
            ProtocolError: malformed, or the answer to a call never made.
        """
        failure = _decode(Failure, data)
        kind = ERRORS_BY_CODE.get(failure.code, HansaError)
        return self._settle(failure.number, kind(failure.message, remedy=failure.remedy))

    def _settle(self, number: int, outcome: bytes | HansaError) -> Settled | None:
        if not 0 < number < self._next:
            raise ProtocolError("An answer arrived to a call that was never made.")
        if self._deadlines.pop(number, None) is None:
            return None
        return Settled(number, outcome)

    def expire(self, now_ms: Millis) -> list[Settled]:
        """Return the calls whose deadline has passed; they are forgotten."""
        late = [number for number, deadline in self._deadlines.items() if deadline <= now_ms]
        for number in late:
            del self._deadlines[number]
        error = "The other node did not answer in time."
        remedy = "Try again; if it stays so, ask its operator."
        return [Settled(number, UnavailableError(error, remedy=remedy)) for number in late]


class ServedCalls:
    """The calls that this side works on for one link: bounded in number and bytes."""

    def __init__(self) -> None:
        self._last = 0
        self._bytes: dict[int, int] = {}
        self._total_bytes = 0

    def __len__(self) -> int:
        return len(self._bytes)

    def admit(self, data: bytes) -> tuple[Call, HansaError | None]:
        """Take a CALL frame; return it with the error to answer at once, or None to serve it.

        Raises:
            ProtocolError: malformed, or numbers that do not rise.
        """
        call = _decode(Call, data)
        if call.number <= self._last or len(call.method) > limits.PEER_METHOD_CHARACTERS_MAX:
            raise ProtocolError(
                "A call arrived whose number was used before, or whose name is long."
            )
        self._last = call.number
        if (
            len(self._bytes) >= limits.PEER_CALLS_IN_FLIGHT_MAX
            or self._total_bytes + len(data) > limits.PEER_CALL_BYTES_WAITING_MAX
        ):
            return call, UnavailableError(
                "This node has too many calls of yours to work on.", remedy="Try again in a moment."
            )
        self._bytes[call.number] = len(data)
        self._total_bytes += len(data)
        return call, None

    def finish(self, number: int) -> None:
        """Give back a call's share of the bounds."""
        self._total_bytes -= self._bytes.pop(number)


def encode_answer(number: int, payload: bytes) -> bytes:
    """Return the payload of an ANSWER frame."""
    return encode(Answer(number, payload))


def encode_failure(number: int, error: HansaError) -> bytes:
    """Return the payload of a FAILURE frame."""
    return encode(Failure(number, error.code, error.message[:2_000], error.remedy[:1_000]))


def _decode(kind: type[T], data: bytes) -> T:
    try:
        return decode(kind, data)
    except InvalidError as error:
        raise ProtocolError(f"A malformed {kind.__name__} arrived.") from error
