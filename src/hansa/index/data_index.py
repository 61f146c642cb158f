"""Data index: the third layer. An open file of rows sorted by cluster, and the two layers above them.

The two upper layers are read when the file is opened and stay in memory; of the rows nothing is read
but what a question needs. A bounded part of what was read is kept (`limits.INDEX_ROOM_BYTES_MAX`).
"""

import hashlib
import zlib
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from hansa import limits
from hansa.codec import decode
from hansa.errors import InvalidError
from hansa.index.cell_lists import CellLists
from hansa.index.cells import digest_of
from hansa.index.cluster_index import ClusterIndex
from hansa.index.clusters import Clusters
from hansa.index.columns import Column, Reader, Room, corrupt, pad
from hansa.index.discriminant import Discriminant
from hansa.index.features import FEATURES
from hansa.index.files import IndexFile
from hansa.index.filters import KeyFilter, PageFilter
from hansa.index.pages import CLUSTER, COLUMNS, PAGE, Row
from hansa.index.question import Question
from hansa.index.ranked import Ranked
from hansa.index.records import IndexRecord
from hansa.index.regions import Places, Times
from hansa.index.terms import Block, Terms
from hansa.index.writing import MAGIC, NAMES_PER_BLOCK, TAIL_BYTES, Footer
from hansa.types import Digest

Rows = npt.NDArray[np.uint32]
_ROWS_AT_ONCE = 65_536
_record = msgspec.msgpack.Decoder(IndexRecord)
_names = msgspec.msgpack.Decoder(tuple[str, ...])


