"""The own store: looking chunks up, taking chunks and manifests, figures and checks."""

from collections import defaultdict

from litestar import Request, Response, get, post
from litestar.datastructures import State as AppState
from litestar.params import FromPath, FromQuery, JSONBody

from hansa import limits
from hansa.chain.state import State
from hansa.chain.transactions import Attestation, sign_attestation
from hansa.data.pipeline import UploadChunk
from hansa.errors import ConflictError, InvalidError
from hansa.node.api.guard import provide_caller
from hansa.node.api.octets import OctetsBothOperation, OctetsOperation, answer_octets, read_octets
from hansa.node.api.services import Given, Services
from hansa.node.storework import cluster_number
from hansa.rest import (
    ChunkUpload,
    ClusterUse,
    DatasetUse,
    KnownChunk,
    LookupAnswer,
    LookupRequest,
    ManifestAnswer,
    ManifestUpload,
    StoreJob,
    StoreJobRequest,
    StoreStats,
)
from hansa.storage.manifests import BUNDLE_CLUSTER
from hansa.storage.stats import VersionStats, compute_stats
from hansa.types import ChunkId, Signature

AnyRequest = Request[object, object, AppState]
MANIFEST_BODY_BYTES_MAX = limits.MANIFEST_BYTES_MAX + limits.MIB


@post("/store/lookups", status_code=200, operation_class=OctetsBothOperation)
async def lookups(services: Given, request: AnyRequest) -> Response[bytes]:
    """Tell for each chunk id whether the own store holds it, and in which living version."""
    provide_caller(request.scope).require_role("publisher")
    asked = await read_octets(request, LookupRequest)
    if len(asked.chunks) > limits.LOOKUP_DIGESTS_MAX:
        raise InvalidError(f"At most {limits.LOOKUP_DIGESTS_MAX} chunks are looked up at once.")

    def look() -> LookupAnswer:
        chunks = [ChunkId(chunk) for chunk in asked.chunks]
        return LookupAnswer(
            tuple(
                KnownChunk(version.dataset, version.number) if version is not None else None
                for version in services.versions.lookup(chunks)
            )
        )

    return answer_octets(await services.workers.run(look))


@post("/store/chunks", status_code=204, operation_class=OctetsOperation)
async def chunks(services: Given, request: AnyRequest) -> None:
    """Take a batch of new sealed chunks; they are durable when this answers."""
    provide_caller(request.scope).require_role("publisher")
    upload = await read_octets(request, ChunkUpload)
    if len(upload.items) > limits.LOOKUP_DIGESTS_MAX:
        raise InvalidError(f"At most {limits.LOOKUP_DIGESTS_MAX} chunks are taken at once.")
    items = [
        UploadChunk(ChunkId(item.chunk), item.fingerprint, item.sealed) for item in upload.items
    ]
    cluster = cluster_number(upload.cluster)
    await services.workers.run(services.versions.chunks.put, items, cluster)


@post(
    "/store/manifests",
    status_code=200,
    operation_class=OctetsBothOperation,
    request_max_body_size=MANIFEST_BODY_BYTES_MAX,
)
async def manifests(services: Given, request: AnyRequest) -> Response[bytes]:
    """Take a manifest and its wrapped key; attest that all it needs is stored, durable, leased."""
    provide_caller(request.scope).require_role("publisher")
    upload = await read_octets(request, ManifestUpload, bytes_max=MANIFEST_BODY_BYTES_MAX)

    def take() -> ManifestAnswer:
        root = services.versions.put_manifest(upload.manifest)
        services.custody.keep_key(root, upload.key_wrap)
        facts = services.versions.attest(root, limits.UPLOAD_LEASE_MS)
        if (facts.content_bytes, facts.files) != (upload.content_bytes, upload.files):
            raise ConflictError("The manifest's directory states another size than the upload.")
        unsigned = Attestation(
            organisation=services.organisation,
            manifest_root=root,
            manifest_bytes=facts.manifest_bytes,
            stored_bytes=facts.stored_bytes,
            leased_until_ms=facts.leased_until_ms,
            node_key=services.key.public,
            signature=Signature(b""),
        )
        return ManifestAnswer(sign_attestation(unsigned, services.key))

    return answer_octets(await services.workers.run(take))


