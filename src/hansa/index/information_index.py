"""The information index of a node: takes in what blocks change, answers questions, can be rebuilt.

Upon `apply(height, changes)`: additions join a cluster and all three layers in that step; replaced
and retired rows are out from then on. Additions are held in memory and in a log, and folded into the
data index file when they are many, or when all datasets are clustered anew (`clusters`).

Invariants: (1) what is answered, and the digest, follow from the chain's changes alone, not from when
files were folded or the node restarted; (2) a file found cut or corrupt is dropped, never answered
from; (3) a question sees one height, whatever is applied meanwhile.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import numpy as np

from hansa import limits
from hansa.codec import decode, digest, encode
from hansa.errors import CorruptError, InvalidError, MissingError, UnavailableError
from hansa.index import rowsum
from hansa.index.additions import Additions
from hansa.index.clusters import Clusters, cluster_anew, next_clustering
from hansa.index.data_index import DataIndex
from hansa.index.dead import Dead
from hansa.index.feature_model import load_model
from hansa.index.features import FEATURES
from hansa.index.files import IndexFiles
from hansa.index.lookup import View, ask, find, find_row
from hansa.index.pages import Row
from hansa.index.question import Answer, Found, Question
from hansa.index.records import IndexChange, IndexRecord, settle_features, validate_change
from hansa.index.writing import write_data_index
from hansa.types import DatasetId, Digest, Height

INDEX_TAG = "hansa.index.2"
_BASE_PREFIX = "base-"
_LOG_PREFIX = "delta-"
_FOLD_SHARE = 8
"""Changes are folded in when they are more than this part of the rows on disk, and many."""


@dataclass(frozen=True, slots=True)
class IndexParameters:
    """What the genesis says about the index."""

    feature_model: int = 1
    recluster_registrations: int = 512


@dataclass(frozen=True, slots=True)
class ClusterView:
    """One cluster for people."""

    label: str
    rows: int
    words: tuple[str, ...]
    """Empty until its rows are on disk."""


@dataclass(frozen=True, slots=True)
class IndexStats:
    """The index in figures."""

    height: Height
    digest: Digest
    """Of the same state as all the rest."""
    datasets: int
    registered: int
    clusters: tuple[ClusterView, ...]
    """Those with rows, largest first."""
    bandwidth_squared: int
    upper_layers_bytes: int
    """Memory of discriminant table and cluster index."""
    kept_bytes: int
    """Rows, columns and lists of the data index that are kept in memory at the moment."""
    file_bytes: int
    delta_rows: int
    next_clustering: int
    """Registrations at which all are clustered anew."""


class _Change(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One change in the log."""

    dataset: DatasetId
    record: IndexRecord | None


class _LogEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block's changes in the log."""

    format: Literal[1]
    height: Height
    changes: tuple[_Change, ...]


@dataclass(frozen=True, slots=True)
class _State:
    """Everything that one block's changes replace together."""

    view: View
    clusters: Clusters
    registered: int
    rows_sum: rowsum.Sum


History = Iterable[tuple[Height, Sequence[IndexChange]]]
"""Blocks' heights and changes, rising; heights without changes may be left out."""


