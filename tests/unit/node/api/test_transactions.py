"""Tests of node.api.transactions."""

import asyncio
import io

import msgspec

from hansa import limits
from hansa.chain.receipts import verify_receipt
from hansa.chain.sealed import OwnerNote
from hansa.chain.transactions import derive_id
from hansa.codec import encode
from hansa.rest import (
    Submission,
    Submissions,
    TransactionDetail,
    TransactionStatus,
    TransactionStatuses,
)


async def test_submit_and_follow(live) -> None:
    """A submission is answered at once, settled by its block, and told by stream and detail."""
    done = await live.submit()
    assert ("committed", "") == (done.status, done.code)
    detail = await live.get(f"/v1/transactions/{done.transaction}/detail", TransactionDetail)
    assert (done.height, 0, True) == (detail.height, detail.index, detail.accepted)
    assert ["VoteSuperNodes"] == [item["operation"] for item in detail.operations]
    assert "Ada" == detail.author_name
    status, body, headers = await live.call("GET", f"/v1/transactions/{done.transaction}/events")
    assert (200, True) == (status, headers["Content-Type"].startswith("text/event-stream"))
    assert b'"status":"committed"' in body


async def test_receipt(live) -> None:
    """The receipt is verified with the genesis alone."""
    done = await live.submit()
    status, data, _ = await live.call("GET", f"/v1/transactions/{done.transaction}/receipt")
    assert status == 200
    verified = verify_receipt(data, live.alliance.genesis)
    assert done.transaction == verified.transaction.digest().hex()


async def test_again_is_harmless(live) -> None:
    """The same sealed transaction twice is one transaction."""
    transaction = await live.alliance.sign(live.member)
    first = await live.alliance.send(live.member, transaction)
    height = live.services.state().height
    again = await live.alliance.send(live.member, transaction)
    assert first == again
    assert live.services.state().total_transactions == 1
    assert live.services.state().height - height <= 1


async def test_refused_in_the_block(live) -> None:
    """A transaction that execution refuses is told as refused, with code, text and height."""
    from hansa.chain.transactions import RetireDataset

    refused = await live.submit(RetireDataset(bytes(16)))
    assert ("refused", "unknown-dataset") == (refused.status, refused.code)
    assert refused.message


async def test_unknown(live) -> None:
    """Unknown ids are missing, malformed ones invalid."""
    for path in ("", "/receipt", "/detail", "/events"):
        found = await live.refused("GET", f"/v1/transactions/{'0' * 64}{path}")
        assert (404, "missing") == (found["status"], found["code"]), path
        found = await live.refused("GET", f"/v1/transactions/xy{path}")
        assert (400, "invalid") == (found["status"], found["code"]), path


async def test_kept_until_settled(live) -> None:
    """A submission is on disk before it is answered and forgotten once settled."""
    transaction = await live.alliance.sign(live.member)
    sealed = await live.alliance.seal(live.member, transaction)
    order: list[str] = []
    services = live.services
    write, post = services.outbox._table.write, services.driver.post
    services.outbox._table.write = lambda rows: (order.append("kept"), write(rows))[1]
    services.driver.post = lambda event: (order.append(type(event).__name__), post(event))[1]
    status, body, _ = await live.call(
        "POST",
        "/v1/transactions",
        data=encode(Submission(sealed, ())),
        headers={"Content-Type": "application/octet-stream"},
    )
    assert status == 202, body
    assert order.index("kept") < order.index("Submitted")

    async def is_forgotten() -> bool:
        return len(services.outbox) == 0

    await live.alliance.until(is_forgotten)


