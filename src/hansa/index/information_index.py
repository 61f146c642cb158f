"""The information index of a node: takes in what blocks change, answers questions, can be rebuilt.

Upon `apply(height, changes)`: additions join a cluster and all three layers in that step; replaced
and retired rows are out from then on. Additions are held in memory and in a log, and folded into the
data index file when they are many, or when all datasets are clustered anew (`clusters`).

Invariants: (1) what is answered, and the digest, follow from the chain's changes alone, not from when
files were folded or the node restarted; (2) a file found cut or corrupt is dropped, never answered
from; (3) a question sees one height, whatever is applied meanwhile.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from hansa import limits
from hansa.codec import decode, digest, encode
from hansa.errors import CorruptError, InvalidError, MissingError, UnavailableError
from hansa.index.cells import filter_keys
from hansa.index.clusters import Clusters, cluster_anew, next_clustering
from hansa.index.data_index import DataIndex, stack_features, write_data_index
from hansa.index.feature_model import load_model
from hansa.index.files import IndexFiles
from hansa.index.filters import KeyFilter, hash_key
from hansa.index.lookup import View, ask
from hansa.index.pages import Page, Row, page_in_memory
from hansa.index.question import Answer, Question
from hansa.index.records import IndexChange, IndexRecord, settle_features, validate_change
from hansa.types import DatasetId, Digest, Height

INDEX_TAG = "hansa.index.1"
_BASE_PREFIX = "base-"
_LOG_PREFIX = "delta-"
_DELTA_PAGE_ROWS = 64
_FIRST_FILTER_KEYS = 1 << 16
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
    datasets: int
    registered: int
    clusters: tuple[ClusterView, ...]
    """Those with rows, largest first."""
    bandwidth_squared: int
    upper_layers_bytes: int
    """Memory of discriminant table and cluster index."""
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
        self._digest: tuple[View, Digest] | None = None
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

    def ask(self, question: Question) -> Answer:
        """Answer a question at the present height. See `lookup.ask`.

        Raises:
            InvalidError: the question is malformed or of absurd size.
            MissingError: `like` names a dataset that is not there.
            UnavailableError: a file was found corrupt; the index is rebuilt with the next block.
        """
        if self._is_damaged:
            raise _damaged()
        try:
            return ask(self._state.view, question, self._clock_us)
        except CorruptError as error:
            self._is_damaged = True
            raise _damaged() from error

    def nearest_cluster(self, features: Sequence[int]) -> str:
        """Return the label of the cluster that features would join, or an empty text."""
        clusters = self._state.clusters
        number = clusters.find(features)
        return "" if number is None else clusters.label(number)

    def digest(self) -> Digest:
        """Return a digest of clusters and rows, equal on all nodes at equal height.

        Reads ids and digests of all rows once after each change.

        Raises:
            UnavailableError: a file was found corrupt; the index is rebuilt with the next block.
        """
        state = self._state
        known = self._digest
        if self._is_damaged:
            raise _damaged()
        if known is None or known[0] is not state.view:
            try:
                self._digest = known = (state.view, _compute_digest(state))
            except CorruptError as error:
                self._is_damaged = True
                raise _damaged() from error
        return known[1]

    def stats(self) -> IndexStats:
        """Return figures about the index."""
        state = self._state
        view = state.view
        counts = np.zeros(state.clusters.count, dtype=np.int64)
        words: dict[int, tuple[str, ...]] = {}
        for entry in view.base.cluster_index.entries if view.base else ():
            counts[entry.number] += entry.rows
            words[entry.number] = entry.words
        for number in view.dead.values():
            counts[number] -= 1
        for row in view.delta_rows.values():
            counts[row.cluster] += 1
        order = sorted(np.flatnonzero(counts), key=lambda number: (-counts[number], number))
        upper = view.whole.memory_bytes
        if view.base:
            upper = view.base.discriminant.memory_bytes + view.base.cluster_index.memory_bytes
        return IndexStats(
            height=view.height,
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
            file_bytes=view.base.file_bytes if view.base else 0,
            delta_rows=len(view.delta_rows) + len(view.dead),
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
        state = self._advance(self._state, height, changes)
        anew = state.registered >= self._next_clustering(self._state.registered)
        if anew or _is_fold_due(state.view):
            # The file holds this block too: whole or not at all, and the old log goes with it.
            rows = _living_rows(state.view)
            self._fold(rows, height, state.registered, state.clusters, anew=anew)
            return
        entry = _LogEntry(1, height, tuple(_Change(c.dataset, c.record) for c in changes))
        self._files.append(self._log_name(), encode(entry))
        self._state = state

    def _advance(self, state: _State, height: Height, changes: Sequence[IndexChange]) -> _State:
        """Return the state after a block's changes, before any folding."""
        view, clusters, registered = state.view, state.clusters, state.registered
        delta, dead = dict(view.delta_rows), dict(view.dead)
        for change in changes:
            on_disk = None
            if view.base is not None and change.dataset not in dead:
                on_disk = view.base.find(change.dataset)
            is_known = change.dataset in delta or on_disk is not None
            if on_disk is not None:
                dead[change.dataset] = on_disk[0].entry.cluster
            delta.pop(change.dataset, None)
            if change.record is None:
                continue
            registered += not is_known
            number, clusters = clusters.join(change.record.features)
            delta[change.dataset] = Row(change.record, number, change.record.digest())
            view.whole.add([hash_key(key) for key in filter_keys(change.record)])
        pages = _page_delta(tuple(delta.values()), view)
        after = View(height, view.base, view.whole, pages, delta, dead)
        return _State(after, clusters, registered)

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
            clusters, labels = cluster_anew(stack_features(rows))
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
        return f"{_LOG_PREFIX}{base.footer.height if base else 0:012d}"

    def _load(self) -> None:
        """Load the newest file and replay the log that belongs to it."""
        bases = [name for name in self._files.list() if name.startswith(_BASE_PREFIX)]
        if bases:
            base = DataIndex(self._files.open(bases[-1]))
            if base.footer.feature_model != self._parameters.feature_model:
                raise CorruptError("The index files are of another feature model.")
            self._state = _state_of(base)
        for data in self._files.records(self._log_name()):
            entry = decode(_LogEntry, data)
            if entry.height <= self.height:
                raise CorruptError("The log of the index goes back in height.")
            changes = self._settle([IndexChange(c.dataset, c.record) for c in entry.changes])
            self._state = self._advance(self._state, entry.height, changes)

    def _reset(self) -> None:
        """Drop everything."""
        self.close()
        self._state = _empty_state()
        self._digest = None
        self._is_damaged = False
        for name in self._files.list():
            self._files.delete(name)


