"""The REST contract: what a node's API takes and answers, and the client sends and reads.

JSON in lower_snake_case; ids, keys and digests are hex; times are milliseconds since 1970 unless a
name ends in another unit; bulk bytes travel as application/octet-stream (canonical encoding, see
`codec`). Errors are problem details (RFC 9457) with `code`, `remedy` and `retryable` added. Who calls
is proved by a self-signed JSON Web Token (RFC 7519, EdDSA).

    method and path                                     body → answer
    GET  /healthz/live                                  → 200 while the loop runs
    GET  /healthz/ready                                 → 200 Health | 503 Health (says why)
    GET  /metrics                                       → Prometheus text
    GET  /v1/status                                     → NodeStatus
    GET  /v1/genesis                                    → octets of the genesis (no token needed)
    GET  /v1/sealing-keys                               → SealingKeys
    GET  /v1/organisations                              → list[OrganisationView]
    GET  /v1/users?organisation=                        → list[UserView]
    GET  /v1/super-nodes                                → SuperNodesView
    GET  /v1/super-nodes/preflight?vote=A,B|suspend=A  → PreflightView
    POST /v1/transactions                               Submission (octets) → 202 TransactionStatus
    POST /v1/transactions/bulk                          Submissions (octets) → 202 TransactionStatuses
    GET  /v1/transactions/{id}?wait_ms=                 → TransactionStatus (long poll until settled)
    GET  /v1/transactions/{id}/events                   → text/event-stream of TransactionStatus
    GET  /v1/transactions/{id}/receipt                  → octets of a receipt
    GET  /v1/transactions/{id}/detail                   → TransactionDetail
    GET  /v1/blocks?before=&limit=                      → list[BlockSummary], newest first
    GET  /v1/blocks/{height}                            → BlockDetail
    GET  /v1/datasets?organisation=&retired=            → list[DatasetView]
    GET  /v1/datasets/{id}                              → DatasetView
    POST /v1/questions                                  Question → Answer
    GET  /v1/index                                      → IndexStats
    POST /v1/index/nearest                              NearestRequest → NearestAnswer (pack hint)
    POST /v1/store/lookups                              LookupRequest (octets) → LookupAnswer (octets)
    POST /v1/store/chunks                               ChunkUpload (octets) → 204
    POST /v1/store/manifests                            ManifestUpload (octets) → ManifestAnswer (octets)
    GET  /v1/store                                      → StoreStats (`rest_store`, as the next)
    POST /v1/store/jobs                                 StoreJobRequest → 202 StoreJob (collect, repair: admins)
    GET  /v1/store/jobs                                 → list[StoreJob], newest first
    GET  /v1/store/jobs/{number}?wait_ms=               → StoreJob (long poll until it ends)
    GET  /v1/datasets/{id}/versions/{n}/manifest        → octets, ETag (own data, or with a grant)
    GET  /v1/datasets/{id}/versions/{n}/content         → octets, Range, ETag (sealed chunks in order)
    GET  /v1/datasets/{id}/versions/{n}/key             → octets of the publishing-key wrap (owner only)
    GET  /v1/requests?role=                             → list[RequestView]
    GET  /v1/requests/{id}                              → RequestView
    GET  /v1/requests/{id}/note                         → octets of the OwnerNote for the caller (owner only)
    PUT  /v1/requests/{id}/wraps                        WrapSet (octets) → 204 (owner only, before the grant)
    GET  /v1/requests/{id}/wraps                        → octets of the WrapSet (requester only, granted)
"""

import msgspec

from hansa.chain.sealed import OwnerNote, SealedTransaction
from hansa.chain.transactions import Attestation
from hansa.codec import digest, encode
from hansa.types import Digest

WRAPS_TAG = "hansa.wraps.1"


