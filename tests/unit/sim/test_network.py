"""Simulated links."""

import random

import pytest

from hansa.sim.network import PARTITION_KINDS, LinkQuality, Network, split

A, B = b"a" * 32, b"b" * 32


def test_cuts_are_one_way_and_heal() -> None:
    """What is cut loses everything; the other direction does not."""
    network = Network(random.Random(1), LinkQuality())
    network.cut(A, B)
    assert [] == network.delays(A, B, 1)
    assert 1 == len(network.delays(B, A, 1))
    network.mend(A, B)
    assert 1 == len(network.delays(A, B, 1))
    network.cut(A, B)
    network.heal()
    assert not network.is_cut(A, B)


def test_loss_and_duplication_follow_their_shares() -> None:
    """All lost, all doubled, and within the delays."""
    lossy = Network(random.Random(1), LinkQuality(loss=1.0))
    assert [] == lossy.delays(A, B, 1)
    double = Network(random.Random(1), LinkQuality(duplication=1.0, delay_ms_max=3))
    delays = double.delays(A, B, 10)
    assert 2 == len(delays)
    assert all(1 <= delay <= 3 for delay in delays)
    assert (1, 10) == (double.sent, double.bytes_sent)


@pytest.mark.parametrize("kind", PARTITION_KINDS)
def test_partitions_part_groups(kind) -> None:
    """Nobody is cut from itself; each pair once; the kinds differ in whom they part."""
    chance, nodes = random.Random(2), list(range(6))
    for _ in range(20):
        pairs = split(kind, nodes, chance)
        assert len(set(pairs)) == len(pairs)
        assert all(one != other for one, other in pairs)
        first, second = {one for one, _ in pairs}, {other for _, other in pairs}
        assert not first & second
        counts = {"halves": (3, 3), "single": (1, 5), "bridge": (3, 2)}
        if kind in counts:
            assert counts[kind] == (len(first), len(second))
