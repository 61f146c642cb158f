"""Select rows of the data index: lists and bit sets of row numbers, joined smallest first, exactly.

A selection is a rising array of row numbers or, while many are left, a set of bits with one bit for
each row. Place and time go by cells to candidates (`cell_lists`), or, when few rows are left, straight
to their columns; either way each row's own box and interval decide.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.index.additions import has_phrase
from hansa.index.bits import Mask, Rows, Words, count_rows, distinct, has_rows, is_in, rows_of
from hansa.index.cell_lists import NO_ROWS, CellLists, Ranges
from hansa.index.cells import bare, digest_of, key_of
from hansa.index.columns import Reader
from hansa.index.data_index import DataIndex
from hansa.index.dead import Dead
from hansa.index.pages import HAS_BOX, HAS_INTERVAL
from hansa.index.place_tree import circle_meets
from hansa.index.question import Question
from hansa.index.regions import boxes_meet, code_runs, interval_runs, runs_of
from hansa.index.terms import Term

_DENSE = 64
"""A list with more than one row in so many is joined as bits."""
_ASKED_AS_BITS = 256
"""One with more than one row in so many is asked as bits whether it has some rows."""
_RUNS_MAX = 2_048
_FEW = 4_096
"""So many rows are looked at sooner than cells of place and time."""
_RECORDS_AT_ONCE = 512


class Selection:
    """Rows that match: a rising array of them, or bits. Never changes."""

    __slots__ = ("_count", "bits", "rows")

    def __init__(self, rows: Rows | None, bits: Words | None = None, count: int = -1) -> None:
        """Take rows, or bits and, if it is known, how many they are."""
        self.rows = rows
        self.bits = bits
        self._count = len(rows) if rows is not None else count

    @property
    def count(self) -> int:
        """Return how many rows are selected."""
        if self._count < 0:
            assert self.bits is not None
            self._count = count_rows(self.bits)
        return self._count

    def as_rows(self) -> Rows:
        """Return the rows, rising."""
        if self.rows is not None:
            return self.rows
        assert self.bits is not None
        return rows_of(self.bits)

    def has(self, rows: npt.NDArray[Any]) -> Mask:
        """Return which of some rows are selected, (n,)."""
        if self.bits is not None:
            return has_rows(self.bits, rows)
        assert self.rows is not None
        return is_in(rows, self.rows)


def is_few(count: int, rows: int) -> bool:
    """Tell whether so many of a file's rows are better held, and put in order, one by one.

    The first by id are found among n chosen rows in about n steps; or by going through all in the
    order of ids until enough are met, in about rows / n steps, each some times cheaper.
    """
    return count * count <= 8 * rows


class Selecting:
    """Answers one question's parts from one file."""

    def __init__(
        self,
        base: DataIndex,
        question: Question,
        digests: Sequence[bytes],
        dead: tuple[Dead, int],
        read: Reader,
    ) -> None:
        """Take what is asked.

        Args:
            base: the file.
            question: what is asked.
            digests: of it, what `cells.digests_asked` gives.
            dead: rows of the file that ended, and how many had at the question's height.
            read: the reader.
        """
        self._base = base
        self._question = question
        self._digests = digests
        self._dead, self._dead_count = dead
        self._read = read
        self._strong: list[Term | None] | None = None
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

    # --- terms ------------------------------------------------------------------------------------

    def _join_terms(self) -> Selection | None:
        terms: list[Term] = []
        for digest in self._digests:
            term = self._base.terms.find(digest, self._read)
            if term is None:
                return Selection(NO_ROWS)
            terms.append(term)
        if len(terms) > 1:
            terms.sort(key=_count_of)
        found: Selection | None = None
        for term in terms:
            found = self._join_term(found, term)
            if not found.count:
                break
        return found

    def _join_term(self, found: Selection | None, term: Term) -> Selection:
        """Return those found that have a term; it is asked as bits if its rows are many."""
        base = self._base
        if found is None:
            if term.count * _DENSE > base.rows:
                return Selection(None, base.terms.bits(term, base.rows, self._read), term.count)
            return Selection(base.terms.rows(term, self._read))
        if found.rows is not None:
            return Selection(found.rows[self._has_term(term, found.rows)])
        assert found.bits is not None
        if term.count * _ASKED_AS_BITS <= base.rows:
            return self._join(found, base.terms.rows(term, self._read))
        bits = found.bits & base.terms.bits(term, base.rows, self._read)
        both = Selection(None, bits)
        return Selection(rows_of(bits)) if is_few(both.count, base.rows) else both

    def _has_term(self, term: Term, rows: Rows) -> Mask:
        terms = self._base.terms
        if term.count * _ASKED_AS_BITS > self._base.rows:
            return has_rows(terms.bits(term, self._base.rows, self._read), rows)
        return is_in(rows, terms.rows(term, self._read))

    def _join(self, found: Selection | None, rows: Rows) -> Selection:
        if found is None:
            return Selection(rows)
        if found.rows is not None and len(found.rows) < len(rows):
            return Selection(found.rows[is_in(found.rows, rows)])
        return Selection(rows[found.has(rows)])

    # --- place and time ---------------------------------------------------------------------------

    def _by_place_and_time(self, found: Selection | None) -> Selection | None:
        question = self._question
        if question.box is None and question.near is None and question.interval is None:
            return found
        if found is not None and found.count <= _FEW:
            rows = found.as_rows()
            return Selection(rows[self._covers(rows)])
        best: Ranges | None = None
        left = self._base.rows if found is None else found.count
        lists = self._base.cell_lists(self._read)
        if lists is not None:
            for runs in self._runs_asked():
                ranges = lists.ranges(runs)
                if ranges.size < left:
                    best, left = ranges, ranges.size
        if best is not None:
            assert lists is not None
            rows = self._candidates(lists, best, found)
        elif found is None:
            rows = self._rows_of_pages()
        else:
            rows = found.as_rows()
        return Selection(rows[self._covers(rows)])

    def _runs_asked(self) -> Iterator[Sequence[tuple[int, int]]]:
        """Yield the runs of cells of each part of place and time that can be asked by cells."""
        for box in self._question.boxes:
            if runs_of(box) <= _RUNS_MAX:
                yield list(code_runs(box))
        if self._question.interval is not None:
            yield list(interval_runs(self._question.interval))

    def _candidates(self, lists: CellLists, ranges: Ranges, found: Selection | None) -> Rows:
        """Return the rows on some cells that are found already."""
        rows, bits = lists.candidates(ranges, self._read)
        if found is not None:
            rows = rows[found.has(rows)]
        if bits is not None:
            if found is None:
                more = rows_of(bits)
            elif found.bits is not None:
                more = rows_of(bits & found.bits)
            else:
                assert found.rows is not None
                more = found.rows[has_rows(bits, found.rows)]
            rows = np.concatenate((rows, more))
        return distinct(rows)

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
        near, interval = question.near, question.interval
        has_place = question.box is not None or near is not None
        fields = ["flags", *["box"] * has_place, *["interval"] * (interval is not None)]
        where = self._base.column("where").gather_fields(rows, self._read, fields)
        needed = (HAS_BOX if has_place else 0) | (HAS_INTERVAL if interval is not None else 0)
        mask = np.asarray(where["flags"] & needed == needed, dtype=np.bool_)
        if has_place:
            for box in question.boxes:
                mask &= boxes_meet(where["box"].T, box)
        if interval is not None:
            start, end = where["interval"].T
            mask &= (start <= interval.end_ms) & (end >= interval.start_ms)
        if near is not None and mask.any():
            mask[mask] = circle_meets(near, where["box"][mask])
        return mask

    # --- what is left -----------------------------------------------------------------------------

    def _without_dead(self, found: Selection | None) -> Selection | None:
        if not self._dead_count or found is None or not found.count:
            return found
        if found.bits is not None:
            dead = self._dead.bits(self._dead_count, self._base.rows)
            return Selection(None, found.bits & ~dead)
        assert found.rows is not None
        return Selection(found.rows[~is_in(found.rows, self._dead.rows(self._dead_count))])

    def _with_phrases(self, rows: Rows) -> Selection:
        kept: list[int] = []
        for start in range(0, len(rows), _RECORDS_AT_ONCE):
            part = rows[start : start + _RECORDS_AT_ONCE].tolist()
            self.examined += len(part)
            for row, record in zip(part, self._base.records(part, self._read), strict=True):
                if all(has_phrase(record, phrase) for phrase in self._question.phrases):
                    kept.append(row)
        return Selection(np.array(kept, dtype=np.uint32))

    def strongest(self, found: Selection) -> Selection | None:
        """Return those found that match every word as well as can be; None if that is not known.

        If they are enough for what is shown, the others need no score.
        """
        if self._question.prefixes:
            return None
        for term in self._strong_terms():
            if term is None:
                return Selection(NO_ROWS)
            found = self._join_term(found, term)
        return found

    def scores(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Return how well the words asked for match some rows that match, (n,)."""
        question = self._question
        points = np.full(len(rows), len(question.words) + len(question.prefixes), dtype=np.int64)
        for term in self._strong_terms():
            if term is not None:
                points[self._has_term(term, rows)] += 2
        for prefix in question.prefixes:
            strong = self._base.terms.rows_from(bare(prefix), self._read, strong=True)
            points[is_in(rows, strong)] += 2
        return points

    def _strong_terms(self) -> list[Term | None]:
        """Return for each word the term of the rows where it is strong, or None."""
        if self._strong is None:
            find, words = self._base.terms.find, self._question.words
            keys = [key_of("W", bare(word)) for word in words]
            self._strong = [find(digest_of(key), self._read) for key in keys]
        return self._strong


def _count_of(term: Term) -> int:
    return term.count