class _Json(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of JSON values."""


class _Octets(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of values that travel in the canonical encoding."""


# --- status and membership ----------------------------------------------------------------------


class Health(_Json, frozen=True):
    """Readiness, with a reason for each thing that is not well."""

    ready: bool
    reasons: list[str]


class PeerView(_Json, frozen=True):
    """One other node as seen from here."""

    organisation: str
    connected: bool
    address: str
    height: int


class NodeStatus(_Json, frozen=True):
    """One node's view of itself and the agreement."""

    alliance: str
    alliance_name: str
    organisation: str
    node_key: str
    version: str
    height: int
    tip: str
    """Digest of the last block's header; the alliance id at height 0."""
    state_root: str
    round: int
    epoch: int
    epoch_blocks: int
    master: str
    """Organisation whose turn it is at the next height in the present round."""
    is_super_node: bool
    is_synced: bool
    super_nodes: list[str]
    """Organisations in the present set."""
    pending_transactions: int
    copies_held: int
    """Copies in this node's vault now; 0 at rest."""
    peers: list[PeerView]
    index_height: int
    uptime_ms: int


class AbsenceView(_Json, frozen=True):
    """A super node whose turns as master others take, since blocks did not record that it was there."""

    organisation: str
    since: int
    """First height at which it was passed over, as far back as the node knows."""
    until: int
    """Last height of the present window; the next one judges anew."""
    is_heard: bool
    """Whether blocks record it again already: then it leads again after `until`."""


class ProgressView(_Json, frozen=True):
    """Why there is no new block, as one node sees it."""

    cause: str
    """nothing-to-do, no-quorum, not-synced, no-proposal, no-reviews, no-confirms or deciding."""
    explanation: str
    remedy: str
    """The safe thing to do."""
    needs_attention: bool
    height: int
    """The height in progress: one above the last block."""
    round: int
    step: str
    master: str
    quorum: int
    super_nodes: list[str]
    reviewed: list[str]
    """Organisations whose review of the present round is here."""
    confirmed: list[str]
    unreachable: list[str]
    """Super nodes that are not connected to this node."""
    absent: list[AbsenceView]
    """Super nodes that are passed over as masters, by organisation; blocks go on without a wait for them."""
    absence: str
    """The same in a sentence, with the safe thing to do; empty if there are none."""
    locked_round: int
    """-1 if this node is not locked on a block."""
    waiting_transactions: int
    unsettled_submissions: int
    """Transactions of own users that are in no block yet."""
    last_block_ms: int
    """Milliseconds since the last block, by this node's clock; 0 before the first."""


class SealingKeyView(_Json, frozen=True):
    """A super node's present sealing key: canonical bytes of a SealingKeyNotice, hex."""

    organisation: str
    notice: str


class SealingKeys(_Json, frozen=True):
    """Keys a client seals its next transaction to."""

    epoch: int
    height: int
    quorum: int
    time_ms: int
    """The node's clock; a client with a wrong clock can tell."""
    super_nodes: list[str]
    """Node keys of the present super nodes, in hex: whose announced keys count."""
    keys: list[SealingKeyView]


class OrganisationView(_Json, frozen=True):
    """A member."""

    name: str
    title: str
    status: str
    """active or suspended."""
    node_key: str
    peer_address: str
    api_url: str
    is_super_node: bool
    users: int
    datasets: int
    ballots: int
    """Open ballots for a change of its membership."""
    expelled_height: int
    """Height of the block whose evidence expelled its node from the election; 0 in good standing."""


class UserView(_Json, frozen=True):
    """A user."""

    organisation: str
    name: str
    key: str
    encryption_key: str
    roles: list[str]
    status: str
    """active or revoked."""


# --- transactions and blocks --------------------------------------------------------------------


class Submission(_Octets, frozen=True):
    """A sealed transaction and the notes that go with its access requests."""

    sealed: SealedTransaction
    notes: tuple[OwnerNote, ...]


class Submissions(_Octets, frozen=True):
    """Several submissions of one author in one call."""

    submissions: tuple[Submission, ...]
    """1 to SUBMISSIONS_PER_CALL_MAX."""


class TransactionStatus(_Json, frozen=True):
    """Where a submitted transaction stands."""

    transaction: str
    status: str
    """pending, committed, refused (in a block or before it), expired, or reseal (seal and send again)."""
    code: str = ""
    """Reason code of a refusal."""
    message: str = ""
    """What to do about it."""
    height: int = 0
    """Height of its block, 0 if none."""


class TransactionStatuses(_Json, frozen=True):
    """Where several submitted transactions stand, in the order of the call."""

    statuses: tuple[TransactionStatus, ...]


class ErasureView(_Json, frozen=True):
    """One super node's acknowledgement that its copies of a round are gone."""

    organisation: str
    height: int
    round: int
    outcome: str
    copies: int
    recorded_at: int
    """Height of the block that carries it; 0 if not yet on the chain."""
    recorded_ms: int = 0
    """Time of that block; 0 if the node has it no more."""


class TransactionDetail(_Json, frozen=True):
    """A committed transaction for people."""

    transaction: str
    height: int
    index: int
    accepted: bool
    code: str
    author: str
    author_name: str
    organisation: str
    time_ms: int
    operations: list[dict[str, object]]
    """Each with its `operation` name and its fields, bytes in hex."""
    dataset_ids: list[str]
    request_ids: list[str]
    erasures: list[ErasureView]
    not_acknowledged: list[str]
    """Super nodes of that round from whom no erasure is on the chain; none where that is not kept."""
    acknowledgements_kept: bool = True
    """False where the node has thrown away, or never had, blocks that may hold acknowledgements."""
    acknowledgements_end: int = 0
    """Last height whose block may carry one: who is wanting after it never will be there."""


class BlockSummary(_Json, frozen=True):
    """One line about a block."""

    height: int
    digest: str
    time_ms: int
    master: str
    round: int
    """Round in which it was decided."""
    epoch: int
    transactions: int
    erasures: int
    signatures: int


class FindingView(_Json, frozen=True):
    """Why a super node rejected what was proposed in a round: what the comparison of step 5 came to."""

    organisation: str
    height: int
    round: int
    code: str
    digest: str
    """Of the block that it judged; zeros if there was none."""
    rejected: list[str]
    """Transactions it rejects, each as `digest: code`."""
    is_settled: bool
    """Whether the height was decided with this block all the same, by the others' reviews."""


class BlockDetail(_Json, frozen=True):
    """A block for people."""

    summary: BlockSummary
    parent: str
    state_root: str
    super_nodes: list[str]
    next_super_nodes: list[str]
    signers: list[str]
    transactions: list[TransactionDetail]
    erasures: list[ErasureView]
    findings: list[FindingView]
    """About the height before."""


# --- datasets and sharing -----------------------------------------------------------------------


class VersionView(_Json, frozen=True):
    """One version's public facts."""

    number: int
    manifest_root: str
    content_bytes: int
    stored_bytes: int
    files: int
    chunks: int
    height: int
    time_ms: int
    transaction: str


class DatasetView(_Json, frozen=True):
    """A dataset as anyone in the alliance may see it."""

    id: str
    owner: str
    status: str
    """active or retired."""
    title: str
    description: str
    keywords: list[str]
    themes: list[str]
    place: str
    bbox: list[float] | None
    """[west, south, east, north] in degrees."""
    from_ms: int | None
    to_ms: int | None
    rhythm: str
    """How often it is brought up to date; empty if not told."""
    licence: str
    formats: list[str]
    columns: list[str]
    column_types: list[str]
    """The type of each column; empty if none is known."""
    cluster: str
    versions: list[VersionView]
    undecided: str
    """What happens to a request the policy leaves open: ask or deny."""
    owner_users: list[UserView]
    """Officers of the owner, whom a request's note is sealed to."""


class RequestView(_Json, frozen=True):
    """An access request and what became of it."""

    id: str
    dataset: str
    dataset_title: str
    owner: str
    requester: str
    """Key of the user who asked."""
    requester_name: str
    requester_encryption_key: str
    organisation: str
    purpose: str
    status: str
    """open, granted, denied, revoked, expired."""
    reason: str
    height: int
    time_ms: int
    decided_height: int
    expires_ms: int
    wrap_digest: str
    transaction: str
    confidential: str = ""
    """Salted digest of the confidential part, as on the chain; the owner's note must match it."""


# --- index --------------------------------------------------------------------------------------


class Question(_Json, frozen=True):
    """A question to the index; all given parts must hold."""

    words: str = ""
    """Every word must occur; word* for a prefix; "quoted words" for a phrase."""
    bbox: list[float] | None = None
    """[west, south, east, north] in degrees: the place covered must meet it."""
    near: list[float] | None = None
    """[longitude, latitude, metres]: the place covered must come so near."""
    from_ms: int | None = None
    to_ms: int | None = None
    theme: str = ""
    format: str = ""
    organisation: str = ""
    title: str = ""
    """Exact title."""
    like: str = ""
    """Id of a dataset: nearest first."""
    id: str = ""
    """Exactly this dataset."""
    limit: int = 20
    offset: int = 0
    signed: bool = False
    """If nothing matches, say so under the node's signature."""


class Match(_Json, frozen=True):
    """One dataset that answers a question."""

    id: str
    version: int
    title: str
    owner: str
    score: int
    """Smaller is nearer for `like`; larger is better for words."""
    themes: list[str]
    formats: list[str]
    place: str


class ClusterRefusal(_Json, frozen=True):
    """Why a cluster was not looked into."""

    cluster: str
    reason: str


class Explanation(_Json, frozen=True):
    """What a question cost, layer by layer."""

    clusters: int
    clusters_refused: int
    refusals: list[ClusterRefusal]
    """At most 50 of them."""
    refused_by: str
    """Layer that answered "not here", or empty."""
    pages_read: int
    rows_read: int
    bytes_read: int
    discriminant_us: int
    cluster_us: int
    data_us: int


class Answer(_Json, frozen=True):
    """Answer to a question, at one height."""

    height: int
    total: int
    matches: list[Match]
    facets: dict[str, dict[str, int]]
    """theme, format, organisation → counts."""
    read_from_disk: bool
    explanation: Explanation
    absence: str = ""
    """Where nothing matches and a signature was asked for: the node's signed statement, in hex."""


class ClusterView(_Json, frozen=True):
    """One cluster of the index."""

    label: str
    rows: int
    words: list[str]


class IndexStats(_Json, frozen=True):
    """The index in figures."""

    height: int
    digest: str
    datasets: int
    clusters: int
    bandwidth: int
    memory_bytes: int
    file_bytes: int
    delta_rows: int
    cluster_list: list[ClusterView]


class NearestRequest(_Json, frozen=True):
    """Features of a description, to ask for its cluster."""

    features: list[int]


class NearestAnswer(_Json, frozen=True):
    """The cluster whose run of packs suits; empty while there is none."""

    cluster: str


# --- store --------------------------------------------------------------------------------------


class LookupRequest(_Octets, frozen=True):
    """Chunk ids (keyed digests) the publisher has, in order; at most 4,096."""

    chunks: tuple[bytes, ...]


class KnownChunk(_Octets, frozen=True):
    """A chunk that the own store already holds."""

    dataset: bytes
    """A living dataset version that uses it, 16 bytes: its manifest gives the chunk key."""
    version: int


class LookupAnswer(_Octets, frozen=True):
    """For each chunk asked, in order, who uses it, or None if it is to be uploaded."""

    known: tuple[KnownChunk | None, ...]


class ChunkItem(_Octets, frozen=True):
    """One new sealed chunk."""

    chunk: bytes
    """Keyed BLAKE3 digest, 32 bytes."""
    fingerprint: bytes
    """Keyed MD5 ‖ SHA-1, 36 bytes; empty under profile blake3."""
    sealed: bytes


class ChunkUpload(_Octets, frozen=True):
    """A batch of new chunks; durable when answered. Sending one again is harmless."""

    cluster: str
    """Hint: which run of packs they belong to."""
    items: tuple[ChunkItem, ...]


class ManifestUpload(_Octets, frozen=True):
    """A manifest and the wrap of its data key, to be made durable and attested."""

    dataset: bytes
    """16 bytes; empty for a new dataset, whose id is not known before its transaction is signed."""
    manifest: bytes
    key_wrap: bytes
    """The data key sealed to the organisation's publishing key."""
    content_bytes: int
    files: int


class ManifestAnswer(_Octets, frozen=True):
    """The node's word that all is stored, durable and leased."""

    attestation: Attestation


class WrapSet(_Octets, frozen=True):
    """Data keys of a dataset's versions, wrapped to the requester (HPKE); its digest is in the grant."""

    request: bytes
    salt: bytes
    """32 random bytes."""
    wraps: tuple[tuple[int, bytes], ...]
    """(version number, wrapped data key), sorted."""


def compute_wrap_digest(wraps: WrapSet) -> Digest:
    """Return what a grant says of its wraps: the salt is inside, so a guess cannot be confirmed."""
    return digest(WRAPS_TAG, encode(wraps))