class DataIndex:
    """An open file: its rows, and the two layers above them."""

    def __init__(self, file: IndexFile) -> None:
        """Read and check the upper layers.

        Raises:
            CorruptError: the file was cut or changed.
        """
        self._file = file
        footer = _read_footer(file)
        self.height, self.registered = footer.height, footer.registered
        self.feature_model = footer.feature_model
        self.rows = footer.rows
        self.rows_sum = footer.rows_sum
        centres = np.frombuffer(footer.centres, dtype="<i4").reshape(-1, FEATURES)
        self.clusters = Clusters(centres.astype(np.int16), footer.bandwidth_squared)
        pages = np.frombuffer(footer.pages, dtype=PAGE)
        entries = np.frombuffer(footer.clusters, dtype=CLUSTER)
        self.cluster_index = ClusterIndex(entries, pages, self.clusters, footer.cluster_words)
        whole, by_page, places, times = (self._checked(block) for block in footer.filters)
        self.cluster_count = len(entries)
        self.discriminant = Discriminant(
            pages=pages,
            whole=KeyFilter(whole),
            by_page=PageFilter(by_page, len(pages)),
            places=Places.from_bytes(places),
            times=Times.from_bytes(times),
            groups=frozenset(footer.groups),
        )
        self.pages = len(pages)
        self._room = Room(limits.INDEX_ROOM_BYTES_MAX)
        self.terms = Terms(footer.terms, self._room)
        self._columns = {
            entry.name: Column(entry, COLUMNS[entry.name], self._room) for entry in footer.columns
        }
        self._facet_names: dict[int, tuple[str, ...]] = {}
        self._facet_order: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]] | None = None
        self._cell_lists: CellLists | None = None
        self._ranked: Ranked | None = None
        self._norms: npt.NDArray[np.float32] | None = None

    @property
    def read(self) -> Reader:
        """Return the file's own reader."""
        return self._file.read

    @property
    def file_bytes(self) -> int:
        """Return the size of the file."""
        return self._file.size

    @property
    def kept_bytes(self) -> int:
        """Return how much of the rows is kept in memory at the moment."""
        return self._room.bytes_taken

    def column(self, name: str) -> Column:
        """Return a column by its name in `COLUMNS`."""
        return self._columns[name]

    def find(self, dataset: bytes, read: Reader | None = None) -> int | None:
        """Return the row of a dataset, or None."""
        read = read or self.read
        digest = digest_of(b"i" + dataset)
        rows = self.terms.rows(self.terms.find(digest, read), read)
        return int(rows[0]) if len(rows) else None

    def records(self, rows: Sequence[int], read: Reader | None = None) -> list[IndexRecord]:
        """Return the records of some rows, in the order given.

        Raises:
            CorruptError: their bytes are not what was written.
        """
        read = read or self.read
        if not len(rows):
            return []
        numbers = np.array(rows, dtype=np.uint32)
        order = np.argsort(numbers, kind="stable")
        places = np.empty(len(rows), dtype=COLUMNS["records"])
        places[order] = self.column("records").gather(numbers[order], read)
        found: list[IndexRecord] = []
        for offset, length, checksum in places.tolist():
            data = read(offset, length)
            if zlib.crc32(data) != checksum:
                raise corrupt()
            found.append(_record.decode(data))
        return found

    def norms(self, read: Reader) -> npt.NDArray[np.float32] | None:
        """Return |x|² of each row's features, as `pad` gives them, or None without room for them."""
        if self._norms is None:
            features = self.column("features").whole(read)
            if features is not None and self._room.take(4 * self.rows):
                norms = np.empty(self.rows, dtype=np.float32)
                for start in range(0, self.rows, _ROWS_AT_ONCE):
                    part = features[start : start + _ROWS_AT_ONCE].astype(np.float32)
                    norms[start : start + _ROWS_AT_ONCE] = np.einsum("ij,ij->i", part, part)
                self._norms = pad(norms)
        return self._norms

    def cell_lists(self, read: Reader) -> CellLists | None:
        """Return the rows by cells of place and time, or None without room for the cells."""
        if self._cell_lists is None:
            cells = self.column("cells").whole_fields(read)
            if cells is not None:
                rows = self.column("cell_rows")
                # Asked in many small pieces: better at hand, if there is room.
                rows.whole(read)
                self._cell_lists = CellLists(cells, rows, self.rows, self._room)
        return self._cell_lists

    def ranked(self, read: Reader) -> Ranked | None:
        """Return the rows by rank, or None without room for that."""
        if self._ranked is None:
            rank, order = self.column("rank").whole(read), self.column("order").whole(read)
            names = self.column("names").fields(("dataset",), read)
            if rank is not None and order is not None and names is not None:
                self._ranked = Ranked(
                    self.terms, (rank, order, names["dataset"]), self.column("where"), self._room
                )
        return self._ranked

    @property
    def ranked_if_made(self) -> Ranked | None:
        """Return the rows by rank if some question has asked for them."""
        return self._ranked

    def ranked_at_hand(self, question: Question, digests: Sequence[bytes]) -> Ranked | None:
        """Return the rows by rank if they answer a question of facets without a read, else None."""
        ranked = self._ranked
        return ranked if ranked is not None and ranked.at_hand(question, digests) else None

    def at_hand(self, question: Question, digests: Sequence[bytes]) -> bool:
        """Tell whether a question that asks for some keys is answered from memory, without a read."""
        if question.is_facets_alone:
            return self.ranked_at_hand(question, digests) is not None
        if question.prefixes or question.phrases or not self.terms.at_hand(digests):
            return False
        fields = ["flags"]
        if question.box is not None or question.near is not None:
            fields.append("box")
        if question.interval is not None:
            fields.append("interval")
        if len(fields) == 1:
            return True
        return self._cell_lists is not None and self.column("where").is_kept(*fields)

    def facet_name(self, number: int, read: Reader) -> str:
        """Return kind and value of a facet."""
        block = number // NAMES_PER_BLOCK
        names = self._facet_names.get(block)
        if names is None:
            place = self.column("facet_names").slice(block, block + 1, read)[0]
            data = read(int(place["offset"]), int(place["length"]))
            if zlib.crc32(data) != place["checksum"]:
                raise corrupt()
            names = self._facet_names[block] = _names.decode(data)
        return names[number % NAMES_PER_BLOCK]

    def facet_order(self, read: Reader) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Return the kind of each facet, as a code of a letter, and its place in the order of names."""
        if self._facet_order is None:
            names: list[str] = []
            for block in range(self.column("facet_names").count):
                self.facet_name(block * NAMES_PER_BLOCK, read)
                names.extend(self._facet_names[block])
            kinds = np.array([ord(name[0]) for name in names], dtype=np.uint8)
            ranks = np.empty(len(names), dtype=np.int64)
            ranks[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
            self._facet_order = (kinds, ranks)
        return self._facet_order

    def living(self, dead: Rows) -> list[Row]:
        """Return all rows but the dead ones, read whole."""
        kept = np.delete(np.arange(self.rows, dtype=np.uint32), dead)
        digests = self.column("names").slice(0, self.rows, self.read)["digest"][kept]
        numbers = self.cluster_index.entries["number"][self.cluster_index.cluster_of(kept)]
        return [
            Row(record, int(number), Digest(digest.tobytes()))
            for record, number, digest in zip(
                self.records(kept.tolist()), numbers, digests, strict=True
            )
        ]

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def _checked(self, block: Block) -> bytes:
        try:
            data = self._file.read(block.offset, block.length)
        except InvalidError as error:
            raise corrupt() from error
        if zlib.crc32(data) != block.checksum:
            raise corrupt()
        return data


def _read_footer(file: IndexFile) -> Footer:
    """Read the footer from the end of the file."""
    try:
        tail = file.read(file.size - TAIL_BYTES, TAIL_BYTES)
        length = int.from_bytes(tail[:4], "little")
        data = file.read(file.size - TAIL_BYTES - length, length)
        if tail[36:] != MAGIC or hashlib.sha256(data).digest() != tail[4:36]:
            raise corrupt()
        return decode(Footer, data, bytes_max=limits.INDEX_FOOTER_BYTES_MAX)
    except InvalidError as error:
        raise corrupt() from error
