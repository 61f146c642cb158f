"""Tests of node.snapshots: what was offered is held while blocks go on; only what there is is given."""

import pytest
from live_node import LiveNode

from hansa.chain.parts import Assembly, StatePart
from hansa.chain.snapshots import SnapshotOffer
from hansa.codec import decode, encode
from hansa.errors import DeniedError, InvalidError, MissingError
from hansa.node import snapshots as module
from hansa.node.snapshots import BlockCall, PartCall
from hansa.types import Height, PublicKey


async def ask(live: LiveNode, method: str, payload: bytes = b"") -> bytes:
    """Ask as another member's node."""
    return await live.services.exchange.serve(live.member.node_key, method, payload)


async def test_an_offered_state_stays_while_blocks_go_on(live: LiveNode) -> None:
    """Its parts prove themselves under its header's root, whatever was committed since."""
    await live.submit()
    offer = decode(SnapshotOffer, await ask(live, "snapshot"))
    assert (1, offer.tip.header) == (
        offer.tip.header.height,
        live.services.ledger.block(Height(1)).block.header,
    )
    await live.submit()
    assembly = Assembly(offer.tip.header.state_root)
    for number in range(offer.parts):
        part = await ask(live, "snapshot-part", encode(PartCall(Height(1), number)))
        assembly.add(decode(StatePart, part))
    assert assembly.is_complete
    again = decode(SnapshotOffer, await ask(live, "snapshot"))
    assert offer == again, "still the same: joiners share it"


async def test_old_offers_are_renewed_and_dropped(
    live: LiveNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too far behind: a newer one is offered; only the two latest are held."""
    monkeypatch.setattr(module, "BEHIND_MAX", 0)
    heights = []
    for _ in range(3):
        await live.submit()
        heights.append(decode(SnapshotOffer, await ask(live, "snapshot")).tip.header.height)
    assert sorted(set(heights)) == heights
    with pytest.raises(MissingError, match="no more"):
        await ask(live, "snapshot-part", encode(PartCall(heights[0], 0)))
    await ask(live, "snapshot-part", encode(PartCall(heights[1], 0)))


async def test_what_there_is_not(live: LiveNode) -> None:
    """No block yet, no such part, no such block, no such caller, no such words."""
    with pytest.raises(MissingError, match="no block yet"):
        await ask(live, "snapshot")
    await live.submit()
    await ask(live, "snapshot")
    for number in (-1, 10_000):
        with pytest.raises(InvalidError, match="no such part"):
            await ask(live, "snapshot-part", encode(PartCall(Height(1), number)))
    with pytest.raises(MissingError, match="block 99"):
        await ask(live, "snapshot-block", encode(BlockCall(Height(99))))
    with pytest.raises(InvalidError):
        await ask(live, "snapshot-part", b"\xff")
    with pytest.raises(DeniedError):
        await live.services.exchange.serve(PublicKey(b"s" * 32), "snapshot", b"")
