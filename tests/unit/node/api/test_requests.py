"""Tests of node.api.requests: one's own side; the way between nodes is in test_exchange and e2e."""

import pytest
from scene import CONFIDENTIAL, Scene

from hansa.chain.transactions import AddUser, DenyAccess, RequestAccess
from hansa.codec import decode, encode
from hansa.crypto.signing import SigningKey
from hansa.rest import RequestView, WrapSet
from hansa.types import RequestId

OCTETS = {"Content-Type": "application/octet-stream"}


async def test_lists(live) -> None:
    """Nothing asked, nothing listed; roles other than the two are refused."""
    for role in ("", "?role=owner", "?role=requester", "?role=all"):
        assert [] == await live.get(f"/v1/requests{role}", list[RequestView])
    found = await live.refused("GET", "/v1/requests?role=king")
    assert (400, "invalid") == (found["status"], found["code"])


@pytest.mark.parametrize("part", ["", "/note", "/wraps"])
async def test_unknown(live, part: str) -> None:
    """Unknown requests are missing, malformed ids invalid."""
    found = await live.refused("GET", f"/v1/requests/{'0' * 32}{part}")
    assert (404, "missing") == (found["status"], found["code"])
    found = await live.refused("GET", f"/v1/requests/odd{part}")
    assert (400, "invalid") == (found["status"], found["code"])


async def test_wraps_need_a_request_and_an_officer(live) -> None:
    """Wraps for no request are refused, and a reader may not put any."""
    wraps = encode(WrapSet(bytes(16), bytes(32), ((1, b"w"),)))
    path = f"/v1/requests/{'0' * 32}/wraps"
    found = await live.refused("PUT", path, data=wraps, headers=OCTETS)
    assert found["status"] == 404
    clerk = SigningKey(b"c" * 32)
    done = await live.submit(AddUser(clerk.public, live.member.reader.public, "Clerk", ("reader",)))
    assert done.status == "committed", done
    found = await live.refused(
        "PUT", path, data=wraps, headers=OCTETS, token=live.member.token(clerk)
    )
    assert found["status"] in {403, 404}


async def test_wraps_are_put_for_the_request_while_it_is_undecided(scene: Scene) -> None:
    """Not for another request, and not once it was denied."""
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    path = f"/v1/requests/{scene.request.hex()}"
    view = await scene.live.get(path, RequestView)
    assert ("open", scene.reader.name) == (view.status, view.organisation)
    (listed,) = await scene.live.get("/v1/requests?role=owner", list[RequestView])
    assert view == listed
    other = encode(WrapSet(RequestId(bytes(16)), bytes(32), ((1, b"w"),)))
    found = await scene.live.refused("PUT", path + "/wraps", data=other, headers=OCTETS)
    assert (400, "invalid") == (found["status"], found["code"])
    done = await scene.live.submit(DenyAccess(scene.request, "no"))
    assert "committed" == done.status
    own = encode(WrapSet(scene.request, bytes(32), ((1, b"w"),)))
    found = await scene.live.refused("PUT", path + "/wraps", data=own, headers=OCTETS)
    assert (409, "conflict") == (found["status"], found["code"])
    assert "denied" in found["detail"]


async def test_keys_are_told_to_the_requester_once_granted(scene: Scene, monkeypatch) -> None:
    """At the reader's node: not before the grant, not to another user, and not the owner's part."""
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    live, path = scene.live, f"/v1/requests/{scene.request.hex()}"
    found = await live.refused("GET", path + "/wraps")
    assert (403, True) == (found["status"], "another requester" in found["detail"])
    token = live.member.token(scene.reader.user)
    scene.turn_into_readers_node(monkeypatch)
    found = await live.refused("GET", path + "/wraps", token=token)
    assert (403, "Wait for the owner's decision.") == (found["status"], found["remedy"])
    found = await live.refused("GET", path + "/note", token=token)
    assert (403, True) == (found["status"], "own officers" in found["detail"])
    object.__setattr__(live.services, "organisation", live.member.name)
    wraps = await scene.grant()
    object.__setattr__(live.services, "organisation", scene.reader.name)
    status, body, _ = await live.call("GET", path + "/wraps", token=token)
    assert (200, wraps) == (status, decode(WrapSet, body))
