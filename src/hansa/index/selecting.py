"""Select rows of the data index: lists and bit sets of row numbers, joined smallest first, exactly.

A selection is a rising array of row numbers or, where every second cache line would be touched anyway,
a set of bits with one bit for each row. Place and time go by cells to candidates, or, when few rows
are left, straight to their columns; either way each row's own box and interval decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.index.additions import has_phrase, keys_asked
from hansa.index.cells import bare, digest_of, key_of
from hansa.index.columns import Reader
from hansa.index.data_index import DataIndex
from hansa.index.pages import HAS_BOX, HAS_INTERVAL
from hansa.index.question import Circle, Question
from hansa.index.regions import code_runs, interval_runs, runs_of
from hansa.index.terms import Term
from hansa.types import Box

Rows = npt.NDArray[np.uint32]
Bits = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
NO_ROWS: Rows = np.zeros(0, dtype=np.uint32)
_DENSE = 64
"""A list with more than one row in so many is joined as bits."""
_RUNS_MAX = 2_048
_FEW = 2_048
"""So many rows are looked at sooner than cells of place and time."""
_RECORDS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows that match: an array of them, or bits."""

    rows: Rows | None
    bits: Bits | None = None

    @property
    def count(self) -> int:
        """Return how many rows are selected."""
        if self.rows is not None:
            return len(self.rows)
        assert self.bits is not None
        return int(np.bitwise_count(self.bits).sum(dtype=np.int64))

    def as_rows(self) -> Rows:
        """Return the rows, rising."""
        if self.rows is not None:
            return self.rows
        assert self.bits is not None
        return np.flatnonzero(np.unpackbits(self.bits, bitorder="little")).astype(np.uint32)

    def has(self, rows: npt.NDArray[Any]) -> Mask:
        """Return which of some rows are selected, (n,)."""
        if self.bits is not None:
            shifted = self.bits[rows >> 3] >> (rows & 7).astype(np.uint8)
            return np.asarray(shifted & 1 > 0, dtype=np.bool_)
        assert self.rows is not None
        return is_in(rows, self.rows)