@get("/store")
async def stats(services: Given) -> StoreStats:
    """Return the own store in figures."""
    return await services.workers.run(build_stats, services)


def build_stats(services: Services) -> StoreStats:
    """Return the own store in figures, with names from the index and the chain."""
    found, state = compute_stats(services.versions), services.state()
    words = {
        cluster_number(cluster.label): (cluster.label, list(cluster.words))
        for cluster in services.index.stats().clusters
    }
    uses: dict[bytes, list[VersionStats]] = defaultdict(list)
    for row in found.versions:
        uses[row.version.dataset].append(row)
    return StoreStats(
        url=services.store_url,
        datasets=len(uses),
        versions=len(found.versions),
        logical_bytes=found.logical_bytes,
        chunks=found.chunks,
        stored_bytes=found.new_bytes,
        duplicate_bytes=found.sealed_bytes - found.new_bytes,
        packs=found.packs,
        journal_bytes=found.journal_bytes,
        free_bytes=services.store_free_bytes(),
        content_bytes=found.plain_bytes,
        packed_bytes=found.packed_bytes,
        manifest_bytes=found.manifest_bytes,
        condemned_chunks=found.chunks_condemned,
        condemned_bytes=found.condemned_bytes,
        unreferenced_manifests=found.manifests_unreferenced,
        unreferenced_bytes=found.unreferenced_bytes,
        damaged_chunks=found.damaged,
        used_bytes=found.used_bytes,
        quota_bytes=services.quota.quota_bytes,
        table_memory_bytes=found.table_memory_bytes,
        collected_ms=found.collected_ms,
        cluster_uses=[
            ClusterUse(
                cluster=words.get(one.cluster, (_cluster_name(one.cluster), []))[0],
                words=words.get(one.cluster, ("", []))[1],
                packs=one.packs,
                bytes=one.bytes,
            )
            for one in found.clusters
        ],
        dataset_uses=[_dataset_use(state, dataset, rows) for dataset, rows in uses.items()],
    )


def _cluster_name(cluster: int) -> str:
    """Return what to call a cluster that the index does not know."""
    return "manifests" if cluster == BUNDLE_CLUSTER else str(cluster or "")


def _dataset_use(state: State, dataset: bytes, rows: list[VersionStats]) -> DatasetUse:
    record = state.dataset(dataset)
    return DatasetUse(
        dataset=dataset.hex(),
        title=record.description.title if record else "",
        versions=len(rows),
        logical_bytes=sum(row.content_bytes for row in rows),
        stored_bytes=sum(row.stored_bytes for row in rows),
        new_bytes=sum(row.new_bytes for row in rows),
    )


@post("/store/jobs", status_code=202)
async def begin_job(
    services: Given, request: AnyRequest, data: JSONBody[StoreJobRequest]
) -> StoreJob:
    """Begin long work on the own store; the same asked for again while it runs is told of."""
    if data.work != "check":
        provide_caller(request.scope).require_role("admin")
    if not 0 <= data.grace_ms <= limits.COLLECT_GRACE_MS_MAX:
        raise InvalidError(
            f"grace_ms must be from 0 to {limits.COLLECT_GRACE_MS_MAX}.",
            remedy="24 hours are usual; 0 deletes what an earlier run found dead.",
        )
    return services.keeper.start(data)


@get("/store/jobs", sync_to_thread=False)
def jobs(services: Given) -> list[StoreJob]:
    """Return the last jobs, newest first."""
    return services.keeper.jobs()


@get("/store/jobs/{number:int}")
async def job(services: Given, number: FromPath[int], wait_ms: FromQuery[int] = 0) -> StoreJob:
    """Return a job; with wait_ms, once it ended or that time is over."""
    if not 0 <= wait_ms <= limits.WAIT_MS_MAX:
        raise InvalidError(f"wait_ms must be from 0 to {limits.WAIT_MS_MAX}.")
    return await services.keeper.wait(number, wait_ms)


HANDLERS = [lookups, chunks, manifests, stats, begin_job, jobs, job]
