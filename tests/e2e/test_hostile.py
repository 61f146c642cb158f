"""An attacker at the ports of four running nodes: refused with the right words, nothing else happens.

One alliance for the whole module; at its end the nodes are healthy, agree, have not grown by more than
100 MiB and logged no secret.
"""

import asyncio
import contextlib
import io
import os
import socket
import ssl
import struct
from collections.abc import Iterator

import msgspec
import psutil
import pytest

from hansa import limits
from hansa.chain.sealed import ConfidentialPart, confidential_digest
from hansa.chain.transactions import (
    GrantAccess,
    RequestAccess,
    RetireDataset,
    RevokeAccess,
    SetPolicy,
    TransactionBody,
    sign_transaction,
)
from hansa.chain.transactions import Policy as DatasetPolicy
from hansa.codec import encode
from hansa.crypto.envelope import DecryptionKey
from hansa.crypto.signing import SigningKey
from hansa.rest import LookupRequest, Submission
from tests.e2e.attacks import address, forged_tokens, head, send_raw, until_at
from tests.e2e.local_alliance import OCTETS, LocalAlliance, Member, problem

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

GROWTH_BYTES_MAX = 100 * limits.MIB
PLAINTEXT = b"hostile-plaintext-marker\n"
JSON = {"Content-Type": "application/json"}
QUESTIONS = "/v1/questions"


@pytest.fixture(scope="module")
def alliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAlliance]:
    """Four nodes; after all tests they are well, of bounded size, and logged nothing secret."""
    made = LocalAlliance.create(tmp_path_factory.mktemp("hostile"), 4)
    with made.running():
        asyncio.run(made.until_ready())
        sizes = {member.name: resident_bytes(member) for member in made.members}
        yield made
        asyncio.run(check_well(made))
        for member in made.members:
            assert resident_bytes(member) - sizes[member.name] < GROWTH_BYTES_MAX, member.name
            check_log(member)


def resident_bytes(member: Member) -> int:
    """Return how much memory a member's node takes."""
    assert member.process is not None
    return int(psutil.Process(member.process.pid).memory_info().rss)


async def check_well(alliance: LocalAlliance) -> None:
    """Every node is ready, holds no copy and commits."""
    await alliance.until_ready()
    for member in alliance.members:
        assert (await alliance.submit(member)).status == "committed", member.name
        assert (await alliance.status(member)).copies_held == 0


def check_log(member: Member) -> None:
    """No token, no key and no trace of a defect stands in a node's log or on its screen."""
    log = (member.folder / "log" / "node.log").read_bytes() + member.last_words().encode()
    for secret in (member.token()[:40].encode(), b"Bearer", member.user.seed().hex().encode()):
        assert secret not in log
    assert b"Traceback" not in log, log[log.index(b"Traceback") - 300 :][:3000]
    assert b"request-failed" not in log


async def refused(alliance: LocalAlliance, member: Member, *call, **options) -> tuple[int, str]:
    """Make a call that must fail with a problem document; return status and code."""
    if isinstance(options.get("data"), bytes):
        options["data"] = io.BytesIO(options["data"])
    status, body, headers = await alliance.request(member, *call, **options)
    assert headers.get("Content-Type") == "application/problem+json", (call, status, body[:200])
    found = problem(body)
    assert found["status"] == status
    assert "Traceback" not in body.decode()
    return status, str(found["code"])


@pytest.fixture(scope="module")
def shared(alliance: LocalAlliance) -> dict[str, bytes]:
    """A dataset of the first member that the second has asked for and been granted."""
    owner, reader = alliance.members[:2]
    source = owner.folder.parent / "plain.csv"
    source.write_bytes(PLAINTEXT * 20_000 + os.urandom(300_000))

    async def share() -> dict[str, bytes]:
        async with alliance.client(owner) as publishing, alliance.client(reader) as reading:
            published = await publishing.publish([source], title="Shared")
            dataset = bytes(published.dataset)
            await until_at(reading, published.status.height)
            asked = await reading.request_access(dataset, purpose="To plan the ring road")
            await until_at(publishing, asked.status.height)
            granted = await publishing.grant_access(bytes(asked.request))
            await until_at(reading, granted.status.height)
            return {"dataset": dataset, "request": bytes(asked.request)}

    return asyncio.run(share())


