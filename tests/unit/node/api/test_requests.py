"""Tests of node.api.requests: one's own side; the way between nodes is in test_exchange and e2e."""

import pytest

from hansa.chain.transactions import AddUser
from hansa.codec import encode
from hansa.crypto.signing import SigningKey
from hansa.rest import RequestView, WrapSet

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
