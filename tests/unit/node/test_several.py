"""Tests of node.several: many versions at once, each judged on the state of the moment."""

import asyncio

import pytest
from scene import CONFIDENTIAL, Scene

from hansa import limits
from hansa.chain.transactions import RequestAccess, RetireDataset, RevokeAccess
from hansa.codec import decode, encode
from hansa.data.manifest import compute_root
from hansa.errors import DeniedError, InvalidError, ProtocolError, UnavailableError
from hansa.node.several import METHOD, SeveralAnswer, SeveralCall, SeveralItem, newest_grant
from hansa.rest.reads import LATER, ReadItem, Whole
from hansa.types import DatasetId, RequestId

NOWHERE = DatasetId(b"n" * 16)


async def ask(scene: Scene, *items: SeveralItem, user: bytes | None = None) -> list[Whole]:
    """Call as the reader's node."""
    call = SeveralCall(user or scene.reader.user.public, items)
    return list(decode(SeveralAnswer, await scene.ask(METHOD, call)).wholes)


async def test_grant_opens_and_revocation_closes(scene: Scene) -> None:
    """No bytes and no keys before the grant's block, none after the revocation's; others get theirs."""
    nothing = SeveralItem(scene.dataset, 1, RequestId(bytes(16)))
    (whole,) = await ask(scene, nothing)
    assert ("denied", b"", b"", b"") == (whole.code, whole.manifest, whole.content, whole.key)
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    item = SeveralItem(scene.dataset, 1, scene.request)
    assert ["denied"] == [one.code for one in await ask(scene, item)]
    wraps = await scene.grant()
    version = scene.live.services.state().dataset(scene.dataset).versions[0]
    answers = await ask(
        scene,
        SeveralItem(NOWHERE, 1, scene.request),
        item,
        SeveralItem(scene.dataset, 2, scene.request),
        nothing,
    )
    assert ["missing", "", "missing", "missing"] == [one.code for one in answers]
    assert (version.manifest_root, encode(wraps)) == (
        compute_root(answers[1].manifest),
        answers[1].key,
    )
    assert version.stored_bytes == len(answers[1].content)

    # Another user, of either organisation, gets neither bytes nor keys.
    for user in (scene.live.member.user.public, bytes(32)):
        assert ["denied"] == [one.code for one in await ask(scene, item, user=user)]

    await scene.live.submit(RevokeAccess(scene.request, "over"))
    (whole,) = await ask(scene, item)
    assert ("denied", b"", b"", b"") == (whole.code, whole.manifest, whole.content, whole.key)


async def test_keys_are_the_requesters_alone(scene: Scene, monkeypatch) -> None:
    """Even somebody who may read the dataset gets no keys of another's request."""
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    await scene.grant()
    monkeypatch.setattr("hansa.node.several.require_grant", lambda *given: None)
    item = SeveralItem(scene.dataset, 1, scene.request)
    (whole,) = await ask(scene, item, user=scene.live.member.user.public)
    assert ("denied", b"", b"") == (whole.code, whole.content, whole.key)


async def test_retired_is_not_served(scene: Scene) -> None:
    """After retirement not even a granted reader gets bytes."""
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    await scene.grant()
    await scene.live.submit(RetireDataset(scene.dataset))
    item = SeveralItem(scene.dataset, 1, scene.request)
    assert ["denied"] == [one.code for one in await ask(scene, item)]


async def test_nonsense(scene: Scene) -> None:
    """None, too many, too long and malformed are refused; so is a node of no member."""
    item = SeveralItem(scene.dataset, 1, RequestId(bytes(16)))
    for items in ((), (item,) * (limits.READS_PER_CALL_MAX + 1)):
        with pytest.raises(InvalidError):
            await ask(scene, *items)
    with pytest.raises(InvalidError):
        await scene.exchange.serve(scene.reader.node_key, METHOD, b"nonsense")
    call = SeveralCall(scene.reader.user.public, (item,))
    with pytest.raises(DeniedError):
        await scene.exchange.serve(bytes(32), METHOD, encode(call))
    user = scene.live.member.user.public
    for asked in ((), (ReadItem(scene.dataset, 0),) * (limits.READS_PER_CALL_MAX + 1)):
        with pytest.raises(InvalidError):
            await scene.live.services.several.read(user, asked)