async def test_notes_go_with_their_own_transaction(live) -> None:
    """A note for another request is refused; one of its own is kept, but not for ever."""
    sealed = await live.alliance.seal(live.member, await live.alliance.sign(live.member))
    sealed = msgspec.structs.replace(sealed, expires=1 << 40)
    headers = {"Content-Type": "application/octet-stream"}
    foreign = OwnerNote(bytes(16), "transport", bytes(32), b"sealed")
    data = encode(Submission(sealed, (foreign,)))
    found = await live.refused("POST", "/v1/transactions", data=data, headers=headers)
    assert (400, "invalid") == (found["status"], found["code"])
    assert 0 == live.services.custody.outgoing_count()
    own = msgspec.structs.replace(foreign, request=derive_id(sealed.transaction, 0))
    data = encode(Submission(sealed, (own,)))
    status, _, _ = await live.call("POST", "/v1/transactions", data=data, headers=headers)
    assert 202 == status
    (waiting,) = live.services.custody.outgoing()
    bound = live.services.state().height + limits.TRANSACTION_LIFETIME_HEIGHTS_MAX
    assert waiting.expires <= bound


async def test_what_cannot_be_right_is_not_taken(live) -> None:
    """Another alliance or author, no id, no wraps or too many, too long: refused, nothing kept."""
    sealed = await live.alliance.seal(live.member, await live.alliance.sign(live.member))
    headers = {"Content-Type": "application/octet-stream"}
    too_many = sealed.wraps * (limits.SUPER_NODES_MAX + 1)
    cases = [
        (400, {"alliance": bytes(32)}),
        (400, {"transaction": b"short"}),
        (400, {"wraps": ()}),
        (400, {"wraps": too_many}),
        (400, {"ciphertext": bytes(limits.SEALED_TRANSACTION_BYTES_MAX + 1)}),
        (403, {"author": bytes(32)}),
    ]
    for status, change in cases:
        data = encode(Submission(msgspec.structs.replace(sealed, **change), ()))
        found = await live.refused("POST", "/v1/transactions", data=data, headers=headers)
        assert status == found["status"], change.keys()
    assert 0 == len(live.services.outbox)
    assert 0 == live.services.state().total_transactions


async def test_waiting_is_bounded(live) -> None:
    """Nobody holds a call open for as long as he likes."""
    for wait_ms in (-1, limits.WAIT_MS_MAX + 1):
        found = await live.refused("GET", f"/v1/transactions/{'0' * 64}?wait_ms={wait_ms}")
        assert (400, "invalid") == (found["status"], found["code"])


async def test_a_submission_may_wait(live) -> None:
    """With wait_ms one call sends and tells the outcome; again, it tells it at once."""
    for _ in range(2):
        transaction = await live.alliance.sign(live.member)
        sealed = await live.alliance.seal(live.member, transaction)
        for path in ("/v1/transactions?wait_ms=10000", "/v1/transactions"):
            status, body, _ = await live.call(
                "POST",
                path,
                data=encode(Submission(sealed, ())),
                headers={"Content-Type": "application/octet-stream"},
            )
            done = msgspec.json.decode(body, type=TransactionStatus)
            assert (202, "committed") == (status, done.status)
    status, body, _ = await live.call(
        "POST", "/v1/transactions?wait_ms=30001", data=b"", headers={}
    )
    assert status == 400


OCTETS = {"Content-Type": "application/octet-stream"}


async def seal_some(live, count: int) -> tuple[Submission, ...]:
    """Return sealed transactions of the live node's member."""
    return tuple(
        [
            Submission(
                await live.alliance.seal(live.member, await live.alliance.sign(live.member)), ()
            )
            for _ in range(count)
        ]
    )


async def test_many_in_one_call(live) -> None:
    """A bulk is answered in its order once all of it is settled, and nothing of it had to be kept."""
    submissions = await seal_some(live, 7)
    writes: list[object] = []
    write = live.services.outbox._table.write
    live.services.outbox._table.write = lambda rows: (writes.append(rows), write(rows))[1]
    path = "/v1/transactions/bulk?wait_ms=10000"
    data = encode(Submissions(submissions))
    status, body, _ = await live.call("POST", path, data=data, headers=OCTETS)
    assert 202 == status, body
    told = msgspec.json.decode(body, type=TransactionStatuses).statuses
    assert [item.sealed.transaction.hex() for item in submissions] == [
        item.transaction for item in told
    ]
    assert {"committed"} == {item.status for item in told}
    assert [] == writes
    again = await live.call("POST", path, data=data, headers=OCTETS)
    assert body == again[1]
    assert 7 == live.services.state().total_transactions


