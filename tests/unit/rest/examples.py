"""A value of each kind of the REST contract, made from the types of its fields, and what all kinds keep."""

from types import ModuleType
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from hansa.codec import decode, encode
from hansa.errors import InvalidError


def values_of(module: ModuleType) -> Any:
    """Return the mark that gives a test each kind of a module in turn."""
    kinds = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, msgspec.Struct)
        and kind.__module__ == module.__name__
    ]
    assert kinds
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.__name__)


def check(kind: type[msgspec.Struct]) -> None:
    """Check that a kind survives its encoding, is frozen, and refuses what is missing, more or of another type."""
    assert kind.__struct_config__.forbid_unknown_fields
    assert kind.__struct_config__.frozen
    value = example(inspect.type_info(kind))
    if kind.__struct_config__.array_like:
        _check_octets(kind, value)
    else:
        _check_json(kind, value)


def _check_octets(kind: type[msgspec.Struct], value: Any) -> None:
    """One encoding only: no float, nothing before or after it."""
    assert decode(kind, encode(value)) == value
    assert not any(isinstance(field.type, inspect.FloatType) for field in _fields(kind))
    for wrong in (encode(value) + b"\0", encode(value)[:-1], b""):
        with pytest.raises(InvalidError):
            decode(kind, wrong)


def _check_json(kind: type[msgspec.Struct], value: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(value), type=kind) == value
    told = msgspec.to_builtins(value)
    wrong = [told | {"more": 1}]
    for field in _fields(kind):
        if field.required:
            wrong.append({key: part for key, part in told.items() if key != field.encode_name})
        wrong.append(told | {field.encode_name: {"another": {"kind": [None]}}})
    for item in wrong:
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(msgspec.json.encode(item), type=kind)


def _fields(kind: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return found.fields


def example(kind: inspect.Type) -> Any:
    """Return some value of a type; numbers are no booleans, lists hold one item."""
    match kind:
        case inspect.StructType():
            return kind.cls(**{field.name: example(field.type) for field in kind.fields})
        case inspect.ListType() | inspect.VarTupleType():
            made = [example(kind.item_type)]
            return made if isinstance(kind, inspect.ListType) else tuple(made)
        case inspect.TupleType():
            return tuple(map(example, kind.item_types))
        case inspect.DictType():
            return {example(kind.key_type): example(kind.value_type)}
        case inspect.UnionType():
            return example(next(t for t in kind.types if not isinstance(t, inspect.NoneType)))
        case inspect.LiteralType():
            return kind.values[0]
    plain = {
        "IntType": 7,
        "StrType": "text",
        "BytesType": b"bytes",
        "BoolType": True,
        "FloatType": 1.5,
        "CustomType": "any",
    }
    return plain[type(kind).__name__]
