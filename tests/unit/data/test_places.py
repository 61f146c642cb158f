"""Tests of hansa.data.places: memory is used again, and never under anybody's eyes."""

import threading
import time

from hansa.data import places as module
from hansa.data.places import Places
from hansa.limits import MIB


def test_places_are_used_again_when_nobody_looks():
    """Chunks that are held keep their bytes; memory that nobody holds is read into anew."""
    places = Places(4 * MIB, 4 * MIB + 100, 4)
    first = places.take(4 * MIB)
    first[:4] = b"held"
    held = first[:4].toreadonly()
    del first
    second = places.take(4 * MIB)
    second[:4] = b"more"
    assert b"held" == held
    del held
    third = places.take(4 * MIB)
    assert b"held" == third[:4]
    assert b"more" == second[:4]
    assert 100 == len(places.take(100))
    assert 4 * MIB + 1 == len(places.take(4 * MIB + 1))


def test_little_is_given_and_not_kept():
    """What is smaller than is worth it takes no more than its own bytes."""
    places = Places(4 * MIB, 8 * MIB, 4)
    assert 100 == len(places.take(100).obj)
    assert not places._kept
    assert 8 * MIB == len(places.take(4 * MIB).obj)
    assert 9 * MIB == len(places.take(9 * MIB).obj)


def test_no_more_are_kept_than_was_said():
    """More at once are given, and go when they are no longer used."""
    places = Places(1_000, 1_000, 2)
    held = [places.take(1_000) for _ in range(5)]
    assert 5 == len({id(view.obj) for view in held})
    assert 2 == len(places._kept)


def test_no_two_threads_get_one_place(monkeypatch):
    """What one has written is there until it lets go, whatever the others take meanwhile."""
    real = module._is_free

    def is_free(place):
        answer = real(place)
        time.sleep(1e-5)  # Others have their turn between the question and what follows from it.
        return answer

    monkeypatch.setattr(module, "_is_free", is_free)
    places, spoiled, start = Places(1_000, 1_000, 4), [], threading.Barrier(4)

    def work(mark):
        start.wait()
        for _ in range(300):
            view = places.take(1_000)
            view[:] = bytes([mark]) * 1_000
            time.sleep(1e-5)
            if view != bytes([mark]) * 1_000:
                spoiled.append(mark)
            del view

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not spoiled