async def test_own_and_far_data(scene: Scene, monkeypatch) -> None:
    """Own data comes from here; a reader's from the owner, with one call; what fails is one item's."""
    several, user = scene.live.services.several, scene.live.member.user.public
    wanted = [ReadItem(NOWHERE, 0), ReadItem(scene.dataset, 0), ReadItem(b"short", 1)]
    found = await several.read(user, wanted)
    assert ["missing", "", "invalid"] == [one.whole.code for one in found]
    assert (1, 300_000, 1, b"") == (
        found[1].version,
        found[1].content_bytes,
        found[1].files,
        found[1].request,
    )
    assert found[1].whole.key == scene.live.services.custody.key(found[1].manifest_root)

    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    await scene.grant()
    asked = scene.turn_into_readers_node(monkeypatch)
    far = await several.read(scene.reader.user.public, wanted * 2)
    assert ["missing", "", "invalid"] * 2 == [one.whole.code for one in far]
    assert [METHOD] == asked
    assert found[1].whole.content == far[1].whole.content == far[4].whole.content
    assert (scene.request, scene.live.member.name) == (far[1].request, far[1].owner)
    # The own node refuses before it asks anybody.
    refused = await several.read(user, wanted[1:2])
    assert (["denied"], [METHOD]) == ([one.whole.code for one in refused], asked)


async def test_an_owner_who_is_away_or_wrong_spoils_only_its_own(scene: Scene, monkeypatch) -> None:
    """What the owner's node does not answer is told for each of its datasets."""
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    await scene.grant()
    scene.turn_into_readers_node(monkeypatch)
    several, user = scene.live.services.several, scene.reader.user.public
    wanted = [ReadItem(NOWHERE, 0), ReadItem(scene.dataset, 1)]

    async def away(*_given) -> bytes:
        raise UnavailableError("It is away.")

    async def short(*_given) -> bytes:
        return encode(SeveralAnswer(()))

    for ask_owner, code in ((away, UnavailableError.code), (short, ProtocolError.code)):
        monkeypatch.setattr(scene.exchange, "ask", ask_owner)
        found = await several.read(user, wanted)
        assert ["missing", code] == [one.whole.code for one in found]


async def test_what_has_no_room_is_for_later(scene: Scene, monkeypatch) -> None:
    """The first is answered; what goes beyond an answer is to be asked for again."""
    several, user = scene.live.services.several, scene.live.member.user.public
    monkeypatch.setattr(limits, "READS_BYTES_MAX", 400_000)
    found = await several.read(user, [ReadItem(scene.dataset, 1)] * 3)
    assert ["", LATER, LATER] == [one.whole.code for one in found]
    assert found[1].version == 1


async def test_reads_wait_for_their_turn(scene: Scene, monkeypatch) -> None:
    """So many answers are made at a time, and no more."""
    several, user = scene.live.services.several, scene.live.member.user.public
    under_way = most = 0
    run = several._workers.run

    async def count(function, *given):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await run(function, *given)
        finally:
            under_way -= 1

    monkeypatch.setattr(several._workers, "run", count, raising=False)
    async with asyncio.TaskGroup() as group:
        for _ in range(3 * limits.READS_AT_ONCE_MAX):
            group.create_task(several.read(user, [ReadItem(scene.dataset, 0)]))
    assert 1 <= most <= limits.READS_AT_ONCE_MAX


async def test_the_newest_grant_counts(scene: Scene) -> None:
    """Of two grants the later; none is denied."""
    state, user = scene.live.services.state, scene.reader.user.public
    with pytest.raises(DeniedError):
        newest_grant(state(), state().dataset(scene.dataset), user)
    for _ in range(2):
        await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
        await scene.grant()
    assert scene.request == newest_grant(state(), state().dataset(scene.dataset), user).id
