"""Sniff: the format of a file from its name and first bytes, names and types of its columns.

Of tables never a value: only headers, property names, and what type the first values are. What cannot be told for sure is withheld. Looks
at the first SNIFF_BYTES_MAX bytes, and at bounded parts of files whose directory lies at their end
(`sniff_tables`); of documents, pictures, sound and film at their headers (`sniff_media`).
"""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import cast

from hansa import limits
from hansa.chain.transactions import ColumnType
from hansa.client.describe import Sniffed
from hansa.client.sniff_media import media_traits
from hansa.client.sniff_tables import (
    ReadAt,
    dbf_columns,
    dbf_types,
    open_sheet_columns,
    parquet_columns,
    read_member,
    sheet_columns,
    zip_members,
)
from hansa.client.sniff_types import (
    csv_types,
    following_objects,
    join_types,
    json_objects,
    object_types,
)

SNIFF_BYTES_MAX = 256 * limits.KIB
SNIFF_FILES_MAX = 64
"""Columns are looked for in this many files of a dataset."""
_ZIP_MEMBERS_MAX = 64
"""Tables are looked for in this many files of an archive."""
_ZIPPED = frozenset({"zip", "xlsx", "ods", "gtfs"})
_TEXT_TABLES = frozenset({"csv", "tsv", "json", "jsonl", "geojson", "dbf"})

_FORMATS = frozenset(
    {
        "7z",
        "arrow",
        "bin",
        "bz2",
        "csv",
        "dbf",
        "doc",
        "docx",
        "feather",
        "geojson",
        "gml",
        "gpkg",
        "gpx",
        "grib",
        "gtfs",
        "gz",
        "hdf5",
        "html",
        "ics",
        "jpg",
        "json",
        "jsonl",
        "kml",
        "kmz",
        "las",
        "laz",
        "md",
        "mp3",
        "mp4",
        "nc",
        "ods",
        "osm",
        "parquet",
        "pbf",
        "pdf",
        "png",
        "prj",
        "rdf",
        "shp",
        "shx",
        "sql",
        "sqlite",
        "svg",
        "tar",
        "tif",
        "toml",
        "topojson",
        "tsv",
        "ttl",
        "txt",
        "wav",
        "xls",
        "xlsx",
        "xml",
        "xz",
        "yaml",
        "zip",
        "zst",
    }
)
_ALIASES = {
    "ndjson": "jsonl",
    "htm": "html",
    "jpeg": "jpg",
    "tiff": "tif",
    "yml": "yaml",
    "h5": "hdf5",
}
_PACKERS = frozenset({"gz", "bz2", "xz", "zst"})
_MAGIC = (
    (b"PAR1", "parquet"),
    (b"%PDF", "pdf"),
    (b"PK\x03\x04", "zip"),
    (b"\x89PNG", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"\x1f\x8b", "gz"),
    (b"SQLite format 3\0", "sqlite"),
    (b"II*\0", "tif"),
    (b"MM\0*", "tif"),
    (b"\x89HDF", "hdf5"),
)
_GTFS_MEMBERS = frozenset({"stops.txt", "routes.txt", "trips.txt"})
_PROPERTIES = re.compile(r'"properties"\s*:\s*(?=\{)')
_NUMBER = re.compile(r"[-+]?[0-9][0-9.,:/ +-]*")


def sniff_file(
    name: str, head: bytes, read: ReadAt | None = None, size: int | None = None
) -> Sniffed:
    """Return what one file tells of itself.

    Args:
        name: its name in the version.
        head: its first bytes, at most SNIFF_BYTES_MAX.
        read: reads the rest of it, for formats whose directory lies at the end; None where that is
            impossible.
        size: its bytes, where `read` is given.
    """
    found = sniff_format(name, head)
    if name.rpartition(".")[2].lower() in _PACKERS:
        return Sniffed((found,) if found else ())
    if read is not None and size is not None:
        if found == "parquet":
            declared = parquet_columns(read, size)
            return _sniffed((found,), declared)
        if found in _ZIPPED:
            return _sniff_zip(found, read, size)
    if found == "json" and _is_geojson(head):
        found = "geojson"
    columns: dict[str, ColumnType] = {}
    names = sniff_columns(found, head)
    _add_columns(columns, names, sniff_types(found, head, names))
    return _sniffed((found,) if found else (), columns)


