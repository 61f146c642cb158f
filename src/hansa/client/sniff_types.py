"""Types of columns, told from a few values or from what a binary file declares.

Counterpart of `sniff` and `sniff_tables`, which tell the names. What is returned is a word for each
column (`chain.transactions.ColumnType`), never a value. A few rows are looked at: a column that holds
whole numbers there and a text further down is told as whole numbers. Unknown is empty.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from itertools import islice

from hansa.chain.transactions import ColumnType

ROWS_MAX = 200
_CELL_CHARACTERS_MAX = 256

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(
    r"[-+]?(0|[1-9][0-9]{0,17})?[.,][0-9]{1,18}|[-+]?[0-9]{1,18}([.,][0-9]{1,18})?[eE][-+]?[0-9]{1,3}"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{4}")
_TIME = re.compile(
    r"(([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{4})[T ])?"
    r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?( ?[AaPp][Mm])?(Z|[-+][0-9]{2}:?[0-9]{2})?"
)
_GEOMETRY = re.compile(r"(MULTI)?(POINT|LINESTRING|POLYGON)( [ZM]{1,2})? ?\(.*", re.IGNORECASE)
_DBASE: Mapping[int, ColumnType] = {
    ord("C"): "text",
    ord("M"): "text",
    ord("F"): "number",
    ord("B"): "number",
    ord("O"): "number",
    ord("I"): "integer",
    ord("D"): "date",
    ord("T"): "time",
    ord("@"): "time",
    ord("L"): "boolean",
}
_JSON: Mapping[type, ColumnType] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "object",
}
_CONVERTED: Mapping[int, ColumnType] = {
    0: "text",
    4: "text",
    5: "number",
    6: "date",
    7: "time",
    8: "time",
    9: "time",
    10: "time",
}
"""Parquet's UTF8 and ENUM; DECIMAL; DATE; times and timestamps. Others are as the physical type."""
_PHYSICAL: Mapping[int, ColumnType] = {
    0: "boolean",
    1: "integer",
    2: "integer",
    3: "time",
    4: "number",
    5: "number",
}
"""Parquet's BOOLEAN, INT32, INT64, INT96 (a timestamp), FLOAT, DOUBLE; bytes may be anything."""


def text_type(text: str) -> ColumnType:
    """Return the type of one value written as text; empty if there is none."""
    value = text.strip()[:_CELL_CHARACTERS_MAX]
    if not value:
        return ""
    if value.lower() in ("true", "false"):
        return "boolean"
    for kind, pattern in _PATTERNS:
        if pattern.fullmatch(value):
            return kind
    return "text"


_PATTERNS: tuple[tuple[ColumnType, re.Pattern[str]], ...] = (
    ("integer", _INTEGER),
    ("number", _NUMBER),
    ("date", _DATE),
    ("time", _TIME),
    ("geometry", _GEOMETRY),
)


def value_type(value: object) -> ColumnType:
    """Return the type of one value of JSON; a text is a date or a time, or a text."""
    if isinstance(value, str):
        found = text_type(value)
        return found if found in ("", "date", "time", "geometry") else "text"
    if isinstance(value, dict):
        is_place = {"type", "coordinates"} <= value.keys()
        return "geometry" if is_place else "object"
    return _JSON.get(type(value), "")


def join_types(one: ColumnType, two: ColumnType) -> ColumnType:
    """Return the type that holds values of both."""
    if one == two or not two:
        return one
    if not one:
        return two
    both = {one, two}
    if both == {"integer", "number"}:
        return "number"
    return "time" if both == {"date", "time"} else "text"


def csv_types(text: str, delimiter: str) -> tuple[ColumnType, ...]:
    """Return the type of each column that has a name; a last line that may be cut is left out."""
    lines = [line for line in islice(text.splitlines(keepends=True), ROWS_MAX + 2) if line.strip()]
    if len(lines) > 2 and not lines[-1].endswith(("\n", "\r")):
        lines.pop()
    try:
        header, *rows = csv.reader(lines, delimiter=delimiter)
    except (csv.Error, ValueError):
        return ()
    whole = [row for row in rows if len(row) == len(header)]
    return tuple(
        _join(text_type(row[place]) for row in whole)
        for place, name in enumerate(header)
        if name.strip()
    )


def object_types(objects: Iterable[Mapping[str, object]]) -> dict[str, ColumnType]:
    """Return the type of each name of some JSON objects."""
    found: dict[str, ColumnType] = {}
    for item in objects:
        for name, value in item.items():
            found[name] = join_types(found.get(name, ""), value_type(value))
    return found


def json_objects(text: str, starts: Iterable[int]) -> Iterator[dict[str, object]]:
    """Yield the JSON objects that stand at some places of a text, until one is cut or none."""
    decoder = json.JSONDecoder()
    for start in islice(starts, ROWS_MAX):
        try:
            value, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            return
        if not isinstance(value, dict):
            return
        yield value


def following_objects(text: str, start: int) -> Iterator[dict[str, object]]:
    """Yield a JSON object and those after it, apart by white space or a comma."""
    decoder = json.JSONDecoder()
    for _ in range(ROWS_MAX):
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            return
        if not isinstance(value, dict):
            return
        yield value
        start = end
        while start < len(text) and text[start] in " \t\r\n,":
            start += 1


def dbase_type(letter: int, decimals: int) -> ColumnType:
    """Return the type of a dBase field by its letter and its number of decimals."""
    if letter == ord("N"):
        return "number" if decimals else "integer"
    return _DBASE.get(letter, "")


def parquet_type(physical: int | None, converted: int | None) -> ColumnType:
    """Return the type of a Parquet column by its physical and its converted type's number."""
    found = _CONVERTED.get(converted) if converted is not None else None
    return found or ("" if physical is None else _PHYSICAL.get(physical, ""))


def _join(types: Iterable[ColumnType]) -> ColumnType:
    start: ColumnType = ""
    return reduce(join_types, types, start)
