"""What the steps of one collection share: what is asked for, what is known of the packs, the report."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hansa import limits
from hansa.data.hash_index_table import StoredChunk
from hansa.errors import UnavailableError
from hansa.storage.marking import NO_CLUSTER
from hansa.storage.progress import Progress
from hansa.storage.repacking import PackUse
from hansa.storage.version_store import VersionStore


class Keyring(Protocol):
    """Where the node keeps the wrapped data keys of own versions, by manifest root."""

    def key_roots(self) -> Iterator[bytes]:
        """Yield the root of every version whose key is kept."""
        ...

    def destroy_keys(self, roots: Sequence[bytes]) -> int:
        """Destroy keys durably; return how many there were."""
        ...


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """What the operator asks for."""

    grace_ms: int = limits.COLLECT_GRACE_MS
    """How long what is condemned stays."""
    dry_run: bool = False
    """Tell what would be done; change nothing."""
    compact: bool = False
    """Also write packs anew that hold any dead chunk, or chunks of other clusters."""


@dataclass(slots=True)
class CollectReport:
    """What was found and done. Bytes are sealed bytes."""

    chunks: int = 0
    """Chunks looked at."""
    chunks_needed: int = 0
    chunks_fresh: int = 0
    """Not needed, but an upload may be in flight."""
    chunks_condemned: int = 0
    """Found dead for the first time."""
    chunks_waiting: int = 0
    """Dead, and in their grace period."""
    chunks_forgotten: int = 0
    bytes_condemned: int = 0
    bytes_waiting: int = 0
    bytes_forgotten: int = 0
    manifests_condemned: int = 0
    manifests_waiting: int = 0
    manifests_deleted: int = 0
    manifests_gathered: int = 0
    """Small ones that were objects of their own, moved to a bundle."""
    keys_destroyed: int = 0
    """Wrapped data keys of versions that are no more."""
    packs_deleted: int = 0
    packs_rewritten: int = 0
    bytes_freed: int = 0
    """Bytes of deleted packs and manifests, less those of packs written for them."""


@dataclass(slots=True)
class Collection:
    """One run, as its steps see it."""

    versions: VersionStore
    keyring: Keyring
    options: CollectOptions
    progress: Progress
    now_ms: int
    """When it began."""
    uses: dict[bytes, PackUse] = field(default_factory=dict)
    """The packs that are in the store and in the table, by root."""
    report: CollectReport = field(default_factory=CollectReport)
    _fresh: dict[bytes, bool] = field(default_factory=dict)

    def is_fresh(self, pack: bytes) -> bool:
        """Tell whether an upload in flight may rest on a pack or segment."""
        fresh = self._fresh.get(pack)
        if fresh is None:
            fresh = self._fresh[pack] = self.versions.chunks.fresh_until(pack) >= self.now_ms
        return fresh

    def count(self, stored: StoredChunk, cluster: int) -> None:
        """Note that a pack still holds something."""
        use = self.uses.get(stored.address.pack)
        if use is not None:
            use.living_chunks += 1
            use.living_bytes += stored.address.length
            use.by_cluster[use.cluster if cluster == NO_CLUSTER else cluster] += (
                stored.address.length
            )

    def step(self, phase: str) -> Callable[[int, int], None]:
        """Return how a step tells of its pieces: done and in all."""
        return lambda done, total: self.progress(phase, done, total)


def short_listing(name: str) -> UnavailableError:
    """Return what ends a run whose store does not list what it holds."""
    return UnavailableError(
        f"Nothing was collected: the store does not list {name}, though it holds it.",
        remedy="Look at the store: its listing cannot be relied on. Then collect again.",
    )