# --- who calls ----------------------------------------------------------------------------------


async def test_forged_tokens(alliance: LocalAlliance) -> None:
    """No way of writing a token replaces the user's signature."""
    member = alliance.members[0]
    for name, token in forged_tokens(member).items():
        found = await refused(alliance, member, "GET", "/v1/status", token=token)
        assert found == (401, "unauthenticated"), name
    twice = f"{member.token()} {member.token()}"
    assert (await refused(alliance, member, "GET", "/v1/status", token=twice))[0] == 401


async def test_tokens_of_others(alliance: LocalAlliance) -> None:
    """A token made for another node, or by another organisation's user, opens nothing."""
    member, other = alliance.members[:2]
    made_for_other = member.token(aud=other.node_key.hex())
    found = await refused(alliance, member, "GET", "/v1/status", token=made_for_other)
    assert found == (401, "unauthenticated")
    other_user = member.token(other.user)
    assert await refused(alliance, member, "GET", "/v1/store", token=other_user) == (403, "denied")
    unknown = member.token(SigningKey(bytes([3]) * 32))
    assert (await refused(alliance, member, "GET", "/v1/store", token=unknown))[0] == 401


# --- heads and bodies ---------------------------------------------------------------------------


def test_heads(alliance: LocalAlliance) -> None:
    """Oversize, smuggled, contradictory and senseless heads are answered once and closed."""
    member = alliance.members[0]
    token = member.token()
    sound = head("POST", QUESTIONS, token, Content_Type="application/json", Content_Length="2")
    for name, data in {
        "long value": head("GET", "/v1/status", token, X="a" * 200_000),
        "many headers": head(
            "GET", "/v1/status", token, **{f"X{n}": "a" * 50 for n in range(9_000)}
        ),
        "long path": head("GET", "/v1/" + "a" * 200_000, token),
        "two lengths": sound.replace(
            b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 3"
        )
        + b"{}",
        "negative length": sound.replace(b"Content-Length: 2", b"Content-Length: -2") + b"{}",
        "no HTTP": b"\x16\x03\x01" + os.urandom(500),
        "a null in a header": head("GET", "/v1/status", token, X="a\0b"),
    }.items():
        answer = send_raw(member, data)
        assert (answer.status, answer.code, answer.closed) == (400, "invalid", True), (name, answer)


