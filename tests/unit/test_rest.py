"""The REST contract: every value survives its encoding, octets are canonical, the table is served."""

import re
import typing

import msgspec
import pytest

from hansa import rest
from hansa.codec import decode, encode
from hansa.errors import InvalidError
from hansa.node.api import (
    blocks,
    datasets,
    public,
    questions,
    requests,
    status,
    store,
    transactions,
)

VALUES = [
    kind
    for kind in vars(rest).values()
    if isinstance(kind, type)
    and issubclass(kind, msgspec.Struct)
    and kind.__module__ == "hansa.rest"
    and not kind.__name__.startswith("_")
]


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_each_value_refuses_unknown_fields(kind: type[msgspec.Struct]) -> None:
    """A field that is none is refused, so that a typing error never passes unseen."""
    config = kind.__struct_config__
    assert config.forbid_unknown_fields
    assert config.frozen


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_octets_hold_no_float(kind: type[msgspec.Struct]) -> None:
    """What travels in the canonical encoding has one encoding."""
    if kind.__struct_config__.array_like:
        assert float not in typing.get_type_hints(kind).values()


def test_wrap_digest_binds_all() -> None:
    """Another request, salt or wrap gives another digest."""
    base = rest.WrapSet(b"r" * 16, b"s" * 32, ((1, b"w"),))
    others = [
        rest.WrapSet(b"q" * 16, b"s" * 32, ((1, b"w"),)),
        rest.WrapSet(b"r" * 16, b"t" * 32, ((1, b"w"),)),
        rest.WrapSet(b"r" * 16, b"s" * 32, ((2, b"w"),)),
        rest.WrapSet(b"r" * 16, b"s" * 32, ((1, b"v"),)),
    ]
    digests = {rest.compute_wrap_digest(value) for value in (base, *others)}
    assert len(digests) == 5
    assert decode(rest.WrapSet, encode(base)) == base
    with pytest.raises(InvalidError):
        decode(rest.WrapSet, encode(base) + b"\0")


def test_question_round_trips_as_json() -> None:
    """A question is the same after JSON; a wrong type is refused."""
    question = rest.Question(words="bus", bbox=[1.0, 2.0, 3.0, 4.0], limit=5)
    assert msgspec.json.decode(msgspec.json.encode(question), type=rest.Question) == question
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"limit": "many"}', type=rest.Question)


def test_every_promised_path_is_served() -> None:
    """Each path of the contract's table is one of the application's routes."""
    table = set(
        re.findall(r"^    (?:GET|POST|PUT) +(/\S+?)(?:\?\S*)? ", rest.__doc__ or "", re.MULTILINE)
    )
    assert len(table) > 25
    rooms = [public, status, transactions, blocks, datasets, questions, store, requests]
    served = set()
    for room in rooms:
        prefix = "" if room is public else "/v1"
        served |= {prefix + path for handler in room.HANDLERS for path in handler.paths}
    plain = {re.sub(r"\{[^}]*\}", "{}", path) for path in served}
    assert {re.sub(r"\{[^}]*\}", "{}", path) for path in table} <= plain
