"""Receipts: verified before they are given away."""

from types import SimpleNamespace

import pytest

from hansa.chain.blocks import Certificate, Vote
from hansa.client import receipt
from hansa.errors import ForkError, InvalidError, ProtocolError


class Proof:
    """What a sound receipt proves."""

    def __init__(self, transaction: bytes, block: bytes = b"b" * 32) -> None:
        self.transaction = self
        self._digest = transaction
        self.header = SimpleNamespace(height=7, digest=lambda: block)
        self.certificate = Certificate(Vote(bytes(32), 0, 7, 0, "confirm", block), ())
        self.super_nodes = ()

    def digest(self) -> bytes:
        return self._digest


async def test_only_a_sound_receipt_of_that_transaction(pair, monkeypatch):
    """Rubbish and another transaction's receipt are refused."""

    async def get_octets(path, *, bytes_max):
        assert path == f"/v1/transactions/{'01' * 32}/receipt"
        return b"receipt"

    pair.owner_node.get_octets = get_octets
    with pytest.raises(InvalidError):
        await receipt.export_receipt(pair.owner, b"\x01" * 32)
    monkeypatch.setattr(receipt, "verify_receipt", lambda *_: Proof(b"\x01" * 32))
    assert await receipt.export_receipt(pair.owner, b"\x01" * 32) == b"receipt"
    monkeypatch.setattr(receipt, "verify_receipt", lambda *_: Proof(b"\x02" * 32))
    with pytest.raises(ProtocolError):
        await receipt.export_receipt(pair.owner, b"\x01" * 32)


async def test_two_blocks_of_one_height_stop_the_client(pair, monkeypatch):
    """An earlier receipt of this session proved another block; what is remembered is bounded."""

    async def get_octets(path, *, bytes_max):
        return b"receipt"

    pair.owner_node.get_octets = get_octets
    monkeypatch.setattr(receipt, "RECEIPTS_KEPT_MAX", 1)
    monkeypatch.setattr(receipt, "verify_receipt", lambda *_: Proof(b"\x01" * 32))
    for _ in range(2):
        await receipt.export_receipt(pair.owner, b"\x01" * 32)
    monkeypatch.setattr(receipt, "verify_receipt", lambda *_: Proof(b"\x01" * 32, b"c" * 32))
    with pytest.raises(ForkError, match="height 7"):
        await receipt.export_receipt(pair.owner, b"\x01" * 32)
    later = Proof(b"\x01" * 32)
    later.header.height = 8
    monkeypatch.setattr(receipt, "verify_receipt", lambda *_: later)
    await receipt.export_receipt(pair.owner, b"\x01" * 32)
    assert [8] == list(pair.owner.receipts)
