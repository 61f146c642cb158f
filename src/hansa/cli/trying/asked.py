"""Questions of a file: a line of JSON, or words as a person types them.

    bus stop* "air quality"
    {"words": "bicycle", "theme": "Transport", "bbox": [8.4, 47.3, 8.6, 47.5], "limit": 5}

Fields: words, title, id, like, theme, format, publisher (or organisation), bbox, near (longitude,
latitude, metres), from, to (a year, month, day or ISO time), limit, offset. `id` and `like` take the
catalogue's own ids.
"""

import json
from collections.abc import Callable
from typing import Any

from hansa.cli.trying.coverage import parse_box, parse_interval
from hansa.cli.trying.dump import id_of
from hansa.errors import InvalidError
from hansa.index.question import Circle, Question, parse_words, validate_question

_MICRO = 1_000_000
_TEXTS = {
    "theme": "theme",
    "format": "format",
    "publisher": "owner",
    "organisation": "owner",
    "title": "title",
}


def parse_line(line: str, number: int) -> Question:
    """Return the question of one line.

    Raises:
        InvalidError: it is none; the message names the line.
    """
    try:
        question = _of_object(_object(line)) if line.lstrip().startswith("{") else _of_words(line)
        validate_question(question)
    except InvalidError as error:
        raise InvalidError(f"Line {number} is no question: {error.message}") from error
    return question


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidError("it is not JSON.") from error
    assert isinstance(value, dict), "a line that starts with a brace holds an object"
    return value


def _of_words(text: str) -> Question:
    words, prefixes, phrases = parse_words(text)
    return Question(words=words, prefixes=prefixes, phrases=phrases)


def _of_object(asked: dict[str, Any]) -> Question:
    parts: dict[str, Any] = {}
    for name, value in asked.items():
        if name in _TEXTS:
            parts[_TEXTS[name]] = _text(name, value)
        elif name in _PARTS:
            parts.update(_PARTS[name](value))
        elif name not in {"from", "to"}:
            raise InvalidError(f"{name!r} is not asked by.")
    if asked.get("from") is not None or asked.get("to") is not None:
        first, last = asked.get("from", "0001"), asked.get("to", "9999")
        interval = parse_interval(first, last)
        if interval is None or None in (parse_interval(first, None), parse_interval(None, last)):
            raise InvalidError("from and to make no range of time.")
        parts["interval"] = interval
    return Question(**parts)


def _words(value: object) -> dict[str, Any]:
    words, prefixes, phrases = parse_words(_text("words", value))
    return {"words": words, "prefixes": prefixes, "phrases": phrases}


def _box(value: object) -> dict[str, Any]:
    box = parse_box(value)
    if box is None:
        raise InvalidError("bbox must be [west, south, east, north] in degrees.")
    return {"box": box}


def _near(value: object) -> dict[str, Any]:
    if not isinstance(value, list) or len(value) != 3 or not all(map(_is_number, value)):
        raise InvalidError("near must be [longitude, latitude, metres].")
    x, y, metres = value
    return {"near": Circle(round(x * _MICRO), round(y * _MICRO), round(metres))}


def _count(name: str) -> Callable[[object], dict[str, Any]]:
    def parse(value: object) -> dict[str, Any]:
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidError(f"{name} must be a whole number.")
        return {name: value}

    return parse


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidError(f"{name} must be a text.")
    return value


_PARTS: dict[str, Callable[[object], dict[str, Any]]] = {
    "words": _words,
    "bbox": _box,
    "near": _near,
    "id": lambda value: {"dataset": id_of(_text("id", value))},
    "like": lambda value: {"like": id_of(_text("like", value))},
    "limit": _count("limit"),
    "offset": _count("offset"),
}
