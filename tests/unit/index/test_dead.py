"""Dead rows: each reader sees those it knows of."""

import numpy as np

from hansa.index.dead import Dead


def test_earlier_readers_see_fewer():
    """A count stands for a moment: later ends do not show in it."""
    dead = Dead()
    for row in range(500, 0, -5):
        dead.add(row)
    assert 100 == dead.count
    assert [490, 495, 500] == dead.rows(3).tolist()
    assert dead.has(500, 1)
    assert not dead.has(495, 1)
    assert not dead.has(4, 100)
    assert np.array_equal(np.sort(dead.rows(100)), dead.rows(100))
    assert 0 == len(dead.rows(0))
