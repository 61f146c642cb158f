"""Sniffing: formats and names of columns, never a value."""

import io
import zipfile

import pytest

from hansa.client.describe import Sniffed
from hansa.client.sniff import (
    join_sniffed,
    sniff_columns,
    sniff_file,
    sniff_format,
    sniff_types,
)


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.CSV", b"", "csv"),
        ("a.csv.gz", b"\x1f\x8b", "csv"),
        ("a.jpeg", b"", "jpg"),
        ("a", b"PAR1", "parquet"),
        ("a.unknown", b"%PDF-1.7", "pdf"),
        ("a.unknown", b"?", ""),
        ("v1.2", b"", ""),
    ],
)
def test_formats(name, head, expected):
    """By extension, through packing, else by the first bytes."""
    assert sniff_format(name, head) == expected


@pytest.mark.parametrize(
    ("found", "head", "expected"),
    [
        ("csv", b"\xef\xbb\xbfid;name\n1;x\n", ("id", "name")),
        ("csv", b'"a, b",c\n', ("a, b", "c")),
        ("csv", b"1,2\n3,4\n", ()),
        ("csv", b"2024-01-01,x\n", ()),
        ("csv", "größe,naïve".encode("latin-1"), ("größe", "naïve")),
        ("csv", "a,ü".encode()[:-1], ("a",)),
        ("tsv", b"a\tb\n", ("a", "b")),
        ("csv", b"", ()),
        ("json", b'[{"a": 1, "b": "value"}]', ("a", "b")),
        ("json", b'[{"a": 1, "b"', ()),
        ("json", b"3", ()),
        ("jsonl", b'{"a": 1}\n{"b": 2}\n', ("a",)),
        ("geojson", b'{"features":[{"properties": {"kind": 1}}', ("kind",)),
        ("geojson", b"{}", ()),
        ("xml", b"<a/>", ()),
        ("json", b"[" * 100_000, ()),
    ],
)
def test_columns(found, head, expected):
    """Names only, and none where a header cannot be told from values."""
    assert sniff_columns(found, head) == expected


def test_gtfs_is_known_by_its_members():
    """A zip with the tables of GTFS is one, with their columns; a damaged zip is only a zip."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("stops.txt", "routes.txt", "trips.txt"):
            archive.writestr(name, f"{name[:4]}_id,name\n1,Central\n")
    data = made.getvalue()
    found = sniff_file("feed.zip", data, lambda at, count: data[at : at + count], len(data))
    names = ("rout_id", "name", "stop_id", "trip_id")
    assert found == Sniffed(("gtfs", "zip"), names, ("integer", "text", "integer", "integer"))
    broken = b"PK\x03\x04 broken"
    found = sniff_file("feed.zip", broken, lambda at, count: broken[at : at + count], len(broken))
    assert found == Sniffed(("zip",))


def test_tables_in_an_archive():
    """A zip of tables tells their formats and columns."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a.csv", "id,name\n1,x\n")
        archive.writestr("b.png", b"")
    data = made.getvalue()
    found = sniff_file("a.zip", data, lambda at, count: data[at : at + count], len(data))
    assert found == Sniffed(("zip", "csv"), ("id", "name"), ("integer", "text"))


def test_geojson_under_another_name_and_packed_files():
    """A .json that is a feature collection is geojson; packed bytes have no columns."""
    head = b'{"type": "FeatureCollection", "features": [{"properties": {"a": 1}}]}'
    assert sniff_file("x.json", head) == Sniffed(("geojson",), ("a",), ("integer",))
    assert sniff_file("x.csv.gz", b"a,b\n") == Sniffed(("csv",))
    joined = join_sniffed([Sniffed(("csv",), ("a",)), Sniffed(("csv",), ("b", "a"))])
    assert joined == Sniffed(("csv",), ("a", "b"))
    joined = join_sniffed(
        [
            Sniffed(("csv",), ("a", "c"), ("integer", "date")),
            Sniffed(("csv",), ("b", "a"), ("text", "number")),
            Sniffed(("csv",), ("d",)),
        ]
    )
    types = ("number", "date", "text", "")
    assert joined == Sniffed(("csv",), ("a", "c", "b", "d"), types)


@pytest.mark.parametrize(
    ("found", "head", "expected"),
    [
        ("csv", b"id;when;share\n1;2026-01-01;0,5\n", ("integer", "date", "number")),
        ("tsv", b"a\tb\n1\ttrue\n", ("integer", "boolean")),
        ("csv", b"a,b\n", ("", "")),
        ("json", b'[{"a": 1, "b": "x"}, {"a": 1.5, "b": "y"}]', ("number", "text")),
        ("jsonl", b'{"a": null}\n{"a": "2026-01-01T10:00:00Z"}\n{"a"', ("time",)),
        ("geojson", b'[{"properties": {"n": 1}}, {"properties": {"n": "x"}}]', ("text",)),
        ("json", b'{"where": {"type": "Point", "coordinates": [1, 2]}}', ("geometry",)),
        ("pdf", b"%PDF", ()),
    ],
)
def test_types_of_columns(found, head, expected):
    """One for each name, in order; not known is empty."""
    names = sniff_columns(found, head)
    assert expected == sniff_types(found, head, names)
