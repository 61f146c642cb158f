"""Receipts: proofs that stand alone, exported from the own node, verified with the genesis alone."""

from hansa import limits
from hansa.chain.receipts import VerifiedReceipt, verify_receipt
from hansa.client.session import Session
from hansa.errors import ProtocolError

__all__ = ["VerifiedReceipt", "export_receipt", "verify_receipt"]


async def export_receipt(session: Session, transaction: bytes) -> bytes:
    """Return the receipt of a committed transaction, verified before it is given away.

    Raises:
        MissingError: the transaction is not on the chain.
        ProtocolError: the node gave the receipt of another transaction.
        InvalidError: the receipt does not hold.
    """
    path = f"/v1/transactions/{transaction.hex()}/receipt"
    data = await session.transport.get_octets(path, bytes_max=limits.CLIENT_ANSWER_BYTES_MAX)
    verified = await session.workers.run(verify_receipt, data, session.genesis)
    if verified.transaction.digest() != transaction:
        raise ProtocolError("The node gave the receipt of another transaction.")
    return data
