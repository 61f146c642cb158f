"""Submitting: signed, sealed to the super nodes, followed, sealed again, refused with the reason."""

import msgspec
import pytest

from hansa import limits, rest
from hansa.chain.reasons import REASONS
from hansa.chain.sealed import SealingKeyNotice, sign_sealing_key
from hansa.chain.transactions import VoteSuperNodes, decode_transaction
from hansa.client.submit import act, refusal, sign, submit
from hansa.codec import decode, encode
from hansa.crypto.envelope import DecryptionKey
from hansa.crypto.signing import SigningKey
from hansa.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    MissingError,
    UnavailableError,
)
from hansa.rest import SealingKeys, SealingKeyView, TransactionStatus

VOTE = VoteSuperNodes(("health",))


def _status(status: str, **more: object) -> TransactionStatus:
    return TransactionStatus(transaction="", status=status, **more)


async def test_a_transaction_is_in_a_block(pair):
    """What the super node opens is what was signed, good for half the longest lifetime."""
    status = await act(pair.owner, [VOTE])
    assert (status.status, status.height) == ("committed", 11)
    body, contents = pair.city.sealed[0]
    transaction = decode_transaction(contents.transaction)
    assert transaction.body.operations == (VOTE,)
    assert transaction.body.expires == 10 + 500
    assert contents.confidential == b""
    assert encode(VOTE) not in body.sealed.ciphertext


async def test_not_waiting_gives_a_pending_status(pair):
    """The id is known at once."""
    status = await act(pair.owner, [VOTE], wait=False)
    assert status.status == "pending"
    assert len(status.transaction) == 64


async def test_reseal_sends_the_same_transaction_again(pair):
    """Upon `reseal` fresh keys are asked for and the digest stays."""
    pair.city.answers = [_status("pending"), _status("reseal")]
    status = await act(pair.owner, [VOTE])
    assert status.status == "committed"
    first, second = (body.sealed for body, _ in pair.city.sealed)
    assert first.transaction == second.transaction
    assert first.ciphertext != second.ciphertext


async def test_resealing_is_bounded(pair, monkeypatch):
    """Keys that change each time end in an error, not in a loop."""
    monkeypatch.setattr(limits, "CLIENT_RESEALS_MAX", 3)
    pair.city.answers = [_status("reseal")] * 9
    with pytest.raises(UnavailableError, match="changed their keys"):
        await act(pair.owner, [VOTE])
    assert len(pair.city.sealed) == 3


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("policy-prohibits", DeniedError),
        ("user-revoked", DeniedError),
        ("replayed", ConflictError),
        ("too-many-grants", ConflictError),
        ("unknown-dataset", MissingError),
        ("malformed-description", InvalidError),
        ("attestation-expired", UnavailableError),
        ("a-code-of-the-future", DeniedError),
    ],
)
async def test_a_refusal_raises_its_reason(pair, code, kind):
    """By class for programs, with the text that says what to do for people."""
    pair.city.answers = [_status("refused", code=code, message="Do this.")]
    with pytest.raises(kind, match=f"{code}.*Do this"):
        await act(pair.owner, [VOTE])


def test_every_reason_has_a_class_and_a_text():
    """Where the node gives no text, the chain's own is told."""
    for code, text in REASONS.items():
        error = refusal(code, "")
        assert text in str(error)
        assert type(error).__name__ != "HansaError"


async def test_expired_and_unknown(pair):
    """An expired transaction says to try again; a status nobody knows is no success."""
    for status in ("expired", "sideways"):
        pair.city.answers = [_status(status)]
        with pytest.raises(UnavailableError):
            await act(pair.owner, [VOTE])


async def test_waiting_ends(pair):
    """A transaction that never settles is reported as pending still."""
    real = pair.owner.transport.get

    async def get(path, kind, query=None):
        if path.startswith("/v1/transactions/"):
            pair.city.clock.time_ms += limits.CLIENT_SETTLE_MS_MAX
            return _status("pending")
        return await real(path, kind, query)

    pair.owner.transport.get = get
    with pytest.raises(UnavailableError, match="still pending"):
        await act(pair.owner, [VOTE])


