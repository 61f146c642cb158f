"""Write a data index file: one immutable file with everything a node's three layers hold on disk.

    records · columns · terms · filters · footer · its length (4 bytes) · its SHA-256 · magic

Whatever is read later is checked by a CRC-32 of its own, the footer by its digest, so a cut or corrupt
file is found before it can give a wrong answer.
"""

import hashlib
import zlib
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from hansa.codec import encode
from hansa.index.cells import GROUPS, LONG_STEMS, STEMS, digest_of, key_of
from hansa.index.cluster_index import pack_words
from hansa.index.clusters import Clusters, tell_facets, tell_words
from hansa.index.columns import ColumnEntry, check_stretches
from hansa.index.features import FEATURES
from hansa.index.files import IndexFiles
from hansa.index.filters import Digests, KeyFilter, PageFilter, as_digests
from hansa.index.gathering import Gathered, places_of
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
from hansa.index.regions import Places, Times, cell_codes, interval_codes
from hansa.index.terms import Block, TermsEntry, TermsWriter
from hansa.types import Height

MAGIC = b"HANSAIX3"
TAIL_BYTES = 4 + 32 + len(MAGIC)
NAMES_PER_BLOCK = 64
_RECORDS_PER_PART = 4_096
_DENSE_ROWS = 1 << 16
_SMALL_KEYS = 21_845
"""Keys that an index may spend on long beginnings of words, and on pairs, however few rows it has."""
_FACETS = (b"t", b"f", b"o")


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


def budget(rows: int, dense: float, sparse: float) -> int:
    """Return bytes or keys: so many for each of the first 65,536 rows, so many for each further one."""
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
        gathered = Gathered()
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
        digests: list[Digests] = []
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

    def _records(self, places: npt.NDArray[np.void], gathered: Gathered) -> Iterator[bytes]:
        for start in range(0, len(self._rows), _RECORDS_PER_PART):
            rows = self._rows[start : start + _RECORDS_PER_PART]
            parts = [encode(row.record) for row in rows]
            for row in rows:
                gathered.take(row.record)
            lengths = np.array([len(part) for part in parts], dtype=np.int64)
            place = places[start : start + len(parts)]
            place["offset"] = self._offset + np.cumsum(lengths) - lengths
            place["length"] = lengths
            place["checksum"] = [zlib.crc32(part) for part in parts]
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
        records = [row.record for row in self._rows]
        boxes = [(n, r.box) for n, r in enumerate(records) if r.box is not None]
        if boxes:
            some = [number for number, _ in boxes]
            where["flags"][some] |= HAS_BOX
            where["box"][some] = [(b.west, b.south, b.east, b.north) for _, b in boxes]
        times = [(n, r.interval) for n, r in enumerate(records) if r.interval is not None]
        if times:
            some = [number for number, _ in times]
            where["flags"][some] |= HAS_INTERVAL
            where["interval"][some] = [(t.start_ms, t.end_ms) for _, t in times]
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

    def _facet_columns(self, gathered: Gathered) -> Iterator[bytes]:
        counts = np.array(gathered.faceted.counts, dtype=np.int64)
        facets = np.zeros(len(counts), dtype=COLUMNS["facets"])
        facets["start"] = np.cumsum(counts) - counts
        facets["count"] = counts
        yield self._column("facets", facets)
        yield self._column("facet_values", np.array(gathered.faceted.numbers, dtype=np.uint32))
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
        self, gathered: Gathered, firsts: npt.NDArray[np.int64], digests: list[Digests]
    ) -> Iterator[bytes | TermsEntry | PageFilter]:
        writer = TermsWriter(self._offset)
        numbers = gathered.plain_words
        words = sorted(numbers)
        places = places_of(words, numbers)
        for kind, postings in (("w", gathered.words), ("W", gathered.strong)):
            found = as_digests(digest_of(key_of(kind, word)) for word in words)
            yield from writer.lists(found, *postings.lists(len(words), places))
            if kind == "w":
                digests.append(found)
        keys = list(gathered.keys)
        found = as_digests(map(digest_of, keys))
        starts, rows = gathered.keyed.lists(len(keys))
        yield from writer.lists(found, starts, rows)
        digests.append(found)
        yield from writer.tables(words)
        facets = [number for number, key in enumerate(keys) if key[:1] in _FACETS]
        pages = [_pages_of(rows[starts[number] : starts[number + 1]], firsts) for number in facets]
        size = budget(len(self._rows), 4.0, 1.0)
        yield PageFilter.build(found[facets], pages, len(firsts), size)

    def _filters(
        self,
        gathered: Gathered,
        digests: list[Digests],
        where: npt.NDArray[np.void],
        by_page: PageFilter,
    ) -> tuple[tuple[bytes, bytes, bytes, bytes], tuple[str, ...]]:
        count = len(self._rows)
        groups: list[str] = []
        left = _SMALL_KEYS + budget(count, 2.0, 1 / 3)
        for length in (*STEMS, *LONG_STEMS):
            stems = {word[:length] for word in gathered.plain_words if len(word) >= length}
            if length in LONG_STEMS:
                if len(stems) > left:
                    continue
                groups.append(LONG_STEMS[length])
                left -= len(stems)
            digests.append(as_digests(digest_of(key_of("x", stem)) for stem in stems))
        left = _SMALL_KEYS + budget(count, 2.0, 1 / 3)
        for group in GROUPS:
            pairs = gathered.count_pairs(group)
            # A group without a pair costs nothing and refuses all.
            if pairs <= left:
                groups.append(group)
                left -= pairs
                digests.append(as_digests(map(digest_of, gathered.pair_keys(group))))
        boxes = where["box"][where["flags"] & HAS_BOX > 0]
        intervals = where["interval"][where["flags"] & HAS_INTERVAL > 0]
        places = Places.build(boxes, 4_096 + budget(count, 1.5, 0.5))
        times = Times.build(intervals, 1_024 + budget(count, 0.5, 0.1))
        whole = KeyFilter.build(np.concatenate(digests))
        parts = (whole.to_bytes(), by_page.to_bytes(), places.to_bytes(), times.to_bytes())
        return parts, tuple(groups)

    def _describe_clusters(
        self, pages: npt.NDArray[np.void], gathered: Gathered
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


def _pages_of(rows: npt.NDArray[np.uint32], firsts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the pages of rising rows, each once; `firsts`: the first row of each page."""
    pages = np.searchsorted(firsts, rows, side="right") - 1
    return np.asarray(pages[np.diff(pages, prepend=-1) != 0], dtype=np.int64)
