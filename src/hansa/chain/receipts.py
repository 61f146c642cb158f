"""Receipts: a proof that a transaction is on the chain, which stands alone beside the genesis.

The genesis names the first set of super nodes. Each block that changed the set was decided by a
quorum of the set before, so its header and certificate prove the set after. The last set so proved
decided the transaction's block; two Merkle paths lead from that header to transaction and result.
Nothing is asked of any node and nothing in the file is believed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from hansa import limits
from hansa.chain.blocks import (
    Certificate,
    CertifiedBlock,
    Header,
    Result,
    is_certificate_valid,
)
from hansa.chain.forks import find_culprits
from hansa.chain.genesis import Genesis
from hansa.chain.records import Record
from hansa.chain.transactions import Transaction, decode_transaction
from hansa.codec import decode, encode
from hansa.crypto.merkle import compute_path, is_member
from hansa.errors import ForkError, InvalidError
from hansa.types import Digest, Epoch, Height, PublicKey

RECEIPT_BYTES_MAX = 64 * limits.MIB


class CertifiedHeader(Record, frozen=True):
    """A header with the certificate that decided its block."""

    header: Header
    certificate: Certificate


class Receipt(Record, frozen=True):
    """The file's contents."""

    format: Literal[1]
    genesis: Digest
    """The alliance id."""
    transaction: bytes
    """Canonical bytes of the signed transaction."""
    index: int
    """Its place in the block, from 0."""
    count: int
    """Transactions in the block."""
    transaction_path: tuple[bytes, ...]
    """Merkle path from the transaction to the header's root; 32 bytes each."""
    result: Result
    result_path: tuple[bytes, ...]
    block: CertifiedHeader
    set_changes: tuple[CertifiedHeader, ...]
    """Each change of the super-node set before the block, in order of heights."""


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """What a receipt proves."""

    transaction: Transaction
    result: Result
    header: Header
    index: int
    super_nodes: tuple[PublicKey, ...]
    """The set that decided the block."""
    signers: tuple[PublicKey, ...]
    """Those of it whose signatures the receipt carries."""
    certificate: Certificate


def build_receipt(
    genesis: Genesis, certified: CertifiedBlock, index: int, changes: Iterable[CertifiedBlock]
) -> bytes:
    """Return the receipt of transaction `index` of a block, verified.

    Args:
        genesis: of the alliance.
        certified: the block with its certificate.
        index: place of the transaction, from 0.
        changes: the blocks at `State.set_changes()`, in order; later ones than `certified` and
            ones that changed nothing are left out.

    Raises:
        InvalidError: there is no such transaction, or a needed block is missing.
    """
    block = certified.block
    if not 0 <= index < len(block.transactions):
        raise InvalidError(f"Block {block.header.height} has no transaction {index}.")
    needed = tuple(
        CertifiedHeader(item.block.header, item.certificate)
        for item in changes
        if item.block.header.height < block.header.height
        and item.block.header.super_nodes != item.block.header.next_super_nodes
    )
    leaves = [encode(transaction) for transaction in block.transactions]
    receipt = Receipt(
        format=1,
        genesis=genesis.digest(),
        transaction=leaves[index],
        index=index,
        count=len(leaves),
        transaction_path=compute_path(leaves, index),
        result=block.results[index],
        result_path=compute_path([encode(result) for result in block.results], index),
        block=CertifiedHeader(block.header, certified.certificate),
        set_changes=needed,
    )
    data = encode(receipt)
    verify_receipt(data, genesis)
    return data


