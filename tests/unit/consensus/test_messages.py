"""Messages: one encoding each, and signatures that cover every field."""

import msgspec
import pytest

from hansa import limits
from hansa.chain.blocks import Proposal, is_proposal_signed, sign_proposal
from hansa.codec import encode
from hansa.consensus.messages import (
    Confirm,
    GetBlocks,
    Status,
    Submit,
    decode_message,
    encode_blocks,
    kind_of,
)
from hansa.crypto.signing import SigningKey
from hansa.errors import InvalidError
from hansa.types import Digest, Epoch, Height, PublicKey, Round, Signature

KEY = SigningKey(b"k" * 32)
ALLIANCE = Digest(b"a" * 32)


def test_a_message_survives_the_way() -> None:
    """Encoded and decoded it is the same."""
    status = Status(ALLIANCE, Height(3), Digest(b"d" * 32), Round(1), Round(-1), True, False)
    for message in (status, GetBlocks(Height(1), 5), Submit(PublicKey(b"p" * 32), 0, ())):
        assert message == decode_message(encode(message))


@pytest.mark.parametrize("data", [b"", b"\x93", b"\xff" * 20, encode([99, 1]), encode("text")])
def test_garbage_is_invalid(data: bytes) -> None:
    """Malformed bytes are one kind of error."""
    with pytest.raises(InvalidError):
        decode_message(data)


def test_trailing_bytes_are_invalid() -> None:
    """One value has one encoding."""
    with pytest.raises(InvalidError):
        decode_message(encode(GetBlocks(Height(1), 5)) + b"\x00")


def test_a_proposal_is_signed_whole() -> None:
    """Changing any field breaks the signature."""
    proposal = sign_proposal(
        Proposal(
            ALLIANCE,
            Epoch(0),
            Height(1),
            Round(0),
            Round(-1),
            Digest(b"d" * 32),
            KEY.public,
            Signature(b""),
        ),
        KEY,
    )
    assert is_proposal_signed(proposal)
    for change in ({"epoch": 1}, {"height": 2}, {"round": 1}, {"valid_round": 0}):
        assert not is_proposal_signed(msgspec.structs.replace(proposal, **change))


def test_kinds_have_names() -> None:
    """An encoded message tells its kind without being decoded."""
    assert "GetBlocks" == kind_of(encode(GetBlocks(Height(1), 1)))
    assert "Submit" == kind_of(encode(Submit(PublicKey(bytes(32)), 0, ())))


def test_an_answer_of_blocks_is_bounded(quiet) -> None:
    """No more blocks than one answer may hold."""
    quiet.submit(5)
    quiet.world.run_for(1_000)
    block = quiet.world.nodes[0].disk.blocks[0]
    assert 64 == len(decode_message(encode_blocks([block] * 100)).blocks)
    assert () == decode_message(encode_blocks([])).blocks


def test_confirm_is_tagged_apart() -> None:
    """Tags separate the messages."""
    assert Confirm.__struct_config__.tag == 6


def test_an_answer_of_blocks_is_cut_to_its_bound(quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    """At least one block goes, however large; then as many as fit."""
    quiet.submit(5)
    quiet.world.run_for(1_000)
    blocks = quiet.world.nodes[0].disk.blocks
    assert 2 == len(blocks) == len(decode_message(encode_blocks(blocks)).blocks)
    monkeypatch.setattr(limits, "SYNC_ANSWER_BYTES_MAX", 1)
    assert tuple(blocks[:1]) == decode_message(encode_blocks(blocks)).blocks
    monkeypatch.setattr(
        limits, "SYNC_ANSWER_BYTES_MAX", len(encode(blocks[0])) + len(encode(blocks[1]))
    )
    assert 2 == len(decode_message(encode_blocks(blocks)).blocks)
