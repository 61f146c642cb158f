"""A process that appends blocks until it is killed; run by test_block_ledger.py.

It prints a height only after `append` returned: what is printed is acknowledged.
"""

import sys
from pathlib import Path

from hansa.chain.blocks import Block, Certificate, CertifiedBlock, Header, Result, Vote
from hansa.chain.transactions import Transaction, TransactionBody, VoteSuperNodes
from hansa.ledger.block_ledger import BlockLedger
from hansa.types import NO_DIGEST, Digest, Epoch, Height, Millis, PublicKey, Round, Signature

ALLIANCE = Digest(b"a" * 32)


def make_transaction(height: int, index: int) -> Transaction:
    """Return a transaction that differs for each height and index."""
    nonce = height.to_bytes(8, "big") + index.to_bytes(8, "big")
    operations = (VoteSuperNodes(()),)
    body = TransactionBody(
        1, ALLIANCE, PublicKey(b"u" * 32), Height(99), Millis(1), nonce, operations
    )
    return Transaction(body, Signature(b"s" * 64))


def make_block(height: int, *, transactions: int = 2, accepted: bool = True) -> CertifiedBlock:
    """Return a block that is well-formed for the ledger; nothing in it was executed."""
    made = tuple(make_transaction(height, index) for index in range(transactions))
    header = Header(
        1,
        ALLIANCE,
        Height(height),
        Round(0),
        Epoch(0),
        NO_DIGEST,
        Millis(height),
        PublicKey(b"m" * 32),
        *[NO_DIGEST] * 5,
        (),
        (),
        transactions,
        transactions * height,
    )
    results = tuple(Result(accepted, "" if accepted else "expired") for _ in made)
    vote = Vote(ALLIANCE, Epoch(0), Height(height), Round(0), "confirm", header.digest())
    return CertifiedBlock(Block(header, made, results, ()), Certificate(vote, ()))


def make_writes(height: int) -> list[tuple[bytes, bytes | None]]:
    """Return what a block writes: its height under its own key and under one they share."""
    return [(b"h%d" % height, b"%d" % height), (b"last", b"%d" % height)]


def main() -> None:
    """Open the ledger in the named folder, replay, print the height, append until killed."""
    ledger = BlockLedger(Path(sys.argv[1]), alliance=ALLIANCE, segment_bytes_max=8_192)
    ledger.recover(lambda certified: make_writes(certified.block.header.height))
    while True:
        sys.stdout.write(f"{ledger.height()}\n")
        sys.stdout.flush()
        height = ledger.height() + 1
        ledger.append(make_block(height), make_writes(height))


if __name__ == "__main__":
    main()
