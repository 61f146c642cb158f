"""Write a data index file: one immutable file with everything a node's three layers hold on disk.

    records · columns · terms · filters · footer · its length (4 bytes) · its SHA-256 · magic

Whatever is read later is checked by a CRC-32 of its own, the footer by its digest, so a cut or corrupt
file is found before it can give a wrong answer.
"""

import hashlib
import zlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from hansa.codec import encode
from hansa.index.cells import (
    GROUPS,
    LONG_STEMS,
    bare,
    digest_of,
    facets_of,
    key_of,
    pair_keys,
    stem_keys,
    strong_words,
)
from hansa.index.cluster_index import pack_words
from hansa.index.clusters import Clusters, tell_facets, tell_words
from hansa.index.columns import ColumnEntry, check_stretches
from hansa.index.features import FEATURES
from hansa.index.files import IndexFiles
from hansa.index.filters import BITS_PER_KEY, KeyFilter, PageFilter, as_digests
from hansa.index.pages import (
    CLUSTER,
    COLUMNS,
    HAS_BOX,
    HAS_INTERVAL,
    NAMES,
    WHERE,
    Row,
    arrange,
    bound_leaves,
    bound_pages,
)
from hansa.index.records import IndexRecord
from hansa.index.regions import Places, Times, cell_codes, interval_codes
from hansa.index.terms import Block, TermsEntry, TermsWriter
from hansa.index.words import fold
from hansa.types import Height

MAGIC = b"HANSAIX3"
TAIL_BYTES = 4 + 32 + len(MAGIC)
NAMES_PER_BLOCK = 64
_RECORDS_PER_PART = 4_096
_DENSE_ROWS = 1 << 16
_SMALL = 1 << 15
"""Bytes that an index may spend on each group of filters however few rows it has."""
_NONE = np.zeros(0, dtype=np.uint32)
_PAIRS_AT_ONCE = 1 << 20


class Footer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Everything about a data index file but its rows."""

    format: Literal[3]
    height: Height
    """The rows are those at this height."""
    registered: int
    """Registrations from the first block to this height."""
    feature_model: int
    bandwidth_squared: int
    centres: bytes
    """Little-endian 32-bit integers, units of 1/256, empty clusters included."""
    rows: int
    rows_sum: bytes
    """Sum over all rows that the index digest is made of (`rowsum`)."""
    clusters: bytes
    """`CLUSTER` each."""
    cluster_words: bytes
    pages: bytes
    """`PAGE` each."""
    columns: tuple[ColumnEntry, ...]
    """In the order of `COLUMNS`."""
    terms: TermsEntry
    groups: tuple[str, ...]
    """Pairs of kinds that the filter over all knows."""
    filters: tuple[Block, Block, Block, Block]
    """Over all keys, over pages, places, times."""


@dataclass(slots=True)
class _Gathered:
    """What is collected from the records, row by row."""

    words: dict[str, int] = field(default_factory=dict)
    strong: dict[str, int] = field(default_factory=dict)
    keys: dict[bytes, int] = field(default_factory=dict)
    word_pairs: "array[int]" = field(default_factory=lambda: array("Q"))
    """number of the word << 32 | row; the same for strong words and other keys."""
    strong_pairs: "array[int]" = field(default_factory=lambda: array("Q"))
    key_pairs: "array[int]" = field(default_factory=lambda: array("Q"))
    facets: dict[str, int] = field(default_factory=dict)
    """Kind and value → number."""
    facet_starts: "array[int]" = field(default_factory=lambda: array("I"))
    facet_values: "array[int]" = field(default_factory=lambda: array("I"))
    pairs: defaultdict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    bares: dict[str, str] = field(default_factory=dict)
    everywhere: Counter[str] = field(default_factory=Counter)
    telling: list[tuple[str, ...]] = field(default_factory=list)
    """Strong words of each row."""

    def take(self, row: int, record: IndexRecord) -> None:
        """Collect one record's keys."""
        self._take_words(row, record)
        self.facet_starts.append(len(self.facet_values))
        for kind, values in facets_of(record).items():
            for value in values:
                self._pair(key_of(kind, value), row)
                name = kind + value
                self.facet_values.append(self.facets.setdefault(name, len(self.facets)))
        self._pair(key_of("n", fold(record.title)), row)
        self._pair(b"i" + record.dataset, row)
        for group, key in pair_keys(record):
            self.pairs[group].add(key)

    def _take_words(self, row: int, record: IndexRecord) -> None:
        bares, words, pairs = self.bares, self.words, self.word_pairs
        for word in record.words:
            plain = bares.get(word)
            if plain is None:
                plain = bares[word] = bare(word)
            pairs.append(words.setdefault(plain, len(words)) << 32 | row)
        strong = strong_words(record)
        self.telling.append(tuple(strong))
        self.everywhere.update(strong)
        for word in strong:
            number = self.strong.setdefault(bares[word], len(self.strong))
            self.strong_pairs.append(number << 32 | row)

    def _pair(self, key: bytes, row: int) -> None:
        self.key_pairs.append(self.keys.setdefault(key, len(self.keys)) << 32 | row)


