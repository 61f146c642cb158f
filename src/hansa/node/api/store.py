"""The own store: looking chunks up, taking chunks and manifests, figures and checks."""

import hashlib

from litestar import Request, Response, get, post
from litestar.datastructures import State as AppState
from litestar.params import JSONBody

from hansa import limits
from hansa.chain.transactions import Attestation, sign_attestation
from hansa.data.pipeline import UploadChunk
from hansa.errors import ConflictError, InvalidError
from hansa.node.api.guard import provide_caller
from hansa.node.api.octets import OctetsBothOperation, OctetsOperation, answer_octets, read_octets
from hansa.node.api.services import Given
from hansa.rest import (
    CheckReport,
    CheckRequest,
    ChunkUpload,
    KnownChunk,
    LookupAnswer,
    LookupRequest,
    ManifestAnswer,
    ManifestUpload,
    StoreStats,
)
from hansa.storage.check import check
from hansa.storage.stats import compute_stats
from hansa.types import ChunkId, Signature

AnyRequest = Request[object, object, AppState]
LEASE_MS = 3_600_000
MANIFEST_BODY_BYTES_MAX = limits.MANIFEST_BYTES_MAX + limits.MIB
PROBLEMS_MAX = 1_000


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


def cluster_number(label: str) -> int:
    """Return the number by which packs know a cluster; 0 stands for none."""
    if not label:
        return 0
    if label.isascii() and label.isdigit() and len(label) < 10:
        return int(label)
    return int.from_bytes(hashlib.sha256(label.encode()).digest()[:4], "big") >> 1


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
        facts = services.versions.attest(root, LEASE_MS)
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

    def build() -> StoreStats:
        found = compute_stats(services.versions)
        living = {row.version.dataset for row in found.versions}
        new_bytes = sum(row.new_bytes for row in found.versions)
        return StoreStats(
            url=services.store_url,
            datasets=len(living),
            versions=len(found.versions),
            logical_bytes=found.logical_bytes,
            chunks=found.chunks,
            stored_bytes=new_bytes,
            duplicate_bytes=sum(row.stored_bytes for row in found.versions) - new_bytes,
            packs=found.packs,
            journal_bytes=found.journal_bytes,
            free_bytes=services.store_free_bytes(),
        )

    return await services.workers.run(build)


@post("/store/check", status_code=200)
async def check_store(services: Given, data: JSONBody[CheckRequest]) -> CheckReport:
    """Read the store back and report what is damaged; nothing is changed."""

    def look() -> CheckReport:
        found = check(services.versions, services.directory_key, read_data=data.read_data)
        problems = [f"{item.kind} {item.name}: {item.detail}" for item in found.damages]
        return CheckReport(
            packs=found.packs,
            chunks=services.versions.chunks.index.chunks,
            bytes_read=found.bytes_read,
            problems=problems[:PROBLEMS_MAX],
            damaged_datasets=sorted({item.version.dataset.hex() for item in found.hurt}),
        )

    return await services.workers.run(look)


HANDLERS = [lookups, chunks, manifests, stats, check_store]
