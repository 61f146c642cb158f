"""Sharing: requests with sealed reasons, grants with wrapped keys, denials and revocations."""

import msgspec
import pytest

from hansa.chain.sealed import ConfidentialPart, OwnerNote
from hansa.chain.transactions import Policy, RetireDataset, SetPolicy
from hansa.client.describe import Subject
from hansa.client.publish import publish
from hansa.client.share import (
    PURPOSES,
    deny,
    get_request,
    grant,
    list_requests,
    open_request,
    request_access,
    retire,
    revoke,
    set_policy,
    split_purpose,
)
from hansa.client.sources import collect
from hansa.codec import decode, encode
from hansa.crypto.envelope import wrap
from hansa.errors import ConflictError, DeniedError, InvalidError
from hansa.rest import WrapSet, compute_wrap_digest


@pytest.fixture(name="dataset")
async def _dataset(pair, tmp_path):
    (tmp_path / "a").write_bytes(b"data")
    done = await publish(pair.owner, collect([tmp_path / "a"]), Subject(title="T"))
    return done.dataset.hex()


def test_purposes_are_split():
    """A word of the vocabulary is public; a sentence is confidential, under its code."""
    assert split_purpose(" Planning ") == ("planning", "Planning")
    assert split_purpose("To move the stop of Mrs X") == ("other", "To move the stop of Mrs X")
    assert split_purpose("Mrs X", "audit") == ("audit", "Mrs X")
    for purpose, code in (("", ""), ("x", "fun"), ("x" * 8001, "")):
        with pytest.raises(InvalidError):
            split_purpose(purpose, code)
    assert "other" in PURPOSES


async def test_a_purpose_reaches_the_owner_alone(pair, dataset):
    """The chain and the nodes see the code; the officer reads the text; nobody else does."""
    text = "MARKER: move the stop before Mrs X's door"
    asked = await request_access(pair.reader, dataset, text, contact="MARKER phone")
    view = await get_request(pair.owner, asked.request.hex())
    assert (asked.purpose, view.purpose, view.status) == ("other", "other", "open")
    opened = await open_request(pair.owner, view)
    assert (opened.justification, opened.contact, opened.note) == (text, "MARKER phone", "")
    body, contents = pair.city.sealed[-1]
    assert b"MARKER" not in encode(body) + contents.transaction
    theirs = await open_request(pair.reader, view)
    assert (theirs.justification, "only the owner" in theirs.note) == ("", True)


async def test_a_note_must_say_what_was_reviewed(pair, dataset):
    """A note whose digest is not on the chain, or of another request, is not shown."""
    asked = await request_access(pair.reader, dataset, "planning")
    view = await get_request(pair.owner, asked.request.hex())
    note = decode(OwnerNote, pair.city.notes[view.id])
    info = b"hansa.owner-note.1" + note.request + note.recipient
    false = encode(ConfidentialPart(bytes(32), "Harmless.", ""))
    forged = wrap(pair.members[0].encryption.public, info, false)
    for change in ({"wrapped": forged}, {"request": bytes(16)}, {"recipient": bytes(32)}):
        pair.city.notes[view.id] = encode(msgspec.structs.replace(note, **change))
        opened = await open_request(pair.owner, view)
        assert opened.justification == ""
        assert opened.note
    del pair.city.notes[view.id]
    assert "Not here" in (await open_request(pair.owner, view)).note


async def test_a_grant_wraps_every_version(pair, dataset, tmp_path):
    """The wraps are at the node before the grant is signed, and the grant names their digest."""
    await publish(pair.owner, collect([tmp_path / "a"]), Subject(title=""), dataset=dataset)
    asked = await request_access(pair.reader, dataset, "planning")
    done = await grant(pair.owner, asked.request.hex(), expires_ms=5)
    assert (done.versions, done.dataset.hex(), done.request) == (2, dataset, asked.request)
    wraps = decode(WrapSet, pair.city.wraps[asked.request.hex()])
    assert [number for number, _ in wraps.wraps] == [1, 2]
    operation = pair.city.operations[-1]
    assert operation.wrap_digest == compute_wrap_digest(wraps)
    assert operation.expires_ms == 5
    calls = pair.owner_node.calls
    assert calls.index(f"/v1/requests/{asked.request.hex()}/wraps") < len(calls) - 1
    with pytest.raises(ConflictError, match="granted already"):
        await grant(pair.owner, asked.request.hex())


async def test_only_the_owner_grants(pair, dataset):
    """Refused at the client before anything is wrapped."""
    asked = await request_access(pair.reader, dataset, "planning")
    with pytest.raises(DeniedError, match="Only its owner"):
        await grant(pair.reader, asked.request.hex())
    assert pair.city.wraps == {}


async def test_own_data_needs_no_request(pair, dataset):
    """Said at once, without a transaction."""
    with pytest.raises(ConflictError, match="own organisation"):
        await request_access(pair.owner, dataset, "planning")


async def test_denials_and_revocations(pair, dataset):
    """Both end in the request's status, with the public reason."""
    first = await request_access(pair.reader, dataset, "planning")
    await deny(pair.owner, first.request.hex(), reason="Not needed.")
    second = await request_access(pair.reader, dataset, "planning")
    await grant(pair.owner, second.request.hex())
    await revoke(pair.owner, second.request.hex(), reason="Over.")
    views = {view.id: view for view in await list_requests(pair.owner, "owner")}
    assert (views[first.request.hex()].status, views[first.request.hex()].reason) == (
        "denied",
        "Not needed.",
    )
    assert views[second.request.hex()].status == "revoked"


async def test_retire_and_policy(pair, dataset):
    """Each is one operation on the own dataset."""
    await set_policy(pair.owner, dataset, Policy(undecided="deny"))
    await retire(pair.owner, dataset)
    identity = bytes.fromhex(dataset)
    assert pair.city.operations[-2:] == [
        SetPolicy(identity, Policy(undecided="deny")),
        RetireDataset(identity),
    ]
    with pytest.raises(InvalidError):
        await retire(pair.owner, "zz")
