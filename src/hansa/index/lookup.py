"""The way of a question through the three layers: discriminant table, cluster index, data index.

Upon a question:
1. what it needs and is nowhere in the index → "not here", nothing read;
2. rule out pages by bounds and filters; a cluster without a page left is refused, with the reason;
   if none is left and no addition in memory matches → "not here", nothing read;
3. read the pages that are left, and match their rows exactly.
For nearness alone, pages are read by rising lower bound until none can hold a nearer row.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hansa.errors import MissingError
from hansa.index.cells import Need, needs_of
from hansa.index.data_index import DataIndex
from hansa.index.discriminant import Ruling, find_absent
from hansa.index.filters import KeyFilter
from hansa.index.pages import CountingReader, Page, Row
from hansa.index.question import (
    Answer,
    Explanation,
    Match,
    Question,
    Refusal,
    validate_question,
)
from hansa.types import DatasetId, Height

REFUSALS_MAX = 50
_FACETS = {b"t": "theme", b"f": "format", b"o": "owner"}
_EMPTY_FACETS: dict[str, dict[str, int]] = {"theme": {}, "format": {}, "owner": {}}


@dataclass(frozen=True, slots=True)
class View:
    """The index at one height; never changed, so that a question sees one height throughout."""

    height: Height
    base: DataIndex | None
    """Rows on disk."""
    whole: KeyFilter
    """Over all keys, additions included."""
    delta: tuple[Page, ...]
    """Additions, in memory."""
    delta_rows: Mapping[bytes, Row]
    """The same by dataset."""
    dead: Mapping[bytes, int]
    """Datasets on disk that were replaced or retired, with their cluster there."""

    @property
    def rows(self) -> int:
        """Return how many datasets are alive."""
        return (self.base.rows if self.base else 0) - len(self.dead) + len(self.delta_rows)


@dataclass(slots=True)
class _Hit:
    """A matching row, before its record is read."""

    score: int
    dataset: bytes
    page: Page
    row: int


@dataclass(slots=True)
class _Cost:
    """What a question has cost so far."""

    clock_us: Callable[[], int]
    reader: CountingReader | None
    clusters: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    refused_by: str = ""
    pages: int = 0
    rows: int = 0
    marks: list[int] = field(default_factory=list)
    """Times after each layer."""

    def mark(self) -> None:
        self.marks.append(self.clock_us())

    def explain(self) -> Explanation:
        """Return what is told about it."""
        while len(self.marks) < 4:
            self.mark()
        layers = [after - before for before, after in zip(self.marks, self.marks[1:], strict=False)]
        return Explanation(
            clusters=self.clusters,
            refusals=tuple(self.refusals[:REFUSALS_MAX]),
            clusters_refused=len(self.refusals),
            refused_by=self.refused_by,
            pages_read=self.pages,
            rows_read=self.rows,
            bytes_read=self.reader.bytes_read if self.reader else 0,
            discriminant_us=layers[0],
            cluster_us=layers[1],
            data_us=layers[2],
        )


def ask(view: View, question: Question, clock_us: Callable[[], int]) -> Answer:
    """Answer a question.

    Args:
        view: the index at one height.
        question: what is asked; it is checked here.
        clock_us: microseconds, for the explanation only.

    Raises:
        InvalidError: the question is malformed or of absurd size.
        MissingError: `like` names a dataset that is not there.
        CorruptError: a page read is not what was written; the index must be rebuilt.
    """
    validate_question(question)
    cost = _Cost(clock_us, CountingReader(view.base.read) if view.base else None)
    cost.mark()
    features = question.like_features
    if question.like is not None:
        features = features_of(view, question.like, cost.reader)
    needs = needs_of(question)
    hits, facets = _seek(view, question, features, needs, cost)
    total = len(hits)
    if question.is_nearness_alone:
        total = view.rows - (question.like is not None)
    hits.sort(key=lambda hit: (hit.score if features is not None else -hit.score, hit.dataset))
    shown = hits[question.offset : question.offset + question.limit]
    matches = tuple(_match(hit) for hit in shown)
    if question.is_nearness_alone:
        facets = _count_facets([(hit.page, _one(hit)) for hit in shown])
    return Answer(view.height, total, matches, facets, cost.explain())


def features_of(
    view: View, dataset: DatasetId, reader: CountingReader | None = None
) -> tuple[int, ...]:
    """Return the features of a living dataset.

    Raises:
        MissingError: there is none of this id.
    """
    row = view.delta_rows.get(dataset)
    if row is not None:
        return row.record.features
    found = view.base.find(dataset, reader) if view.base and dataset not in view.dead else None
    if found is None:
        raise MissingError(
            f"There is no dataset {dataset.hex()} at height {view.height}.",
            remedy="Look it up with `hansa dataset find`.",
        )
    page, number = found
    return tuple(int(value) for value in page.columns["features"][number])


def _seek(
    view: View,
    question: Question,
    features: tuple[int, ...] | None,
    needs: Sequence[Need],
    cost: _Cost,
) -> tuple[list[_Hit], dict[str, dict[str, int]]]:
    """Return all rows that match (for nearness alone: enough of the nearest), and facet counts."""
    cost.clusters = len(view.base.cluster_index.entries) if view.base else 0
    absent = find_absent(view.whole, needs)
    if absent:
        cost.mark()
        cost.refused_by = "discriminant table"
        if view.base:
            reason = f"no {absent} anywhere"
            cost.refusals = [
                Refusal(entry.label, reason) for entry in view.base.cluster_index.entries
            ]
        return [], {name: dict(counts) for name, counts in _EMPTY_FACETS.items()}
    rulings = view.base.discriminant.rule(question, needs) if view.base else []
    cost.mark()
    left = _refuse_clusters(view, rulings, cost)
    cost.mark()
    if features is not None and question.is_nearness_alone:
        return _nearest(view, question, features, cost), {}
    hits: list[_Hit] = []
    matched: list[tuple[Page, npt.NDArray[np.bool_]]] = []
    for page, dead in _pages(view, left, cost):
        mask, scores = page.match(question, dead)
        if not mask.any():
            continue
        matched.append((page, mask))
        values = scores if features is None else page.distances(features)
        hits.extend(
            _Hit(int(values[row]), page.dataset(int(row)), page, int(row))
            for row in np.flatnonzero(mask)
        )
    if question.like is not None:
        hits = [hit for hit in hits if hit.dataset != question.like]
        matched = [(page, _without(page, mask, question.like)) for page, mask in matched]
    if not hits and not cost.pages:
        cost.refused_by = "cluster index"
    return hits, _count_facets(matched)


def _refuse_clusters(view: View, rulings: Sequence[Ruling], cost: _Cost) -> npt.NDArray[np.bool_]:
    """Return the pages left, and note why each cluster without any is refused."""
    if view.base is None:
        return np.zeros(0, dtype=np.bool_)
    index = view.base.cluster_index
    left = view.base.discriminant.join(rulings)
    kept = index.clusters_with(left)
    if kept.all():
        return left
    reasons = ["no page has all of it together"] * len(index.entries)
    for ruling in reversed(rulings):
        for number in np.flatnonzero(~index.clusters_with(ruling.pages)):
            reasons[number] = ruling.reason
    cost.refusals = [
        Refusal(index.entries[number].label, reasons[number]) for number in np.flatnonzero(~kept)
    ]
    return left


def _pages(
    view: View, left: npt.NDArray[np.bool_], cost: _Cost
) -> Iterator[tuple[Page, Mapping[bytes, int]]]:
    """Yield the pages left on disk and those in memory, with what is dead on them."""
    if view.base is not None:
        for number in np.flatnonzero(left):
            page = view.base.page(int(number), cost.reader)
            cost.pages += 1
            cost.rows += page.entry.rows
            yield page, view.dead
    for page in view.delta:
        cost.rows += page.entry.rows
        yield page, {}


def _nearest(view: View, question: Question, features: tuple[int, ...], cost: _Cost) -> list[_Hit]:
    """Return the nearest rows, as many as the question can show, exactly."""
    wanted = question.offset + question.limit
    best: list[_Hit] = []

    def take(page: Page, dead: Mapping[bytes, int]) -> None:
        cost.rows += page.entry.rows
        mask = _without(page, page.living(dead), question.like)
        distances = page.distances(features)
        best.extend(
            _Hit(int(distances[row]), page.dataset(int(row)), page, int(row))
            for row in np.flatnonzero(mask)
        )
        best.sort(key=lambda hit: (hit.score, hit.dataset))
        del best[wanted:]

    for page in view.delta:
        take(page, {})
    if view.base is not None:
        bounds = view.base.cluster_index.lower_bounds(features)
        for number in np.argsort(bounds, kind="stable"):
            # Equal distances are ordered by id, so a page that may tie is still read.
            if len(best) == wanted and int(bounds[number]) > best[-1].score:
                break
            cost.pages += 1
            take(view.base.page(int(number), cost.reader), view.dead)
    return best


def _without(
    page: Page, mask: npt.NDArray[np.bool_], dataset: bytes | None
) -> npt.NDArray[np.bool_]:
    """Return a mask without a dataset's row."""
    if dataset is None:
        return mask
    same = (page.columns["dataset"] == np.frombuffer(dataset, dtype=np.uint8)).all(axis=1)
    return np.asarray(mask & ~same, dtype=np.bool_)


def _count_facets(
    matched: Sequence[tuple[Page, npt.NDArray[np.bool_]]],
) -> dict[str, dict[str, int]]:
    """Return for theme, format and owner how many matching rows have each, most first."""
    counters: dict[str, Counter[str]] = {name: Counter() for name in _FACETS.values()}
    for page, mask in matched:
        if not mask.any():
            continue
        for key, rows in zip(*page.facets, strict=True):
            name = _FACETS.get(key[:1])
            if name is None:
                continue
            count = int(mask[np.frombuffer(rows, dtype=np.uint8)].sum())
            if count:
                counters[name][key[1:].decode("utf-8", "surrogatepass")] += count
    return {
        name: dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))
        for name, counter in counters.items()
    }


def _one(hit: _Hit) -> npt.NDArray[np.bool_]:
    mask = np.zeros(hit.page.entry.rows, dtype=np.bool_)
    mask[hit.row] = True
    return mask


def _match(hit: _Hit) -> Match:
    record = hit.page.record(hit.row)
    return Match(record.dataset, record.version, hit.score, record)
