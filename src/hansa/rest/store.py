"""The REST contract: the own store in figures, and long work on it. See `rest`."""

from typing import Literal

import msgspec

from hansa.limits import COLLECT_GRACE_MS
from hansa.rest.base import Json


class ClusterUse(Json, frozen=True):
    """What lies in the packs of one cluster."""

    cluster: str
    """Its label in the index; empty for packs of none."""
    words: list[str]
    packs: int
    bytes: int


class DatasetUse(Json, frozen=True):
    """What one own dataset takes."""

    dataset: str
    title: str
    versions: int
    logical_bytes: int
    """Plain bytes of all its living versions."""
    stored_bytes: int
    """Sealed bytes of their chunks, those shared with others too."""
    new_bytes: int
    """Of them, first stored for this dataset."""


class StoreStats(Json, frozen=True):
    """The own store in figures."""

    url: str
    datasets: int
    versions: int
    logical_bytes: int
    """Plain bytes of all living versions."""
    chunks: int
    stored_bytes: int
    """Sealed bytes of distinct chunks."""
    duplicate_bytes: int
    """Sealed bytes that were not stored again; the node does not know the plain ones."""
    packs: int
    journal_bytes: int
    free_bytes: int | None
    """Sealed bytes there is room for; none where nothing bounds it, as in HDFS without a quota."""
    content_bytes: int = 0
    """Plain bytes of the living versions' distinct chunks: before compression."""
    packed_bytes: int = 0
    """Bytes of sealed packs."""
    manifest_bytes: int = 0
    dictionary_bytes: int = 0
    """Sealed bytes of compression dictionaries."""
    condemned_chunks: int = 0
    """Needed by nothing; forgotten by a collection after the grace period."""
    condemned_bytes: int = 0
    unreferenced_manifests: int = 0
    """Of no living version: interrupted publishes, retired datasets."""
    unreferenced_bytes: int = 0
    """Bytes of those manifests."""
    damaged_chunks: int = 0
    """Marked: publishing their data again stores them anew."""
    used_bytes: int = 0
    """What counts against the quota: packs, journal, manifests."""
    quota_bytes: int = 0
    """0: none is set."""
    table_memory_bytes: int = 0
    collected_ms: int = 0
    """When the last collection ended; 0 if none did."""
    cluster_uses: list[ClusterUse] = msgspec.field(default_factory=list)
    dataset_uses: list[DatasetUse] = msgspec.field(default_factory=list)


class StoreJobRequest(Json, frozen=True):
    """Long work on the own store; one at a time."""

    work: Literal["check", "collect", "repair"]
    read_data: bool = False
    """check: read every byte back."""
    grace_ms: int = COLLECT_GRACE_MS
    """collect: what was found dead this long ago goes."""
    dry_run: bool = False
    """collect, repair: tell what would be done; change nothing."""
    compact: bool = False
    """collect: write all packs anew that hold dead chunks or chunks of other clusters."""
    rebuild_table: bool = False
    """repair: make the hash index table anew from packs and manifests."""


class HurtDataset(Json, frozen=True):
    """An own dataset that cannot be read whole."""

    dataset: str
    title: str
    version: int
    chunks: int
    """Chunks that are missing or damaged; 0 if the manifest itself is."""
    bytes: int
    """Sealed bytes of them; of the whole version if the manifest is lost."""
    files: int
    """Files of the version: the node cannot tell which of them are hurt."""


class CheckReport(Json, frozen=True):
    """What a check found; it changes no data, and marks what is damaged so that it comes again."""

    packs: int
    chunks: int
    bytes_read: int
    problems: list[str]
    damaged_datasets: list[str]
    manifests: int = 0
    read_data: bool = False
    """False: lengths, footers, manifests and the journal only."""
    hurt: list[HurtDataset] = msgspec.field(default_factory=list)


class CollectReport(Json, frozen=True):
    """What a collection found and did; bytes are sealed bytes."""

    dry_run: bool
    chunks: int
    chunks_needed: int
    chunks_fresh: int
    """Not needed, but an upload may be in flight."""
    chunks_condemned: int
    """Found dead for the first time."""
    bytes_condemned: int
    chunks_waiting: int
    """Dead, in their grace period."""
    bytes_waiting: int
    chunks_forgotten: int
    bytes_forgotten: int
    manifests_condemned: int
    manifests_waiting: int
    manifests_deleted: int
    keys_destroyed: int
    """Wrapped data keys of versions that are no more."""
    wraps_destroyed: int
    """Sets of keys wrapped for requests that ended, or whose dataset is no more."""
    packs_deleted: int
    packs_rewritten: int
    bytes_freed: int


class RepairReport(Json, frozen=True):
    """What a repair found and wrote."""

    dry_run: bool
    packs_adopted: int
    """Packs that the table did not know."""
    packs_rewritten: int
    """Damaged packs whose sound chunks were stored anew."""
    chunks_saved: int
    chunks_lost: int
    segments_adopted: int
    """Parts of the journal put aside as damaged, of which sound chunks were stored anew."""
    versions_bound: int
    """Living versions that the table did not know."""
    problems: list[str]
    """What stays wrong."""
    hurt: list[HurtDataset]
    """To be published again from their source."""


class StoreJob(Json, frozen=True):
    """Long work on the own store: how far it is, or how it ended."""

    number: int
    """Counts since the node started."""
    request: StoreJobRequest
    status: Literal["running", "done", "failed"]
    phase: str
    """What it is at."""
    done: int
    """Of `total`, in units of the phase."""
    total: int
    started_ms: int
    ended_ms: int
    """0 while it runs."""
    code: str = ""
    """Of what made it fail, as in problem documents."""
    message: str = ""
    remedy: str = ""
    check: CheckReport | None = None
    collect: CollectReport | None = None
    repair: RepairReport | None = None
