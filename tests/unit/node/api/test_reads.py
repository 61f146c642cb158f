"""Tests of node.api.reads: the call itself; what it answers is tested in test_several."""

from scene import Scene

from hansa.codec import decode, encode
from hansa.data.manifest import compute_root
from hansa.rest.reads import ReadAnswer, ReadItem, ReadRequest

OCTETS = {"Content-Type": "application/octet-stream"}


async def test_versions_come_whole(scene: Scene) -> None:
    """One outcome for each item, in their order."""
    asked = ReadRequest((ReadItem(bytes(16), 0), ReadItem(scene.dataset, 1)))
    status, body, _ = await scene.live.call("POST", "/v1/reads", data=encode(asked), headers=OCTETS)
    assert status == 200, body
    missing, found = decode(ReadAnswer, body).outcomes
    assert ("missing", 0) == (missing.whole.code, missing.version)
    assert found.manifest_root == compute_root(found.whole.manifest)


async def test_who_may_not_and_what_cannot_be(scene: Scene) -> None:
    """No token, a user of no organisation here, another type of body, nonsense."""
    data = encode(ReadRequest((ReadItem(scene.dataset, 1),)))
    for changes, code in (
        ({"token": ""}, 401),
        ({"token": scene.live.member.token(scene.reader.user)}, 403),
        ({"headers": {"Content-Type": "application/json"}}, 400),
        ({"data": b"nonsense"}, 400),
        ({"data": encode(ReadRequest(()))}, 400),
    ):
        options = {"data": data, "headers": OCTETS} | changes
        found = await scene.live.refused("POST", "/v1/reads", **options)
        assert code == found["status"], changes
