"""The way of a question through the three layers: discriminant table, cluster index, data index.

Upon a question:
1. what it needs and is nowhere in the index, or nowhere together → "not here", nothing read;
2. the lists of what it asks for, joined smallest first, give the rows; bounds of pages and cells of
   place and time rule out the rest; each row's own values decide;
3. additions in memory are matched beside them.
For nearness alone, pages are read by rising lower bound until none can hold a nearer row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hansa.errors import MissingError
from hansa.index.additions import Additions
from hansa.index.bits import Rows
from hansa.index.cell_lists import NO_ROWS
from hansa.index.cells import digests_asked
from hansa.index.columns import CountingReader
from hansa.index.counting import count_records, count_rows
from hansa.index.data_index import DataIndex
from hansa.index.dead import Dead
from hansa.index.explaining import Cost
from hansa.index.handful import find_handful
from hansa.index.nearest import find_nearest, measure
from hansa.index.question import (
    Answer,
    Explanation,
    Found,
    Match,
    Question,
    Refusal,
    validate_question,
)
from hansa.index.selecting import Selecting, Selection, is_few
from hansa.types import DatasetId, Height

_NO_FACETS: Mapping[str, Mapping[str, int]] = {"theme": {}, "format": {}, "owner": {}}
_PROBE_ROWS = 64
Scores = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class View:
    """The index at one height; what it shows never changes, so a question sees one height."""

    height: Height
    base: DataIndex | None
    """Rows on disk."""
    additions: Additions
    added: int
    """Only so many of the additions were there."""
    living_added: int
    """Of those, so many lived."""
    dead: Dead
    dead_count: int
    """Only so many of the rows on disk were dead."""

    @property
    def rows(self) -> int:
        """Return how many datasets are alive."""
        return (self.base.rows if self.base else 0) - self.dead_count + self.living_added


_Hit = tuple[int, bytes, int, bool]
"""A matching row before its record is read: score, dataset, row, whether it is an addition."""


def ask(
    view: View, question: Question, clock_us: Callable[[], int], *, explain: bool = True
) -> Answer:
    """Answer a question.

    Args:
        view: the index at one height.
        question: what is asked; it is checked here.
        clock_us: microseconds, for the explanation only.
        explain: tell which clusters were refused, and why; figures are told in any case.

    Raises:
        InvalidError: the question is malformed or of absurd size.
        MissingError: `like` names a dataset that is not there.
        CorruptError: what was read is not what was written; the index must be rebuilt.
    """
    validate_question(question)
    start = clock_us()
    base, absent = view.base, ""
    if base is not None:
        absent = base.discriminant.absent(question, explain=explain)
    if absent and question.like is None and not view.added:
        return _refused(view, absent, clock_us() - start, explain=explain)
    asking = _Asking(view, question, Cost(clock_us, start), absent, digests_asked(question))
    return asking.answer(explain=explain)


def find(view: View, question: Question) -> Found:
    """Return ids and scores of what matches, and how many: an answer without records and counts.

    Raises:
        InvalidError, MissingError, CorruptError: as `ask`.
    """
    validate_question(question)
    if question.dataset is not None and _is_nowhere(view, question, question.dataset):
        return Found(view.height, 0, ())
    if question.is_nearness_alone:
        hits, total = _Asking(view, question, Cost(_no_clock, 0), "", ()).found()
        return Found(view.height, total, tuple([hit[:2] for hit in hits]))
    base, absent = view.base, ""
    if base is not None and not view.added:
        found, digests = _find_at_hand(view, base, question)
        if found is not None:
            return found
    else:
        digests = digests_asked(question)
    # The discriminant table saves reads; where there are none to save, lists answer sooner.
    if base is not None and not (digests and base.at_hand(question, digests)):
        absent = base.discriminant.absent(question, explain=False)
    if absent and question.like is None and not view.added:
        return Found(view.height, 0, ())
    hits, total = _Asking(view, question, Cost(_no_clock, 0), absent, digests).found()
    return Found(view.height, total, tuple([hit[:2] for hit in hits]))


def _is_nowhere(view: View, question: Question, dataset: bytes) -> bool:
    """Tell of an id alone, before all else, that nothing has it: most ids asked for in vain end here."""
    base = view.base
    if base is None or view.added or question.like is not None:
        return False
    return not base.discriminant.may_have(dataset)


def _find_at_hand(
    view: View, base: DataIndex, question: Question
) -> tuple[Found | None, Sequence[bytes]]:
    """Return what `find` does where all that leads to it is in memory, else None; and the keys asked for."""
    found: Found | None = None
    if question.asks_words_only:
        found = _find_words(view, base, question)
        if found is not None:
            return found, ()
    digests = digests_asked(question)
    if question.is_facets_alone:
        found = _find_by_rank(view, base, question, digests)
    if found is None:
        few = find_handful(base, question, digests, (view.dead, view.dead_count))
        if few is not None:
            shown = few[question.offset : question.offset + question.limit]
            found = Found(view.height, len(few), tuple(shown))
    return found, digests


def _find_by_rank(
    view: View, base: DataIndex, question: Question, digests: Sequence[bytes]
) -> Found | None:
    """Return what `find` does where ranks of all that is asked for are in memory, else None."""
    ranked = base.ranked_at_hand(question, digests)
    if ranked is None:
        return None
    best, dead = question.offset + question.limit, (view.dead, view.dead_count)
    first = ranked.first(question, digests, dead, best, CountingReader(base.read))
    if first is None:
        return None
    ids = ranked.ids(first.ranks[question.offset :])
    return Found(view.height, first.total, tuple([(0, dataset) for dataset in ids]))


def _find_words(view: View, base: DataIndex, question: Question) -> Found | None:
    """Return what `find` does where all that is known of some words is in memory, else None."""
    ranked = base.ranked_if_made
    words = ranked.words_at_hand(question.words) if ranked is not None else None
    if ranked is None or words is None:
        return None
    best, dead = question.offset + question.limit, (view.dead, view.dead_count)
    total, ranks, scores = ranked.first_of_words(words, dead, best)
    if question.offset:
        ranks, scores = ranks[question.offset :], scores[question.offset :]
    return Found(view.height, total, tuple(zip(scores, ranked.ids(ranks), strict=True)))


def _no_clock() -> int:
    return 0


def features_of(
    view: View, dataset: DatasetId, reader: CountingReader | None = None
) -> tuple[int, ...]:
    """Return the features of a living dataset.

    Raises:
        MissingError: there is none of this id.
    """
    number = view.additions.row_of(dataset, view.added, view.height)
    if number is not None:
        return view.additions.rows[number].record.features
    row = find_row(view, dataset, reader)
    if row is None or view.base is None:
        raise MissingError(
            f"There is no dataset {dataset.hex()} at height {view.height}.",
            remedy="Look it up with `hansa dataset find`.",
        )
    rows = np.array([row], dtype=np.uint32)
    found = view.base.column("features").gather(rows, reader or view.base.read)
    return tuple(int(value) for value in found[0])


def find_row(view: View, dataset: bytes, reader: CountingReader | None = None) -> int | None:
    """Return the row on disk of a dataset that lives there at the view's height."""
    if view.base is None:
        return None
    row = view.base.find(dataset, reader)
    return None if row is None or view.dead.has(row, view.dead_count) else row


