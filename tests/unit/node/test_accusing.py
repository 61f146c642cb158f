"""Tests of node.accusing: a proof is kept, and brought, until nothing more follows from it."""

import asyncio
from types import SimpleNamespace

import structlog
from live_node import run_in_process

from hansa.chain.blocks import Vote, sign_vote
from hansa.chain.evidence import (
    Basis,
    DoubleVote,
    WrongRefusal,
    encode_evidence,
    height_of,
    make_double_vote,
)
from hansa.chain.findings import Refusal, sign_refusal
from hansa.chain.genesis import Parameters
from hansa.chain.sealed import SealingKeyNotice, open_transaction, sign_sealing_key
from hansa.chain.transactions import SubmitEvidence, decode_transaction
from hansa.chain.witness import NOTHING
from hansa.crypto.envelope import DecryptionKey
from hansa.crypto.signing import SigningKey
from hansa.node.accusing import KEPT_MAX, Accuser
from hansa.rest import TransactionDetail
from hansa.storage.table import MemoryTable
from hansa.testing.doubles import FixedClock, SeededEntropy

ALLIANCE = bytes([7]) * 32
NODE, LIAR = SigningKey(bytes([1]) * 32), SigningKey(bytes([2]) * 32)
SEALING = DecryptionKey(bytes([3]) * 32)


def _evidence(height: int = 5, liar: SigningKey = LIAR, alliance: bytes = ALLIANCE) -> DoubleVote:
    votes = [
        sign_vote(Vote(alliance, 0, height, 0, "review", bytes([number]) * 32), liar)
        for number in (1, 2)
    ]
    return make_double_vote(*votes)


def _accuser(table: MemoryTable) -> Accuser:
    return Accuser(
        table,
        genesis=SimpleNamespace(parameters=Parameters()),
        key=NODE,
        clock=FixedClock(),
        entropy=SeededEntropy(),
        log=structlog.get_logger(),
    )


def _state(expelled: int = 0, readmitted: int = 0) -> SimpleNamespace:
    member = SimpleNamespace(expelled_height=expelled, readmitted_height=readmitted)
    return SimpleNamespace(
        alliance=ALLIANCE,
        height=9,
        trail=lambda height: ALLIANCE if height > 2 else None,
        organisation_by_node_key=lambda key: member if key == LIAR.public else None,
    )


def test_kept_over_a_restart_and_once() -> None:
    """What was noticed is on disk before anything else happens; twice is once."""
    table = MemoryTable()
    accuser = _accuser(table)
    for height in (8, 5, 8):
        accuser.notice(_evidence(height))
    again = _accuser(table)
    assert [_evidence(5), _evidence(8)] == accuser.kept() == again.kept()
    assert [None, None] == list(again.pending(_state()).values())


def test_bounded() -> None:
    """A liar cannot fill the disk with its lies."""
    accuser = _accuser(MemoryTable())
    for height in range(1, KEPT_MAX + 5):
        accuser.notice(_evidence(height))
    assert KEPT_MAX == len(accuser) == len(accuser.kept())


def test_the_transaction_carries_the_proof() -> None:
    """Signed by the node, sealed to the super nodes, with the evidence as its only operation."""
    accuser = _accuser(MemoryTable())
    accuser.notice(_evidence())
    (row,) = accuser.pending(_state())
    notice = SealingKeyNotice(ALLIANCE, 0, NODE.public, SEALING.public, 1, b"")
    sealed = accuser.seal(row, _state(), (sign_sealing_key(notice, NODE),))
    opened = open_transaction(sealed, NODE.public, SEALING)
    transaction = decode_transaction(opened.transaction)
    body = transaction.body
    assert (SubmitEvidence(encode_evidence(_evidence())),) == body.operations
    assert (NODE.public, 9) < (body.author, body.expires)
    assert transaction.digest() == sealed.transaction == accuser.pending(_state())[row]
    other = accuser.seal(row, _state(), (sign_sealing_key(notice, NODE),))
    assert sealed.transaction != other.transaction


def test_settled_is_forgotten() -> None:
    """Expelled, readmitted since, or no member any more: nothing more follows; else it stays."""
    for settled in (_state(expelled=6), _state(readmitted=5)):
        table = MemoryTable()
        accuser = _accuser(table)
        accuser.notice(_evidence())
        accuser.notice(_evidence(6, NODE))
        accuser.settle(_state())
        assert [_evidence()] == accuser.kept()
        accuser.settle(settled)
        assert ([], {}) == (accuser.kept(), table.rows)
        accuser.settle(settled)


def _refusal(height: int) -> WrongRefusal:
    plain = Refusal(ALLIANCE, bytes(32), "busy", height, bytes(32), LIAR.public, b"")
    return WrongRefusal(sign_refusal(plain, LIAR), None, Basis(None, NOTHING))


def test_a_proof_about_an_execution_waits_for_its_height() -> None:
    """The chain judges it once that height is decided, and as long as it remembers the one before."""
    accuser = _accuser(MemoryTable())
    for height in (3, 9, 10):
        accuser.notice(_refusal(height))
    accuser.settle(_state())
    assert [9, 10] == [height_of(item) for item in accuser.kept()]
    assert 1 == len(accuser.pending(_state()))


async def test_a_running_node_brings_it_to_the_chain(alliance) -> None:
    """From the driver's effect to the organisation's record, through agreement, without a user."""
    async with run_in_process(alliance) as live:
        liar = live.services.key
        evidence = _evidence(1, liar, live.services.alliance)
        live.services.driver._on_lie(evidence)
        async with asyncio.timeout(20):
            while not live.services.state().organisations()[0].expelled_height:
                await asyncio.sleep(0.05)
            while live.services.accuser.kept() or len(live.services.outbox):
                await asyncio.sleep(0.05)
        (last,) = live.services.ledger.block(1).block.transactions
        detail = await live.get(f"/v1/transactions/{last.digest().hex()}/detail", TransactionDetail)
        assert ("", live.member.name) == (detail.author_name, detail.organisation)
        assert "SubmitEvidence" == detail.operations[0]["operation"]