def test_bodies_that_do_not_end(alliance: LocalAlliance) -> None:
    """A truncated body commits nothing; one longer than allowed is refused as it comes, in pieces."""
    member = alliance.members[0]
    octets = {"Content_Type": "application/octet-stream"}
    start = head("POST", "/v1/transactions", member.token(), Content_Length="5000", **octets)
    assert send_raw(member, start, b"\x93" * 100).status in {0, 400}
    start = head("POST", "/v1/transactions", member.token(), Transfer_Encoding="chunked", **octets)
    piece = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    endless = send_raw(member, start, *[piece] * (limits.REQUEST_BODY_BYTES_MAX // limits.MIB + 4))
    assert endless.status in {0, 413}
    stranger = head("POST", "/v1/transactions", Content_Length=str(1 << 40), **octets)
    assert send_raw(member, stranger, bytes(100_000)).status == 401


async def test_json_bombs(alliance: LocalAlliance) -> None:
    """Deep, wide, doubled, non-numeric and immense JSON is refused, or harmless, in bounded time."""
    member = alliance.members[0]
    for expected, body in (
        (400, b"[" * 5_000_000),
        (400, b'{"words":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        (400, b'{"limit": NaN}'),
        (400, b'{"limit": 1e400}'),
        (400, b'{"bbox": [1e400, 0, 0, 0]}'),
        (400, b'{"bbox": [NaN, 0, 0, 0]}'),
        (400, b'{"limit": ' + b"9" * 400_000 + b"}"),
        (400, b'{"offset": 99999999999999999999999}'),
        (400, b'{"words": "\xff\xfe"}'),
        (400, b'{"from_ms": 1.5}'),
    ):
        found = await refused(alliance, member, "POST", QUESTIONS, data=body, headers=JSON)
        assert found == (expected, "invalid"), body[:60]
    wide = b'{"words": "' + b"a " * 4_000_000 + b'"}'
    status, _, _ = await alliance.request(
        member, "POST", QUESTIONS, data=io.BytesIO(wide), headers=JSON
    )
    assert status in {200, 400}
    # The last of a doubled name counts; it is judged like any other.
    double = b'{"limit": 1, "limit": 0}'
    assert (await refused(alliance, member, "POST", QUESTIONS, data=double, headers=JSON))[0] == 400


async def test_octet_bombs(alliance: LocalAlliance) -> None:
    """Only the canonical encoding is taken; lengths that lie cost nothing."""
    member = alliance.members[0]
    sound = encode(LookupRequest((bytes(32),)))
    for body in (
        b"\x91" * 1_000_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff" + bytes(10),
        b"\xdf\xff\xff\xff\xff",
        sound + b"\x00",
        sound[:-1],
        b"\xdc\x00\x01" + sound[1:],
        sound.replace(b"\xc4\x20", b"\xc5\x00\x20"),
        encode(LookupRequest((bytes(31),))),
        encode(LookupRequest((bytes(32),) * (limits.LOOKUP_DIGESTS_MAX + 1))),
    ):
        found = await refused(
            alliance, member, "POST", "/v1/store/lookups", data=body, headers=OCTETS
        )
        assert found == (400, "invalid"), body[:40]


# --- transactions -------------------------------------------------------------------------------


async def test_replayed_at_once_commits_once(alliance: LocalAlliance) -> None:
    """The same bytes, ten times at once through four nodes' super nodes: one block has them."""
    member = alliance.members[0]
    transaction = await alliance.sign(member)
    before = (await alliance.status(member)).height
    done = await asyncio.gather(*(alliance.send(member, transaction) for _ in range(10)))
    assert {item.status for item in done} == {"committed"}
    assert len({item.height for item in done}) == 1
    after = await alliance.submit(member)
    count = 0
    for height in range(before + 1, after.height + 1):
        _, body, _ = await alliance.request(member, "GET", f"/v1/blocks/{height}")
        count += body.count(transaction.digest().hex().encode())
    assert count == 1


async def forge(city: LocalAlliance, member: Member, *operations, signer=None, **changes):
    """Return a transaction with some fields of its body changed, signed again or by another."""
    sound = await city.sign(member, *operations)
    body: TransactionBody = msgspec.structs.replace(sound.body, **changes)
    signer = signer or member.user
    signed = sign_transaction(msgspec.structs.replace(body, author=signer.public), signer)
    return msgspec.structs.replace(signed, body=body)


async def test_transactions_that_lie(alliance: LocalAlliance) -> None:
    """Expired, too long-lived, another's signature, another alliance: refused, by the reason."""
    member, other = alliance.members[:2]
    far = limits.TRANSACTION_LIFETIME_HEIGHTS_MAX * 10
    for expected, transaction in (
        ({"expired"}, await forge(alliance, member, expires=0)),
        ({"lifetime"}, await forge(alliance, member, expires=far)),
        ({"bad-signature"}, await forge(alliance, member, signer=other.user)),
        ({"wrong-alliance", "malformed"}, await forge(alliance, member, alliance=bytes(32))),
        ({"time-window"}, await forge(alliance, member, time_ms=1)),
    ):
        found = await alliance.send(member, transaction)
        assert found.status in {"refused", "expired"}, (expected, found)
        assert {found.code or found.status} <= expected, found


async def test_sealed_to_nobody(alliance: LocalAlliance) -> None:
    """Sealed to a key that no super node has: told to reseal, and no block is held up."""
    member = alliance.members[0]
    transaction = await alliance.sign(member)
    sealed = await alliance.seal(member, transaction)
    nobody = DecryptionKey(os.urandom(32)).public
    wraps = tuple(msgspec.structs.replace(item, sealing_key=nobody) for item in sealed.wraps)
    lie = msgspec.structs.replace(sealed, wraps=wraps)
    data = encode(Submission(lie, ()))
    status, _, _ = await alliance.request(
        member, "POST", "/v1/transactions", data=data, headers=OCTETS
    )
    assert status == 202
    path = f"/v1/transactions/{transaction.digest().hex()}?wait_ms=10000"
    _, body, _ = await alliance.request(member, "GET", path)
    assert b'"reseal"' in body
    assert (await alliance.send(member, transaction)).status == "committed"


async def test_acting_on_what_is_anothers(alliance: LocalAlliance, shared: dict) -> None:
    """Another's dataset is not retired, granted, revoked or given another policy."""
    stranger = alliance.members[2]
    dataset, request = shared["dataset"], shared["request"]
    for code, operation in (
        ("not-owner", RetireDataset(dataset)),
        ("not-owner", SetPolicy(dataset, DatasetPolicy())),
        ("not-owner", GrantAccess(request, bytes([1]) * 32, 0)),
        ("not-owner", RevokeAccess(request, "because")),
        ("unknown-dataset", RetireDataset(bytes(16))),
        ("unknown-request", GrantAccess(bytes(16), bytes([1]) * 32, 0)),
    ):
        found = await alliance.submit(stranger, operation)
        assert (found.status, found.code) == ("refused", code), operation


async def test_a_false_confidential_part(alliance: LocalAlliance, shared: dict) -> None:
    """Reviewers refuse a part that was not signed for, or that is none."""
    member = alliance.members[2]
    part = encode(ConfidentialPart(bytes(32), "why", ""))
    operation = RequestAccess(shared["dataset"], "planning")
    for code, signed_for, sent in (
        ("confidential-mismatch", confidential_digest(part), b""),
        (
            "confidential-mismatch",
            confidential_digest(part),
            encode(ConfidentialPart(bytes(32), "x", "")),
        ),
        ("malformed", confidential_digest(b"no part"), b"no part"),
    ):
        transaction = await forge(alliance, member, operation, confidential=signed_for)
        found = await alliance.send(member, transaction, confidential=sent)
        assert (found.status, found.code) == ("refused", code)


# --- reading ------------------------------------------------------------------------------------


async def test_anothers_grant_opens_nothing(alliance: LocalAlliance, shared: dict) -> None:
    """The granted reads; users of other organisations do not, nor get the wraps or the note."""
    owner, reader, stranger = alliance.members[:3]
    base = f"/v1/datasets/{shared['dataset'].hex()}/versions/1"
    wraps = f"/v1/requests/{shared['request'].hex()}/wraps"
    note = f"/v1/requests/{shared['request'].hex()}/note"
    status, content, _ = await alliance.request(reader, "GET", base + "/content")
    assert status == 200
    assert PLAINTEXT.strip() not in content, "what a node serves is ciphertext"
    for member, path in (
        (stranger, base + "/content"),
        (stranger, base + "/manifest"),
        (stranger, base + "/key"),
        (reader, base + "/key"),
        (stranger, wraps),
        (owner, wraps),
        (stranger, note),
        (reader, note),
    ):
        assert await refused(alliance, member, "GET", path) == (403, "denied"), (member.name, path)


async def test_paths_and_ranges(alliance: LocalAlliance, shared: dict) -> None:
    """No id leads out of its place, no range out of its object."""
    member = alliance.members[0]
    for odd in ("..%2f..%2fnode.key", "%2e%2e", "../../node.key", "0" * 31 + "%00", "A" * 4_000):
        for path in (f"/v1/datasets/{odd}", f"/v1/requests/{odd}/note", f"/v1/transactions/{odd}"):
            answer = send_raw(member, head("GET", path, member.token()))
            assert answer.status in {400, 404}, path
    path = f"/v1/datasets/{shared['dataset'].hex()}/versions"
    for number in ("0", "-1", "2", "99999999999999999999999"):
        assert (await refused(alliance, member, "GET", f"{path}/{number}/content"))[0] in {400, 404}
    path += "/1/content"
    _, whole, _ = await alliance.request(member, "GET", path)
    total = len(whole)
    for wanted in (f"bytes={total}-", f"bytes={10**17}-{10**17 + 5}", "bytes=-0"):
        found = await refused(alliance, member, "GET", path, headers={"Range": wanted})
        assert found == (416, "invalid"), wanted
    for wanted, expected in (
        ("bytes=" + ",".join(["0-1"] * 5_000), whole),
        ("bytes=5-1", whole),
        ("bytes=" + "9" * 5_000 + "-", whole),
        ("pages=1-2", whole),
        (f"bytes=-{10**17}", whole),
        (f"bytes={total - 3}-{10**17}", whole[-3:]),
    ):
        _, body, _ = await alliance.request(member, "GET", path, headers={"Range": wanted})
        assert body == expected, wanted[:40]


# --- many connections, and the other port -------------------------------------------------------


async def test_a_thousand_connections(alliance: LocalAlliance) -> None:
    """A thousand callers who connect and say nothing do not keep others out."""
    member = alliance.members[0]
    context = member.context()
    host, port = address(member)

    async def hold() -> asyncio.StreamWriter:
        return (await asyncio.open_connection(host, port, ssl=context))[1]

    held = []
    for _ in range(20):
        held += await asyncio.gather(*(hold() for _ in range(50)))
    try:
        async with asyncio.timeout(10):
            status, _, _ = await alliance.request(member, "GET", "/v1/status")
        assert status == 200
        assert (await alliance.submit(member)).status == "committed"
    finally:
        for writer in held:
            writer.transport.abort()


def peer_port(member: Member) -> int:
    """Return the port where a member's node listens for other nodes."""
    found = msgspec.json.decode((member.folder / "node.json").read_bytes())
    return int(found["peer_port"])


def knock(member: Member, data: bytes, context: ssl.SSLContext | None) -> bytes:
    """Say something to the peer port as a stranger; return what came back."""
    with socket.create_connection(("127.0.0.1", peer_port(member)), timeout=8) as plain:
        try:
            link = context.wrap_socket(plain) if context else plain
            with link:
                link.sendall(data)
                return link.recv(65_536)
        except (ssl.SSLError, OSError):
            return b""


def open_context(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """Return a context that trusts anybody, with no certificate of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    return context


async def test_strangers_at_the_peer_port(alliance: LocalAlliance) -> None:
    """No certificate, garbage, an oversize frame, old TLS, 300 half-open: the alliance goes on."""
    member = alliance.members[0]
    hello = struct.pack(">IB", 0xFFFFFFFF, 1) + bytes(100)
    for data, context in (
        (hello, open_context()),
        (os.urandom(4_096), None),
        (b"GET / HTTP/1.1\r\n\r\n", None),
        (hello, None),
        (hello, open_context(ssl.TLSVersion.TLSv1_2)),
    ):
        answer = await asyncio.to_thread(knock, member, data, context)
        assert len(answer) < 64, "at most an alert of TLS"
    with contextlib.ExitStack() as held:
        for _ in range(300):
            held.enter_context(socket.create_connection(("127.0.0.1", peer_port(member))))
        assert (await alliance.submit(member)).status == "committed"
        # A member that was away gets in all the same.
        away = alliance.members[3]
        assert away.end() == 0
        away.start()
        await alliance.until_ready([away])
        assert (await alliance.submit(away)).status == "committed"
