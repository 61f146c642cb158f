"""Tests of node.exchange: what the owner's node serves to another node, on the state of the moment."""

import asyncio

import pytest
from scene import CONFIDENTIAL, Scene

from hansa import limits
from hansa.chain.sealed import OwnerNote
from hansa.chain.transactions import (
    RequestAccess,
    RetireDataset,
    RevokeAccess,
)
from hansa.codec import decode, encode
from hansa.errors import DeniedError, InvalidError, MissingError, UnavailableError
from hansa.node import exchange as module
from hansa.node.exchange import Slice, WrapsCall
from hansa.rest import WrapSet
from hansa.types import DatasetId, Height, RequestId


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
        await scene.exchange.ask(scene.reader.name, "content", encode(call))


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
    monkeypatch.setattr(scene.exchange, "ask", lambda *call: away(asked, call))
    await scene.exchange.deliver_notes()
    assert 1 == len(asked)
    assert 3 == custody.outgoing_count()


async def away(asked: list, call: tuple) -> bytes:
    """Answer as a node that is not there."""
    asked.append(call)
    raise UnavailableError("Away.")


async def test_a_reader_s_node_asks_the_owner_s(scene: Scene, monkeypatch) -> None:
    """The grant is checked before the owner is asked, and by the owner again."""
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    services, user = scene.live.services, scene.reader.user.public
    own = await scene.exchange.read(
        "content", user, services.state().dataset(scene.dataset), scene.read()
    )
    open_request = services.state().request(scene.request)
    asked = scene.turn_into_readers_node(monkeypatch)
    with pytest.raises(DeniedError):
        await scene.exchange.read(
            "content", user, services.state().dataset(scene.dataset), scene.read()
        )
    assert [] == asked
    with pytest.raises(DeniedError):
        await scene.exchange.wraps(user, open_request, scene.live.member.name)
    object.__setattr__(services, "organisation", scene.live.member.name)
    wraps = await scene.grant()
    found = await scene.exchange.read(
        "content", user, services.state().dataset(scene.dataset), scene.read()
    )
    granted = services.state().request(scene.request)
    assert own == found
    assert wraps == await scene.exchange.wraps(user, granted, scene.live.member.name)
    assert ["wraps", "content", "wraps"] == asked


async def test_another_owner_s_data_is_not_here(scene: Scene, monkeypatch) -> None:
    """A call that went to the wrong node is told so, for reads and for keys."""
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    await scene.grant()
    monkeypatch.setattr(scene.exchange, "_organisation", "somebody")
    with pytest.raises(MissingError, match="does not hold"):
        await scene.ask("content", scene.read())
    with pytest.raises(MissingError, match="does not hold"):
        await scene.ask("wraps", WrapsCall(scene.reader.user.public, scene.request))
    dataset = scene.live.services.state().dataset(scene.dataset)
    assert dataset.owner == scene.live.member.name


async def test_a_second_grant_does_not_open_an_undecided_request(scene: Scene) -> None:
    """Keys go with the request that was granted, though another grant lets its author read."""
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    await scene.grant()
    await scene.act_as_reader(RequestAccess(scene.dataset, "statistics"), CONFIDENTIAL)
    with pytest.raises(DeniedError, match="not granted"):
        await scene.ask("wraps", WrapsCall(scene.reader.user.public, scene.request))
    assert await scene.ask("content", scene.read())


async def test_notes_are_carried_kept_or_dropped(scene: Scene, monkeypatch) -> None:
    """Delivered to an own officer; dropped where its request never came, or is another's."""
    custody, owner = scene.live.services.custody, scene.live.member
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    height = scene.live.services.state().height
    lost = OwnerNote(RequestId(bytes(16)), owner.name, owner.user.public, b"x")
    custody.post((lost,), bytes(32), Height(height))
    await scene.exchange.deliver_notes()
    assert 1 == custody.outgoing_count(), "its request may still come"
    custody.delivered(lost)
    custody.post((lost,), bytes(32), Height(height - 1))
    foreign = OwnerNote(scene.request, owner.name, owner.user.public, b"x")
    custody.post((foreign,), bytes(32), Height(10_000))
    await scene.exchange.deliver_notes()
    assert 0 == custody.outgoing_count(), "one is too late, the other's request is not our user's"
    scene.turn_into_readers_node(monkeypatch)
    nobody = OwnerNote(scene.request, owner.name, scene.reader.user.public, b"x")
    custody.post((foreign, nobody), bytes(32), Height(10_000))
    await scene.exchange.deliver_notes()
    assert 0 == custody.outgoing_count(), "one arrived, one was refused for good"
    assert foreign == custody.note(scene.request, owner.user.public)
    with pytest.raises(MissingError):
        custody.note(scene.request, scene.reader.user.public)
