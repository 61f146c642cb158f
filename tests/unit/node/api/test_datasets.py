"""Tests of node.api.datasets: own data; data of others is tested in test_exchange and end to end."""

import os

import pytest
from scene import Scene

from hansa.chain.transactions import RetireDataset
from hansa.data.manifest import compute_root
from hansa.node.api import datasets as module
from hansa.node.exchange import Slice
from hansa.rest import DatasetView


@pytest.fixture
async def view(live, tmp_path) -> DatasetView:
    """A published dataset."""
    (tmp_path / "f.bin").write_bytes(os.urandom(200_000))
    async with live.alliance.client(live.member) as client:
        done = await client.publish(
            [tmp_path / "f.bin"], title="File", keywords=["k"], bbox=[8.0, 47.0, 9.0, 48.0]
        )
        return await client.dataset(done.dataset)


async def test_views(live, view: DatasetView) -> None:
    """A dataset is listed with its description, version and officers."""
    assert ("File", ["k"], [8.0, 47.0, 9.0, 48.0]) == (view.title, view.keywords, view.bbox)
    assert ([1], 200_000) == ([v.number for v in view.versions], view.versions[0].content_bytes)
    assert [live.member.user.public.hex()] == [user.key for user in view.owner_users]
    listed = await live.get("/v1/datasets", list[DatasetView])
    assert [view.id] == [item.id for item in listed]
    assert [] == await live.get("/v1/datasets?organisation=health", list[DatasetView])
    await live.submit(RetireDataset(bytes.fromhex(view.id)))
    assert [] == await live.get("/v1/datasets", list[DatasetView])
    (retired,) = await live.get("/v1/datasets?retired=true", list[DatasetView])
    assert retired.status == "retired"


async def test_manifest(live, view: DatasetView) -> None:
    """The manifest has the root on the chain; its ETag saves a second transfer."""
    path = f"/v1/datasets/{view.id}/versions/1/manifest"
    status, data, headers = await live.call("GET", path)
    assert (200, view.versions[0].manifest_root) == (status, compute_root(data).hex())
    status, body, _ = await live.call("GET", path, headers={"If-None-Match": headers["ETag"]})
    assert (304, b"") == (status, body)
    found = await live.refused("GET", f"/v1/datasets/{view.id}/versions/2/manifest")
    assert found["status"] == 404


async def test_content_in_pieces(live, view: DatasetView, monkeypatch) -> None:
    """However small the pieces read at once, whole and ranges are the same bytes."""
    path = f"/v1/datasets/{view.id}/versions/1/content"
    status, whole, headers = await live.call("GET", path)
    assert (200, str(len(whole))) == (status, headers["Content-Length"])
    monkeypatch.setattr(module, "PIECE_BYTES", 7_001)
    _, again, _ = await live.call("GET", path)
    assert whole == again
    wanted = {"Range": "bytes=6990-21010"}
    status, part, headers = await live.call("GET", path, headers=wanted)
    assert (206, whole[6_990:21_011]) == (status, part)
    assert f"bytes 6990-21010/{len(whole)}" == headers["Content-Range"]
    found = await live.refused("GET", path, headers={"Range": f"bytes={len(whole)}-"})
    assert found["status"] == 416


async def test_key(live, view: DatasetView) -> None:
    """The own publishing key's wrap is given to own users."""
    status, body, _ = await live.call("GET", f"/v1/datasets/{view.id}/versions/1/key")
    assert status == 200
    assert 32 < len(body) < 1_024


async def test_damage_is_told_before_the_head(live, view: DatasetView) -> None:
    """Damaged content is a problem document, not a broken stream, where it is met at the start."""
    for segment in live.services.versions.chunks.journal.segments.values():
        data = bytearray(segment.path.read_bytes())
        data[len(data) // 2] ^= 1
        for at in range(len(data) // 4, len(data), 1_000):
            data[at] ^= 0xFF
        segment.path.write_bytes(data)
    found = await live.refused("GET", f"/v1/datasets/{view.id}/versions/1/content")
    assert (500, "corrupt") == (found["status"], found["code"])


async def test_another_node_s_data_and_keys(scene: Scene, monkeypatch) -> None:
    """Keys stay with the owner's users; a part of another length is not passed on."""
    path = f"/v1/datasets/{scene.dataset.hex()}/versions/1"
    real = scene.exchange.read

    async def short(what, user, dataset, call):
        found = await real(what, user, dataset, call)
        return Slice(found.total, found.data[:-1])

    monkeypatch.setattr(scene.exchange, "read", short)
    found = await scene.live.refused("GET", path + "/content")
    assert (500, "corrupt") == (found["status"], found["code"])
    monkeypatch.undo()
    scene.turn_into_readers_node(monkeypatch)
    token = scene.live.member.token(scene.reader.user)
    found = await scene.live.refused("GET", path + "/key", token=token)
    assert (403, True) == (found["status"], scene.live.member.name in found["detail"])
