"""Walkers: those at one place walk on as one, and where they rest is told once."""

import numpy as np

from hansa.index.walkers import Rests, Walkers


def test_walkers_at_one_place_walk_on_as_the_youngest():
    """Of equal centres the one with the fewest steps is left, with its landmark."""
    centres = np.array([[5, 5], [1, 2], [5, 5], [1, 3]])
    walkers = Walkers(centres, centres + 1, np.array([4, 3, 2, 1]))
    merged = walkers.merged()
    assert [[1, 2], [1, 3], [5, 5]] == merged.centres.tolist()
    assert [3, 1, 2] == merged.steps.tolist()
    assert (merged.centres + 1 == merged.landmarks).all()
    assert 1 == len(merged.take(np.array([True, False, False])).merged())


def test_seeds_begin_once_and_groups_join():
    """Equal seeds are one walker without steps."""
    begun = Walkers.begin(np.array([[3, 0], [3, 0], [-1, 0]]))
    assert [[-1, 0], [3, 0]] == begun.centres.tolist() == begun.landmarks.tolist()
    assert [0, 0] == begun.steps.tolist()
    assert begun is Walkers.join([begun])
    assert 4 == len(Walkers.join([begun, begun]))


def test_rests_are_told_once():
    """Those of several groups, sorted, each with its strength."""
    rests = Rests()
    rests.add(np.array([[2, 2], [0, 1]]), np.array([7, 5]))
    rests.add(np.array([[2, 2]]), np.array([7]))
    places, strengths = rests.distinct()
    assert [[0, 1], [2, 2]] == places.tolist()
    assert [5, 7] == strengths.tolist()