class Selecting:
    """Answers one question's parts from one file."""

    def __init__(self, base: DataIndex, question: Question, dead: Rows, read: Reader) -> None:
        """Take what is asked, and the rows that are dead at the question's height, rising."""
        self._base = base
        self._question = question
        self._dead = dead
        self._read = read
        self.examined = 0
        """Rows whose columns or records were looked at."""

    def select(self) -> Selection | None:
        """Return what matches; None stands for every living row."""
        found = self._join_terms()
        for prefix in self._question.prefixes:
            if found is not None and not found.count:
                return found
            found = self._join(found, self._base.terms.rows_from(bare(prefix), self._read))
        found = self._by_place_and_time(found)
        found = self._without_dead(found)
        if self._question.phrases and found is not None:
            found = self._with_phrases(found.as_rows())
        return found

    def _terms(self) -> list[Term] | None:
        """Return the terms asked for, rarest first, or None if one does not exist."""
        terms: list[Term] = []
        for key in dict.fromkeys(keys_asked(self._question)):
            term = self._base.terms.find(digest_of(key), self._read)
            if term is None:
                return None
            terms.append(term)
        return sorted(terms, key=lambda term: term.count)

    def _join_terms(self) -> Selection | None:
        terms = self._terms()
        if terms is None:
            return Selection(NO_ROWS)
        found: Selection | None = None
        for term in terms:
            if found is not None and not found.count:
                break
            if self._is_dense(term.count):
                bits = self._base.terms.bits(term, self._base.rows, self._read)
                if found is None:
                    found = Selection(None, bits)
                elif found.bits is not None:
                    found = self._lightened(found.bits & bits)
                else:
                    rows = found.as_rows()
                    found = Selection(rows[Selection(None, bits).has(rows)])
            else:
                found = self._join(found, self._base.terms.rows(term, self._read))
        return found

    def _is_dense(self, count: int) -> bool:
        return count * _DENSE > self._base.rows

    def _lightened(self, bits: Bits) -> Selection:
        """Return bits as rows if they are few."""
        found = Selection(None, bits)
        return found if self._is_dense(found.count) else Selection(found.as_rows())

    def _join(self, found: Selection | None, rows: Rows) -> Selection:
        if found is None:
            return Selection(rows)
        if found.rows is not None and len(found.rows) < len(rows):
            return Selection(found.rows[is_in(found.rows, rows)])
        return Selection(rows[found.has(rows)])

    # --- place and time ---------------------------------------------------------------------------

    def _by_place_and_time(self, found: Selection | None) -> Selection | None:
        question = self._question
        boxes = question.boxes
        if not boxes and question.interval is None:
            return found
        if found is not None and found.count <= _FEW:
            rows = found.as_rows()
            return Selection(rows[self._covers(rows)])
        runs = [list(code_runs(box)) for box in boxes if runs_of(box) <= _RUNS_MAX]
        if question.interval is not None:
            runs.append(list(interval_runs(question.interval)))
        left = self._base.rows if found is None else found.count
        best: list[tuple[int, int]] | None = None
        for part in runs:
            spans = self._spans(part)
            if spans is None:
                break
            size = sum(end - start for start, end in spans)
            if size < left:
                best, left = spans, size
        if best is not None:
            rows = self._rows_of(best)
            rows = rows if found is None else rows[found.has(rows)]
        elif found is None:
            rows = self._rows_of_pages()
        else:
            rows = found.as_rows()
        return Selection(rows[self._covers(rows)])

    def _spans(self, runs: Sequence[tuple[int, int]]) -> list[tuple[int, int]] | None:
        """Return which stretches of the cells' rows belong to runs of codes; None without room."""
        cells = self._base.column("cells").whole(self._read)
        if cells is None:
            return None
        codes, starts = cells["code"], cells["start"]
        bounds = np.array(runs, dtype=np.uint64)
        low = codes.searchsorted(bounds[:, 0])
        high = codes.searchsorted(bounds[:, 1], side="right")
        some = np.flatnonzero(high > low)
        total = self._base.column("cell_rows").count
        return [
            (int(starts[low[at]]), int(starts[high[at]]) if high[at] < len(codes) else total)
            for at in some.tolist()
        ]

    def _rows_of(self, spans: Sequence[tuple[int, int]]) -> Rows:
        column = self._base.column("cell_rows")
        parts = [column.slice(start, end, self._read) for start, end in spans]
        if not parts:
            return NO_ROWS
        # A row is listed on several cells. Sorting beats a set of hashes by far.
        rows = np.sort(np.concatenate(parts))
        distinct = np.ones(len(rows), dtype=np.bool_)
        distinct[1:] = rows[1:] != rows[:-1]
        return np.asarray(rows[distinct], dtype=np.uint32)

    def _rows_of_pages(self) -> Rows:
        """Return the rows of all pages whose bounds allow a match."""
        rulings = self._base.discriminant.rule(self._question)
        left = np.ones(self._base.pages, dtype=np.bool_)
        for ruling in rulings:
            left &= ruling.pages
        index = self._base.cluster_index
        return index.rows_of_pages(np.flatnonzero(left))

    def _covers(self, rows: Rows) -> Mask:
        """Return which rows cover the place and time asked for, by their own box and interval."""
        self.examined += len(rows)
        question = self._question
        where = self._base.column("where").gather(rows, self._read)
        mask = np.ones(len(rows), dtype=np.bool_)
        near = question.near
        if question.box is not None or near is not None:
            mask &= where["flags"] & HAS_BOX > 0
            west, south, east, north = where["box"].T
            for box in question.boxes:
                mask &= (west <= box.east) & (east >= box.west)
                mask &= (south <= box.north) & (north >= box.south)
        if question.interval is not None:
            start, end = where["interval"].T
            mask &= where["flags"] & HAS_INTERVAL > 0
            mask &= (start <= question.interval.end_ms) & (end >= question.interval.start_ms)
        if near is not None and mask.any():
            mask[mask] = _near(near, where["box"][mask])
        return mask

    # --- what is left -----------------------------------------------------------------------------

    def _without_dead(self, found: Selection | None) -> Selection | None:
        if not len(self._dead) or found is None:
            return found
        if found.bits is not None:
            bits = np.unpackbits(found.bits, bitorder="little")
            bits[self._dead] = 0
            return Selection(None, np.packbits(bits, bitorder="little"))
        assert found.rows is not None
        return Selection(found.rows[~is_in(found.rows, self._dead)])

    def _with_phrases(self, rows: Rows) -> Selection:
        kept: list[int] = []
        for start in range(0, len(rows), _RECORDS_AT_ONCE):
            part = rows[start : start + _RECORDS_AT_ONCE].tolist()
            self.examined += len(part)
            for row, record in zip(part, self._base.records(part, self._read), strict=True):
                if all(has_phrase(record, phrase) for phrase in self._question.phrases):
                    kept.append(row)
        return Selection(np.array(kept, dtype=np.uint32))

    def scores(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Return how well the words asked for match some rows that match, (n,)."""
        question = self._question
        points = np.full(len(rows), len(question.words) + len(question.prefixes), dtype=np.int64)
        for word in question.words:
            term = self._base.terms.find(digest_of(key_of("W", bare(word))), self._read)
            if term is not None:
                points[is_in(rows, self._base.terms.rows(term, self._read))] += 2
        for prefix in question.prefixes:
            strong = self._base.terms.rows_from(bare(prefix), self._read, strong=True)
            points[is_in(rows, strong)] += 2
        return points


def is_in(rows: npt.NDArray[Any], members: Rows) -> Mask:
    """Return which rows are among rising members, (n,)."""
    if not len(members):
        return np.zeros(len(rows), dtype=np.bool_)
    at = members.searchsorted(rows)
    at[at == len(members)] = len(members) - 1
    return np.asarray(members[at] == rows, dtype=np.bool_)


def _near(circle: Circle, boxes: npt.NDArray[np.int32]) -> Mask:
    """Return which boxes (n, 4) a circle meets; each distinct box is measured once."""
    distinct, inverse = np.unique(boxes, axis=0, return_inverse=True)
    found = np.array([circle.meets(Box(*sides)) for sides in distinct.tolist()], dtype=np.bool_)
    return found[inverse.reshape(-1)]
