"""Binary tables: names of columns from real writers' layouts; hostile bytes tell nothing and cost little."""

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.client import sniff_tables as tables


def reader(data):
    return lambda offset, length: data[max(0, offset) : max(0, offset) + length]


def field(step, kind, content=b""):
    return bytes([step << 4 | kind]) + content


def element(name, children=None):
    """Return a SchemaElement: type, repetition, name, number of children."""
    data = field(1, 5, b"\x04") if children is None else b""
    data += field(4 if children is not None else 3, 8, bytes([len(name)]) + name.encode())
    return data + (field(1, 5, bytes([2 * children])) if children is not None else b"") + b"\0"


def parquet(*names):
    schema = element("schema", len(names)) + b"".join(map(element, names))
    count = len(names) + 1
    assert count < 15
    footer = field(1, 5, b"\x02") + field(1, 9, bytes([count << 4 | 12])) + schema
    footer += field(1, 6, b"\x08") + b"\0"
    return b"PAR1data" + footer + struct.pack("<I", len(footer)) + b"PAR1"


def archive(members, method=zipfile.ZIP_DEFLATED):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return made.getvalue()


SHEET = archive(
    {
        "xl/worksheets/sheet1.xml": '<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>1</v></c>'
        '<c r="B1" t="inlineStr"><is><t>Größe &amp; Art</t></is></c><c r="C1"><v>7</v></c></row>'
        '<row r="2"><c t="s"><v>0</v></c></row></sheetData></worksheet>',
        "xl/sharedStrings.xml": '<sst><si><t>secret</t></si><si><r><t xml:space="preserve">stop </t></r>'
        "<r><t>id</t></r></si></sst>",
    }
)
OPEN_SHEET = archive(
    {
        "content.xml": "<x><table:table-row><table:table-cell><text:p>year</text:p></table:table-cell>"
        "<table:table-cell><text:p>count</text:p></table:table-cell></table:table-row>"
        "<table:table-row><text:p>secret</text:p></table:table-row></x>"
    }
)
TABLE = (
    bytes(8) + struct.pack("<H", 32 + 64 + 1) + bytes(22)
    + b"OBJECTID\0\0\0N" + bytes(20) + b"NAME\0\0\0\0\0\0\0C" + bytes(20) + b"\r" + b" secret"
)  # fmt: skip


def test_parquet_columns():
    """Names in order, without the root and what only nests."""
    data = parquet("station", "list", "element", "pm25")
    found = tables.parquet_columns(reader(data), len(data))
    assert ["station", "pm25"] == list(found)
    assert {"integer"} == set(found.values())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PAR1",
        b"PAR1" + struct.pack("<I", 1 << 31) + b"PAR1",
        b"PAR1" + b"\x15" * 9 + struct.pack("<I", 9) + b"PAR1",
        b"\xff" * 100 + struct.pack("<I", 100) + b"PAR1",
        b"\x1c" * 5_000 + struct.pack("<I", 5_000) + b"PAR1",
        b"\x19\xfc\xff\xff\xff\xff\x0f" + struct.pack("<I", 7) + b"PAR1",
    ],
)
def test_a_malformed_footer_tells_nothing(data):
    """Cut, nested without end, of absurd counts."""
    assert {} == tables.parquet_columns(reader(data), len(data))


def test_sheets():
    """The first row's texts, shared and inline; never another row's."""
    for data, columns, expected in (
        (SHEET, tables.sheet_columns, ("stop id", "Größe & Art")),
        (OPEN_SHEET, tables.open_sheet_columns, ("year", "count")),
    ):
        members = tables.zip_members(reader(data), len(data))
        assert expected == columns(reader(data), members)
        assert () == columns(reader(data), ())


def test_fields_of_a_shapefile():
    """Names up to the end mark."""
    assert ("OBJECTID", "NAME") == tables.dbf_columns(TABLE)
    assert ["integer", "text"] == list(tables.dbf_types(TABLE).values())
    assert () == tables.dbf_columns(b"\x03" * 40)


def test_a_bomb_is_cut():
    """A member that unpacks to gigabytes gives a bounded part; a huge directory is not read."""
    bomb = archive({"a.csv": b"0" * (64 << 20)})
    member = tables.zip_members(reader(bomb), len(bomb))[0]
    assert tables.PART_BYTES_MAX == len(tables.read_member(reader(bomb), member))
    asked = []
    end = tables._END_OF_DIRECTORY + bytes(8) + struct.pack("<II", 1 << 30, 0) + bytes(2)
    assert () == tables.zip_members(lambda o, n: asked.append(n) or end, (1 << 30) + 22)
    assert max(asked) < 1 << 20
    odd = tables.Member("a", 12, 10, 0)
    assert b"" == tables.read_member(reader(bomb), odd)


@pytest.mark.parametrize("text", ["<row>", "<si>", "<c ", "<t ", "<c t=", '<row><c t="s"><v>9'])
def test_repeated_beginnings_cost_little(text):
    """Markup that opens and never closes is passed over in time that grows with its length."""
    data = archive(
        {
            "xl/worksheets/sheet1.xml": text * 40_000,
            "xl/sharedStrings.xml": text * 40_000,
            "content.xml": "<table:table-row>" * 10_000,
        }
    )
    members = tables.zip_members(reader(data), len(data))
    assert () == tables.sheet_columns(reader(data), members)
    assert () == tables.open_sheet_columns(reader(data), members)


SOUND = st.sampled_from([parquet("a", "b"), SHEET, OPEN_SHEET, TABLE])


@settings(max_examples=150)
@given(SOUND, st.integers(0, 5_000), st.binary(max_size=12), st.integers(0, 400), st.binary())
def test_hostile_bytes_never_raise(sound, at, bytes_, cut, noise):
    """Whatever is changed, cut or random: texts or nothing, of bounded number."""
    at %= len(sound)
    damaged = sound[:at] + bytes_ + sound[at + len(bytes_) :]
    for data in (damaged, sound[: len(sound) - cut % len(sound)], noise, noise + sound[-40:]):
        read = reader(data)
        members = tables.zip_members(read, len(data))
        for names in (
            tables.parquet_columns(read, len(data)),
            tables.dbf_columns(data),
            tables.sheet_columns(read, members),
            tables.open_sheet_columns(read, members),
        ):
            assert len(names) <= 8_192
            assert all(isinstance(name, str) for name in names)
        for member in members[:4]:
            assert len(tables.read_member(read, member)) <= tables.PART_BYTES_MAX


def test_a_stored_member_is_read():
    """Stored members as they are; damaged ones not at all."""
    data = archive({"a.csv": "x,y"}, zipfile.ZIP_STORED)
    member = tables.zip_members(reader(data), len(data))[0]
    assert b"x,y" == tables.read_member(reader(data), member)
    packed = zlib.compress(b"abc")
    broken = b"PK\x03\x04" + bytes(26) + b"\xff" + packed
    assert b"" == tables.read_member(reader(broken), tables.Member("a", 8, 9, 0))
