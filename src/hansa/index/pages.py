"""Pages of the data index: up to 256 rows of one cluster, in columns, each part checked when read.

A page is four blocks: columns (ids, digests, boxes, intervals, features, where each record lies),
facets and words (sorted keys, each with the rows that have it), records (one after the other).
A question reads only the blocks it needs. Additions not yet on disk are pages in memory, so that
both are matched by the same code.
"""

import zlib
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
import numpy.typing as npt

from hansa.codec import decode, encode
from hansa.errors import CorruptError
from hansa.index.cells import facet_keys, key_of, word_keys
from hansa.index.features import FEATURES
from hansa.index.question import Question
from hansa.index.records import IndexRecord
from hansa.index.words import fold, split_sequence
from hansa.types import Digest

ROWS_PER_PAGE = 256
Mask = npt.NDArray[np.bool_]

_COLUMNS = np.dtype(
    [
        ("dataset", np.uint8, (16,)),
        ("digest", np.uint8, (32,)),
        ("flags", np.uint8),
        ("box", "<i4", (4,)),
        ("interval", "<i8", (2,)),
        ("features", np.int8, (FEATURES,)),
        ("record", "<u4", (3,)),
    ]
)
"""record: offset in the records block, length, CRC-32."""
_HAS_BOX, _HAS_INTERVAL = 1, 2
_STRONG, _PLAIN = 3, 1
_NOWHERE = (1 << 63) - 1
_postings = msgspec.msgpack.Decoder(tuple[list[bytes], list[bytes]])

Reader = Callable[[int, int], bytes]
"""Reads so many bytes at an offset: reader(offset, length)."""


class CountingReader:
    """Counts the bytes that one question reads."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self.bytes_read = 0

    def __call__(self, offset: int, length: int) -> bytes:
        """Read and count."""
        self.bytes_read += length
        return self._read(offset, length)


@dataclass(frozen=True, slots=True)
class Row:
    """One living dataset in its cluster."""

    record: IndexRecord
    cluster: int
    digest: Digest
    """Of the record."""


class Block(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a block lies."""

    offset: int
    length: int
    checksum: int
    """CRC-32 of its bytes; 0 for records, where each has its own."""


class PageEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the upper layers know of a page without reading it."""

    cluster: int
    rows: int
    columns: Block
    facets: Block
    words: Block
    records: Block
    box: tuple[int, int, int, int]
    """West, south, east, north of all boxes on it; inside out if there are none."""
    interval: tuple[int, int]
    """First and last millisecond of all intervals on it; inside out if there are none."""
    features_low: bytes
    """Least of each feature, a signed byte each."""
    features_high: bytes


def encode_page(rows: Sequence[Row], offset: int) -> tuple[PageEntry, bytes]:
    """Return a page's entry and its bytes, which are to lie at `offset`."""
    assert 1 <= len(rows) <= ROWS_PER_PAGE
    assert len({row.cluster for row in rows}) == 1 or offset == 0
    records = [encode(row.record) for row in rows]
    table = _fill_columns(rows, records)
    blocks = (
        table.tobytes(),
        _encode_postings([facet_keys(row.record) for row in rows]),
        _encode_postings([word_keys(row.record) for row in rows]),
        b"".join(records),
    )
    places: list[Block] = []
    for number, block in enumerate(blocks):
        places.append(Block(offset, len(block), zlib.crc32(block) if number < 3 else 0))
        offset += len(block)
    boxes = table["box"][table["flags"] & _HAS_BOX > 0].astype(np.int64)
    times = table["interval"][table["flags"] & _HAS_INTERVAL > 0].astype(np.int64)
    box, interval = (_NOWHERE, _NOWHERE, -_NOWHERE, -_NOWHERE), (_NOWHERE, -_NOWHERE)
    if len(boxes):
        low, high = boxes.min(axis=0), boxes.max(axis=0)
        box = (int(low[0]), int(low[1]), int(high[2]), int(high[3]))
    if len(times):
        interval = (int(times[:, 0].min()), int(times[:, 1].max()))
    entry = PageEntry(
        cluster=rows[0].cluster,
        rows=len(rows),
        columns=places[0],
        facets=places[1],
        words=places[2],
        records=places[3],
        box=box,
        interval=interval,
        features_low=table["features"].min(axis=0).tobytes(),
        features_high=table["features"].max(axis=0).tobytes(),
    )
    return entry, b"".join(blocks)