def _sniff_zip(found: str, read: ReadAt, size: int) -> Sniffed:
    """Return what a zip archive tells: columns of its sheet, or of the tables in it."""
    members = zip_members(read, size)
    if found == "xlsx":
        return Sniffed((found,), sheet_columns(read, members))
    if found == "ods":
        return Sniffed((found,), open_sheet_columns(read, members))
    names = {member.name for member in members}
    is_feed = names >= _GTFS_MEMBERS
    columns: dict[str, ColumnType] = {}
    formats = dict.fromkeys(("gtfs", "zip") if is_feed else ("zip",))
    for member in sorted(members, key=lambda item: item.name)[:_ZIP_MEMBERS_MAX]:
        inner = "csv" if is_feed else sniff_format(member.name, b"")
        if inner in _TEXT_TABLES:
            formats[inner] = None
            head = read_member(read, member)
            inside = sniff_columns(inner, head)
            _add_columns(columns, inside, sniff_types(inner, head, inside))
    if is_feed:
        formats.pop("csv", None)
    return _sniffed(formats, columns)


def _sniffed(formats: Iterable[str], columns: Mapping[str, ColumnType]) -> Sniffed:
    types = tuple(columns.values())
    return Sniffed(tuple(formats), tuple(columns), types if any(types) else ())


def _add_columns(
    columns: dict[str, ColumnType], names: Sequence[str], types: Sequence[ColumnType]
) -> None:
    """Add columns of one more table; a name whose types differ has the one that holds both."""
    for name, kind in zip_longest(names, types, fillvalue=""):
        columns[name] = join_types(columns.get(name, ""), cast("ColumnType", kind))


def join_sniffed(parts: Sequence[Sniffed]) -> Sniffed:
    """Return what several files tell together, each name once, in order."""
    formats = dict.fromkeys(name for part in parts for name in part.formats)
    columns: dict[str, ColumnType] = {}
    for part in parts:
        _add_columns(columns, part.columns, part.types)
    return _sniffed(formats, columns)


def sniff_format(name: str, head: bytes) -> str:
    """Return the format by the name's extension, else by the first bytes; empty if unknown."""
    suffixes = [suffix[1:].lower() for suffix in PurePosixPath(name).suffixes]
    if suffixes and suffixes[-1] in _PACKERS and len(suffixes) > 1:
        suffixes.pop()
    if suffixes:
        extension = _ALIASES.get(suffixes[-1], suffixes[-1])
        if extension in _FORMATS:
            return extension
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    return ""


def sniff_columns(found: str, head: bytes) -> tuple[str, ...]:
    """Return names of columns or properties; none where they cannot be told for sure."""
    if found in ("csv", "tsv"):
        return _csv_columns(_decode(head))
    if found == "geojson":
        match = _PROPERTIES.search(text := _decode(head))
        return _object_names(text, match.end()) if match else ()
    if found in ("json", "jsonl"):
        text = _decode(head).lstrip()
        return _object_names(text, text.find("{")) if text[:1] in ("[", "{") else ()
    if found == "dbf":
        return dbf_columns(head)
    return media_traits(found, head)


def sniff_types(found: str, head: bytes, names: tuple[str, ...]) -> tuple[ColumnType, ...]:
    """Return the types of the columns that `sniff_columns` named, or of none of them."""
    if not names:
        return ()
    if found in ("csv", "tsv"):
        text = _decode(head)
        types = csv_types(text, _delimiter(text))
        return types if len(types) == len(names) else ()
    if found == "dbf":
        return tuple(dbf_types(head).get(name, "") for name in names)
    text = _decode(head).lstrip()
    if found == "geojson":
        starts = (match.end() for match in _PROPERTIES.finditer(text))
        kinds = object_types(json_objects(text, starts))
    elif found in ("json", "jsonl"):
        kinds = object_types(following_objects(text, text.find("{")))
    else:
        return ()
    return tuple(kinds.get(name, "") for name in names)


def _decode(head: bytes) -> str:
    try:
        return head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The head may end inside a character; anywhere else it is another encoding.
        if error.start >= len(head) - 4:
            return head[: error.start].decode("utf-8-sig")
        return head.decode("latin-1")


def _csv_columns(text: str) -> tuple[str, ...]:
    """Return the cells of the first line if they look like names, not like values."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    try:
        cells = next(csv.reader([line], delimiter=_delimiter(text)), [])
    except csv.Error:
        return ()
    names = [cell.strip() for cell in cells]
    if any(_NUMBER.fullmatch(name) for name in names):
        return ()
    return tuple(name for name in names if name)


def _delimiter(text: str) -> str:
    """Return what parts the cells of the first line."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t|", key=line.count)


def _is_geojson(head: bytes) -> bool:
    return b'"FeatureCollection"' in head or (b'"Feature"' in head and b'"geometry"' in head)


def _object_names(text: str, start: int) -> tuple[str, ...]:
    """Return the names of the JSON object at `start`; none if it does not end within the text."""
    if start < 0:
        return ()
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return ()
    return tuple(value) if isinstance(value, dict) else ()
