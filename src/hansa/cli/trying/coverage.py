"""Place and time that a catalogue's entry covers, from the many ways in which catalogues write them.

Places: `[west, south, east, north]`, the same as text, ENVELOPE and other well-known text, GeoJSON,
objects with sides or a bbox. Times: a year, a month, a day, an instant of ISO 8601; one of start and
end alone stands for its own year, month or day. What makes no sense counts as not known.
"""

import calendar
import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from hansa.errors import InvalidError
from hansa.index.records import validate_box, validate_interval
from hansa.types import Box, Interval, Millis

_TEXT_CHARACTERS_MAX = 100_000
_NUMBER = re.compile(r"[-+]?\d{1,3}(?:\.\d{1,15})?(?![\d.])")
_WELL_KNOWN = re.compile(
    r"\s*(?:SRID=\d+;)?\s*(ENVELOPE|POINT|POLYGON|LINESTRING|MULTI\w+|BOX)", re.IGNORECASE
)
_DATE = re.compile(r"(\d{4})(?:-?(\d{2})(?:-?(\d{2}))?)?(?=$|[T\s/Z])")
_MICRO = 1_000_000
_SIDES = ("west", "south", "east", "north")
_POINTS_MAX = 100_000


def parse_box(value: object) -> Box | None:
    """Return the bounds of a place in microdegrees, or None if they are not told in numbers."""
    if isinstance(value, str):
        return _box_of_text(value[:_TEXT_CHARACTERS_MAX])
    if isinstance(value, list):
        return _box(*value) if len(value) == 4 else _box_of_points(value)
    if isinstance(value, dict):
        if all(side in value for side in _SIDES):
            return _box(*(value[side] for side in _SIDES))
        for part in ("bbox", "geometry", "coordinates", "centroid"):
            if isinstance(value.get(part), list | dict | str):
                return parse_box(value[part])
    return None


def parse_interval(start: object, end: object) -> Interval | None:
    """Return the time from the start of `start` to the end of `end`, or None."""
    first, last = _period(start), _period(end)
    if first is None and last is None:
        return None
    low = (first or last or (0, 0))[0]
    high = (last or first or (0, 0))[1]
    interval = Interval(Millis(low), Millis(high))
    try:
        validate_interval(interval)
    except InvalidError:
        return None
    return interval


def _box_of_text(text: str) -> Box | None:
    if text.lstrip().startswith(("{", "[")):
        try:
            return parse_box(json.loads(text))
        except (ValueError, RecursionError):
            return None
    known = _WELL_KNOWN.match(text)
    numbers = [float(found) for found in _NUMBER.findall(text)]
    if known:
        numbers = [float(found) for found in _NUMBER.findall(text[known.end() :])]
        if known[1].upper() == "ENVELOPE" and len(numbers) == 4:
            west, east, north, south = numbers
            return _box(west, south, east, north)
        return _box_of_points(
            [list(pair) for pair in zip(numbers[::2], numbers[1::2], strict=False)]
        )
    if len(numbers) == 4 and not _NUMBER.sub("", text).strip(" ,;()\t"):
        return _box(*numbers)
    return None


def _box_of_points(value: list[object]) -> Box | None:
    """Return the bounds of nested lists of [longitude, latitude, …]."""
    points = list(_points(value))
    if not points:
        return None
    longitudes, latitudes = zip(*points, strict=True)
    return _box(min(longitudes), min(latitudes), max(longitudes), max(latitudes))


def _points(value: list[object]) -> Iterator[tuple[float, float]]:
    stack: list[object] = [value]
    found = 0
    while stack and found < _POINTS_MAX:
        item = stack.pop()
        if not isinstance(item, list):
            continue
        if len(item) >= 2 and all(_is_number(part) for part in item[:2]):
            found += 1
            yield float(item[0]), float(item[1])
        else:
            stack.extend(item)


def _box(west: object, south: object, east: object, north: object) -> Box | None:
    sides: list[int] = []
    for side in (west, south, east, north):
        try:
            number = float(side) if isinstance(side, str | int | float) else math.nan
        except (ValueError, OverflowError):
            return None
        if not abs(number) <= 180:
            return None
        sides.append(round(number * _MICRO))
    box = Box(*sides)
    try:
        validate_box(box)
    except InvalidError:
        return None
    return box


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 180


def _period(value: object) -> tuple[int, int] | None:
    """Return first and last millisecond of a year, month or day."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    found = _DATE.match(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    year, month, day = (int(part) if part else 0 for part in found.groups())
    try:
        first = datetime(year, month or 1, day or 1, tzinfo=UTC)
        last_day = day or calendar.monthrange(year, month or 12)[1]
        last = datetime(year, month or 12, last_day, tzinfo=UTC)
    except ValueError:
        return None
    origin = datetime(1970, 1, 1, tzinfo=UTC)
    day_ms = 86_400_000
    step = timedelta(milliseconds=1)
    return (first - origin) // step, (last - origin) // step + day_ms - 1
