"""`hansa.sim.spread`: one block to ten thousand nodes, and what each sends for it."""

import pytest

from hansa.consensus import spreading
from hansa.consensus.spreading import FAN_OUT, SENDS_MAX, Tree
from hansa.sim.spread import spread


@pytest.mark.parametrize("nodes", [50, 1_000, 10_000])
def test_what_a_super_node_sends_does_not_grow(nodes: int) -> None:
    """Blocks down the tree, those it serves to who asked, and statuses: bounded, whatever the number."""
    found = spread(3, nodes=nodes)
    assert found.seconds >= 0
    assert found.super_sends_max <= FAN_OUT + 10
    assert found.node_sends_max <= FAN_OUT + 15
    assert found.asked_max <= 20
    assert 4**found.hops <= 4 * nodes


@pytest.mark.parametrize(("silent", "down"), [(0.1, 0.0), (0.0, 0.2), (0.33, 0.1)])
def test_faulty_inner_nodes_keep_nobody_back(silent: float, down: float) -> None:
    """Whoever is honest and up has the block after some seconds of status."""
    found = spread(5, nodes=2_000, silent=silent, down=down)
    assert 0 <= found.seconds <= 15
    assert found.missed > 0 or not silent
    assert found.super_sends_max <= SENDS_MAX + 10


def test_without_status_they_would_be_kept_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model can fail: where nobody asks, who was missed stays behind."""
    monkeypatch.setattr("hansa.sim.spread.peers_to_ask", lambda peers, times, node: [])
    assert -1 == spread(5, nodes=500, silent=0.2).seconds


def test_a_star_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were one root to send to all, its count would say so."""

    def star(self: Tree, node, is_there):
        return list(self._others) if node == self._roots[0] else []

    monkeypatch.setattr(spreading.Tree, "below", star)
    assert spread(4, nodes=1_000).super_sends_max > 900
