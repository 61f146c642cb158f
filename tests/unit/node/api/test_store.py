"""Tests of node.api.store."""

import os

import msgspec
import pytest

from hansa.chain.transactions import is_attested
from hansa.codec import decode, encode
from hansa.node.api import store as module
from hansa.node.api.store import cluster_number
from hansa.rest import (
    CheckReport,
    ChunkItem,
    ChunkUpload,
    LookupAnswer,
    LookupRequest,
    ManifestUpload,
    StoreStats,
)

OCTETS = {"Content-Type": "application/octet-stream"}


async def octets(live, path: str, value: object, kind: type):
    """POST a value in the canonical encoding for one in it."""
    status, body, _ = await live.call("POST", path, data=encode(value), headers=OCTETS)
    assert status == 200, body
    return decode(kind, body)


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
    status, body, _ = await live.call("POST", "/v1/store/check", json={"read_data": True})
    assert status == 200
    report = msgspec.json.decode(body, type=CheckReport)
    assert ([], []) == (report.problems, report.damaged_datasets)

    def refuse(*_: object) -> None:
        raise AssertionError("a chunk that a living version uses was uploaded again")

    monkeypatch.setattr(live.services.versions.chunks, "put", refuse)
    async with live.alliance.client(live.member) as client:
        await client.publish([tmp_path / "f.bin"], title="The same file again")
