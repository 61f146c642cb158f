"""Pairs of lost messages."""

from hansa.sim import pairs
from hansa.sim.remembered import remembered


def test_each_pair_comes_once() -> None:
    """A message with itself is one lost message."""
    assert [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)] == list(pairs.all_pairs(3))


def test_two_heights_have_some_sixty_messages() -> None:
    """Proposals, reviews, confirms, acknowledgements of four super nodes."""
    with remembered():
        count = pairs.count_messages()
        assert 50 <= count <= 100
        for pair in ((0, 0), (2, 11), (count - 2, count - 1)):
            outcome = pairs.play(pair)
            assert () == outcome.violations
            assert outcome.rounds >= 0
