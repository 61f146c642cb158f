"""Read a dump of catalogue descriptions, whatever its gaps, as records of the index.

One JSON object a line, plain or gzip: id, title, description, keywords, theme, publisher, spatial,
temporal_start, temporal_end, format, bytes, fields. Each may be missing, null, or of another type than
expected; a text may be of any length and any script. A line that is no object is counted and left
out, never a reason to stop; work for one line is bounded by the chain's limits of a description.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from hansa import limits
from hansa.cli.trying.coverage import parse_box, parse_interval
from hansa.errors import InvalidError
from hansa.index.features import Described, compute_features, compute_words
from hansa.index.records import IndexRecord
from hansa.index.words import fold
from hansa.types import DatasetId, Height, OrganisationName

LINE_BYTES_MAX = 64 * limits.MIB
_OWNER_CHARACTERS_MAX = 200
_PLACE_CHARACTERS_MAX = 300
_COLUMNS_MAX = 256


@dataclass(frozen=True, slots=True)
class Dump:
    """What a dump holds."""

    records: tuple[IndexRecord, ...]
    """One for each id; of several the last."""
    lines: int
    lines_left_out: int
    """No JSON object, or longer than `LINE_BYTES_MAX`."""
    repeated_ids: int


def read_dump(path: Path) -> Dump:
    """Read a dump.

    Raises:
        InvalidError: there is no such file, it is no gzip, or no line of it is a description.
    """
    records: dict[bytes, IndexRecord] = {}
    lines = left_out = repeated = 0
    try:
        for number, entry in enumerate(_entries(path), start=1):
            lines = number
            if entry is None:
                left_out += 1
                continue
            record = to_record(entry, number)
            repeated += record.dataset in records
            records[record.dataset] = record
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidError(
            f"{path.name} cannot be read: {error}.",
            remedy="Give a file of JSON lines, plain or whole gzip.",
        ) from error
    if not records:
        raise InvalidError(
            f"{path.name} holds no description.", remedy="Give one JSON object a line."
        )
    return Dump(tuple(records.values()), lines, left_out, repeated)


def to_record(entry: dict[str, Any], number: int) -> IndexRecord:
    """Return the record of one entry; `number` stands in for an id it lacks."""
    name = _text(entry.get("id"), limits.DESCRIPTION_CHARACTERS_MAX) or f"line {number}"
    described = to_described(entry)
    return IndexRecord(
        dataset=id_of(name),
        version=1,
        height=Height(1),
        owner=OrganisationName(_text(entry.get("publisher"), _OWNER_CHARACTERS_MAX)),
        title=described.title,
        description=described.description,
        keywords=tuple(described.keywords),
        themes=tuple(described.themes),
        place=described.place,
        box=described.box,
        interval=described.interval,
        formats=tuple(described.formats),
        words=compute_words(described),
        features=compute_features(described),
        content_bytes=described.content_bytes,
    )


def to_described(entry: dict[str, Any]) -> Described:
    """Return what words and features of one entry follow from."""
    size = entry.get("bytes")
    return Described(
        title=_text(entry.get("title"), limits.TITLE_CHARACTERS_MAX),
        description=_text(entry.get("description"), limits.DESCRIPTION_CHARACTERS_MAX),
        keywords=_texts(entry.get("keywords"), limits.KEYWORDS_MAX),
        themes=_texts(entry.get("theme"), limits.KEYWORDS_MAX),
        place=_place(entry.get("spatial")),
        box=parse_box(entry.get("spatial")),
        interval=parse_interval(entry.get("temporal_start"), entry.get("temporal_end")),
        formats=_texts(entry.get("format"), limits.KEYWORDS_MAX),
        columns=_texts(entry.get("fields"), _COLUMNS_MAX),
        content_bytes=size if type(size) is int and 0 <= size < 1 << 62 else 0,
    )


def id_of(name: str) -> DatasetId:
    """Return the dataset id that stands for an entry's own id."""
    return DatasetId(hashlib.sha256(name.encode()).digest()[:16])


def _entries(path: Path) -> Iterator[dict[str, Any] | None]:
    """Yield each line's object, None for what is none; empty lines are passed over."""
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    opened = cast("IO[bytes]", gzip.open(path, "rb") if zipped else path.open("rb"))  # noqa: SIM115 - closed below
    with opened as lines:
        while line := lines.readline(LINE_BYTES_MAX):
            if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
                while (rest := lines.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
                    pass
                yield None
            elif line.strip():
                yield _entry(line)


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _text(value: object, characters_max: int) -> str:
    """Return a text of bounded length without lone surrogates; empty for what is no text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = value[:characters_max] if isinstance(value, str) else str(value)[:characters_max]
    return text.encode("utf-8", "replace").decode()


def _texts(value: object, count_max: int) -> tuple[str, ...]:
    """Return texts that differ by more than case and form; a single text counts as one."""
    items = value if isinstance(value, list) else [value]
    found: dict[str, str] = {}
    for item in items[: 4 * count_max]:
        text = _text(item, limits.KEYWORD_CHARACTERS_MAX)
        if text and len(found) < count_max:
            found.setdefault(fold(text), text)
    return tuple(found.values())


def _place(value: object) -> str:
    """Return the name of a place; bounds in numbers are not one."""
    if isinstance(value, dict):
        value = value.get("name") or value.get("label") or value.get("prefLabel")
    text = _text(value, _PLACE_CHARACTERS_MAX)
    return text if any(character.isalpha() for character in text) and "{" not in text else ""