def budget(rows: int, dense: float, sparse: float) -> int:
    """Return bytes: so many for each of the first 65,536 rows, so many for each further one."""
    return int(dense * min(rows, _DENSE_ROWS) + sparse * max(0, rows - _DENSE_ROWS))


def write_data_index(
    files: IndexFiles,
    name: str,
    rows: Sequence[Row],
    clusters: Clusters,
    *,
    height: Height,
    registered: int,
    feature_model: int,
    rows_sum: bytes,
) -> None:
    """Write rows as a file, sorted by cluster, near ones together. One writer at a time.

    Raises:
        DiskFullError, UnavailableError: it could not be written; nothing changed.
    """
    writing = _Writing(rows, clusters)
    head = {
        "height": height,
        "registered": registered,
        "feature_model": feature_model,
        "rows_sum": rows_sum,
    }
    files.write(name, writing.parts(head))


class _Writing:
    """One file on its way to the disk, part by part, so that it is never in memory as a whole."""

    def __init__(self, rows: Sequence[Row], clusters: Clusters) -> None:
        self._clusters = clusters
        # The order in which rows came must leave no trace in the file.
        rows = sorted(rows, key=lambda row: row.record.dataset)
        table = np.array([row.record.features for row in rows], dtype=np.int8)
        features = table.reshape(-1, FEATURES)
        labels = np.array([row.cluster for row in rows], dtype=np.int64)
        order = arrange(features, labels)
        self._rows = [rows[number] for number in order.tolist()]
        self._features = features[order]
        self._labels = labels[order]
        self._offset = 0
        self._columns: list[ColumnEntry] = []

    def parts(self, head: dict[str, Any]) -> Iterator[bytes]:
        """Yield the file's bytes in order."""
        gathered = _Gathered()
        places = np.zeros(len(self._rows), dtype=COLUMNS["records"])
        yield from self._records(places, gathered)
        names, where = self._names(), self._where()
        pages = bound_pages(self._labels, where, self._features)
        yield from self._fixed_columns(names, where, places)
        yield self._column("leaves", bound_leaves(pages, self._features))
        yield from self._facet_columns(gathered)
        yield from self._cell_columns(where)
        terms: TermsEntry | None = None
        page_filter: PageFilter | None = None
        digests: list[bytes] = []
        for part in self._terms(gathered, pages["first"].astype(np.int64), digests):
            if isinstance(part, TermsEntry):
                terms = part
            elif isinstance(part, PageFilter):
                page_filter = part
            else:
                yield self._moved(part)
        assert terms is not None
        assert page_filter is not None
        filters, groups = self._filters(gathered, digests, where, page_filter)
        blocks: list[Block] = []
        for data in filters:
            blocks.append(Block(self._offset, len(data), zlib.crc32(data)))
            yield self._moved(data)
        entries, words = self._describe_clusters(pages, gathered)
        footer = encode(
            Footer(
                format=3,
                bandwidth_squared=self._clusters.bandwidth_squared,
                centres=self._clusters.centres.astype("<i4").tobytes(),
                rows=len(self._rows),
                clusters=entries.tobytes(),
                cluster_words=words,
                pages=pages.tobytes(),
                columns=tuple(self._columns),
                terms=terms,
                groups=groups,
                filters=(blocks[0], blocks[1], blocks[2], blocks[3]),
                **head,
            )
        )
        yield footer
        yield len(footer).to_bytes(4, "little") + hashlib.sha256(footer).digest() + MAGIC

    def _moved(self, data: bytes) -> bytes:
        self._offset += len(data)
        return data

    def _records(self, places: npt.NDArray[np.void], gathered: _Gathered) -> Iterator[bytes]:
        parts: list[bytes] = []
        offset = 0
        for number, row in enumerate(self._rows):
            data = encode(row.record)
            places[number] = (offset, len(data), zlib.crc32(data))
            offset += len(data)
            gathered.take(number, row.record)
            parts.append(data)
            if len(parts) == _RECORDS_PER_PART:
                yield self._moved(b"".join(parts))
                parts = []
        yield self._moved(b"".join(parts))

    def _column(self, name: str, values: npt.NDArray[Any]) -> bytes:
        """Return a column's bytes and note where they lie."""
        data = values.astype(COLUMNS[name].base).tobytes()
        self._columns.append(check_stretches(name, self._offset, data, COLUMNS[name].itemsize))
        return self._moved(data)

    def _names(self) -> npt.NDArray[np.void]:
        names = np.zeros(len(self._rows), dtype=NAMES)
        for column, texts in (
            ("dataset", (row.record.dataset for row in self._rows)),
            ("digest", (row.digest for row in self._rows)),
        ):
            width = NAMES[column].shape[0]
            names[column] = np.frombuffer(b"".join(texts), dtype=np.uint8).reshape(-1, width)
        return names

    def _where(self) -> npt.NDArray[np.void]:
        where = np.zeros(len(self._rows), dtype=WHERE)
        for number, row in enumerate(self._rows):
            box, interval = row.record.box, row.record.interval
            if box is not None:
                where["flags"][number] |= HAS_BOX
                where["box"][number] = (box.west, box.south, box.east, box.north)
            if interval is not None:
                where["flags"][number] |= HAS_INTERVAL
                where["interval"][number] = (interval.start_ms, interval.end_ms)
        return where

    def _fixed_columns(
        self, names: npt.NDArray[np.void], where: npt.NDArray[np.void], places: npt.NDArray[np.void]
    ) -> Iterator[bytes]:
        ids = np.ascontiguousarray(names["dataset"]).view(">u8").reshape(-1, 2)
        order = np.lexsort((ids[:, 1], ids[:, 0])).astype(np.uint32)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order), dtype=np.uint32)
        for name, values in (
            ("names", names),
            ("where", where),
            ("features", self._features),
            ("records", places),
            ("rank", rank),
            ("order", order),
        ):
            yield self._column(name, values)

    def _facet_columns(self, gathered: _Gathered) -> Iterator[bytes]:
        starts = np.array(gathered.facet_starts, dtype=np.int64)
        values = np.array(gathered.facet_values, dtype=np.uint32)
        facets = np.zeros(len(starts), dtype=COLUMNS["facets"])
        facets["start"] = starts
        facets["count"] = np.diff(starts, append=len(values))
        yield self._column("facets", facets)
        yield self._column("facet_values", values)
        names = list(gathered.facets)
        blocks = [
            encode(tuple(names[start : start + NAMES_PER_BLOCK]))
            for start in range(0, len(names), NAMES_PER_BLOCK)
        ]
        places = np.zeros(len(blocks), dtype=COLUMNS["facet_names"])
        for number, data in enumerate(blocks):
            places[number] = (self._offset, len(data), zlib.crc32(data))
            yield self._moved(data)
        yield self._column("facet_names", places)

    def _cell_columns(self, where: npt.NDArray[np.void]) -> Iterator[bytes]:
        """Yield the cells of place and time and the rows on each."""
        codes, rows = array("Q"), array("I")
        for flags, box, interval, row in zip(
            where["flags"].tolist(), where["box"].tolist(), where["interval"].tolist(),
            range(len(where)), strict=True,
        ):  # fmt: skip
            found: list[int] = []
            if flags & HAS_BOX:
                found.extend(cell_codes(*box))
            if flags & HAS_INTERVAL:
                found.extend(interval_codes(*interval))
            codes.extend(found)
            rows.extend([row] * len(found))
        code, row_of = np.array(codes, dtype=np.uint64), np.array(rows, dtype=np.uint32)
        order = np.argsort(code, kind="stable")
        distinct, starts = np.unique(code[order], return_index=True)
        cells = np.zeros(len(distinct), dtype=COLUMNS["cells"])
        cells["code"], cells["start"] = distinct, starts
        yield self._column("cells", cells)
        yield self._column("cell_rows", row_of[order])

    def _terms(
        self, gathered: _Gathered, firsts: npt.NDArray[np.int64], digests: list[bytes]
    ) -> Iterator[bytes | TermsEntry | PageFilter]:
        writer = TermsWriter(self._offset)
        words = sorted(gathered.words)
        keys = list(gathered.keys)
        spread: list[tuple[bytes, npt.NDArray[np.int64]]] = []
        for names, pairs, numbers in (
            (_word_keys("w", words), gathered.word_pairs, _renumber(words, gathered.words)),
            (_word_keys("W", words), gathered.strong_pairs, _renumber(words, gathered.strong)),
            (keys, gathered.key_pairs, None),
        ):
            found = [digest_of(name) for name in names]
            starts, rows = _lists_of(pairs, numbers, len(names))
            yield from writer.lists(found, starts, rows)
            if names is keys:
                spread = _pages_of_facets(names, found, starts, rows, firsts)
            if not (names and names[0].startswith(b"W")):
                digests.extend(found)
        yield from writer.tables(words)
        size = budget(len(self._rows), 4.0, 1.0)
        numbers_of = [pages for _, pages in spread]
        yield PageFilter.build(as_digests(d for d, _ in spread), numbers_of, len(firsts), size)

    def _filters(
        self,
        gathered: _Gathered,
        digests: list[bytes],
        where: npt.NDArray[np.void],
        by_page: PageFilter,
    ) -> tuple[tuple[bytes, bytes, bytes, bytes], tuple[str, ...]]:
        count = len(self._rows)
        groups: list[str] = []
        asked = digests
        left = (_SMALL + budget(count, 3.0, 0.5)) * 8 // BITS_PER_KEY
        for length, group in LONG_STEMS.items():
            few = len({word[:length] for word in gathered.words if len(word) >= length})
            if few <= left:
                groups.append(group)
                left -= few
        stems = {key for word in gathered.words for key in stem_keys(word, frozenset(groups))}
        asked.extend(map(digest_of, stems))
        left = (_SMALL + budget(count, 3.0, 0.5)) * 8 // BITS_PER_KEY
        for group in GROUPS:
            keys = gathered.pairs[group]
            # A group without a pair costs nothing and refuses all.
            if len(keys) <= left:
                groups.append(group)
                left -= len(keys)
                asked.extend(map(digest_of, keys))
        boxes = where["box"][where["flags"] & HAS_BOX > 0]
        intervals = where["interval"][where["flags"] & HAS_INTERVAL > 0]
        places = Places.build(boxes, 4_096 + budget(count, 1.5, 0.5))
        times = Times.build(intervals, 1_024 + budget(count, 0.5, 0.1))
        whole = KeyFilter.build(as_digests(asked))
        parts = (whole.to_bytes(), by_page.to_bytes(), places.to_bytes(), times.to_bytes())
        return parts, tuple(groups)

    def _describe_clusters(
        self, pages: npt.NDArray[np.void], gathered: _Gathered
    ) -> tuple[npt.NDArray[np.void], bytes]:
        """Return the entries of the cluster index and the telling words."""
        bounds = np.flatnonzero(np.diff(self._labels, prepend=-1, append=-1)).tolist()
        entries = np.zeros(max(0, len(bounds) - 1), dtype=CLUSTER)
        words: list[tuple[str, ...]] = []
        for place, (low, high) in enumerate(pairwise(bounds)):
            number = int(self._labels[low])
            of_cluster = np.flatnonzero(pages["cluster"] == place)
            entries[place] = (
                number,
                of_cluster[0],
                len(of_cluster),
                low,
                high - low,
            )
            facets = tell_facets([row.record for row in self._rows[low:high]])
            words.append(tell_words(gathered.telling[low:high], gathered.everywhere) + facets)
        return entries, pack_words(words)


