"""Sorted runs: a multimap from key heads to ordinals, larger than memory, in pages of a table.

A log-structured merge tree (O'Neil et al. 1996) with nothing but numbers in it: 12 bytes an entry, sorted
by head, 339 to a page of 4 KiB. New entries gather in memory and are written as one run; a run that is no
more than twice as long as all newer ones together is merged with them, so that there are few (about
log3 of the count over 16 Ki), each page is written some six times in its life, always in order, and never
for one random key. In memory stays the first head of each page. A look-up reads one page of each run
until its question is settled, the longest run first.

Runs never change; merging makes new ones and switches in one step of the table. A reader who finds a
page gone starts again with the new runs. Who answers for the entries that were in memory at a crash is
the caller: `covered` is the number it gave with the last flush.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from hansa.codec import decode, encode
from hansa.data.membership import Heads
from hansa.errors import CorruptError, InvalidError

Ordinals = npt.NDArray[np.uint32]
Positions = npt.NDArray[np.intp]
Settle = Callable[[Positions, Ordinals], npt.NDArray[np.bool_]]
"""settle(positions in the question, ordinals) tells which of these pairs end their question."""

PAGE_ENTRIES = 339
"""With the table's check of four bytes they fill one page of LMDB."""
_ENTRY_BYTES = 12
MEMORY_ENTRIES = 16_384
"""Entries gathered in memory before they are written."""
_MERGE_FACTOR = 2
_MERGE_PAGES = 512
"""Pages of the longest run that are merged at a time."""
_FENCES_PAGE = 0xFFFF_FFFF
_DELETE_ROWS = 4_096
_NOTE_PAGES = 256
_FIND_AT_ONCE = 1_024
_HEAD_BYTES = 8
_PAGE_BYTES = PAGE_ENTRIES * _ENTRY_BYTES

REMEDY = "Stop the node and remove its table: it is rebuilt at the next start."


class Table(Protocol):
    """What is needed of a durable table; see `ports.Table`."""

    def get_many(self, keys: list[bytes], /) -> list[bytes | None]:
        """Return the value of each key, or None."""
        ...

    def note(self, changes: list[tuple[bytes, bytes | None]], /) -> None:
        """Apply changes, in order, durable with the next write."""
        ...


class _RunRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One run."""

    number: int
    entries: int


class _ListRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What there is under one letter."""

    covered: int
    """What the caller said of the entries in the runs."""
    next_number: int
    runs: tuple[_RunRow, ...]
    """The longest, which are the oldest, first."""
    doomed: tuple[_RunRow, ...]
    """Being written or being removed: to be removed when the table is opened."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that can be searched."""

    number: int
    entries: int
    fences: Heads
    """First head of each page."""

    @property
    def row(self) -> _RunRow:
        return _RunRow(self.number, self.entries)


@dataclass(frozen=True, slots=True)
class _View:
    """All entries at one moment."""

    heads: Heads
    """Of the entries in memory, sorted."""
    ordinals: Ordinals
    runs: tuple[_Run, ...]