class InformationIndex:
    """One node's index. One writer; questions may run in other threads at the same time."""

    def __init__(
        self, files: IndexFiles, parameters: IndexParameters, clock_us: Callable[[], int]
    ) -> None:
        """Use `open`."""
        self._files = files
        self._parameters = parameters
        self._clock_us = clock_us
        self._state = _empty_state()
        self._is_damaged = False

    @classmethod
    def open(
        cls,
        files: IndexFiles,
        parameters: IndexParameters,
        clock_us: Callable[[], int] = lambda: 0,
    ) -> "InformationIndex":
        """Open what files there are; bring it to the chain's height with `apply` or `rebuild`.

        Files that are cut, corrupt or of another feature model are dropped, and the index starts at
        height 0.

        Raises:
            InvalidError: the feature model is unknown.
        """
        load_model(parameters.feature_model)
        index = cls(files, parameters, clock_us)
        try:
            index._load()
        except (CorruptError, MissingError, InvalidError):
            index._reset()
        return index

    @property
    def height(self) -> Height:
        """Return the height up to which changes are taken in; 0 once a file was found damaged.

        Whoever feeds blocks then begins anew at 1, and so rebuilds the index.
        """
        return Height(0) if self._is_damaged else self._state.view.height

    def apply(self, height: Height, changes: Sequence[IndexChange]) -> None:
        """Take in one block's changes, all or none; a height already taken in is a no-op.

        Args:
            height: the block's; must follow the index's height, so that none is left out.
            changes: in the order of the block; may be empty.

        Raises:
            InvalidError: a gap in heights, or a malformed change; nothing was taken in.
            DiskFullError, UnavailableError: files could not be written; the index stays as it was.

        A file found corrupt takes nothing in and lets `height` fall to 0.
        """
        if self._is_damaged:
            self._reset()
        if height <= self.height:
            return
        if height != self.height + 1:
            raise InvalidError(f"The index is at height {self.height}, not before {height}.")
        if not changes:
            self._state = _at_height(self._state, height)
            return
        changes = self._settle(changes)
        try:
            self._take_in(height, changes)
        except CorruptError:
            self._is_damaged = True

    def ask(self, question: Question, *, explain: bool = True) -> Answer:
        """Answer a question at the present height. See `lookup.ask`.

        Raises:
            InvalidError: the question is malformed or of absurd size.
            MissingError: `like` names a dataset that is not there.
            UnavailableError: a file was found corrupt; the index is rebuilt with the next block.
        """
        if self._is_damaged:
            raise _damaged()
        try:
            return ask(self._state.view, question, self._clock_us, explain=explain)
        except CorruptError as error:
            self._is_damaged = True
            raise _damaged() from error

    def ask_attested(self, question: Question, *, explain: bool = True) -> tuple[Answer, _State]:
        """Return an answer as `ask` does, and the state it is about, for `digest`."""
        if self._is_damaged:
            raise _damaged()
        state = self._state
        try:
            return ask(state.view, question, self._clock_us, explain=explain), state
        except CorruptError as error:
            self._is_damaged = True
            raise _damaged() from error

    def find(self, question: Question) -> Found:
        """Return ids and scores of what matches, without records, counts and explanation.

        Raises:
            InvalidError, MissingError, UnavailableError: as `ask`.
        """
        if self._is_damaged:
            raise _damaged()
        try:
            return find(self._state.view, question)
        except CorruptError as error:
            self._is_damaged = True
            raise _damaged() from error

    def nearest_cluster(self, features: Sequence[int]) -> str:
        """Return the label of the cluster that features would join, or an empty text."""
        clusters = self._state.clusters
        number = clusters.find(features)
        return "" if number is None else clusters.label(number)

    def cluster_of(self, dataset: DatasetId) -> str:
        """Return the label of the cluster a living dataset lies in, or an empty text.

        Raises:
            UnavailableError: a file was found corrupt; the index is rebuilt with the next block.
        """
        state = self._state
        number = state.view.additions.row_of(dataset, state.view.added, state.view.height)
        if number is not None:
            return state.clusters.label(state.view.additions.rows[number].cluster)
        try:
            row = find_row(state.view, dataset)
        except CorruptError as error:
            self._is_damaged = True
            raise _damaged() from error
        if row is None or state.view.base is None:
            return ""
        index = state.view.base.cluster_index
        return index.label(int(index.cluster_of(np.array([row], dtype=np.uint32))[0]))

    def digest(self, state: _State | None = None) -> Digest:
        """Return a digest of clusters and rows, equal on all nodes at equal height.

        Kept in step with each change, so that it costs no look at the rows. Of the present state, or
        of one that `ask_attested` returned.

        Raises:
            UnavailableError: a file was found corrupt; the index is rebuilt with the next block.
        """
        if self._is_damaged:
            raise _damaged()
        return _digest_of(state or self._state)

    def stats(self) -> IndexStats:
        """Return figures about the index."""
        state = self._state
        view = state.view
        counts = np.zeros(state.clusters.count, dtype=np.int64)
        words: dict[int, tuple[str, ...]] = {}
        upper = state.clusters.centres.nbytes
        if view.base is not None:
            index = view.base.cluster_index
            upper = view.base.discriminant.memory_bytes + index.memory_bytes
            numbers = index.entries["number"]
            counts[numbers] += index.entries["rows"]
            words = dict(zip(map(int, numbers), map(tuple, index.words()), strict=True))
            dead = index.cluster_of(view.dead.rows(view.dead_count))
            np.subtract.at(counts, numbers[dead], 1)
        for number in view.additions.living(view.added, view.height):
            counts[view.additions.rows[number].cluster] += 1
        order = sorted(np.flatnonzero(counts), key=lambda number: (-counts[number], number))
        return IndexStats(
            height=view.height,
            digest=_digest_of(state),
            datasets=view.rows,
            registered=state.registered,
            clusters=tuple(
                ClusterView(
                    state.clusters.label(number), int(counts[number]), words.get(number, ())
                )
                for number in map(int, order)
            ),
            bandwidth_squared=state.clusters.bandwidth_squared,
            upper_layers_bytes=upper,
            kept_bytes=view.base.kept_bytes if view.base else 0,
            file_bytes=view.base.file_bytes if view.base else 0,
            delta_rows=view.living_added + view.dead_count,
            next_clustering=self._next_clustering(state.registered),
        )

    def rebuild(self, history: History) -> None:
        """Drop all files and take in the whole chain again.

        Clustering depends on the datasets alive at its height and on nothing before, so only the
        last one is done. The result equals that of `apply` for each block.

        Raises:
            InvalidError: heights do not rise, or a change is malformed.
        """
        self._reset()
        blocks = [(height, self._settle(changes)) for height, changes in history]
        start = 0
        living: dict[bytes, IndexRecord] = {}
        registered = 0
        at_clustering: tuple[int, dict[bytes, IndexRecord], int] | None = None
        for position, (height, changes) in enumerate(blocks):
            if height <= (blocks[position - 1][0] if position else 0):
                raise InvalidError("The heights of a history must rise.")
            due = self._next_clustering(registered)
            for change in changes:
                if change.record is None:
                    living.pop(change.dataset, None)
                    continue
                registered += change.dataset not in living
                living[change.dataset] = change.record
            if registered >= due:
                at_clustering = (position + 1, dict(living), registered)
        if at_clustering is not None:
            start, living, registered = at_clustering
            rows = [Row(record, 0, record.digest()) for record in living.values()]
            self._fold(rows, blocks[start - 1][0], registered, Clusters.none(), anew=True)
        for height, changes in blocks[start:]:
            if height > self.height + 1:
                self._state = _at_height(self._state, Height(height - 1))
            self.apply(height, changes)

    def close(self) -> None:
        """Release files."""
        base = self._state.view.base
        if base is not None:
            base.close()

    # --- how changes become the next state ------------------------------------------------------

    def _settle(self, changes: Sequence[IndexChange]) -> tuple[IndexChange, ...]:
        """Return changes that can be taken in; raise InvalidError for what no chain accepts."""
        for change in changes:
            validate_change(change)
        return tuple(settle_features(change, self._parameters.feature_model) for change in changes)

    def _take_in(self, height: Height, changes: Sequence[IndexChange]) -> None:
        """Make the state after a block's changes durable in file or log, then current."""
        state = self._state
        view = state.view
        # What is read comes first, so that damage is found before anything is changed.
        on_disk, registered = _look_up(state, changes)
        anew = registered >= self._next_clustering(state.registered)
        if anew or _is_fold_due(view, len(changes)):
            # The file holds this block too: whole or not at all, and the old log goes with it.
            # Clustered anew, nobody needs a place among the old clusters first.
            rows, clusters = _living_after(state, changes, join=not anew)
            self._fold(rows, height, registered, clusters, anew=anew)
            return
        entry = _LogEntry(1, height, tuple(_Change(c.dataset, c.record) for c in changes))
        self._files.append(self._log_name(), encode(entry))
        self._state = _advance(state, height, changes, on_disk, registered)

    def _fold(
        self,
        rows: Sequence[Row],
        height: Height,
        registered: int,
        clusters: Clusters,
        *,
        anew: bool,
    ) -> None:
        """Write all living rows as one file and go on from it."""
        if anew:
            table = np.array([row.record.features for row in rows], dtype=np.int64)
            clusters, labels = cluster_anew(table.reshape(-1, FEATURES))
            rows = [
                Row(row.record, int(label), row.digest)
                for row, label in zip(rows, labels, strict=True)
            ]
        name = f"{_BASE_PREFIX}{height:012d}"
        write_data_index(
            self._files,
            name,
            rows,
            clusters,
            height=height,
            registered=registered,
            feature_model=self._parameters.feature_model,
            rows_sum=rowsum.to_bytes(
                rowsum.sum_rows((r.record.dataset, r.digest, r.cluster) for r in rows)
            ),
        )
        base = DataIndex(self._files.open(name))
        self._state = _state_of(base)
        keep = {name, self._log_name()}
        for other in self._files.list():
            if other not in keep:
                self._files.delete(other)

    def _next_clustering(self, registered: int) -> int:
        return next_clustering(registered, self._parameters.recluster_registrations)

    # --- files ----------------------------------------------------------------------------------

    def _log_name(self) -> str:
        base = self._state.view.base
        return f"{_LOG_PREFIX}{base.height if base else 0:012d}"

    def _load(self) -> None:
        """Load the newest file and replay the log that belongs to it."""
        bases = [name for name in self._files.list() if name.startswith(_BASE_PREFIX)]
        if bases:
            base = DataIndex(self._files.open(bases[-1]))
            if base.feature_model != self._parameters.feature_model:
                raise CorruptError("The index files are of another feature model.")
            self._state = _state_of(base)
        for data in self._files.records(self._log_name()):
            entry = decode(_LogEntry, data)
            if entry.height <= self.height:
                raise CorruptError("The log of the index goes back in height.")
            changes = self._settle([IndexChange(c.dataset, c.record) for c in entry.changes])
            state = self._state
            on_disk, registered = _look_up(state, changes)
            self._state = _advance(state, entry.height, changes, on_disk, registered)

    def _reset(self) -> None:
        """Drop everything."""
        self.close()
        self._state = _empty_state()
        self._is_damaged = False
        for name in self._files.list():
            self._files.delete(name)


