"""Sniff tables in binary files: names of columns from Parquet, spreadsheets, dBase, archives of tables.

Counterpart of `sniff`. Every parser reads a bounded part of the file and trusts nothing in it: whatever
is cut, too large or malformed tells nothing. No value of a row is ever returned.
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from itertools import islice

from hansa import limits
from hansa.chain.transactions import ColumnType
from hansa.client.sniff_types import dbase_type, parquet_type

ReadAt = Callable[[int, int], bytes]
"""(offset, length) → at most that many bytes of the file."""

PART_BYTES_MAX = 256 * limits.KIB
_DIRECTORY_BYTES_MAX = limits.MIB
_FOOTER_BYTES_MAX = limits.MIB
_END_OF_DIRECTORY = b"PK\x05\x06"
_END_BYTES = 22
_COMMENT_BYTES_MAX = 1 << 16
_NESTING_MAX = 16
_NAMES_OF_NESTING = frozenset({"list", "element", "array", "bag", "item", "key_value", "map"})
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
_TEXT = re.compile(r"<t(?:\s[^<>]*)?>([^<]*)</t>")
_CELL = re.compile(r"<c\s([^<>]*)>")
_VALUE = re.compile(r"<v>([0-9]{1,9})</v>")
_OPEN_TEXT = re.compile(r"<text:p(?:\s[^<>]*)?>([^<]*)</text:p>")


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a zip archive."""

    name: str
    method: int
    """0 stored, 8 deflated; others are not read."""
    packed_bytes: int
    offset: int


def parquet_columns(read: ReadAt, size: int) -> dict[str, ColumnType]:
    """Return the names of a Parquet file's columns, from its footer, and their types."""
    tail = read(max(0, size - 8), 8)
    length = int.from_bytes(tail[:4], "little")
    if len(tail) != 8 or tail[4:] != b"PAR1" or not 0 < length <= min(size - 8, _FOOTER_BYTES_MAX):
        return {}
    try:
        return _Thrift(read(size - 8 - length, length)).columns()
    except (IndexError, ValueError, RecursionError):
        return {}


def dbf_columns(head: bytes) -> tuple[str, ...]:
    """Return the names of a dBase table's fields (the attributes of a shapefile)."""
    return tuple(dbf_types(head))


def dbf_types(head: bytes) -> dict[str, ColumnType]:
    """Return the names of a dBase table's fields and the types it declares for them."""
    found: dict[str, ColumnType] = {}
    end = min(int.from_bytes(head[8:10], "little"), len(head))
    for start in range(32, end - 31, 32):
        if head[start] == 0x0D:
            break
        name = head[start : start + 11].split(b"\0")[0].decode("latin-1").strip()
        if name.isprintable() and name:
            found[name] = dbase_type(head[start + 11], head[start + 17])
    return found


def zip_members(read: ReadAt, size: int) -> tuple[Member, ...]:
    """Return the files a zip archive lists; none if its directory is too large or unsound."""
    span = min(size, _END_BYTES + _COMMENT_BYTES_MAX)
    tail = read(size - span, span)
    at = tail.rfind(_END_OF_DIRECTORY)
    if at < 0 or len(tail) - at < _END_BYTES:
        return ()
    length = int.from_bytes(tail[at + 12 : at + 16], "little")
    offset = int.from_bytes(tail[at + 16 : at + 20], "little")
    if length > _DIRECTORY_BYTES_MAX or offset + length > size:
        return ()
    directory = read(offset, length)
    members: list[Member] = []
    at = 0
    while directory[at : at + 4] == b"PK\x01\x02" and at + 46 <= len(directory):
        field = [
            int.from_bytes(directory[at + place : at + place + width], "little")
            for place, width in ((10, 2), (20, 4), (28, 2), (30, 2), (32, 2), (42, 4))
        ]
        method, packed, name_length, extra, comment, start = field
        name = directory[at + 46 : at + 46 + name_length].decode("utf-8", "replace")
        members.append(Member(name, method, packed, start))
        at += 46 + name_length + extra + comment
    return tuple(members)


