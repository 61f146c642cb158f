"""Describe: what anyone in the alliance may read about a dataset, from arguments and from the data.

From the data come only formats and the names of columns or properties; both can be withheld. Words and
features follow from the public texts by the alliance's feature model, so super nodes compute them again.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec
from typing_extensions import TypedDict

from hansa import limits
from hansa.chain.transactions import ColumnType, Description
from hansa.client.rhythm import parse_rhythm
from hansa.errors import InvalidError
from hansa.rest import DatasetView
from hansa.types import Box, Interval, Millis

_MICRO = 1_000_000
_UNKNOWN: ColumnType = ""
_FORMAT = re.compile(r"[a-z0-9][a-z0-9+.-]{0,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the publisher says of a dataset. Personal data has no place here: a chain forgets nothing."""

    title: str
    description: str = ""
    keywords: Sequence[str] = ()
    themes: Sequence[str] = ()
    place: str = ""
    bbox: Sequence[float] | None = None
    """[west, south, east, north] in degrees, WGS 84."""
    from_ms: int | None = None
    """First millisecond covered; the first of all if only `to_ms` is given."""
    to_ms: int | None = None
    rhythm: str = ""
    """How often it is brought up to date: a word, or what catalogues write (`rhythm.parse_rhythm`)."""
    licence: str = ""


class Texts(TypedDict, total=False):
    """The fields of a `Subject` as keyword arguments; what is None or left out is empty."""

    title: str | None
    description: str | None
    keywords: Sequence[str]
    themes: Sequence[str]
    place: str | None
    bbox: Sequence[float] | None
    from_ms: int | None
    to_ms: int | None
    rhythm: str | None
    licence: str | None


def to_subject(texts: Texts) -> Subject:
    """Return the subject that keyword arguments name."""
    return Subject(
        title=texts.get("title") or "",
        description=texts.get("description") or "",
        keywords=texts.get("keywords", ()),
        themes=texts.get("themes", ()),
        place=texts.get("place") or "",
        bbox=texts.get("bbox"),
        from_ms=texts.get("from_ms"),
        to_ms=texts.get("to_ms"),
        rhythm=texts.get("rhythm") or "",
        licence=texts.get("licence") or "",
    )


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What the data itself tells: lower-case format names, names of columns, and their types."""

    formats: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    types: tuple[ColumnType, ...] = ()
    """Of the first columns; what is left out is not known."""


def describe(subject: Subject, sniffed: Sniffed, model: int) -> Description:
    """Return the description of a dataset of unknown size, within the chain's bounds.

    Args:
        subject: the publisher's words.
        sniffed: what the data tells; empty to withhold it.
        model: the alliance's feature model.

    Raises:
        InvalidError: a text is missing or too long, a box or an interval is impossible.
    """
    title = _clean("title", subject.title, limits.TITLE_CHARACTERS_MAX)
    if not title:
        raise InvalidError("A dataset needs a title.", remedy="Give --title.")
    columns = _clean_columns(sniffed)
    types = tuple(columns.values())
    made = Description(
        title=title,
        description=_clean("description", subject.description, limits.DESCRIPTION_CHARACTERS_MAX),
        keywords=_clean_list("keyword", subject.keywords, limits.KEYWORDS_MAX),
        themes=_clean_list("theme", subject.themes, limits.THEMES_MAX),
        place=_clean("place", subject.place, limits.TITLE_CHARACTERS_MAX),
        box=to_box(subject.bbox),
        interval=to_interval(subject.from_ms, subject.to_ms),
        rhythm=parse_rhythm(subject.rhythm),
        licence=_clean("licence", subject.licence, limits.TITLE_CHARACTERS_MAX),
        formats=_clean_formats(sniffed.formats),
        columns=tuple(columns),
        column_types=types if any(types) else (),
        words=(),
        feature_model=model,
        features=(),
    )
    return with_features(made, 0)


def with_features(description: Description, content_bytes: int) -> Description:
    """Return a description with the words and features that follow from the rest of it and a size."""
    # The index brings numpy, which only publishing needs of all that a client does.
    from hansa.chain.catalogue import derive_features  # noqa: PLC0415

    derived = derive_features(description, content_bytes)
    return msgspec.structs.replace(description, words=derived.words, features=derived.features)


def subject_of(view: DatasetView) -> Subject:
    """Return what was said of a dataset, to say it again of its next version."""
    return Subject(
        title=view.title,
        description=view.description,
        keywords=tuple(view.keywords),
        themes=tuple(view.themes),
        place=view.place,
        bbox=view.bbox,
        from_ms=view.from_ms,
        to_ms=view.to_ms,
        rhythm=view.rhythm,
        licence=view.licence,
    )


def complete(subject: Subject, earlier: Subject) -> Subject:
    """Return the subject with what it leaves empty taken from an earlier version's."""
    return replace(
        subject,
        title=subject.title or earlier.title,
        description=subject.description or earlier.description,
        keywords=subject.keywords or earlier.keywords,
        themes=subject.themes or earlier.themes,
        place=subject.place or earlier.place,
        bbox=subject.bbox or earlier.bbox,
        from_ms=earlier.from_ms if subject.from_ms is None else subject.from_ms,
        to_ms=earlier.to_ms if subject.to_ms is None else subject.to_ms,
        rhythm=subject.rhythm or earlier.rhythm,
        licence=subject.licence or earlier.licence,
    )


