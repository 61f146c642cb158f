"""Tests of node.exchange: what the owner's node serves to another node, on the state of the moment."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from live_node import LiveNode, LocalAlliance, run_in_process

from hansa import limits
from hansa.chain.sealed import ConfidentialPart, OwnerNote, SealedContents, seal_transaction
from hansa.chain.sealed import confidential_digest as digest_of
from hansa.chain.transactions import (
    GrantAccess,
    RequestAccess,
    RetireDataset,
    RevokeAccess,
    TransactionBody,
    derive_id,
    sign_transaction,
)
from hansa.codec import decode, encode
from hansa.errors import DeniedError, InvalidError, MissingError, UnavailableError
from hansa.node import exchange as module
from hansa.node.exchange import ReadCall, Slice, WrapsCall
from hansa.rest import TransactionStatus, WrapSet, compute_wrap_digest
from hansa.types import DatasetId, Height, Millis, RequestId


class Scene:
    """An owner's running node and a reader of another organisation, whose node is played here."""

    def __init__(self, live: LiveNode) -> None:
        self.live = live
        self.exchange = live.services.exchange
        self.reader = live.alliance.members[1]
        self.dataset = DatasetId(b"")
        self.request = RequestId(b"")

    async def publish(self, folder: Path) -> None:
        """Publish a file as the owner."""
        (folder / "file.bin").write_bytes(os.urandom(300_000))
        async with self.live.alliance.client(self.live.member) as client:
            done = await client.publish([folder / "file.bin"], title="File")
        self.dataset = done.dataset

    async def act_as_reader(self, operation, confidential: bytes = b"") -> TransactionStatus:
        """Have the reader's transaction committed, as if it came from the reader's node."""
        services = self.live.services
        body = TransactionBody(
            format=1,
            alliance=services.alliance,
            author=self.reader.user.public,
            expires=Height(services.state().height + 100),
            time_ms=Millis(int(time.time() * 1000)),
            nonce=os.urandom(16),
            operations=(operation,),
            confidential=digest_of(confidential),
        )
        transaction = sign_transaction(body, self.reader.user)
        sealed = seal_transaction(
            SealedContents(encode(transaction), confidential),
            alliance=services.alliance,
            transaction=transaction.digest(),
            author=body.author,
            expires=body.expires,
            notices=services.driver.replica.sealing_notices(),
            content_key=os.urandom(32),
            nonce=os.urandom(12),
        )
        services.statuses.submitted(transaction.digest())
        services.driver.submit(sealed)
        status = await services.statuses.wait(transaction.digest(), 10_000)
        assert status.status == "committed", status
        self.request = RequestId(derive_id(transaction.digest(), 0))
        return status

    async def ask(self, method: str, value: object) -> bytes:
        """Call as the reader's node."""
        return await self.exchange.serve(self.reader.node_key, method, encode(value))

    def read(self, **changes: object) -> ReadCall:
        """Return a call for the first bytes."""
        values = {
            "user": self.reader.user.public,
            "dataset": self.dataset,
            "version": 1,
            "offset": 0,
            "length": 10,
        } | changes
        return ReadCall(**values)

    async def grant(self) -> WrapSet:
        """Grant the reader's request, with wraps put before."""
        wraps = WrapSet(self.request, os.urandom(32), ((1, b"wrapped"),))
        status, body, _ = await self.live.call(
            "PUT",
            f"/v1/requests/{self.request.hex()}/wraps",
            data=encode(wraps),
            headers={"Content-Type": "application/octet-stream"},
        )
        assert status == 204, body
        done = await self.live.submit(
            GrantAccess(self.request, compute_wrap_digest(wraps), Millis(0))
        )
        assert done.status == "committed", done
        return wraps


@pytest.fixture
async def scene(tmp_path: Path):
    """A published dataset and a reader without a grant."""
    alliance = LocalAlliance.create(tmp_path, 2, super_nodes=1)
    async with run_in_process(alliance) as live:
        scene = Scene(live)
        await scene.publish(tmp_path)
        yield scene


CONFIDENTIAL = encode(ConfidentialPart(bytes(32), "MARKER: because of the ring road", ""))


async def test_grant_opens_and_revocation_closes(scene: Scene) -> None:
    """No read before the grant's block, none after the revocation's, none for another user."""
    for method in ("manifest", "content"):
        with pytest.raises(DeniedError):
            await scene.ask(method, scene.read())
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    with pytest.raises(DeniedError):
        await scene.ask("content", scene.read())
    with pytest.raises(DeniedError):
        await scene.ask("wraps", WrapsCall(scene.reader.user.public, scene.request))
    wraps = await scene.grant()
    for method in ("manifest", "content"):
        found = decode(Slice, await scene.ask(method, scene.read()))
        assert (10, True) == (len(found.data), found.total > 10)
        probe = decode(Slice, await scene.ask(method, scene.read(length=0)))
        assert Slice(found.total, b"") == probe
    told = await scene.ask("wraps", WrapsCall(scene.reader.user.public, scene.request))
    assert wraps == decode(WrapSet, told)

    owner = scene.live.member.user.public
    with pytest.raises(DeniedError):
        await scene.ask("content", scene.read(user=owner))
    with pytest.raises(DeniedError):
        await scene.ask("wraps", WrapsCall(owner, scene.request))

    done = await scene.live.submit(RevokeAccess(scene.request, "over"))
    assert done.status == "committed", done
    for method, call in (
        ("manifest", scene.read()),
        ("content", scene.read()),
        ("wraps", WrapsCall(scene.reader.user.public, scene.request)),
    ):
        with pytest.raises(DeniedError):
            await scene.ask(method, call)