def _refused(view: View, absent: str, spent_us: int, *, explain: bool) -> Answer:
    clusters = view.base.cluster_count if view.base is not None else 0
    refusals = (Refusal("all", f"{absent} anywhere"),) if explain else ()
    told = Explanation(clusters, refusals, clusters, "discriminant table", 0, 0, 0, spent_us)
    return Answer(view.height, 0, (), _NO_FACETS, told)


class _Asking:
    """One question on its way."""

    def __init__(
        self, view: View, question: Question, cost: Cost, absent: str, digests: Sequence[bytes]
    ) -> None:
        """Take what the discriminant table said of the rows on disk, and the keys asked for."""
        self._digests = digests
        self._absent = absent
        self._view = view
        self._question = question
        self._cost = cost
        self._features = question.like_features
        self._reader = CountingReader(view.base.read) if view.base else None

    def found(self) -> tuple[list[_Hit], int]:
        """Return the hits to show and how many rows match."""
        view, question = self._view, self._question
        if question.like is not None:
            self._features = features_of(view, question.like, self._reader)
        added = self._added()
        if question.is_nearness_alone:
            hits, _ = self._near_hits(added)
            total = view.rows - (question.like is not None)
        else:
            hits, total = [], 0
            if view.base is not None and not self._absent:
                few = self._by_rank(view.base)
                hits, total = few if few is not None else self._from_file(view.base)[:2]
            hits = self._with_added(hits, added)
            total += len(added)
        return hits[question.offset : question.offset + question.limit], total

    def answer(self, *, explain: bool) -> Answer:
        view, question = self._view, self._question
        if question.like is not None:
            self._features = features_of(view, question.like, self._reader)
        added = self._added()
        absent = self._absent
        self._cost.mark()
        if question.is_nearness_alone:
            return self._nearest(added, explain=explain)
        if not added and (absent or view.base is None):
            reason = absent or "nothing of this kind"
            return _refused(view, reason, self._cost.spent_us, explain=explain)
        hits: list[_Hit] = []
        total, selection = 0, Selection(NO_ROWS)
        if view.base is not None and not absent:
            hits, total, selection = self._from_file(view.base)
        hits = self._with_added(hits, added)
        facets = _NO_FACETS
        if question.counts and (total or added):
            facets = self._count(selection if total else Selection(NO_ROWS), added)
        matches = self._matches(hits[question.offset : question.offset + question.limit])
        told = self._cost.explain(
            view.base, question, absent, self._reader, None if total == 0 else selection,
            explain=explain,
        )  # fmt: skip
        return Answer(view.height, total + len(added), matches, facets, told)

    def _with_added(self, hits: list[_Hit], added: Sequence[int]) -> list[_Hit]:
        """Return hits of the file, which are in order, and of additions, in order."""
        if not added:
            return hits
        sign = 1 if self._features is not None else -1
        both = hits + [self._added_hit(number) for number in added]
        both.sort(key=lambda hit: (sign * hit[0], hit[1]))
        return both

    def _added(self) -> list[int]:
        view, question = self._view, self._question
        if not view.added:
            return []
        found = view.additions.select(question, view.added, view.height)
        self._cost.examined += len(found)
        if question.like is not None:
            own = view.additions.row_of(question.like, view.added, view.height)
            found = [number for number in found if number != own]
        return found

    def _added_hit(self, number: int) -> _Hit:
        additions = self._view.additions
        score = 0
        if self._features is not None:
            (score,) = additions.distances(self._features, [number])
        else:
            score = additions.score(self._question, number)
        return score, additions.rows[number].record.dataset, number, True

    # --- from the file ----------------------------------------------------------------------------

    def _dead(self) -> Rows:
        return self._view.dead.rows(self._view.dead_count)

    def _by_rank(self, base: DataIndex) -> tuple[list[_Hit], int] | None:
        """Return the best hits of the file in order, and how many match, if ranks lead to them."""
        view, question = self._view, self._question
        if not (question.is_facets_alone or question.asks_words_only):
            return None
        assert self._reader is not None
        ranked = base.ranked(self._reader)
        if ranked is None:
            return None
        dead, best = (view.dead, view.dead_count), question.offset + question.limit
        if question.words:
            words = ranked.words_of(question.words, self._reader)
            if words is None:
                return [], 0
            total, ranks, scores = ranked.first_of_words(words, dead, best)
        else:
            first = ranked.first(question, self._digests, dead, best, self._reader)
            if first is None:
                return None
            self._cost.examined += first.examined
            total, ranks = first.total, first.ranks.tolist()
            scores = [0] * len(ranks)
        rows = ranked.order.take(ranks).tolist()
        kinds = [False] * len(ranks)
        return list(zip(scores, ranked.ids(ranks), rows, kinds, strict=True)), total

    def _from_file(self, base: DataIndex) -> tuple[list[_Hit], int, Selection]:
        """Return the best hits of the file in order, how many match, and all that match."""
        assert self._reader is not None
        view, question = self._view, self._question
        selecting = Selecting(
            base, question, self._digests, (view.dead, view.dead_count), self._reader
        )
        found = selecting.select()
        if found is None:
            found = Selection(np.delete(np.arange(base.rows, dtype=np.uint32), self._dead()))
        if question.like is not None:
            own = find_row(self._view, question.like, self._reader)
            if own is not None:
                rows = found.as_rows()
                found = Selection(rows[rows != own])
        self._cost.examined += selecting.examined
        total = found.count
        best = question.offset + question.limit
        if not total:
            return [], 0, found
        if self._features is not None:
            rows = found.as_rows()
            self._cost.examined += len(rows)
            scores = measure(base, rows, self._features, self._reader)
            return self._best(base, rows, scores, best), total, found
        if not question.words and not question.prefixes:
            return self._hits(base, self._first(base, found, best), None), total, found
        strongest = selecting.strongest(found)
        if strongest is not None and (strongest.count >= best or strongest.count == total):
            rows = self._first(base, strongest, best)
            scores = np.full(len(rows), 3 * len(question.words))
            return self._hits(base, rows, scores), total, found
        rows = found.as_rows()
        return self._best(base, rows, -selecting.scores(rows), best), total, found

    def _best(self, base: DataIndex, rows: Rows, scores: Scores, best: int) -> list[_Hit]:
        """Return the rows with the smallest scores, ties by id, in order; scores without their sign."""
        assert self._reader is not None
        keys = (scores << 32) + base.column("rank").gather(rows, self._reader)
        if best < len(rows):
            chosen = np.argpartition(keys, best)[:best]
            rows, scores, keys = rows[chosen], scores[chosen], keys[chosen]
        order = keys.argsort()
        return self._hits(base, rows[order], np.abs(scores[order]))

    def _first(self, base: DataIndex, found: Selection, best: int) -> Rows:
        """Return the first rows in the order of ids."""
        assert self._reader is not None
        if found.bits is not None and best < found.count and not is_few(found.count, base.rows):
            order = base.column("order").whole(self._reader)
            if order is not None:
                return _probe(order, found, best)
        rows = found.as_rows()
        ranks = base.column("rank").gather(rows, self._reader)
        if best < len(rows):
            chosen = np.argpartition(ranks, best)[:best]
            rows, ranks = rows[chosen], ranks[chosen]
        ordered: Rows = rows[ranks.argsort()]
        return ordered

    def _hits(self, base: DataIndex, rows: Rows, scores: Scores | None) -> list[_Hit]:
        """Return hits in the order of rows."""
        assert self._reader is not None
        column = base.column("names")
        if column.is_kept("dataset"):
            names = column.gather_fields(rows, self._reader, ("dataset",))["dataset"]
        else:
            order = rows.argsort()
            found = column.gather_fields(rows[order], self._reader, ("dataset",))
            names = np.empty((len(rows), 16), dtype=np.uint8)
            names[order] = found["dataset"]
        data = names.tobytes()
        ids = [data[start : start + 16] for start in range(0, len(data), 16)]
        points = [0] * len(ids) if scores is None else scores.tolist()
        return list(zip(points, ids, rows.tolist(), [False] * len(ids), strict=True))

    def _nearest(self, added: Sequence[int], *, explain: bool) -> Answer:
        view, question = self._view, self._question
        hits, looked = self._near_hits(added)
        matches = self._matches(hits[question.offset : question.offset + question.limit])
        facets = count_records([match.record for match in matches]) if question.counts else {}
        self._cost.mark()
        told = self._cost.explain_pages(view.base, looked, self._reader, explain=explain)
        return Answer(view.height, view.rows - (question.like is not None), matches, facets, told)

    def _near_hits(self, added: Sequence[int]) -> tuple[list[_Hit], npt.NDArray[np.int64]]:
        """Return the nearest in order, and the pages looked at; no row that cannot be among them."""
        view, question, features = self._view, self._question, self._features
        assert features is not None
        hits: list[_Hit] = []
        self._cost.examined += len(added)
        looked = np.zeros(0, dtype=np.int64)
        if view.base is not None:
            assert self._reader is not None
            own = find_row(view, question.like, self._reader) if question.like else None
            out = self._dead()
            if own is not None:
                out = np.sort(np.append(out, np.uint32(own)))
            best = question.offset + question.limit
            found = find_nearest(view.base, features, best, out, self._reader)
            self._cost.examined += found.examined
            looked = found.pages
            hits = self._hits(view.base, found.rows, found.distances)
        return self._with_added(hits, added), looked

    # --- what is shown ----------------------------------------------------------------------------

    def _matches(self, hits: Sequence[_Hit]) -> tuple[Match, ...]:
        base, rows = self._view.base, self._view.additions.rows
        on_disk = [row for _, _, row, is_added in hits if not is_added]
        read = iter(base.records(on_disk, self._reader) if base else ())
        found: list[Match] = []
        for score, _, row, is_added in hits:
            record = rows[row].record if is_added else next(read)
            found.append(Match(record.dataset, record.version, score, record))
        return tuple(found)

    def _count(self, selection: Selection, added: Sequence[int]) -> dict[str, dict[str, int]]:
        records = [self._view.additions.rows[number].record for number in added]
        base = self._view.base
        if base is None or not selection.count:
            return count_records(records)
        assert self._reader is not None
        return count_rows(base, selection.as_rows(), records, self._reader)


def _probe(order: npt.NDArray[np.uint32], found: Selection, best: int) -> Rows:
    """Return the first selected rows in an order, looking at ever longer stretches of it."""
    parts: list[Rows] = []
    # So many hold enough of them on average; what is missing comes with the next stretches.
    start, step, left = 0, _PROBE_ROWS + best * len(order) // found.count, best
    while left > 0 and start < len(order):
        rows = order[start : start + step]
        hits = rows[found.has(rows)][:left]
        parts.append(hits)
        left -= len(hits)
        start, step = start + step, 2 * step
    return np.concatenate(parts) if parts else NO_ROWS
