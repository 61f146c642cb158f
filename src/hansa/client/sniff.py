"""Sniff: the format of a file from its name and first bytes, and the names of its columns.

Of tables never a value: only headers and property names. What cannot be told for sure is withheld. Looks
at the first SNIFF_BYTES_MAX bytes, and at bounded parts of files whose directory lies at their end
(`sniff_tables`); of documents, pictures, sound and film at their headers (`sniff_media`).
"""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from hansa import limits
from hansa.client.describe import Sniffed
from hansa.client.sniff_media import media_traits
from hansa.client.sniff_tables import (
    ReadAt,
    dbf_columns,
    open_sheet_columns,
    parquet_columns,
    read_member,
    sheet_columns,
    zip_members,
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
            return Sniffed((found,), parquet_columns(read, size))
        if found in _ZIPPED:
            return _sniff_zip(found, read, size)
    if found == "json" and _is_geojson(head):
        found = "geojson"
    return Sniffed((found,) if found else (), sniff_columns(found, head))


def _sniff_zip(found: str, read: ReadAt, size: int) -> Sniffed:
    """Return what a zip archive tells: columns of its sheet, or of the tables in it."""
    members = zip_members(read, size)
    if found == "xlsx":
        return Sniffed((found,), sheet_columns(read, members))
    if found == "ods":
        return Sniffed((found,), open_sheet_columns(read, members))
    names = {member.name for member in members}
    is_feed = names >= _GTFS_MEMBERS
    columns: dict[str, None] = {}
    formats = dict.fromkeys(("gtfs", "zip") if is_feed else ("zip",))
    for member in sorted(members, key=lambda item: item.name)[:_ZIP_MEMBERS_MAX]:
        inner = "csv" if is_feed else sniff_format(member.name, b"")
        if inner in _TEXT_TABLES:
            formats[inner] = None
            columns.update(dict.fromkeys(sniff_columns(inner, read_member(read, member))))
    if is_feed:
        formats.pop("csv", None)
    return Sniffed(tuple(formats), tuple(columns))


def join_sniffed(parts: Sequence[Sniffed]) -> Sniffed:
    """Return what several files tell together, each name once, in order."""
    formats = dict.fromkeys(name for part in parts for name in part.formats)
    columns = dict.fromkeys(name for part in parts for name in part.columns)
    return Sniffed(tuple(formats), tuple(columns))


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
    delimiter = max(",;\t|", key=line.count)
    try:
        cells = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return ()
    names = [cell.strip() for cell in cells]
    if any(_NUMBER.fullmatch(name) for name in names):
        return ()
    return tuple(name for name in names if name)


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
