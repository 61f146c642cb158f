"""Snapshots: only what certificates prove is taken, and only the chain that the operator's checkpoint is on."""

import msgspec
import pytest

from hansa.chain.parts import Cut
from hansa.chain.snapshots import Checkpoint, Snapshot, SnapshotOffer, header_of, parse_checkpoint
from hansa.chain.transactions import VoteSuperNodes
from hansa.errors import InvalidError
from hansa.types import Digest, Height

NEW = ("health", "planning", "safety", "transport")
RECENT = 4


@pytest.fixture(scope="module")
def alliance(kit):
    """Return an alliance whose set changed at 8 and which stands at 11."""
    made = kit.Alliance(kit.make_genesis())
    made.commit(*(made.sign(name, VoteSuperNodes(NEW)) for name in kit.NAMES))
    while made.state.height < 11:
        made.commit()
    assert (8,) == made.state.set_changes()
    return made


def offer_of(alliance, height: int | None = None) -> SnapshotOffer:
    """Return what an honest node offers."""
    tip = alliance.blocks[-1 if height is None else height - 1]
    changes = tuple(header_of(alliance.blocks[at - 1]) for at in alliance.state.set_changes())
    return SnapshotOffer(1, changes, header_of(tip), len(Cut(alliance.state.pairs, 500)))


def checkpoint_of(alliance, height: int) -> Checkpoint:
    """Return the truth about a block."""
    return Checkpoint(Height(height), alliance.blocks[height - 1].block.header.digest())


def take(alliance, snapshot: Snapshot) -> None:
    """Give everything that is wanted."""
    cut = Cut(alliance.state.pairs, 500)
    for number in range(len(cut)):
        snapshot.assembly.add(cut.part(number))
    for height in snapshot.wanted(RECENT):
        snapshot.add_block(height, alliance.blocks[height - 1])


def test_a_snapshot_is_the_state(alliance) -> None:
    """State and blocks: the checkpoint's, the change of the set, the last four."""
    snapshot = Snapshot(alliance.genesis, offer_of(alliance), checkpoint_of(alliance, 3))
    assert [3, 8, 9, 10, 11] == snapshot.wanted(RECENT)
    with pytest.raises(InvalidError, match="not complete"):
        snapshot.finish(RECENT)
    take(alliance, snapshot)
    state, blocks = snapshot.finish(RECENT)
    assert (alliance.state.root, 11) == (state.root, state.height)
    assert list(state.items()) == list(alliance.state.items())
    assert [3, 8, 9, 10, 11] == [item.block.header.height for item in blocks]


def test_headers_must_be_proved(alliance) -> None:
    """A change of the set left out, a header of an unproved set, a certificate of too few."""
    offer, checkpoint = offer_of(alliance), checkpoint_of(alliance, 3)
    replace = msgspec.structs.replace
    few = replace(offer.tip.certificate, signatures=offer.tip.certificate.signatures[:2])
    state_root = replace(offer.tip.header, state_root=bytes(32))
    for wrong in (
        replace(offer, set_changes=()),
        replace(offer, set_changes=(header_of(alliance.blocks[6]),)),
        replace(offer, tip=replace(offer.tip, certificate=few)),
        replace(offer, tip=replace(offer.tip, header=state_root)),
    ):
        with pytest.raises(InvalidError):
            Snapshot(alliance.genesis, wrong, checkpoint)


def test_the_checkpoint_must_be_on_the_chain(alliance) -> None:
    """Another digest at its height is refused; a snapshot from before it too."""
    wrong = Checkpoint(Height(3), Digest(bytes(32)))
    snapshot = Snapshot(alliance.genesis, offer_of(alliance), wrong)
    with pytest.raises(InvalidError, match="not the checkpoint"):
        take(alliance, snapshot)
    with pytest.raises(InvalidError, match="older than the checkpoint"):
        Snapshot(alliance.genesis, offer_of(alliance, 10), checkpoint_of(alliance, 11))


def test_blocks_must_be_proved(alliance) -> None:
    """Another height, another body under the header, a certificate of another block."""
    snapshot = Snapshot(alliance.genesis, offer_of(alliance), checkpoint_of(alliance, 1))
    first, second = alliance.blocks[0], alliance.blocks[1]
    replace = msgspec.structs.replace
    for height, wrong in (
        (2, first),
        (1, replace(first, block=replace(first.block, transactions=()))),
        (1, replace(first, certificate=second.certificate)),
    ):
        with pytest.raises(InvalidError):
            snapshot.add_block(Height(height), wrong)


def test_the_state_must_be_of_the_offered_height(alliance, kit) -> None:
    """Parts of another state are not under the root that the header names."""
    snapshot = Snapshot(alliance.genesis, offer_of(alliance), checkpoint_of(alliance, 1))
    other = kit.Alliance(kit.make_genesis())
    with pytest.raises(InvalidError, match="under the certified root"):
        snapshot.assembly.add(Cut(other.state.pairs, 10**9).part(0))


@pytest.mark.parametrize("text", ["", "0:" + "0" * 64, "5", "5:abc", "x:" + "0" * 64])
def test_no_checkpoints(text: str) -> None:
    """A height from 1 and 64 digits, no less."""
    with pytest.raises(InvalidError, match="checkpoint"):
        parse_checkpoint(text)


def test_a_checkpoint_as_printed() -> None:
    """Height and digest."""
    assert Checkpoint(Height(12), Digest(b"\xab" * 32)) == parse_checkpoint(" 12:" + "AB" * 32)
