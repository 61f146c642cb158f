"""No float, map, set or date stands in anything that is agreed on: each value has one encoding."""

import importlib
import pkgutil
from collections.abc import Iterator

import msgspec
import pytest
from msgspec import inspect

import hansa.chain
import hansa.consensus

ALLOWED = (
    inspect.IntType,
    inspect.StrType,
    inspect.BytesType,
    inspect.BoolType,
    inspect.NoneType,
    inspect.LiteralType,
)


def _structs() -> list[type[msgspec.Struct]]:
    found = set()
    for package in (hansa.chain, hansa.consensus):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and issubclass(value, msgspec.Struct):
                    found.add(value)
    return sorted(found, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")


def _inside(kind: inspect.Type, path: str) -> list[tuple[inspect.Type, str]] | None:
    """Return the types inside of one that may hold others, each with its place; None for a leaf."""
    if isinstance(kind, inspect.StructType):
        return [(field.type, f"{path}.{field.name}") for field in kind.fields]
    if isinstance(kind, inspect.VarTupleType):
        return [(kind.item_type, f"{path}[]")]
    if isinstance(kind, inspect.TupleType):
        return [(item, f"{path}[{number}]") for number, item in enumerate(kind.item_types)]
    if isinstance(kind, inspect.UnionType):
        return [(item, path) for item in kind.types]
    return None


def _forbidden(kind: inspect.Type, path: str) -> Iterator[str]:
    """Yield the places inside a type that hold what has more than one encoding, or none."""
    if isinstance(kind, inspect.StructType) and not (
        kind.array_like and kind.forbid_unknown_fields
    ):
        yield f"{path}: {kind.cls.__name__} is no strict array"
    inside = _inside(kind, path)
    if inside is None and not isinstance(kind, ALLOWED):
        yield f"{path}: {type(kind).__name__}"
    for item, place in inside or ():
        yield from _forbidden(item, place)


def test_structs_are_found() -> None:
    """The walk sees what it must: transactions, blocks, votes, messages."""
    names = {kind.__name__ for kind in _structs()}
    assert {"Transaction", "Header", "Vote", "SealedTransaction", "Refusal"} <= names


@pytest.mark.parametrize("kind", _structs(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_struct_has_one_encoding(kind: type[msgspec.Struct]) -> None:
    """Integers, text, bytes, truth values, nothing, and tuples and strict arrays of them."""
    assert list(_forbidden(inspect.type_info(kind), kind.__name__)) == []
    assert kind.__struct_config__.frozen
