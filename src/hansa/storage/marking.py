"""Marks: which stored chunks something that lives still needs, and for which cluster.

A mark is the first eight bytes of a sealed digest, so ten million living chunks take 120 MB for a
moment, not a gigabyte. Two chunks with one mark would both be kept: an error to the safe side.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hansa.data.hash_index_table import VersionRef
from hansa.data.manifest import Directory
from hansa.errors import CorruptError, HansaError, MissingError
from hansa.storage.version_store import VersionStore
from hansa.types import DatasetId, Millis

Ids = npt.NDArray[np.uint64]
_PENDING_MAX = 1_000_000
NO_CLUSTER = -1
"""Of chunks that are needed, but by no living dataset."""

ClusterOf = Callable[[DatasetId], int]
"""Returns the number of the cluster that a dataset lies in now."""


@dataclass(frozen=True, slots=True)
class ChainView:
    """What the node's newest block says of the own organisation's versions."""

    height: int
    time_ms: Millis
    """Of that block."""
    living: Mapping[bytes, VersionRef]
    """Manifest root → version, of all own versions that live."""
    reason: str = ""
    """Why this may not be the alliance's newest block, as a clause; empty if it is."""


class Marks:
    """A set of chunks, with a cluster for each; grows only."""

    def __init__(self) -> None:
        """Begin with nothing marked."""
        self._ids: Ids = np.empty(0, np.uint64)
        self._clusters: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._pending: list[tuple[Ids, int]] = []
        self._pending_count = 0

    def add(self, ids: Ids, cluster: int) -> None:
        """Mark chunks; the first cluster a chunk was marked with stays."""
        self._pending.append((ids, cluster))
        self._pending_count += len(ids)
        if self._pending_count >= _PENDING_MAX:
            self._settle()

    def __len__(self) -> int:
        self._settle()
        return len(self._ids)

    def contain(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Tell for each chunk whether it is marked."""
        return self._find(ids)[1]

    def clusters(self, ids: Ids) -> npt.NDArray[np.int64]:
        """Return the cluster of each chunk, NO_CLUSTER where it has none."""
        places, found = self._find(ids)
        clusters = np.full(len(ids), NO_CLUSTER, np.int64)
        clusters[found] = self._clusters[places[found]]
        return clusters

    def _find(self, ids: Ids) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        self._settle()
        places = np.searchsorted(self._ids, ids)
        found = np.zeros(len(ids), np.bool_)
        inside = places < len(self._ids)
        found[inside] = self._ids[places[inside]] == ids[inside]
        return places, found

    def _settle(self) -> None:
        """Sort what was added into the arrays."""
        if not self._pending:
            return
        parts = [self._ids, *(ids for ids, _ in self._pending)]
        clusters = [self._clusters, *(np.full(len(i), c, np.int64) for i, c in self._pending)]
        self._pending, self._pending_count = [], 0
        # unique() names the first occurrence: earlier marks win.
        self._ids, first = np.unique(np.concatenate(parts), return_index=True)
        self._clusters = np.concatenate(clusters)[first]


def ids_of(sealed_digests: Sequence[bytes]) -> Ids:
    """Return the marks of sealed digests, 32 bytes each."""
    heads = b"".join(digest[:8] for digest in sealed_digests)
    return np.frombuffer(heads, ">u8").astype(np.uint64)


def directory_ids(directory: Directory) -> Ids:
    """Return the marks of all chunks of a version."""
    return np.frombuffer(directory.sealed_digests, ">u8")[::4].astype(np.uint64)


def mark_needed(
    versions: VersionStore,
    view: ChainView,
    cluster_of: ClusterOf,
    step: Callable[[int, int], None],
) -> Marks:
    """Mark the chunks of every version that lives, and of every manifest that is leased.

    Args:
        versions: the open store.
        view: the chain.
        cluster_of: tells where a dataset lies in the index now.
        step: told after each manifest, with how many are done and how many there are.

    Raises:
        CorruptError: a manifest is missing or damaged, so it cannot be told what is needed.
        UnavailableError: the store cannot be read.
    """
    living = {root: row.version for root, row in versions.versions()} | dict(view.living)
    leased = versions.leases.active(view.time_ms) - living.keys()
    marks = Marks()
    total = len(living) + len(leased)
    for done, (root, directory) in enumerate(versions.open_directories(sorted(living))):
        step(done, total)
        version = living[root]
        if isinstance(directory, HansaError):
            raise _cannot_tell(version, root, directory) from directory
        marks.add(directory_ids(directory), cluster_of(version.dataset))
    mark_leased(versions, marks, leased)
    step(total, total)
    return marks


def mark_leased(versions: VersionStore, marks: Marks, roots: Iterable[bytes]) -> None:
    """Mark what leased manifests need; one that is not there yet needs nothing.

    Raises:
        CorruptError: one is damaged.
    """
    for _, directory in versions.open_directories(sorted(roots)):
        if isinstance(directory, MissingError):
            continue  # Put after this; its attestation then finds what is missing.
        if isinstance(directory, HansaError):
            raise CorruptError(directory.message) from directory
        marks.add(directory_ids(directory), NO_CLUSTER)


def _cannot_tell(version: VersionRef, root: bytes, error: HansaError) -> CorruptError:
    return CorruptError(
        f"Nothing was collected: the manifest of version {version.number} of dataset"
        f" {version.dataset.hex()} cannot be read ({error.message})",
        remedy=f"Run `hansa store repair`. If manifest {root.hex()[:16]} stays lost, retire the"
        " dataset and publish it again; until then nothing is deleted.",
    )
