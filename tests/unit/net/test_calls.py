"""Tests of hansa.net.calls."""

import pytest

from hansa import limits
from hansa.codec import encode
from hansa.errors import DeniedError, HansaError, ProtocolError, UnavailableError
from hansa.net.calls import (
    Call,
    CallTable,
    ServedCalls,
    encode_answer,
    encode_failure,
)


def test_a_call_is_settled_once_by_its_number():
    """Answers may come in any order; a second one, or one after a cancel, is dropped."""
    table = CallTable()
    first, data = table.open("m", b"p", 0)
    second, _ = table.open("m", b"q", 0)
    assert data == encode(Call(first, "m", b"p"))
    assert len(table) == 2
    assert table.settle_answer(encode_answer(second, b"two")).outcome == b"two"
    settled = table.settle_failure(encode_failure(first, DeniedError("no", remedy="ask")))
    assert isinstance(settled.outcome, DeniedError)
    assert settled.outcome.remedy == "ask"
    assert table.settle_answer(encode_answer(first, b"again")) is None
    third, _ = table.open("m", b"", 0)
    table.abandon(third)
    assert table.settle_answer(encode_answer(third, b"late")) is None
    assert len(table) == 0


def test_answers_to_calls_never_made_end_the_link():
    """A number of the future, zero, less than zero, or bytes that are no answer."""
    table = CallTable()
    table.open("m", b"", 0)
    for number in (0, -1, 2, 2**62):
        with pytest.raises(ProtocolError):
            table.settle_answer(encode_answer(number, b""))
    for data in (b"", b"x", encode((1, 2))):
        with pytest.raises(ProtocolError):
            table.settle_answer(data)
        with pytest.raises(ProtocolError):
            table.settle_failure(data)


def test_calls_expire_at_their_deadline_and_not_before():
    """Both sides of the boundary."""
    table = CallTable()
    number, _ = table.open("m", b"", 1_000)
    assert table.expire(1_000 + limits.PEER_CALL_DEADLINE_MS - 1) == []
    (late,) = table.expire(1_000 + limits.PEER_CALL_DEADLINE_MS)
    assert late.number == number
    assert isinstance(late.outcome, UnavailableError)
    assert len(table) == 0


def test_calls_in_flight_are_bounded():
    """One more than the bound is refused; after one is settled there is room."""
    table = CallTable()
    for _ in range(limits.PEER_CALLS_IN_FLIGHT_MAX):
        number, _ = table.open("m", b"", 0)
    with pytest.raises(UnavailableError):
        table.open("m", b"", 0)
    table.abandon(number)
    table.open("m", b"", 0)


def test_an_unknown_code_is_a_plain_error():
    """A newer node may know errors that this one does not."""
    table = CallTable()
    table.open("m", b"", 0)
    assert type(table.settle_failure(encode((1, "novel", "x", ""))).outcome) is HansaError


def test_served_calls_are_bounded_in_number_and_bytes():
    """Beyond either the caller is told to try later, and the link stands."""
    served = ServedCalls()
    for number in range(1, limits.PEER_CALLS_IN_FLIGHT_MAX + 1):
        assert served.admit(encode(Call(number, "m", b"")))[1] is None
    call, refusal = served.admit(encode(Call(number + 1, "m", b"")))
    assert isinstance(refusal, UnavailableError)
    served.finish(1)
    assert served.admit(encode(Call(number + 2, "m", b"")))[1] is None
    assert len(served) == limits.PEER_CALLS_IN_FLIGHT_MAX
    assert call.number == number + 1
    served = ServedCalls()
    half = bytes(limits.PEER_CALL_BYTES_WAITING_MAX // 2)
    assert served.admit(encode(Call(1, "m", half)))[1] is None
    assert served.admit(encode(Call(2, "m", half)))[1] is not None
    served.finish(1)
    assert served.admit(encode(Call(3, "m", half)))[1] is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        encode(Call(5, "m", b"")),
        encode(Call(4, "m", b"")),
        encode(Call(9, "m" * (limits.PEER_METHOD_CHARACTERS_MAX + 1), b"")),
    ],
)
def test_numbers_rise_and_names_are_short(data):
    """Anything else ends the link."""
    served = ServedCalls()
    served.admit(encode(Call(5, "m", b"")))
    with pytest.raises(ProtocolError):
        served.admit(data)
