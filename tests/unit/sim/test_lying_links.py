"""What liars make of everything around the votes."""

import random

import pytest

from hansa.chain.blocks import has_matching_body, is_certificate_valid, is_erasure_signed
from hansa.chain.findings import Refusal, is_refusal_signed
from hansa.codec import encode
from hansa.consensus.messages import (
    BlockDecided,
    Blocks,
    Certified,
    Confirm,
    Erase,
    Erased,
    GetBlocks,
    Review,
    SealingKey,
    Status,
    Submit,
    VotesAgain,
    decode_message,
)
from hansa.sim import lying_links as lies
from hansa.sim.behaviour import Stage
from hansa.sim.scene import Scene


class Heard:
    """One decided height, and all that was said in it."""

    def __init__(self) -> None:
        scene = Scene(confidential=True)
        scene.start()
        self.world = scene.world
        self.messages: dict[type, object] = {}

        def hear(sender, to, data) -> bool:
            message = decode_message(data)
            self.messages.setdefault(type(message), message)
            if isinstance(message, Review) and message.erasures:
                self.messages[Erased] = Erased(message.erasures)
            return False

        self.world.drops = hear
        scene.hand_to_all()
        scene.demand(1)
        node = self.world.nodes[0]
        self.stage = Stage(node.member.node_key, node.replica, random.Random(3))
        self.tip = node.disk.blocks[0]
        self.other = self.world.nodes[1].key


@pytest.fixture(scope="module")
def heard() -> Heard:
    """The same height for all tests here."""
    return Heard()


def test_served_blocks_are_false(heard) -> None:
    """Another header under the true certificate, another body under the true header, own certificates."""
    for message in (Blocks((heard.tip,)), BlockDecided(heard.tip)):
        for kind in (lies.Forger, lies.BodySwapper, lies.SelfCertifier):
            (told,) = kind().change(heard.stage, heard.other, message)
            false = told.blocks[0] if isinstance(told, Blocks) else told.block
            is_sound = (
                is_certificate_valid(false.certificate, heard.stage.members)
                and false.certificate.vote.digest == false.block.header.digest()
                and has_matching_body(false.block)
            )
            assert not is_sound


def test_a_body_swapper_offers_what_nobody_asked_for(heard) -> None:
    """With its status goes a block in the making, its body spoilt; at rest there is none."""
    status = Status(bytes(32), 1, bytes(32), 0, -1, False, False)
    assert None is lies.BodySwapper().change(heard.stage, heard.other, status)
    (told,) = lies.BodySwapper().change(
        heard.stage, heard.other, Certified(heard.tip.certificate, heard.tip.block)
    )
    assert not has_matching_body(told.block)


def test_a_withholder_helps_nobody(heard) -> None:
    """What others lack stays here; the rest is said."""
    for message in (Blocks((heard.tip,)), BlockDecided(heard.tip), VotesAgain(())):
        assert [] == lies.Withholder().change(heard.stage, heard.other, message)
    assert None is lies.Withholder().change(heard.stage, heard.other, GetBlocks(1, 1))


def test_noise_and_old_news(heard) -> None:
    """Bytes that are no message, and messages that are over."""
    data = encode(Blocks((heard.tip,)))
    kinds = {len(lies.Garbler().speak(heard.stage, heard.other, data)) for _ in range(30)}
    assert {1, 2} == kinds
    replayer = lies.Replayer()
    replayer.speak(heard.stage, heard.other, b"old")
    said = [item for _ in range(20) for _, item in replayer.speak(heard.stage, heard.other, b"new")]
    assert {b"old", b"new"} == set(said)


def test_status_and_heights_that_are_not(heard) -> None:
    """Claims that nobody should act on without proof."""
    status = Status(bytes(32), 1, bytes(32), 0, -1, False, False)
    told = {lies.StatusLiar().change(heard.stage, heard.other, status)[0].height for _ in range(30)}
    assert {0, 2, 1_001, 2**60} == told
    assert [Blocks(())] == lies.StatusLiar().change(heard.stage, heard.other, Blocks((heard.tip,)))
    confirm = heard.messages[Confirm]
    heights = [
        item.vote.vote.height - confirm.vote.vote.height
        for item in lies.FutureTalker().change(heard.stage, heard.other, confirm)
    ]
    assert [0, 1, 2, 9, 10**6] == heights
    flood = lies.Flooder().change(heard.stage, heard.other, status)
    assert 3 == sum(isinstance(item, GetBlocks) for item in flood)


def test_orders_to_erase_prove_nothing(heard) -> None:
    """None holds for the height in progress."""
    review = heard.messages[Review]
    orders = [
        item
        for item in lies.EarlyEraser().change(heard.stage, heard.other, review)
        if isinstance(item, Erase)
    ]
    assert 5 == len(orders)
    height = heard.stage.replica.height + 1
    for order in orders:
        certificate = order.certificate
        is_proof = is_certificate_valid(certificate, heard.stage.members)
        assert not is_proof or certificate.vote.height < height


def test_false_acknowledgements_are_signed_by_the_liar(heard) -> None:
    """In another's name they do not hold; in its own they lie."""
    erased = heard.messages[Erased]
    for _ in range(20):
        (told,) = lies.FalseEraser().change(heard.stage, heard.other, erased)
        for true, false in zip(erased.erasures, told.erasures, strict=True):
            assert true != false
            assert is_erasure_signed(false) == (false.super_node == heard.stage.key.public)
    (told,) = lies.FalseEraser().change(heard.stage, heard.other, heard.messages[Review])
    assert isinstance(told, Review)


def test_wrong_refusals_and_keys(heard) -> None:
    """Signed by the liar, about what is none of its business."""
    scene = Scene()
    scene.start()
    node = scene.world.nodes[0]
    scene.world.drops = lambda *_: True
    scene.hand_to_all()
    stage = Stage(node.member.node_key, node.replica, random.Random(1))
    status = Status(bytes(32), 0, bytes(32), 0, -1, False, False)
    told = lies.WrongRefuser().change(stage, scene.world.nodes[1].key, status)
    refusals = [item for item in told if isinstance(item, Refusal)]
    assert len(refusals) == 1
    assert is_refusal_signed(refusals[0])
    assert [] == lies.WrongRefuser().change(stage, node.key, Submit(node.key, 0, ()))
    told = lies.KeyJuggler().change(stage, node.key, status)
    assert 2 == sum(isinstance(item, SealingKey) for item in told)