def read_member(read: ReadAt, member: Member) -> bytes:
    """Return the first bytes of a member, at most PART_BYTES_MAX; a bomb is cut, not unpacked."""
    header = read(member.offset, 30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04" or member.method not in (0, 8):
        return b""
    start = member.offset + 30 + int.from_bytes(header[26:28], "little")
    start += int.from_bytes(header[28:30], "little")
    packed = read(start, min(member.packed_bytes, PART_BYTES_MAX))
    if member.method == 0:
        return packed
    try:
        return zlib.decompressobj(-15).decompress(packed, PART_BYTES_MAX)
    except zlib.error:
        return b""


def sheet_columns(read: ReadAt, members: tuple[Member, ...]) -> tuple[str, ...]:
    """Return the texts of the first row of an .xlsx file's first sheet."""
    named = {member.name: member for member in members}
    sheets = sorted(name for name in named if _SHEET.fullmatch(name))
    if not sheets:
        return ()
    sheet = read_member(read, named[sheets[0]]).decode("utf-8", "replace")
    shared: list[str] = []
    if "xl/sharedStrings.xml" in named:
        texts = read_member(read, named["xl/sharedStrings.xml"]).decode("utf-8", "replace")
        shared = ["".join(_TEXT.findall(item)) for item in texts.split("</si>")[:-1]]
    names: list[str] = []
    for cell in _first(sheet, "row").split("</c>")[: limits.COLUMNS_MAX]:
        attributes, number = _CELL.search(cell), _VALUE.search(cell)
        if attributes is None:
            continue
        if 't="s"' in attributes[1] and number is not None and int(number[1]) < len(shared):
            names.append(shared[int(number[1])])
        elif 't="inlineStr"' in attributes[1]:
            names.append("".join(_TEXT.findall(cell)))
    return tuple(unescape(name) for name in names if name.strip())


def open_sheet_columns(read: ReadAt, members: tuple[Member, ...]) -> tuple[str, ...]:
    """Return the texts of the first row of an .ods file's first table."""
    content = next((member for member in members if member.name == "content.xml"), None)
    if content is None:
        return ()
    row = _first(read_member(read, content).decode("utf-8", "replace"), "table:table-row")
    return tuple(map(unescape, _OPEN_TEXT.findall(row)[: limits.COLUMNS_MAX]))


def _first(text: str, element: str) -> str:
    """Return what stands in the first element of a name; found by two searches, whatever the text."""
    start = text.find(f"<{element}")
    end = text.find(f"</{element}>", start)
    return text[text.find(">", start) + 1 : end] if 0 <= start < end else ""


class _Thrift:
    """Reads names out of a Parquet footer (Thrift compact protocol); raises at whatever is wrong."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def columns(self) -> dict[str, ColumnType]:
        """Return names and types of the schema's elements, without the root and names that only nest."""
        field = 0
        while (head := self._byte()) != 0:
            field = field + (head >> 4) if head >> 4 else self._zigzag()
            if field == 2 and head & 15 == 9:
                return self._schema()
            self._skip(head & 15, 0)
        return {}

    def _schema(self) -> dict[str, ColumnType]:
        count = self._byte() >> 4
        if count == 15:
            count = self._varint()
        found: dict[str, ColumnType] = {}
        for number in range(min(count, 4 * limits.COLUMNS_MAX)):
            name, kind = self._element()
            if number and name not in _NAMES_OF_NESTING:
                found[name] = kind
        return dict(islice(found.items(), limits.COLUMNS_MAX))

    def _element(self) -> tuple[str, ColumnType]:
        """Read one element of the schema: field 1 is its type, 4 its name, 6 its converted type."""
        field, name = 0, ""
        types: dict[int, int] = {}
        while (head := self._byte()) != 0:
            field = field + (head >> 4) if head >> 4 else self._zigzag()
            if field == 4 and head & 15 == 8:
                name = self._take(self._varint()).decode("utf-8")
            elif field in (1, 6) and head & 15 == 5:
                types[field] = self._zigzag()
            else:
                self._skip(head & 15, 0)
        return name, parquet_type(types.get(1), types.get(6))

    def _skip(self, kind: int, depth: int) -> None:
        if depth > _NESTING_MAX:
            raise ValueError(depth)
        if kind in (3, 7):
            self._take(1 if kind == 3 else 8)
        elif kind in (4, 5, 6):
            self._varint()
        elif kind == 8:
            self._take(self._varint())
        elif kind in (9, 10):
            self._skip_list(depth)
        elif kind == 12:
            self._skip_struct(depth)
        elif kind not in (1, 2):
            raise ValueError(kind)

    def _skip_struct(self, depth: int) -> None:
        while (head := self._byte()) != 0:
            if not head >> 4:
                self._varint()
            self._skip(head & 15, depth + 1)

    def _skip_list(self, depth: int) -> None:
        head = self._byte()
        count = self._varint() if head >> 4 == 15 else head >> 4
        # Each item takes at least one byte here, whatever its kind.
        if count > len(self._data) - self._at:
            raise ValueError(count)
        for _ in range(count):
            if head & 15 in (1, 2):
                self._take(1)
            else:
                self._skip(head & 15, depth + 1)

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _take(self, length: int) -> bytes:
        if length > len(self._data) - self._at:
            raise ValueError(length)
        self._at += length
        return self._data[self._at - length : self._at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError(shift)

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