class SortedRuns:
    """One multimap; one writer at a time (the caller's lock), any number of readers."""

    def __init__(self, table: Table, letter: bytes) -> None:
        """Open what is under a letter of the table; nothing is fine.

        Raises:
            CorruptError: the rows are not what was written.
        """
        self._table = table
        self._letter = letter
        self._list_key = letter + b"list"
        row = table.get_many([self._list_key])[0]
        listed = _decode_list(row) if row is not None else _ListRow(0, 1, (), ())
        self.covered = listed.covered
        """What was said with the last flush; 0 if there was none."""
        self.page_reads = 0
        """Pages asked of the table, for statistics."""
        self._next_number = listed.next_number
        runs = tuple(self._open_run(run) for run in listed.runs)
        self._view = _View(np.empty(0, np.uint64), np.empty(0, np.uint32), runs)
        self._doomed = list(listed.doomed)
        self._remove_doomed()

    @property
    def waiting(self) -> int:
        """Return how many entries are in memory only."""
        return len(self._view.heads)

    @property
    def runs(self) -> int:
        """Return how many runs there are."""
        return len(self._view.runs)

    @property
    def memory_bytes(self) -> int:
        """Return the memory that grows with the entries: fences, and the entries not yet written."""
        view = self._view
        fences = sum(run.fences.nbytes for run in view.runs)
        return fences + view.heads.nbytes + view.ordinals.nbytes

    def add(self, heads: Heads, ordinals: Ordinals) -> None:
        """Add entries; in memory until `flush`."""
        order = np.argsort(heads, kind="stable")
        fresh, view = heads[order], self._view
        places = np.searchsorted(view.heads, fresh, side="right") + np.arange(len(fresh))
        stays = np.ones(len(view.heads) + len(fresh), np.bool_)
        stays[places] = False
        joined, numbers = np.empty(len(stays), np.uint64), np.empty(len(stays), np.uint32)
        joined[places], joined[stays] = fresh, view.heads
        numbers[places], numbers[stays] = ordinals[order], view.ordinals
        self._view = _View(joined, numbers, view.runs)

    def find(self, heads: Heads, settle: Settle) -> None:
        """Show `settle` the ordinals of each head, until it has enough of that head.

        Raises:
            CorruptError: the rows are not what was written.
        """
        for first in range(0, len(heads), _FIND_AT_ONCE):
            piece = heads[first : first + _FIND_AT_ONCE]
            # Merged meanwhile: begin again. What is shown twice does no harm.
            while not self._is_found(piece, first, settle):
                pass

    def flush(self, covered: int) -> None:
        """Write what is in memory as a run, and merge what should be.

        Args:
            covered: for the caller, to be read as `covered` after the next open.

        Raises:
            DiskFullError: all stays as it was.
        """
        view = self._view
        merged, total = 0, len(view.heads)
        for run in reversed(view.runs):
            if run.entries > _MERGE_FACTOR * total:
                break
            merged, total = merged + 1, total + run.entries
        kept, old = view.runs[: len(view.runs) - merged], view.runs[len(view.runs) - merged :]
        fresh = (self._write_run(old, view, total),) if total else ()
        runs = (*kept, *fresh)
        numbers = {run.number for run in fresh}
        doomed = [run for run in self._doomed if run.number not in numbers]
        doomed += [run.row for run in old]
        # Only when this row is written are the old runs old.
        self._table.note([self._list_row(runs, doomed, covered)])
        self.covered, self._doomed = covered, doomed
        self._view = _View(np.empty(0, np.uint64), np.empty(0, np.uint32), runs)
        self._remove_doomed()

    # --- reading --------------------------------------------------------------------------------

    def _is_found(self, heads: Heads, base: int, settle: Settle) -> bool:
        view = self._view
        unsettled = np.arange(len(heads))
        found = _match(view.heads, view.ordinals, heads)
        for run in (None, *view.runs):
            if run is not None:
                searched = self._search(run, heads[unsettled])
                if searched is None:
                    if self._view.runs == view.runs:
                        raise CorruptError("The hash index table misses a page.", remedy=REMEDY)
                    return False
                found = searched
            places, ordinals = found
            if len(places):
                at = unsettled[places]
                done = at[settle(at + base, ordinals)]
                unsettled = unsettled[~np.isin(unsettled, done)]
            if not len(unsettled):
                break
        return True

    def _search(self, run: _Run, asked: Heads) -> tuple[Positions, Ordinals] | None:
        """Return which entries of a run have the heads asked for; None if the run is gone."""
        # Equal heads may begin on the page before the one they are the fence of.
        first = np.maximum(np.searchsorted(run.fences, asked, side="left") - 1, 0)
        last = np.maximum(np.searchsorted(run.fences, asked, side="right") - 1, 0)
        steps = range(int((last - first).max(initial=0)) + 1)
        pages = np.unique(np.concatenate([np.minimum(first + step, last) for step in steps]))
        loaded = self._load(run, pages)
        return None if loaded is None else _match(*loaded, asked)

    def _load(self, run: _Run, pages: npt.NDArray[np.intp]) -> tuple[Heads, Ordinals] | None:
        """Return the entries of some pages in ascending order; None if one is gone."""
        prefix = self._letter + run.number.to_bytes(4, "big")
        rows = self._table.get_many([prefix + page.to_bytes(4, "big") for page in pages.tolist()])
        self.page_reads += len(rows)
        sound = [row for row in rows if row is not None]
        if len(sound) < len(rows):
            return None
        heads: list[Heads] = []
        ordinals: list[Ordinals] = []
        full = [row for row in sound if len(row) == _PAGE_BYTES]
        if full:
            matrix = np.frombuffer(b"".join(full), np.uint8).reshape(len(full), _PAGE_BYTES)
            split = PAGE_ENTRIES * _HEAD_BYTES
            heads.append(np.ascontiguousarray(matrix[:, :split]).view("<u8").ravel())
            ordinals.append(np.ascontiguousarray(matrix[:, split:]).view("<u4").ravel())
        if len(full) < len(sound):
            # Only the last page of a run is shorter.
            count, odd = divmod(len(sound[-1]), _ENTRY_BYTES)
            is_last = len(sound[-1]) < _PAGE_BYTES and pages[-1] == len(run.fences) - 1
            if odd or not is_last or len(full) < len(sound) - 1:
                raise CorruptError("The hash index table is damaged.", remedy=REMEDY)
            heads.append(np.frombuffer(sound[-1], "<u8", count))
            ordinals.append(np.frombuffer(sound[-1], "<u4", count, count * _HEAD_BYTES))
        return np.concatenate(heads), np.concatenate(ordinals)

    def _open_run(self, row: _RunRow) -> _Run:
        key = self._page_key(row.number, _FENCES_PAGE)
        data = self._table.get_many([key])[0]
        pages = -(-row.entries // PAGE_ENTRIES)
        if data is None or len(data) != pages * _HEAD_BYTES:
            raise CorruptError("The hash index table is damaged.", remedy=REMEDY)
        return _Run(row.number, row.entries, np.frombuffer(data, "<u8").astype(np.uint64))

    # --- writing --------------------------------------------------------------------------------

    def _write_run(self, old: tuple[_Run, ...], view: _View, entries: int) -> _Run:
        """Write old runs and what is in memory as one new run, not yet listed."""
        number = self._next_number
        self._next_number += 1
        # Listed among the doomed while it grows: a crash leaves nothing behind.
        self._doomed.append(_RunRow(number, entries))
        self._table.note([self._list_row(view.runs, self._doomed, self.covered)])
        fences: list[Heads] = []
        heads, ordinals = np.empty(0, np.uint64), np.empty(0, np.uint32)
        page = 0
        for more_heads, more_ordinals in self._merge(old, view):
            heads = np.concatenate([heads, more_heads])
            ordinals = np.concatenate([ordinals, more_ordinals])
            whole = len(heads) // PAGE_ENTRIES * PAGE_ENTRIES
            self._write_pages(number, page, heads[:whole], ordinals[:whole])
            fences.append(heads[:whole:PAGE_ENTRIES])
            page += whole // PAGE_ENTRIES
            heads, ordinals = heads[whole:], ordinals[whole:]
        if len(heads):
            self._write_pages(number, page, heads, ordinals)
            fences.append(heads[:1])
        joined = np.concatenate(fences)
        data = joined.astype("<u8").tobytes()
        self._table.note([(self._page_key(number, _FENCES_PAGE), data)])
        return _Run(number, entries, joined)

    def _merge(self, old: tuple[_Run, ...], view: _View) -> Iterator[tuple[Heads, Ordinals]]:
        """Yield all entries in ascending order of heads, a bounded number at a time."""
        if not old:
            yield view.heads, view.ordinals
            return
        bounds = [0, *max(old, key=lambda run: run.entries).fences[_MERGE_PAGES::_MERGE_PAGES]]
        for number, low in enumerate(bounds):
            high = bounds[number + 1] if number + 1 < len(bounds) else None
            parts = [_slice(view.heads, view.ordinals, low, high)]
            for run in old:
                first = max(int(np.searchsorted(run.fences, low, side="left")) - 1, 0)
                last = len(run.fences) if high is None else np.searchsorted(run.fences, high)
                if first < last:
                    loaded = self._load(run, np.arange(first, last))
                    assert loaded is not None, "only the writer removes runs"
                    parts.append(_slice(*loaded, low, high))
            heads = np.concatenate([part[0] for part in parts])
            ordinals = np.concatenate([part[1] for part in parts])
            order = np.argsort(heads, kind="stable")
            yield heads[order], ordinals[order]

    def _write_pages(self, number: int, page: int, heads: Heads, ordinals: Ordinals) -> None:
        for first in range(0, len(heads), PAGE_ENTRIES * _NOTE_PAGES):
            rows: list[tuple[bytes, bytes | None]] = []
            for at in range(
                first, min(first + PAGE_ENTRIES * _NOTE_PAGES, len(heads)), PAGE_ENTRIES
            ):
                end = at + PAGE_ENTRIES
                data = (
                    heads[at:end].astype("<u8").tobytes() + ordinals[at:end].astype("<u4").tobytes()
                )
                rows.append((self._page_key(number, page + at // PAGE_ENTRIES), data))
            self._table.note(rows)

    def _remove_doomed(self) -> None:
        """Remove the pages of runs that are listed no more."""
        if not self._doomed:
            return
        for run in self._doomed:
            pages = [*range(-(-run.entries // PAGE_ENTRIES)), _FENCES_PAGE]
            for first in range(0, len(pages), _DELETE_ROWS):
                some = pages[first : first + _DELETE_ROWS]
                self._table.note([(self._page_key(run.number, page), None) for page in some])
        self._table.note([self._list_row(self._view.runs, [], self.covered)])
        self._doomed = []

    def _list_row(
        self, runs: tuple[_Run, ...], doomed: list[_RunRow], covered: int
    ) -> tuple[bytes, bytes]:
        listed = tuple(run.row for run in runs)
        row = _ListRow(covered, self._next_number, listed, tuple(doomed))
        return self._list_key, encode(row)

    def _page_key(self, number: int, page: int) -> bytes:
        return self._letter + number.to_bytes(4, "big") + page.to_bytes(4, "big")


def _match(heads: Heads, ordinals: Ordinals, asked: Heads) -> tuple[Positions, Ordinals]:
    """Return, for all entries with a head that is asked for, its position in `asked` and its ordinal."""
    low = np.searchsorted(heads, asked, side="left")
    counts = np.searchsorted(heads, asked, side="right") - low
    places = np.repeat(np.arange(len(asked)), counts)
    within = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
    return places, ordinals[np.repeat(low, counts) + within]


def _slice(heads: Heads, ordinals: Ordinals, low: int, high: int | None) -> tuple[Heads, Ordinals]:
    """Return the entries with heads from `low` to below `high`."""
    first = np.searchsorted(heads, np.uint64(low))
    last = len(heads) if high is None else np.searchsorted(heads, np.uint64(high))
    return heads[first:last], ordinals[first:last]


def _decode_list(row: bytes) -> _ListRow:
    try:
        return decode(_ListRow, row)
    except InvalidError as error:
        raise CorruptError("The hash index table is damaged.", remedy=REMEDY) from error