async def test_wraps_are_the_requesters_alone(scene: Scene, monkeypatch) -> None:
    """Even somebody who may read the dataset gets no keys wrapped for another request's author."""
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    await scene.grant()
    monkeypatch.setattr(module, "require_grant", lambda *given: None)
    with pytest.raises(DeniedError, match="another requester"):
        await scene.ask("wraps", WrapsCall(scene.live.member.user.public, scene.request))


async def test_retired_is_not_served(scene: Scene) -> None:
    """After retirement not even a granted reader gets bytes."""
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    await scene.grant()
    await scene.ask("content", scene.read())
    await scene.live.submit(RetireDataset(scene.dataset))
    with pytest.raises(DeniedError):
        await scene.ask("content", scene.read())


async def test_strangers_and_nonsense(scene: Scene) -> None:
    """Nodes of no member, unknown calls, ranges and ids out of bounds are refused."""
    with pytest.raises(DeniedError):
        await scene.exchange.serve(bytes(32), "content", encode(scene.read()))
    with pytest.raises(InvalidError):
        await scene.ask("everything", scene.read())
    for changes in ({"offset": -1}, {"length": limits.CONTENT_RANGE_BYTES_MAX + 1}, {"length": -1}):
        with pytest.raises(InvalidError):
            await scene.ask("content", scene.read(**changes))
    with pytest.raises(InvalidError):
        await scene.exchange.serve(scene.reader.node_key, "content", b"nonsense")
    with pytest.raises(MissingError):
        await scene.ask("content", scene.read(dataset=DatasetId(bytes(16))))


async def test_notes(scene: Scene) -> None:
    """A note is kept only for an own user, only of a request that the sender's organisation made."""
    owner = scene.live.member
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    note = OwnerNote(scene.request, owner.name, owner.user.public, b"sealed")
    await scene.ask("note", note)
    status, body, _ = await scene.live.call("GET", f"/v1/requests/{scene.request.hex()}/note")
    assert (200, encode(note)) == (status, body)
    with pytest.raises(DeniedError):
        await scene.ask(
            "note", OwnerNote(scene.request, owner.name, scene.reader.user.public, b"sealed")
        )
    with pytest.raises(UnavailableError):
        await scene.ask("note", OwnerNote(RequestId(bytes(16)), owner.name, note.recipient, b"x"))
    with pytest.raises(DeniedError):
        await scene.exchange.serve(owner.node_key, "note", encode(note))


async def test_reads_are_counted_and_logged(scene: Scene) -> None:
    """Each call leaves a count and a line, with the organisation, without keys or contents."""
    with pytest.raises(DeniedError):
        await scene.ask("content", scene.read())
    figures = scene.live.services.metrics.render()
    assert b'hansa_reads_served_total{outcome="refused",what="content"} 1.0' in figures
    log = (scene.live.member.folder / "log" / "node.log").read_text()
    assert '"what": "content"' in log
    assert scene.reader.user.public.hex() not in log


async def test_own_data_needs_no_grant_and_far_data_a_link(scene: Scene) -> None:
    """Own users read here; for another owner's data the owner's node must be reached."""
    services = scene.live.services
    owner = scene.live.member.user.public
    dataset = services.state().dataset(scene.dataset)
    call = scene.read(user=owner)
    found = await scene.exchange.read("content", owner, dataset, call)
    assert len(found.data) == 10
    with pytest.raises(UnavailableError):
        await scene.exchange._ask(scene.reader.name, "content", encode(call))


async def test_a_call_that_hangs_is_given_up(scene: Scene, monkeypatch) -> None:
    """A disk that does not answer does not keep a caller's place for ever."""
    monkeypatch.setattr(module, "CALL_S_MAX", 0.05)

    async def hang(_member, _payload: bytes) -> bytes:
        await asyncio.sleep(30)
        return b""

    monkeypatch.setitem(scene.exchange._served, "content", hang)
    with pytest.raises(UnavailableError):
        await scene.ask("content", scene.read())


async def test_one_silent_node_does_not_hold_up_the_other_notes(scene: Scene, monkeypatch) -> None:
    """Of several notes to a node that is away one is tried in a turn, and all are kept."""
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    custody, asked = scene.live.services.custody, []
    notes = tuple(
        OwnerNote(scene.request, scene.live.member.name, bytes([n]) * 32, b"x") for n in range(3)
    )
    custody.post(notes, bytes(32), Height(10_000))

    monkeypatch.setattr(scene.exchange, "_organisation", scene.reader.name)
    monkeypatch.setattr(scene.exchange, "_ask", lambda *call: away(asked, call))
    await scene.exchange.deliver_notes()
    assert 1 == len(asked)
    assert 3 == custody.outgoing_count()


async def away(asked: list, call: tuple) -> bytes:
    """Answer as a node that is not there."""
    asked.append(call)
    raise UnavailableError("Away.")