def verify_receipt(data: bytes, genesis: Genesis) -> VerifiedReceipt:
    """Check a receipt with nothing but the genesis; return what it proves.

    Raises:
        InvalidError: it proves nothing; the message says at which step.
    """
    receipt = decode(Receipt, data, bytes_max=RECEIPT_BYTES_MAX)
    if receipt.genesis != genesis.digest():
        raise InvalidError(
            "The receipt is from another alliance.",
            remedy="Give the genesis file of the alliance it was exported from.",
        )
    chosen = verify_headers(genesis, receipt.set_changes, receipt.block)
    header = receipt.block.header
    transaction = decode_transaction(receipt.transaction)
    if receipt.count != header.transaction_count:
        raise _broken("the number of transactions is not the header's")
    paths = (
        (header.transactions_root, receipt.transaction, receipt.transaction_path),
        (header.results_root, encode(receipt.result), receipt.result_path),
    )
    for root, leaf, path in paths:
        if not is_member(root, leaf, receipt.index, receipt.count, path):
            raise _broken("a Merkle path does not lead to the header")
    return VerifiedReceipt(
        transaction=transaction,
        result=receipt.result,
        header=header,
        index=receipt.index,
        super_nodes=chosen,
        signers=tuple(part.voter for part in receipt.block.certificate.signatures),
        certificate=receipt.block.certificate,
    )


def compare_receipts(one: VerifiedReceipt, other: VerifiedReceipt) -> None:
    """Check that two verified receipts can be of one chain.

    Raises:
        ForkError: they prove two blocks of one height; the message names who signed both.
    """
    if one.header.height != other.header.height or one.header.digest() == other.header.digest():
        return
    named = sorted(find_culprits(one.certificate, other.certificate, (), one.super_nodes))
    signed = ", ".join(key.hex()[:16] for key in named) or "other rounds: ask all members' logs"
    raise ForkError(
        f"Two blocks of height {one.header.height} are certified. Signed both: {signed}.",
        remedy="Trust neither; stop, and give both receipts to all members.",
    )


def verify_headers(
    genesis: Genesis, changes: Iterable[CertifiedHeader], last: CertifiedHeader
) -> tuple[PublicKey, ...]:
    """Check that a header was decided, with the genesis alone; return the set that decided it.

    Args:
        genesis: names the first set.
        changes: headers of all blocks before that changed the set, in order.
        last: the header in question.

    Raises:
        InvalidError: it is not proved; the message says at which step.
    """
    chosen, height = founding_set(genesis), Height(0)
    for change in changes:
        header = change.header
        if header.height <= height or header.height % genesis.parameters.epoch_blocks:
            raise _broken("a change of the super nodes is out of place")
        check_decided(change, genesis, chosen)
        chosen, height = header.next_super_nodes, header.height
        if list(chosen) != sorted(set(chosen)) or len(chosen) != genesis.parameters.super_nodes:
            raise _broken("a set of super nodes is malformed")
    if last.header.height <= height:
        raise _broken("the block is older than a change of the super nodes")
    check_decided(last, genesis, chosen)
    return chosen


def founding_set(genesis: Genesis) -> tuple[PublicKey, ...]:
    """Return the first super nodes, sorted."""
    keys = {item.name: item.node_key for item in genesis.organisations}
    return tuple(sorted(keys[name] for name in genesis.super_nodes))


def check_decided(item: CertifiedHeader, genesis: Genesis, chosen: tuple[PublicKey, ...]) -> None:
    """Check that a quorum of `chosen` decided a header, by votes that can mean nothing else.

    Raises:
        InvalidError: it did not, or the header is not of this chain.
    """
    header, vote = item.header, item.certificate.vote
    if header.alliance != genesis.digest() or header.super_nodes != chosen or header.height < 1:
        raise _broken("a header is of another chain or another set of super nodes")
    if header.epoch != Epoch((header.height - 1) // genesis.parameters.epoch_blocks):
        raise _broken("a header names a wrong epoch")
    if (
        vote.alliance != header.alliance
        or vote.epoch != header.epoch
        or vote.height != header.height
        or not header.round <= vote.round <= limits.ROUND_MAX
        or vote.phase != "confirm"
        or vote.digest != header.digest()
    ):
        raise _broken("a certificate is for another block")
    if not is_certificate_valid(item.certificate, chosen):
        raise _broken("a certificate is not signed by a quorum")


def _broken(what: str) -> InvalidError:
    return InvalidError(
        f"The receipt proves nothing: {what}.", remedy="Export it again from a node you trust."
    )
