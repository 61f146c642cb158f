"""Tests of node.api.store."""

import os

import msgspec
import pytest

from hansa.chain.transactions import is_attested
from hansa.codec import decode, encode
from hansa.data.pipeline import UploadChunk
from hansa.node.api import guard
from hansa.node.api import store as module
from hansa.node.api.store import cluster_number
from hansa.rest import (
    ChunkItem,
    ChunkUpload,
    LookupAnswer,
    LookupRequest,
    ManifestUpload,
    StoreJob,
    StoreStats,
)
from hansa.storage.manifests import BUNDLE_CLUSTER

OCTETS = {"Content-Type": "application/octet-stream"}


async def octets(live, path: str, value: object, kind: type):
    """POST a value in the canonical encoding for one in it."""
    status, body, _ = await live.call("POST", path, data=encode(value), headers=OCTETS)
    assert status == 200, body
    return decode(kind, body)


async def run_job(live, **request) -> StoreJob:
    """Begin a job and wait for its end."""
    status, body, _ = await live.call("POST", "/v1/store/jobs", json=request)
    assert status == 202, body
    number = msgspec.json.decode(body, type=StoreJob).number
    job = await live.get(f"/v1/store/jobs/{number}?wait_ms=20000", StoreJob)
    assert job.status != "running"
    return job


def test_cluster_numbers() -> None:
    """Labels become numbers that packs can carry: the same label the same number."""
    assert (0, 17) == (cluster_number(""), cluster_number("17"))
    for label in ("c-17", "9999999999999", "٣"):
        assert 0 <= cluster_number(label) < 1 << 31
        assert cluster_number(label) == cluster_number(label)


async def test_chunks(live) -> None:
    """Chunks sent twice are stored once; what no version uses is not known."""
    items = tuple(
        ChunkItem(chunk=os.urandom(32), fingerprint=os.urandom(36), sealed=os.urandom(500))
        for _ in range(3)
    )
    sizes = []
    for _ in range(2):
        data = encode(ChunkUpload("", items))
        status, body, _ = await live.call("POST", "/v1/store/chunks", data=data, headers=OCTETS)
        assert (204, b"") == (status, body)
        sizes.append((await live.get("/v1/store", StoreStats)).journal_bytes)
    assert sizes[0] == sizes[1] > 1_500
    asked = LookupRequest(tuple(item.chunk for item in items))
    answer = await octets(live, "/v1/store/lookups", asked, LookupAnswer)
    assert (None, None, None) == answer.known, "no living version uses them yet"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/v1/store/chunks", ChunkUpload("", (ChunkItem(b"short", b"", b"sealed"),))),
        ("/v1/store/chunks", ChunkUpload("", (ChunkItem(bytes(32), b"odd", b"sealed"),))),
        ("/v1/store/chunks", ChunkUpload("", (ChunkItem(bytes(32), b"", b""),))),
        ("/v1/store/lookups", LookupRequest((b"short",))),
        ("/v1/store/lookups", LookupRequest((bytes(32),) * 4_097)),
        ("/v1/store/chunks", ChunkUpload("", (ChunkItem(bytes(32), b"", b"x"),) * 4_097)),
        ("/v1/store/manifests", ManifestUpload(b"", b"nonsense", b"wrap", 0, 0)),
    ],
)
async def test_nonsense(live, path: str, value: object) -> None:
    """Malformed uploads are refused; nothing of them is stored."""
    found = await live.refused("POST", path, data=encode(value), headers=OCTETS)
    assert (400, "invalid") == (found["status"], found["code"])
    assert (await live.get("/v1/store", StoreStats)).journal_bytes == 0


async def test_publish_and_check(live, tmp_path, monkeypatch) -> None:
    """A published version is attested, counted, found by look-up, and found sound."""
    (tmp_path / "f.bin").write_bytes(os.urandom(200_000))
    attested = []
    sign = module.sign_attestation
    module.sign_attestation = lambda *given: attested.append(sign(*given)) or attested[-1]
    try:
        async with live.alliance.client(live.member) as client:
            await client.publish([tmp_path / "f.bin"], title="File")
    finally:
        module.sign_attestation = sign
    (attestation,) = attested
    assert is_attested(attestation)
    assert live.services.key.public == attestation.node_key
    assert attestation.leased_until_ms > live.services.clock.now_ms()

    async def is_bound() -> bool:
        stats = await live.get("/v1/store", StoreStats)
        return (stats.versions, stats.logical_bytes) == (1, 200_000)

    await live.alliance.until(is_bound)
    job = await run_job(live, work="check", read_data=True)
    assert ("done", [], []) == (job.status, job.check.problems, job.check.damaged_datasets)
    assert job.check.read_data

    put = live.services.versions.chunks.put

    def refuse(chunks: list[UploadChunk], cluster: int) -> object:
        assert cluster == BUNDLE_CLUSTER, "a chunk that a living version uses was uploaded again"
        return put(chunks, cluster)

    monkeypatch.setattr(live.services.versions.chunks, "put", refuse)
    async with live.alliance.client(live.member) as client:
        await client.publish([tmp_path / "f.bin"], title="The same file again")


async def test_jobs(live) -> None:
    """Collect and repair run and are told of; nonsense is refused."""
    found = await run_job(live, work="collect", dry_run=True)
    assert ("done", True) == (found.status, found.collect.dry_run)
    found = await run_job(live, work="repair")
    assert ("done", []) == (found.status, found.repair.problems)
    numbers = [job.number for job in await live.get("/v1/store/jobs", list[StoreJob])]
    assert [2, 1] == numbers
    for body in ({"work": "burn"}, {"work": "collect", "grace_ms": -1}):
        assert (await live.refused("POST", "/v1/store/jobs", json=body))["status"] == 400
    assert (await live.refused("GET", "/v1/store/jobs/99"))["status"] == 404
    assert (await live.refused("GET", "/v1/store/jobs/1?wait_ms=-1"))["status"] == 400


async def test_only_admins_collect_and_repair(live, monkeypatch) -> None:
    """Any own user may check; what deletes or writes needs the admin."""
    monkeypatch.setattr(guard, "authorise", without_admin(guard.authorise))
    for work in ("collect", "repair"):
        found = await live.refused("POST", "/v1/store/jobs", json={"work": work})
        assert (403, "denied") == (found["status"], found["code"])
    assert (await run_job(live, work="check")).status == "done"


def without_admin(authorise):
    """Return the same judgement, of a user who lacks the role."""

    def judge(*given):
        user = authorise(*given)
        roles = tuple(role for role in user.roles if role != "admin")
        return msgspec.structs.replace(user, roles=roles)

    return judge


async def test_quota(live) -> None:
    """An upload beyond it is refused as 507, with what to do; figures tell the bound."""
    live.services.quota.quota_bytes = 1_000
    item = ChunkItem(chunk=os.urandom(32), fingerprint=b"", sealed=os.urandom(2_000))
    data = encode(ChunkUpload("", (item,)))
    found = await live.refused("POST", "/v1/store/chunks", data=data, headers=OCTETS)
    assert (507, "store-quota", False) == (found["status"], found["code"], found["retryable"])
    stats = await live.get("/v1/store", StoreStats)
    assert (1_000, 0) == (stats.quota_bytes, stats.journal_bytes)