def to_box(bbox: Sequence[float] | None) -> Box | None:
    """Return a box in millionths of a degree.

    Raises:
        InvalidError: not four numbers, out of range, or turned about.
    """
    if bbox is None:
        return None
    # Comparisons first: they refuse NaN, which rounding would not survive.
    if len(bbox) != 4 or not (
        -180 <= bbox[0] <= bbox[2] <= 180 and -90 <= bbox[1] <= bbox[3] <= 90
    ):
        raise InvalidError(
            "The box is impossible.",
            remedy="Give west, south, east, north in degrees, west ≤ east and south ≤ north.",
        )
    west, south, east, north = (round(value * _MICRO) for value in bbox)
    return Box(west, south, east, north)


def to_interval(from_ms: int | None, to_ms: int | None) -> Interval | None:
    """Return the time covered; a missing side is taken from the other.

    Raises:
        InvalidError: it ends before it starts, or lies outside the calendar.
    """
    if from_ms is None and to_ms is None:
        return None
    start = from_ms if from_ms is not None else to_ms
    end = to_ms if to_ms is not None else from_ms
    assert start is not None
    assert end is not None
    if start > end:
        raise InvalidError("The time covered ends before it starts.", remedy="Exchange both.")
    if not -(10**14) < start <= end < 10**15:
        raise InvalidError("The time covered lies outside the calendar.")
    return Interval(Millis(start), Millis(end))


def _clean(what: str, text: str, characters_max: int) -> str:
    found = " ".join(text.split()) if what != "description" else text.strip()
    if len(found) > characters_max:
        raise InvalidError(f"The {what} is longer than {characters_max} characters.")
    if any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in found):
        raise InvalidError(f"The {what} is no valid text.", remedy="Write it in UTF-8.")
    return found


def _clean_list(what: str, texts: Sequence[str], count_max: int) -> tuple[str, ...]:
    """Return texts cleaned, each once, in the order given."""
    found = dict.fromkeys(_clean(what, text, limits.KEYWORD_CHARACTERS_MAX) for text in texts)
    found.pop("", None)
    if len(found) > count_max:
        raise InvalidError(f"There are more than {count_max} {what}s.")
    return tuple(found)


def _clean_formats(formats: Iterable[str]) -> tuple[str, ...]:
    found = sorted({name.lower() for name in formats if _FORMAT.fullmatch(name.lower())})
    return tuple(found[: limits.FORMATS_MAX])


def _clean_columns(sniffed: Sniffed) -> dict[str, ColumnType]:
    """Return names of columns, cut to what the chain takes, each once, in their order; and their types.

    Two columns of one name and of different types have no known type.
    """
    found: dict[str, ColumnType] = {}
    types = dict(zip(sniffed.columns, sniffed.types, strict=False))
    for text in sniffed.columns:
        kind = types.get(text, _UNKNOWN)
        visible = "".join(letter if letter.isprintable() else " " for letter in text)
        name = " ".join(visible.split())[: limits.KEYWORD_CHARACTERS_MAX].strip()
        if name in found:
            found[name] = found[name] if found[name] == kind else ""
        elif name and len(found) < limits.COLUMNS_MAX:
            found[name] = kind
    return found
