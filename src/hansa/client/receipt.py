"""Receipts: proofs that stand alone, exported from the own node, verified with the genesis alone."""

from hansa import limits
from hansa.chain.receipts import VerifiedReceipt, compare_receipts, verify_receipt
from hansa.client.session import Session
from hansa.errors import ProtocolError

RECEIPTS_KEPT_MAX = 1_000

__all__ = ["VerifiedReceipt", "export_receipt", "verify_receipt"]


async def export_receipt(session: Session, transaction: bytes) -> bytes:
    """Return the receipt of a committed transaction, verified before it is given away.

    Raises:
        MissingError: the transaction is not on the chain.
        ProtocolError: the node gave the receipt of another transaction.
        InvalidError: the receipt does not hold.
        ForkError: an earlier receipt proved another block of its height.
    """
    path = f"/v1/transactions/{transaction.hex()}/receipt"
    data = await session.transport.get_octets(path, bytes_max=limits.CLIENT_ANSWER_BYTES_MAX)
    verified = await session.workers.run(verify_receipt, data, session.genesis)
    if verified.transaction.digest() != transaction:
        raise ProtocolError("The node gave the receipt of another transaction.")
    known = session.receipts.setdefault(verified.header.height, verified)
    compare_receipts(known, verified)
    if len(session.receipts) > RECEIPTS_KEPT_MAX:
        del session.receipts[next(iter(session.receipts))]
    return data
