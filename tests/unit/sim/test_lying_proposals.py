"""What liars make of their proposals: each is caught by the rule it breaks."""

import random

import msgspec
import pytest

from hansa.chain.blocks import has_matching_body, is_proposal_signed
from hansa.chain.validation import validate_block
from hansa.consensus.messages import Certified, Propose, decode_message
from hansa.errors import InvalidError
from hansa.sim import lying_proposals as lies
from hansa.sim.behaviour import Stage
from hansa.sim.scene import Scene


def proposed(behaviour, *, confidential: bool = True) -> tuple[Stage, Propose, list[object]]:
    """Return the stage of the master of the first round, its proposal, and what it says instead."""
    scene, found = Scene(confidential=confidential), []
    scene.start()
    world = scene.world

    def take(sender, to, data) -> bool:
        message = decode_message(data)
        if isinstance(message, Propose) and not found:
            found.append((sender, to, message))
        return True

    world.drops = take
    scene.hand_to_all()
    sender, _, message = found[0]
    node = world.by_key[sender]
    stage = Stage(node.member.node_key, node.replica, random.Random(1))
    listeners = [key for key in stage.members if stage.is_second_half(key) and key != sender]
    said = behaviour.speak(stage, listeners[-1], msgspec.msgpack.encode(message))
    return stage, message, [decode_message(data) for _, data in said]


@pytest.mark.parametrize(
    "kind",
    [lies.WrongRoot, lies.WrongParent, lies.InvalidBatch, lies.Repeater, lies.Oversizer],
)
def test_signed_and_not_valid(kind) -> None:
    """The signature is the master's own; the block is against the rules."""
    stage, true, (false,) = proposed(kind())
    assert is_proposal_signed(false.proposal)
    assert false.block.header.digest() == false.proposal.digest != true.proposal.digest
    with pytest.raises(InvalidError):
        validate_block(stage.replica.state, false.block, None)


def test_an_equivocator_has_two_valid_blocks() -> None:
    """Only together they are a lie."""
    stage, true, (false,) = proposed(lies.Equivocator())
    assert true.proposal.digest != false.proposal.digest
    assert true.proposal.round == false.proposal.round
    validate_block(stage.replica.state, true.block, None)
    validate_block(stage.replica.state, false.block, None)


def test_a_time_traveller_is_early_or_late() -> None:
    """An hour ahead, or before the parent."""
    times = {proposed(lies.TimeTraveller())[2][0].block.header.time_ms for _ in range(1)}
    true = proposed(lies.TimeTraveller())[1].block.header.time_ms
    assert times <= {1, true + 3_600_000}


def test_bodies_and_copies_are_missing() -> None:
    """A digest without its payload, and copies that do not open."""
    _, _, (empty,) = proposed(lies.EmptyPayload())
    assert ((), ()) == (empty.block.transactions, empty.copies)
    assert not has_matching_body(empty.block)
    _, true, (spoilt,) = proposed(lies.CopySpoiler())
    assert true.block == spoilt.block
    assert not any(spoilt.copies[0].ciphertext)


def test_certificates_that_prove_nothing() -> None:
    """Signed alone in the names of all."""
    stage, _, (false,) = proposed(lies.FakeCertificate())
    assert 0 == false.proposal.valid_round
    signatures = {part.signature for part in false.certificate.signatures}
    assert 1 == len(signatures)
    assert list(stage.members) == [part.voter for part in false.certificate.signatures]


def test_others_in_brief() -> None:
    """A censor's block is empty and sound; a usurper proposes out of turn; nothing stale at height 1."""
    stage, _, (empty,) = proposed(lies.Censor())
    assert () == empty.block.transactions
    validate_block(stage.replica.state, empty.block, None)
    _, true, (later,) = proposed(lies.Usurper())
    assert true.proposal.round + 1 == later.proposal.round
    _, true, (same,) = proposed(lies.StaleProof())
    assert true == same


def test_a_hider_shares_no_certificate() -> None:
    """And leaves a proposal without one alone."""
    stage, true, (same,) = proposed(lies.CertificateHider())
    assert true == same
    assert [] == lies.CertificateHider().change(stage, b"x" * 32, Certified(None, true.block))