def _fill_columns(rows: Sequence[Row], records: Sequence[bytes]) -> npt.NDArray[np.void]:
    table = np.zeros(len(rows), dtype=_COLUMNS)
    offset = 0
    for number, (row, data) in enumerate(zip(rows, records, strict=True)):
        record = row.record
        flags = 0
        if record.box is not None:
            flags |= _HAS_BOX
            box = record.box
            table["box"][number] = (box.west, box.south, box.east, box.north)
        if record.interval is not None:
            flags |= _HAS_INTERVAL
            table["interval"][number] = (record.interval.start_ms, record.interval.end_ms)
        table["flags"][number] = flags
        table["dataset"][number] = np.frombuffer(record.dataset, dtype=np.uint8)
        table["digest"][number] = np.frombuffer(row.digest, dtype=np.uint8)
        table["features"][number] = record.features
        table["record"][number] = (offset, len(data), zlib.crc32(data))
        offset += len(data)
    return table


def _encode_postings(keys_of_rows: Sequence[Iterable[bytes]]) -> bytes:
    """Return sorted keys and, for each, the rows that have it, a byte each."""
    rows: dict[bytes, bytearray] = {}
    for number, keys in enumerate(keys_of_rows):
        for key in keys:
            rows.setdefault(key, bytearray()).append(number)
    ordered = sorted(rows)
    return encode((ordered, [bytes(rows[key]) for key in ordered]))