async def test_waiting_without_a_quorum_says_why(pair):
    """A node that knows why nothing is decided ends the wait early; the id is told, nothing is lost."""
    real = pair.owner.transport.get
    pair.owner.transport.health = rest.Health(
        ready=False, reasons=["2 of 4 super nodes are reached"]
    )
    polls = []

    async def get(path, kind, query=None):
        if path.startswith("/v1/transactions/"):
            polls.append(path)
            pair.city.clock.time_ms += limits.CLIENT_PATIENCE_MS
            return _status("pending")
        return await real(path, kind, query)

    pair.owner.transport.get = get
    with pytest.raises(UnavailableError, match="2 of 4 super nodes") as caught:
        await act(pair.owner, [VOTE])
    assert len(polls) == 1
    assert "hansa tx show" in caught.value.remedy


async def test_a_wrong_clock_is_told(pair, monkeypatch):
    """Before signing: reviewers would refuse it."""
    await sign(pair.owner, [VOTE])
    real = pair.owner.transport.get

    async def get(path, kind, query=None):
        answer = await real(path, kind, query)
        return msgspec.structs.replace(answer, time_ms=answer.time_ms + 301_000)

    pair.owner.transport.get = get
    with pytest.raises(InvalidError, match="clock"):
        await sign(pair.owner, [VOTE])


async def test_impossible_transactions_are_refused_before_they_are_sent(pair):
    """Too many operations, or none."""
    for operations in ([], [VOTE] * (limits.OPERATIONS_PER_TRANSACTION_MAX + 1)):
        with pytest.raises(InvalidError):
            await sign(pair.owner, operations)


async def _with_notices(pair, *views: SealingKeyView) -> None:
    real = pair.owner.transport.get

    async def get(path, kind, query=None):
        answer = await real(path, kind, query)
        return msgspec.structs.replace(answer, keys=list(views)) if kind is SealingKeys else answer

    pair.owner.transport.get = get


async def test_nothing_is_sealed_to_strangers(pair):
    """Notices of nobody's node, with a changed key, of another alliance, or malformed do not count."""
    good = pair.members[0].notice(pair.city)
    notice = decode(SealingKeyNotice, bytes.fromhex(good.notice))
    stranger = SigningKey(b"x" * 32)
    theirs = msgspec.structs.replace(notice, node_key=stranger.public)
    other = msgspec.structs.replace(notice, alliance=bytes(32))
    bad = [
        sign_sealing_key(theirs, stranger),
        msgspec.structs.replace(notice, sealing_key=DecryptionKey(b"y" * 32).public),
        sign_sealing_key(other, pair.members[0].node),
    ]
    views = [SealingKeyView(organisation="x", notice=encode(item).hex()) for item in bad]
    views += [SealingKeyView(organisation="x", notice=text) for text in ("zz", "00")]
    await _with_notices(pair, *views)
    with pytest.raises(UnavailableError, match="Only 0 of 2"):
        await act(pair.owner, [VOTE])
    assert pair.city.sealed == []


async def test_the_later_notice_counts(pair):
    """A super node that restarted announced a new key; the old one is not sealed to."""
    member = pair.members[0]
    old = member.notice(pair.city)
    member.serial = 2
    new = member.notice(pair.city)
    await _with_notices(pair, new, old)
    await act(pair.owner, [VOTE])
    body, _ = pair.city.sealed[0]
    assert len(body.sealed.wraps) == 1


async def test_the_confidential_part_travels_sealed(pair):
    """It is inside the ciphertext, and its digest is in the transaction."""
    transaction = await sign(pair.owner, [VOTE], confidential=b"secret purpose")
    await submit(pair.owner, transaction, confidential=b"secret purpose")
    body, contents = pair.city.sealed[0]
    assert contents.confidential == b"secret purpose"
    assert b"secret purpose" not in encode(body)


async def test_a_write_is_two_calls(pair):
    """One for the keys, one that sends and waits; only what is not settled by then is asked after."""
    node = pair.owner_node
    asked = []
    real = node.submit

    async def settled(path, body, kind, query=None):
        asked.append(query)
        sent = await real(path, body, kind, query)
        return msgspec.structs.replace(sent, status="committed", height=pair.city.height)

    node.submit = settled
    node.calls.clear()
    status = await act(pair.owner, [VOTE])
    assert status.status == "committed"
    assert node.calls == ["/v1/sealing-keys", "/v1/transactions"]
    assert asked == [{"wait_ms": limits.CLIENT_PATIENCE_MS}]
