"""Tests of node.joining: a snapshot from nodes that are not trusted; each lie ends the attempt with its teller."""

from collections.abc import Callable
from types import SimpleNamespace

import msgspec
import pytest
from live_node import LiveNode

from hansa.chain.blocks import CertifiedBlock
from hansa.chain.parts import StatePart
from hansa.chain.snapshots import Checkpoint, SnapshotOffer
from hansa.codec import decode, encode
from hansa.errors import UnavailableError
from hansa.node import joining
from hansa.node.joining import take_snapshot
from hansa.types import Digest, Height, PublicKey

LIAR, HONEST = PublicKey(b"a" * 32), PublicKey(b"b" * 32)
replace = msgspec.structs.replace


class Peers:
    """Two nodes, both with the live node's answers; what the first says is changed."""

    def __init__(self, live: LiveNode, lie: Callable[[str, bytes], bytes] | None = None) -> None:
        self._live = live
        self._lie = lie
        self.asked: list[tuple[PublicKey, str]] = []
        self.present = frozenset((LIAR, HONEST)) if lie else frozenset((HONEST,))

    def connected(self) -> frozenset[PublicKey]:
        """Return both, or the honest one."""
        return self.present

    async def call(self, to: PublicKey, method: str, payload: bytes) -> bytes:
        """Ask the live node."""
        self.asked.append((to, method))
        answer = await self._live.services.exchange.serve(
            self._live.member.node_key, method, payload
        )
        return self._lie(method, answer) if to == LIAR and self._lie else answer


async def grown(live: LiveNode) -> Checkpoint:
    """Commit some blocks; return a checkpoint at the first."""
    for _ in range(3):
        await live.submit()
    first = live.services.ledger.block(Height(1))
    return Checkpoint(Height(1), first.block.header.digest())


async def take(live: LiveNode, peers: Peers, checkpoint: Checkpoint, told: list[str]):
    """Take a snapshot."""
    return await take_snapshot(peers, live.alliance.genesis, checkpoint, told.append)


async def test_a_snapshot_is_the_state(live: LiveNode) -> None:
    """The live node's state and blocks; nobody complained."""
    checkpoint, told = await grown(live), []
    state, blocks = await take(live, Peers(live), checkpoint, told)
    assert live.services.state().root == state.root
    assert [live.services.ledger.block(Height(n)) for n in (1, 2, 3)] == list(blocks)
    assert [] == told


def changed(kind: str, method: str, answer: bytes) -> bytes:
    """Return an answer with one lie in it."""
    if method == "snapshot" and kind == "offer":
        offer = decode(SnapshotOffer, answer)
        header = replace(offer.tip.header, state_root=Digest(b"x" * 32))
        return encode(replace(offer, tip=replace(offer.tip, header=header)))
    if method == "snapshot" and kind == "parts":
        return encode(replace(decode(SnapshotOffer, answer), parts=10**9))
    if method == "snapshot" and kind == "fewer":
        return encode(replace(decode(SnapshotOffer, answer), parts=0))
    if method == "snapshot-part" and kind == "part":
        part = decode(StatePart, answer)
        (key, value), *others = part.pairs
        return encode(replace(part, pairs=((key, value + b"!"), *others)))
    if method == "snapshot-block" and kind == "block":
        certified = decode(CertifiedBlock, answer)
        return encode(replace(certified, block=replace(certified.block, transactions=())))
    if kind == "garbage":
        return b"\xff" + answer
    return answer


@pytest.mark.parametrize("kind", ["offer", "parts", "fewer", "part", "block", "garbage"])
async def test_each_lie_is_refused_and_the_next_node_asked(live: LiveNode, kind: str) -> None:
    """What was taken is the truth, and the operator was told once."""
    checkpoint, told = await grown(live), []
    peers = Peers(live, lambda method, answer: changed(kind, method, answer))
    state, _ = await take(live, peers, checkpoint, told)
    assert live.services.state().root == state.root
    assert 1 == len(told)
    assert LIAR.hex()[:16] in told[0]
    assert {who for who, _ in peers.asked} == {LIAR, HONEST}


@pytest.mark.parametrize("what", ["digest", "height"])
async def test_without_the_checkpoint_nothing_is_taken(
    live: LiveNode, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A chain that the checkpoint is not on, or that ends before it: no snapshot, and the reason said."""
    monkeypatch.setattr(joining, "JOIN_S_MAX", 0.3)
    monkeypatch.setattr(joining, "PAUSE_S", 0.05)
    good = await grown(live)
    wrong = {
        "digest": Checkpoint(good.height, Digest(b"x" * 32)),
        "height": Checkpoint(Height(10**6), good.digest),
    }[what]
    peers = Peers(live)
    with pytest.raises(UnavailableError, match="checkpoint") as caught:
        await take(live, peers, wrong, [])
    assert caught.value.remedy
    assert "snapshot-part" not in {method for _, method in peers.asked}, "not worth its bytes"


async def test_alone_it_gives_up(monkeypatch: pytest.MonkeyPatch, live: LiveNode) -> None:
    """With nobody connected the message says so."""
    monkeypatch.setattr(joining, "JOIN_S_MAX", 0.1)
    peers = SimpleNamespace(connected=frozenset)
    with pytest.raises(UnavailableError, match="no other node is connected"):
        await take(live, peers, Checkpoint(Height(1), Digest(bytes(32))), [])
