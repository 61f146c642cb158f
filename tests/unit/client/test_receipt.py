"""Receipts: verified before they are given away."""

import pytest

from hansa.client import receipt
from hansa.errors import InvalidError, ProtocolError


class Proof:
    """What a sound receipt proves."""

    def __init__(self, transaction: bytes) -> None:
        self.transaction = self
        self._digest = transaction

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
