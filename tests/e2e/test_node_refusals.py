"""Bad input at the API of a real node: each gets its problem document, and nothing half done."""

import io
import sys
import time
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from local_alliance import OCTETS, LocalAlliance, Member, problem

from hansa import limits
from hansa.chain.transactions import AddUser, RevokeUser
from hansa.codec import encode
from hansa.crypto.signing import SigningKey
from hansa.rest import LookupRequest, Submission, TransactionStatus
from hansa.types import NO_DIGEST

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def refused(alliance: LocalAlliance, member: Member, *call, **options) -> dict[str, object]:
    """Make a call that must fail; return its problem document."""
    status, body, headers = await alliance.request(member, *call, **options)
    found = problem(body)
    assert headers["Content-Type"] == "application/problem+json"
    assert (found["status"], found["instance"]) == (status, headers["X-Request-ID"])
    assert "Traceback" not in body.decode()
    return found


async def test_refusals(tmp_path: Path) -> None:
    """Tokens, bodies, sizes, unknown things: the right status, code and a remedy."""
    alliance = LocalAlliance.create(tmp_path, 2, super_nodes=1)
    member, other = alliance.members
    with alliance.running():
        await alliance.until_ready()
        await check_tokens(alliance, member, other)
        await check_bodies(alliance, member)
        await check_transactions(alliance, member)
        await check_revoked(alliance, member)
        # After all that the node serves as before.
        assert (await alliance.status(member)).copies_held == 0
        assert (await alliance.submit(other)).status == "committed"
        assert member.end() == 0


async def check_tokens(alliance: LocalAlliance, member: Member, other: Member) -> None:
    """Only a fresh token for this node, signed by an own active user, is let in."""
    now = int(time.time())
    stranger = SigningKey(bytes([7]) * 32)
    path = "/v1/status"
    for token in (
        "nonsense",
        member.token(stranger),
        member.token(aud=other.node_key.hex()),
        member.token(iat=now - 400, exp=now - 100),
        member.token(iat=now, exp=now + 3_600),
        member.token(iat=now + 100, exp=now + 200),
        member.token()[:-8] + "AAAAAAAA",
        member.token(iat="soon"),
    ):
        found = await refused(alliance, member, "GET", path, token=token)
        assert (401, "unauthenticated") == (found["status"], found["code"]), token
    found = await refused(alliance, member, "GET", path, token="")
    assert found["status"] == 401
    found = await refused(alliance, member, "GET", path, token=member.token(other.user))
    assert (403, "denied") == (found["status"], found["code"])
    for free in ("/healthz/live", "/metrics", "/openapi.json", "/v1/genesis"):
        status, body, _ = await alliance.request(member, "GET", free, token="")
        assert status == 200, free
        assert body, free


async def check_bodies(alliance: LocalAlliance, member: Member) -> None:
    """Malformed, truncated, oversize and wrongly typed bodies."""
    lookup = encode(LookupRequest((bytes(32),)))
    as_json = {"Content-Type": "application/json"}
    for expected, path, body, headers in (
        (400, "/v1/questions", b"{bad", as_json),
        (400, "/v1/questions", b'{"limit": "many"}', as_json),
        (400, "/v1/questions", b'{"unknown": 1}', as_json),
        (400, "/v1/questions", b'{"limit": 0}', as_json),
        (400, "/v1/questions", b'{"bbox": [1, 2, 3]}', as_json),
        (400, "/v1/store/lookups", lookup[:-5], OCTETS),
        (400, "/v1/store/lookups", lookup + b"\x00", OCTETS),
        (400, "/v1/store/lookups", lookup, as_json),
        (400, "/v1/transactions", b"", OCTETS),
        (413, "/v1/transactions", io.BytesIO(bytes(limits.REQUEST_BODY_BYTES_MAX + 1)), OCTETS),
    ):
        found = await refused(alliance, member, "POST", path, data=body, headers=headers)
        assert (expected, "invalid") == (found["status"], found["code"]), path
    for expected, path in (
        (404, "/nowhere"),
        (404, "/v1/blocks/99"),
        (404, f"/v1/datasets/{'0' * 32}"),
        (404, f"/v1/requests/{'0' * 32}"),
        (404, f"/v1/transactions/{'0' * 64}"),
        (404, f"/v1/datasets/{'0' * 32}/versions/1/content"),
        (400, "/v1/datasets/xyz"),
        (400, "/v1/transactions/abc"),
        (400, f"/v1/transactions/{'0' * 64}?wait_ms=999999999"),
        (400, "/v1/blocks?limit=0"),
        (400, "/v1/requests?role=king"),
    ):
        found = await refused(alliance, member, "GET", path)
        assert expected == found["status"], path
    found = await refused(alliance, member, "DELETE", "/v1/status")
    assert found["status"] == 405


async def check_transactions(alliance: LocalAlliance, member: Member) -> None:
    """Foreign, replayed and expired transactions are refused or known; nothing is taken twice."""
    path = "/v1/transactions"
    transaction = await alliance.sign(member)
    sealed = await alliance.seal(member, transaction)
    foreign = msgspec.structs.replace(sealed, alliance=NO_DIGEST)
    of_other = msgspec.structs.replace(sealed, author=alliance.members[1].user.public)
    bare = msgspec.structs.replace(sealed, wraps=())
    for expected, candidate in (("invalid", foreign), ("denied", of_other), ("invalid", bare)):
        data = encode(Submission(candidate, ()))
        found = await refused(alliance, member, "POST", path, data=data, headers=OCTETS)
        assert expected == found["code"]
    done = await alliance.send(member, transaction)
    again = await alliance.send(member, transaction)
    assert ("committed", done.height) == (again.status, again.height)
    broken = msgspec.structs.replace(await alliance.sign(member), signature=transaction.signature)
    refusal = await alliance.send(member, broken)
    assert refusal.status == "refused", refusal
    assert refusal.code
    assert refusal.message


async def check_revoked(alliance: LocalAlliance, member: Member) -> None:
    """A user revoked in a block is refused from the next request on."""
    clerk = SigningKey(bytes([9]) * 32)
    added = await alliance.submit(
        member, AddUser(clerk.public, member.reader.public, "Clerk", ("reader",))
    )
    assert added.status == "committed", added
    token = member.token(clerk)
    status, _, _ = await alliance.request(member, "GET", "/v1/status", token=token)
    assert status == 200
    found = await refused(
        alliance, member, "POST", "/v1/store/lookups", token=token,
        data=encode(LookupRequest(())), headers=OCTETS,
    )  # fmt: skip
    assert (403, "denied") == (found["status"], found["code"]), "a reader does not publish"
    revoked = await alliance.submit(member, RevokeUser(clerk.public))
    assert revoked.status == "committed", revoked
    found = await refused(alliance, member, "GET", "/v1/status", token=token)
    assert (403, "denied") == (found["status"], found["code"])
    path = f"/v1/transactions/{revoked.transaction}"
    assert revoked == await alliance.get(member, path, TransactionStatus)