def _empty_state() -> _State:
    view = View(Height(0), None, Additions(), 0, 0, Dead(), 0)
    return _State(view, Clusters.none(), 0, rowsum.empty_sum())


def _state_of(base: DataIndex) -> _State:
    """Return the state in which everything is on disk."""
    view = View(base.height, base, Additions(), 0, 0, Dead(), 0)
    return _State(view, base.clusters, base.registered, rowsum.from_bytes(base.rows_sum))


def _digest_of(state: _State) -> Digest:
    head = encode((state.clusters.bandwidth_squared, state.registered, state.view.rows))
    centres = state.clusters.centres.astype("<i4").tobytes()
    return digest(INDEX_TAG, head, centres, rowsum.to_bytes(state.rows_sum))


def _at_height(state: _State, height: Height) -> _State:
    return replace(state, view=replace(state.view, height=height))


def _look_up(state: _State, changes: Sequence[IndexChange]) -> tuple[dict[bytes, int | None], int]:
    """Return each dataset's living row on disk, and how many registrations there are after it all."""
    view, registered = state.view, state.registered
    on_disk: dict[bytes, int | None] = {c.dataset: find_row(view, c.dataset) for c in changes}
    living = {dataset for dataset, row in on_disk.items() if row is not None}
    living.update(c.dataset for c in changes if view.additions.holds(c.dataset))
    for change in changes:
        if change.record is None:
            living.discard(change.dataset)
        else:
            registered += change.dataset not in living
            living.add(change.dataset)
    return on_disk, registered


