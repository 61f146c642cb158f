"""Tests of hansa.ports: what is shipped fits the ports."""

from hansa.ledger.block_ledger import BlockLedger
from hansa.ledger.vote_log import VoteLogFile
from hansa.ports import Clock, Entropy, Ledger, VoteLog, Workers
from hansa.system import SystemClock, SystemEntropy, WorkerPool


def methods(kind):
    """Return the names of a class's public methods."""
    return {name for name, value in vars(kind).items() if callable(value) and name[0] != "_"}


def test_the_shipped_adapters_have_every_method_of_their_port():
    """What a port names, its adapter has; types are held by mypy."""
    for port, adapter in (
        (Ledger, BlockLedger),
        (VoteLog, VoteLogFile),
        (Clock, SystemClock),
        (Entropy, SystemEntropy),
        (Workers, WorkerPool),
    ):
        assert methods(port) <= methods(adapter), port
        for name in methods(port):
            assert getattr(adapter, name).__doc__


def test_the_ports_are_typed(tmp_path):
    """An adapter can be handed over where its port is asked for."""
    ledger: Ledger = BlockLedger(tmp_path, alliance=b"a" * 32)
    log: VoteLog = VoteLogFile(tmp_path)
    log.append([b"x"])
    assert list(log.records()) == [b"x"]
    assert ledger.height() == 0
    assert list(ledger.state_items()) == []
    ledger.close()
    log.close()