def _word_keys(kind: str, words: Sequence[str]) -> list[bytes]:
    return [key_of(kind, word) for word in words]


def _renumber(words: Sequence[str], numbers: dict[str, int]) -> npt.NDArray[np.uint64]:
    """Return for each number of a word its place among the sorted words, (numbers,)."""
    places = np.zeros(len(numbers), dtype=np.uint64)
    for place, word in enumerate(words):
        number = numbers.get(word)
        if number is not None:
            places[number] = place
    return places


def _lists_of(
    pairs: "array[int]", numbers: npt.NDArray[np.uint64] | None, count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
    """Return where each term's rows start (count + 1,) and all rows, by term, rising.

    Uses `pairs` up: in place, since they may be tens of millions.
    """
    if not len(pairs):
        return np.zeros(count + 1, dtype=np.int64), _NONE
    values = np.frombuffer(pairs, dtype=np.uint64)
    high, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    if numbers is not None:
        for start in range(0, len(values), _PAIRS_AT_ONCE):
            part = values[start : start + _PAIRS_AT_ONCE]
            part[:] = numbers[(part >> high).astype(np.int64)] << high | (part & low)
    values.sort()
    # Two words of a row may be the same without accents.
    again = np.flatnonzero(values[1:] == values[:-1])
    if len(again):
        values = np.delete(values, again)
    bounds = np.arange(count + 1, dtype=np.uint64) << high
    return values.searchsorted(bounds).astype(np.int64), values.astype(np.uint32)


def _pages_of_facets(
    keys: Sequence[bytes],
    digests: Sequence[bytes],
    starts: npt.NDArray[np.int64],
    rows: npt.NDArray[np.uint32],
    firsts: npt.NDArray[np.int64],
) -> list[tuple[bytes, npt.NDArray[np.int64]]]:
    """Return digest and pages of each theme, format and owner."""
    found: list[tuple[bytes, npt.NDArray[np.int64]]] = []
    pages = np.searchsorted(firsts, rows, side="right") - 1
    for number, key in enumerate(keys):
        if key[:1] in (b"t", b"f", b"o"):
            part = pages[starts[number] : starts[number + 1]]
            found.append((digests[number], part[np.diff(part, prepend=-1) != 0]))
    return found
