"""Which packs go, and which are written anew: decided from figures alone.

    dead wholly                           → deleted
    dead to REPACK_DEAD_PERCENT and more  → living chunks written anew, then deleted
    small, and another small one of the
    cluster is there (or just becomes so) → merged
    upon `compact`: any dead chunk, or
    most chunks belong elsewhere now      → written anew, each chunk with its cluster of today

A fresh pack is left alone: an upload in flight may just have put or reused something in it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hansa import limits


@dataclass(slots=True)
class PackUse:
    """What of a pack is still stored for something."""

    root: bytes
    cluster: int
    """For which it was gathered."""
    bytes: int
    """Of the whole object."""
    is_fresh: bool
    living_bytes: int = 0
    living_chunks: int = 0
    by_cluster: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Living bytes for each cluster that its chunks belong to today."""

    def is_mostly_dead(self) -> bool:
        """Tell whether writing the rest anew frees more than it costs."""
        return self.living_bytes * 100 <= self.bytes * (100 - limits.REPACK_DEAD_PERCENT)

    def is_small(self) -> bool:
        """Tell whether several like this should be one."""
        return self.bytes < limits.PACK_SMALL_BYTES

    def is_astray(self) -> bool:
        """Tell whether most of what lives in it belongs to other clusters today."""
        return 2 * self.by_cluster.get(self.cluster, 0) < self.living_bytes

    def home(self) -> int:
        """Return the cluster that most of it belongs to today."""
        if not self.by_cluster:
            return self.cluster
        return max(sorted(self.by_cluster), key=lambda cluster: self.by_cluster[cluster])


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with which packs."""

    drop: tuple[bytes, ...]
    """Nothing in them is needed."""
    rewrite: tuple[bytes, ...]
    """Their living chunks go to new packs; in the order in which they should be read."""


def plan_packs(uses: Iterable[PackUse], *, compact: bool) -> Plan:
    """Decide what to do with each pack."""
    drop: list[bytes] = []
    chosen: list[PackUse] = []
    small: Mapping[int, list[PackUse]] = defaultdict(list)
    for use in sorted(uses, key=lambda use: use.root):
        if use.is_fresh:
            continue
        if use.living_chunks == 0:
            drop.append(use.root)
        elif use.is_mostly_dead() or (compact and _is_worth_it(use)):
            chosen.append(use)
        elif use.is_small():
            small[use.home()].append(use)
    coming = {use.home() for use in chosen}
    for cluster, packs in small.items():
        # One alone stays: it would only be copied. What is rewritten anyway comes to it.
        if len(packs) > 1 or cluster in coming:
            chosen += packs
    chosen.sort(key=lambda use: (use.home(), use.root))
    return Plan(tuple(drop), tuple(use.root for use in chosen))


def _is_worth_it(use: PackUse) -> bool:
    """Tell whether compaction betters a pack: dead bytes beyond its footer, or chunks astray."""
    overhead = use.living_chunks * _OVERHEAD_PER_CHUNK + _OVERHEAD_BYTES
    return use.living_bytes + overhead < use.bytes or use.is_astray()


_OVERHEAD_PER_CHUNK = 200
_OVERHEAD_BYTES = 4 * limits.KIB
