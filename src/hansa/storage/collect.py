"""Collection: what no version, lease or upload needs goes, in two phases and after a grace period.

    mark      the chunks of all living versions (chain and table) and of all leased manifests
    condemn   what is not marked and not fresh: a durable row with the time; nothing is deleted
    forget    in a later run, what was condemned a grace period ago and is still not marked: its row
              leaves the table, under `VersionStore.deciding` and after a look at what was leased since
    delete    packs in which nothing is stored any more; manifests likewise condemned, after the data
              keys kept for them: an object of its own is deleted, one in a bundle forgotten
    gather    living manifests that an earlier release wrote as small objects go to a bundle
    repack    packs mostly dead, small or (on wish) gathered for clusters of yesterday: copied first,
              addresses moved, old packs deleted last

Whatever cannot be read or listed ends the run before anything is deleted. It may stop or crash between
any two steps: each step leaves a sound store, and the next run takes up what is left.
"""

from collections.abc import Callable

from hansa.errors import ConflictError, UnavailableError
from hansa.ports import Clock, Table
from hansa.storage.collect_chunks import ChunkCollection
from hansa.storage.collect_manifests import ManifestCollection
from hansa.storage.collect_packs import PackCollection
from hansa.storage.collection import Collection, CollectOptions, CollectReport, Keyring
from hansa.storage.marking import ChainView, ClusterOf, mark_leased, mark_needed
from hansa.storage.progress import Progress, no_progress
from hansa.storage.version_store import VersionStore

_COLLECTED_ROW = b"t"
_NOTHING_SPECIAL = CollectOptions()


def collect(
    versions: VersionStore,
    keyring: Keyring,
    look: Callable[[], ChainView],
    clock: Clock,
    *,
    options: CollectOptions = _NOTHING_SPECIAL,
    cluster_of: ClusterOf = lambda _dataset: 0,
    progress: Progress = no_progress,
) -> CollectReport:
    """Run one collection.

    Args:
        versions: the open store.
        keyring: holds the data keys of own versions.
        look: returns the chain as the node knows it now.
        clock: for the grace period.
        options: what is asked for.
        cluster_of: the cluster each dataset lies in now, for what is written anew.
        progress: told of each piece of work; may stop the run.

    Raises:
        ConflictError: another collection runs.
        UnavailableError: the chain is not known to its tip, or the store cannot be listed or read.
        CorruptError: what is needed cannot be told. In all three cases nothing was deleted.
    """
    if not versions.collecting.acquire(blocking=False):
        raise ConflictError("A collection is running already.", remedy="Wait for its end.")
    try:
        versions.leases.watch()
        run = Collection(versions, keyring, options, progress, clock.now_ms())
        _run(run, look, cluster_of)
        return run.report
    finally:
        versions.leases.unwatch()
        versions.collecting.release()


def collected_ms(table: Table) -> int:
    """Return when the last collection ended; 0 if none did."""
    row = table.get(_COLLECTED_ROW)
    return 0 if row is None else int.from_bytes(row, "big")


def _run(run: Collection, look: Callable[[], ChainView], cluster_of: ClusterOf) -> None:
    """Do all steps in order."""
    view = look()
    if view.reason:
        raise UnavailableError(
            f"Nothing was collected: {view.reason}.",
            remedy="Wait until `hansa node status` says ready, then collect again.",
        )
    versions, table = run.versions, run.versions.chunks.table
    manifests, packs = ManifestCollection(run), PackCollection(run)
    listed = manifests.survey()
    packs.survey()
    marks = mark_needed(versions, view, cluster_of, run.step("mark"))
    if view.time_ms <= versions.leases.held_until_ms:
        # The table was lost, and leases with it: whatever has a manifest may be attested.
        mark_leased(versions, marks, listed)
    else:
        # Manifests first: what leaves a bundle here is no more counted as living in it.
        manifests.judge(view, listed)
    ChunkCollection(run).judge(marks)
    if not run.options.dry_run:
        versions.leases.drop_expired(view.time_ms)
    manifests.gather()
    packs.repack(marks)
    if not run.options.dry_run:
        table.write([(_COLLECTED_ROW, run.now_ms.to_bytes(8, "big"))])