class Page:
    """Reads a page, a block at a time, each once."""

    def __init__(self, entry: PageEntry, read: Reader) -> None:
        self.entry = entry
        self._read = read

    @cached_property
    def columns(self) -> npt.NDArray[np.void]:
        """The rows' fixed columns, (rows,)."""
        return np.frombuffer(self._checked(self.entry.columns), dtype=_COLUMNS)

    @cached_property
    def facets(self) -> tuple[list[bytes], list[bytes]]:
        """Sorted facet keys and their rows."""
        return _postings.decode(self._checked(self.entry.facets))

    @cached_property
    def words(self) -> tuple[list[bytes], list[bytes]]:
        """Sorted word keys and their rows."""
        return _postings.decode(self._checked(self.entry.words))

    def dataset(self, row: int) -> bytes:
        """Return a row's dataset id."""
        return bytes(self.columns["dataset"][row].tobytes())

    def record(self, row: int) -> IndexRecord:
        """Read one record.

        Raises:
            CorruptError: its bytes are not what was written.
        """
        offset, length, checksum = (int(value) for value in self.columns["record"][row])
        data = self._read(self.entry.records.offset + offset, length)
        if zlib.crc32(data) != checksum:
            raise _corrupt()
        return decode(IndexRecord, data)

    def row(self, number: int) -> Row:
        """Read one row whole."""
        digest = Digest(self.columns["digest"][number].tobytes())
        return Row(self.record(number), self.entry.cluster, digest)

    def living(self, dead: Collection[bytes]) -> Mask:
        """Return which rows are not among the replaced and retired, (rows,)."""
        mask = np.ones(self.entry.rows, dtype=np.bool_)
        if dead:
            for row in range(self.entry.rows):
                mask[row] = self.dataset(row) not in dead
        return mask

    def distances(self, features: Sequence[int]) -> npt.NDArray[np.int64]:
        """Return the squared distance of each row's features, (rows,)."""
        difference = self.columns["features"].astype(np.int64) - np.array(features, dtype=np.int64)
        return np.asarray((difference * difference).sum(axis=1), dtype=np.int64)

    def match(
        self, question: Question, dead: Collection[bytes]
    ) -> tuple[Mask, npt.NDArray[np.int64]]:
        """Return which rows match, (rows,), and how well their words do, (rows,)."""
        mask = np.ones(self.entry.rows, dtype=np.bool_)
        scores = np.zeros(self.entry.rows, dtype=np.int64)
        for step in (self._match_facets, self._match_columns, self._match_words):
            mask &= step(question, scores)
            if not mask.any():
                return mask, scores
        mask &= self.living(dead)
        for row in np.flatnonzero(mask) if question.phrases else ():
            mask[row] = all(_has_phrase(self.record(int(row)), part) for part in question.phrases)
        return mask, scores

    def _match_facets(self, question: Question, _: npt.NDArray[np.int64]) -> Mask:
        mask = np.ones(self.entry.rows, dtype=np.bool_)
        wanted = (
            ("n", fold(question.title)),
            ("o", question.owner),
            ("t", fold(question.theme)),
            ("f", fold(question.format)),
        )
        for kind, text in wanted:
            if text:
                mask &= self._rows_of(self.facets, key_of(kind, text))
        return mask

    def _match_columns(self, question: Question, _: npt.NDArray[np.int64]) -> Mask:
        mask = np.ones(self.entry.rows, dtype=np.bool_)
        if question.dataset is not None:
            wanted = np.frombuffer(question.dataset, dtype=np.uint8)
            mask &= (self.columns["dataset"] == wanted).all(axis=1)
        if question.box is not None:
            west, south, east, north = self.columns["box"].T
            box = question.box
            mask &= self.columns["flags"] & _HAS_BOX > 0
            mask &= (west <= box.east) & (east >= box.west)
            mask &= (south <= box.north) & (north >= box.south)
        if question.interval is not None:
            start, end = self.columns["interval"].T
            mask &= self.columns["flags"] & _HAS_INTERVAL > 0
            mask &= (start <= question.interval.end_ms) & (end >= question.interval.start_ms)
        return mask

    def _match_words(self, question: Question, scores: npt.NDArray[np.int64]) -> Mask:
        mask = np.ones(self.entry.rows, dtype=np.bool_)
        for word in question.words:
            mask &= self._rows_of(self.words, key_of("w", word))
            if not mask.any():
                return mask
            scores += _PLAIN
            scores[self._rows_of(self.words, key_of("W", word))] += _STRONG - _PLAIN
        for prefix in question.prefixes:
            mask &= self._rows_from(key_of("w", prefix))
            scores += _PLAIN
            scores[self._rows_from(key_of("W", prefix))] += _STRONG - _PLAIN
        return mask

    def _rows_of(self, postings: tuple[list[bytes], list[bytes]], key: bytes) -> Mask:
        """Return which rows have a key."""
        mask = np.zeros(self.entry.rows, dtype=np.bool_)
        keys, rows = postings
        position = bisect_left(keys, key)
        if position < len(keys) and keys[position] == key:
            mask[np.frombuffer(rows[position], dtype=np.uint8)] = True
        return mask

    def _rows_from(self, prefix: bytes) -> Mask:
        """Return which rows have a word key that begins so."""
        mask = np.zeros(self.entry.rows, dtype=np.bool_)
        keys, rows = self.words
        position = bisect_left(keys, prefix)
        while position < len(keys) and keys[position].startswith(prefix):
            mask[np.frombuffer(rows[position], dtype=np.uint8)] = True
            position += 1
        return mask

    def _checked(self, block: Block) -> bytes:
        data = self._read(block.offset, block.length)
        if zlib.crc32(data) != block.checksum:
            raise _corrupt()
        return data


def page_in_memory(rows: Sequence[Row]) -> Page:
    """Return a page of additions; its rows may be of several clusters, its entry names the first."""
    entry, data = encode_page(rows, 0)
    return Page(entry, lambda offset, length: data[offset : offset + length])


def texts_of(record: IndexRecord) -> tuple[str, ...]:
    """Return the texts in each of which a phrase may occur."""
    return (record.title, record.description, record.place, *record.keywords, *record.themes)


def _has_phrase(record: IndexRecord, phrase: tuple[str, ...]) -> bool:
    """Tell whether the words of a phrase stand side by side in one text of a record."""
    length = len(phrase)
    for text in texts_of(record):
        sequence = split_sequence(text)
        for start in range(len(sequence) - length + 1):
            if tuple(sequence[start : start + length]) == phrase:
                return True
    return False


def _corrupt() -> CorruptError:
    return CorruptError(
        "A page of the index is not what was written.",
        remedy="The index is rebuilt from the chain; check the disk if this comes again.",
    )
