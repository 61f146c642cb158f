"""Data index: the third layer. One immutable file of pages, sorted by cluster, and what lies above it.

    pages · filter over all · filter over pages · footer · its length (4 bytes) · its SHA-256 · magic

Pages are checked one by one when they are read, the rest when the file is opened; so a cut or
corrupt file is found before it can give a wrong answer.
"""

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from hansa import limits
from hansa.codec import decode, encode
from hansa.errors import CorruptError, InvalidError
from hansa.index.cells import filter_keys, strong_words
from hansa.index.cluster_index import ClusterEntry, ClusterIndex, measure_radius
from hansa.index.clusters import Clusters, tell_words
from hansa.index.discriminant import Discriminant
from hansa.index.features import FEATURES
from hansa.index.files import IndexFile, IndexFiles
from hansa.index.filters import KeyFilter, PageFilter, hash_key
from hansa.index.pages import ROWS_PER_PAGE, Block, Page, PageEntry, Reader, Row, encode_page
from hansa.types import Height

MAGIC = b"HANSAIX1"
_TAIL_BYTES = 4 + 32 + len(MAGIC)
_SPARE_KEYS = 8_192
"""Room in the filter over all for the keys of additions."""


class Footer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Everything about a data index file but its rows."""

    format: Literal[1]
    height: Height
    """The rows are those at this height."""
    registered: int
    """Registrations from the first block to this height."""
    feature_model: int
    bandwidth_squared: int
    centres: bytes
    """Little-endian 32-bit integers, units of 1/256, empty clusters included."""
    clusters: tuple[ClusterEntry, ...]
    pages: tuple[PageEntry, ...]
    whole_filter: Block
    page_filter: Block


def write_data_index(
    files: IndexFiles,
    name: str,
    rows: Sequence[Row],
    clusters: Clusters,
    *,
    height: Height,
    registered: int,
    feature_model: int,
) -> None:
    """Write rows as a file, sorted by cluster; within one, near places and times lie together."""
    ordered = sorted(rows, key=_sort_key)
    everywhere: Counter[str] = Counter()
    for row in ordered:
        everywhere.update(strong_words(row.record))
    parts: list[bytes] = []
    pages: list[PageEntry] = []
    keys_of_pages: list[set[int]] = []
    entries: list[ClusterEntry] = []
    offset = 0
    for members in _split_clusters(ordered):
        entries.append(_describe_cluster(members, clusters, len(pages), everywhere))
        for start in range(0, len(members), ROWS_PER_PAGE):
            page_rows = members[start : start + ROWS_PER_PAGE]
            entry, data = encode_page(page_rows, offset)
            offset += len(data)
            pages.append(entry)
            parts.append(data)
            keys = {key for row in page_rows for key in filter_keys(row.record)}
            keys_of_pages.append({hash_key(key) for key in keys})
    all_keys = set().union(*keys_of_pages)
    whole = KeyFilter.sized_for(len(all_keys) + _SPARE_KEYS)
    whole.add(all_keys)
    by_page = PageFilter.build(keys_of_pages)
    blocks: list[Block] = []
    for data in (whole.to_bytes(), by_page.to_bytes()):
        blocks.append(Block(offset, len(data), zlib.crc32(data)))
        offset += len(data)
        parts.append(data)
    footer = encode(
        Footer(
            format=1,
            height=height,
            registered=registered,
            feature_model=feature_model,
            bandwidth_squared=clusters.bandwidth_squared,
            centres=clusters.centres.astype("<i4").tobytes(),
            clusters=tuple(entries),
            pages=tuple(pages),
            whole_filter=blocks[0],
            page_filter=blocks[1],
        )
    )
    tail = (footer, len(footer).to_bytes(4, "little"), hashlib.sha256(footer).digest(), MAGIC)
    files.write(name, (*parts, *tail))


class DataIndex:
    """An open file: its pages, and the two layers above them."""

    def __init__(self, file: IndexFile) -> None:
        """Read and check all but the pages.

        Raises:
            CorruptError: the file was cut or changed.
        """
        self._file = file
        self.footer = footer = _read_footer(file)
        centres = np.frombuffer(footer.centres, dtype="<i4").reshape(-1, FEATURES)
        self.clusters = Clusters(centres.astype(np.int64), footer.bandwidth_squared)
        whole = KeyFilter.from_bytes(self._checked(footer.whole_filter))
        by_page = PageFilter.from_bytes(self._checked(footer.page_filter), len(footer.pages))
        self.discriminant = Discriminant(footer.pages, whole, by_page)
        self.cluster_index = ClusterIndex(footer.clusters, footer.pages, self.clusters.centres)
        self.rows = sum(page.rows for page in footer.pages)

    @property
    def read(self) -> Reader:
        """What reads the file."""
        return self._file.read

    @property
    def file_bytes(self) -> int:
        """Size of the file."""
        return self._file.size

    def page(self, number: int, read: Reader | None = None) -> Page:
        """Return a page that reads its blocks when they are needed, through `read` if given."""
        return Page(self.footer.pages[number], read or self._file.read)

    def pages(self) -> Iterator[Page]:
        """Yield all pages in order."""
        for number in range(len(self.footer.pages)):
            yield self.page(number)

    def find(self, dataset: bytes, read: Reader | None = None) -> tuple[Page, int] | None:
        """Return page and row of a dataset, or None; reads ids only where the filters allow."""
        key = hash_key(b"i" + dataset)
        if not self.discriminant.whole.may_contain(key):
            return None
        wanted = np.frombuffer(dataset, dtype=np.uint8)
        candidates = self.discriminant.pages_with_key(key)
        for number in np.flatnonzero(candidates):
            page = self.page(int(number), read)
            rows = np.flatnonzero((page.columns["dataset"] == wanted).all(axis=1))
            if len(rows):
                return page, int(rows[0])
        return None

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def _checked(self, block: Block) -> bytes:
        try:
            data = self._file.read(block.offset, block.length)
        except InvalidError as error:
            raise _corrupt() from error
        if zlib.crc32(data) != block.checksum:
            raise _corrupt()
        return data


def _read_footer(file: IndexFile) -> Footer:
    """Read the footer from the end of the file."""
    try:
        tail = file.read(file.size - _TAIL_BYTES, _TAIL_BYTES)
        length = int.from_bytes(tail[:4], "little")
        data = file.read(file.size - _TAIL_BYTES - length, length)
        if tail[36:] != MAGIC or hashlib.sha256(data).digest() != tail[4:36]:
            raise _corrupt()
        return decode(Footer, data, bytes_max=limits.INDEX_FOOTER_BYTES_MAX)
    except InvalidError as error:
        raise _corrupt() from error


def _describe_cluster(
    members: Sequence[Row], clusters: Clusters, first_page: int, everywhere: Counter[str]
) -> ClusterEntry:
    number = members[0].cluster
    features = np.array([row.record.features for row in members], dtype=np.int64)
    return ClusterEntry(
        number=number,
        label=clusters.label(number),
        first_page=first_page,
        pages=-(-len(members) // ROWS_PER_PAGE),
        rows=len(members),
        radius=measure_radius(features, clusters.centres[number]),
        words=tell_words((tuple(strong_words(row.record)) for row in members), everywhere),
    )


def _sort_key(row: Row) -> tuple[int, int, int, int, bytes]:
    """Cluster first; then places by degree, then time, so that a page's bounds are narrow."""
    record = row.record
    west, south = (181, 91)
    if record.box is not None:
        west, south = record.box.west // 1_000_000, record.box.south // 1_000_000
    start = record.interval.start_ms if record.interval is not None else 1 << 62
    return row.cluster, west, south, start, record.dataset


def _split_clusters(ordered: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield the rows of each cluster."""
    start = 0
    for position in range(1, len(ordered) + 1):
        if position == len(ordered) or ordered[position].cluster != ordered[start].cluster:
            yield ordered[start:position]
            start = position


def stack_features(rows: Sequence[Row]) -> npt.NDArray[np.int64]:
    """Return the rows' features as a table (n, d)."""
    table = np.array([row.record.features for row in rows], dtype=np.int64)
    return table.reshape(-1, FEATURES)


def _corrupt() -> CorruptError:
    return CorruptError(
        "A file of the index was cut or changed.",
        remedy="The index is rebuilt from the chain; check the disk if this comes again.",
    )