def _advance(
    state: _State,
    height: Height,
    changes: Sequence[IndexChange],
    on_disk: Mapping[bytes, int | None],
    registered: int,
) -> _State:
    """Return the state after a block's changes, before any folding."""
    view, clusters = state.view, state.clusters
    additions, dead, living = view.additions, view.dead, view.living_added
    total = state.rows_sum.copy()
    for change in changes:
        row = on_disk[change.dataset]
        if row is not None and not dead.has(row, dead.count):
            assert view.base is not None
            total -= _spread_on_disk(view.base, row)
            dead.add(row)
        number = additions.current(change.dataset)
        if number is not None:
            total -= _spread(additions.rows[number])
            additions.end(change.dataset, height)
            living -= 1
        if change.record is not None:
            cluster, clusters = clusters.join(change.record.features)
            added = Row(change.record, cluster, change.record.digest())
            additions.add(added)
            total += _spread(added)
            living += 1
    after = View(height, view.base, additions, len(additions.rows), living, dead, dead.count)
    return _State(after, clusters, registered, total)


def _spread(row: Row) -> rowsum.Sum:
    return rowsum.spread(row.record.dataset, row.digest, row.cluster)


def _spread_on_disk(base: DataIndex, row: int) -> rowsum.Sum:
    rows = np.array([row], dtype=np.uint32)
    names = base.column("names").gather(rows, base.read)[0]
    number = int(base.cluster_index.entries["number"][base.cluster_index.cluster_of(rows)[0]])
    return rowsum.spread(names["dataset"].tobytes(), Digest(names["digest"].tobytes()), number)


def _damaged() -> UnavailableError:
    return UnavailableError(
        "A file of the index was found damaged.",
        remedy="It is rebuilt from the chain; ask again soon, and check the disk if it comes again.",
    )


def _is_fold_due(view: View, coming: int) -> bool:
    changed = view.added + view.dead_count + coming
    on_disk = view.base.rows if view.base else 0
    most = min(limits.INDEX_DELTA_ROWS_LARGE, on_disk // _FOLD_SHARE)
    return changed > max(limits.INDEX_DELTA_ROWS_MAX, most)


def _living_after(
    state: _State, changes: Sequence[IndexChange], *, join: bool
) -> tuple[list[Row], Clusters]:
    """Return all living rows and the clusters after a block's changes, and change nothing."""
    view, clusters = state.view, state.clusters
    living: dict[bytes, Row] = {}
    if view.base is not None:
        for row in view.base.living(view.dead.rows(view.dead_count)):
            living[row.record.dataset] = row
    for number in view.additions.living(view.added, view.height):
        row = view.additions.rows[number]
        living[row.record.dataset] = row
    for change in changes:
        living.pop(change.dataset, None)
        if change.record is not None:
            cluster = 0
            if join:
                cluster, clusters = clusters.join(change.record.features)
            living[change.dataset] = Row(change.record, cluster, change.record.digest())
    return list(living.values()), clusters
