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
    GET  /v1/store                                      → StoreStats (`rest.store`, as the next)
    POST /v1/store/jobs                                 StoreJobRequest → 202 StoreJob (collect, repair: admins)
    GET  /v1/store/jobs                                 → list[StoreJob], newest first
    GET  /v1/store/jobs/{number}?wait_ms=               → StoreJob (long poll until it ends)
    GET  /v1/datasets/{id}/versions/{n}/manifest        → octets, ETag (own data, or with a grant)
    GET  /v1/datasets/{id}/versions/{n}/content         → octets, Range, ETag (sealed chunks in order)
    GET  /v1/datasets/{id}/versions/{n}/key             → octets of the publishing-key wrap (owner only)
    POST /v1/reads                                      ReadRequest → ReadAnswer (octets; `rest.reads`)
    GET  /v1/requests?role=                             → list[RequestView]
    GET  /v1/requests/{id}                              → RequestView
    GET  /v1/requests/{id}/note                         → octets of the OwnerNote for the caller (owner only)
    PUT  /v1/requests/{id}/wraps                        WrapSet (octets) → 204 (owner only, before the grant)
    GET  /v1/requests/{id}/wraps                        → octets of the WrapSet (requester only, granted)
"""

from hansa.rest.datasets import DatasetView, RequestView, VersionView
from hansa.rest.election import CandidateView, PreflightView, SuperNodesView
from hansa.rest.index import (
    Answer,
    ClusterRefusal,
    ClusterView,
    Explanation,
    IndexStats,
    Match,
    NearestAnswer,
    NearestRequest,
    Question,
)
from hansa.rest.nodes import (
    AbsenceView,
    Health,
    NodeStatus,
    OrganisationView,
    PeerView,
    ProgressView,
    SealingKeys,
    SealingKeyView,
    UserView,
)
from hansa.rest.store import (
    CheckReport,
    ClusterUse,
    CollectReport,
    DatasetUse,
    HurtDataset,
    RepairReport,
    StoreJob,
    StoreJobRequest,
    StoreStats,
)
from hansa.rest.transactions import (
    BlockDetail,
    BlockSummary,
    ErasureView,
    FindingView,
    Submission,
    Submissions,
    TransactionDetail,
    TransactionStatus,
    TransactionStatuses,
)
from hansa.rest.uploads import (
    ChunkItem,
    ChunkUpload,
    KnownChunk,
    LookupAnswer,
    LookupRequest,
    ManifestAnswer,
    ManifestUpload,
    WrapSet,
    compute_wrap_digest,
)

__all__ = [
    "AbsenceView",
    "Answer",
    "BlockDetail",
    "BlockSummary",
    "CandidateView",
    "CheckReport",
    "ChunkItem",
    "ChunkUpload",
    "ClusterRefusal",
    "ClusterUse",
    "ClusterView",
    "CollectReport",
    "DatasetUse",
    "DatasetView",
    "ErasureView",
    "Explanation",
    "FindingView",
    "Health",
    "HurtDataset",
    "IndexStats",
    "KnownChunk",
    "LookupAnswer",
    "LookupRequest",
    "ManifestAnswer",
    "ManifestUpload",
    "Match",
    "NearestAnswer",
    "NearestRequest",
    "NodeStatus",
    "OrganisationView",
    "PeerView",
    "PreflightView",
    "ProgressView",
    "Question",
    "RepairReport",
    "RequestView",
    "SealingKeyView",
    "SealingKeys",
    "StoreJob",
    "StoreJobRequest",
    "StoreStats",
    "Submission",
    "Submissions",
    "SuperNodesView",
    "TransactionDetail",
    "TransactionStatus",
    "TransactionStatuses",
    "UserView",
    "VersionView",
    "WrapSet",
    "compute_wrap_digest",
]