def _empty_state() -> _State:
    whole = KeyFilter.sized_for(_FIRST_FILTER_KEYS)
    view = View(Height(0), None, whole, (), {}, {})
    return _State(view, Clusters.none(), 0)


def _state_of(base: DataIndex) -> _State:
    """Return the state in which everything is on disk."""
    view = View(base.footer.height, base, base.discriminant.whole, (), {}, {})
    return _State(view, base.clusters, base.footer.registered)


def _at_height(state: _State, height: Height) -> _State:
    old = state.view
    view = View(height, old.base, old.whole, old.delta, old.delta_rows, old.dead)
    return _State(view, state.clusters, state.registered)


def _damaged() -> UnavailableError:
    return UnavailableError(
        "A file of the index was found damaged.",
        remedy="It is rebuilt from the chain; ask again soon, and check the disk if it comes again.",
    )


def _is_fold_due(view: View) -> bool:
    changed = len(view.delta_rows) + len(view.dead)
    on_disk = view.base.rows if view.base else 0
    return changed > max(limits.INDEX_DELTA_ROWS_MAX, on_disk // _FOLD_SHARE)


def _page_delta(rows: Sequence[Row], before: View) -> tuple[Page, ...]:
    """Return additions as pages in memory; pages whose rows did not change are taken over."""
    old = tuple(before.delta_rows.values())
    pages: list[Page] = []
    for number, start in enumerate(range(0, len(rows), _DELTA_PAGE_ROWS)):
        part = rows[start : start + _DELTA_PAGE_ROWS]
        former = old[start : start + _DELTA_PAGE_ROWS]
        same = len(part) == len(former) and all(a is b for a, b in zip(part, former, strict=True))
        pages.append(before.delta[number] if same else page_in_memory(part))
    return tuple(pages)


def _living_rows(view: View) -> list[Row]:
    """Return all living rows, those on disk read whole."""
    rows: list[Row] = []
    for page in view.base.pages() if view.base else ():
        rows.extend(page.row(int(number)) for number in np.flatnonzero(page.living(view.dead)))
    rows.extend(view.delta_rows.values())
    return rows


def _compute_digest(state: _State) -> Digest:
    view = state.view
    lines = [
        dataset + bytes(row.digest) + row.cluster.to_bytes(4, "big")
        for dataset, row in view.delta_rows.items()
    ]
    for page in view.base.pages() if view.base else ():
        cluster = page.entry.cluster.to_bytes(4, "big")
        digests = page.columns["digest"]
        lines.extend(
            page.dataset(int(number)) + digests[number].tobytes() + cluster
            for number in np.flatnonzero(page.living(view.dead))
        )
    head = encode((state.clusters.bandwidth_squared, state.registered))
    centres = state.clusters.centres.astype("<i4").tobytes()
    return digest(INDEX_TAG, head, centres, b"".join(sorted(lines)))