async def test_what_is_answered_pending_is_kept(live) -> None:
    """When the wait is over before the block, the answer comes after the transaction is on disk."""
    live.services.driver.submit_together = lambda sealed: None  # no block will come
    submissions = await seal_some(live, 3)
    data = encode(Submissions(submissions))
    status, body, _ = await live.call(
        "POST", "/v1/transactions/bulk?wait_ms=30", data=data, headers=OCTETS
    )
    assert 202 == status
    told = msgspec.json.decode(body, type=TransactionStatuses).statuses
    assert ["pending"] * 3 == [item.status for item in told]
    assert {item.sealed.transaction for item in submissions} == {
        item.transaction for item in live.services.outbox.kept()
    }


async def test_a_bulk_is_taken_whole_or_not(live, monkeypatch) -> None:
    """One wrong part, too many or none: refused; beyond the bound: refused for now, with a pause."""
    submissions = await seal_some(live, 3)
    wrong = msgspec.structs.replace(submissions[1].sealed, author=bytes(32))
    cases = [
        (403, (submissions[0], Submission(wrong, ()))),
        (400, ()),
        (400, submissions[:1] * (limits.SUBMISSIONS_PER_CALL_MAX + 1)),
    ]
    for expected, several in cases:
        data = encode(Submissions(several))
        found = await live.refused(
            "POST", "/v1/transactions/bulk", data=io.BytesIO(data), headers=OCTETS
        )
        assert expected == found["status"]
    monkeypatch.setattr(limits, "SUBMISSIONS_UNSETTLED_MAX", 2)
    status, _, headers = await live.call(
        "POST", "/v1/transactions/bulk", data=encode(Submissions(submissions)), headers=OCTETS
    )
    assert (503, True) == (status, int(headers["Retry-After"]) >= 1)
    assert 0 == len(live.services.outbox)
    assert 0 == live.services.state().total_transactions


async def test_calls_beyond_the_room_wait_for_it(live, monkeypatch) -> None:
    """While enough is under way the next call waits, as bytes; all are committed in the end."""
    monkeypatch.setattr(limits, "SUBMISSIONS_UNDER_WAY_MAX", 1)
    driver, before = live.services.driver, []
    take = driver.submit_together

    def counted(sealed) -> None:
        before.append(driver.unsettled)
        take(sealed)

    driver.submit_together = counted
    bodies = [encode(Submissions(await seal_some(live, 2))) for _ in range(4)]
    path = "/v1/transactions/bulk?wait_ms=20000"
    async with asyncio.TaskGroup() as group:
        calls = [
            group.create_task(live.call("POST", path, data=body, headers=OCTETS)) for body in bodies
        ]
    for call in calls:
        status, body, _ = call.result()
        assert 202 == status, body
        told = msgspec.json.decode(body, type=TransactionStatuses).statuses
        assert ["committed"] * 2 == [item.status for item in told]
    assert [0] * 4 == before
    assert 8 == live.services.state().total_transactions
    assert 0 == len(driver.admission)


async def test_no_room_in_time_is_refused_for_now(live, monkeypatch) -> None:
    """With a pause to keep; who does not wait for the outcome does not wait for room."""
    monkeypatch.setattr(limits, "SUBMISSIONS_UNDER_WAY_MAX", 0)
    data = encode(Submissions(await seal_some(live, 2)))
    path = "/v1/transactions/bulk"
    status, _, headers = await live.call("POST", path + "?wait_ms=30", data=data, headers=OCTETS)
    assert (503, True) == (status, int(headers["Retry-After"]) >= 1)
    assert 0 == live.services.state().total_transactions == live.services.driver.unsettled
    status, _, _ = await live.call("POST", path, data=data, headers=OCTETS)
    assert 202 == status
