"""Places: large pieces of memory that are used again once nobody holds a view of them.

Fresh memory costs more than filling it: the system clears it page by page.
"""

from collections import deque


class Places:
    """Gives places to write to. Thread-safe: a deque gives and takes in one step."""

    def __init__(self, least: int, usual: int, kept: int) -> None:
        """Say what is asked for.

        Args:
            least: bytes below which a place is not worth keeping.
            usual: bytes that a kept place has at least.
            kept: how many are kept: as many as are in use at once.
        """
        self._least = least
        self._usual = usual
        self._room = kept
        self._kept: deque[bytearray] = deque()

    def take(self, size: int) -> memoryview:
        """Return a place of `size` bytes, with anything in it; it is the caller's while a view is."""
        if size < self._least:
            return memoryview(bytearray(size))
        # Who looks at a place has taken it out: no two see the same one free.
        for _ in range(len(self._kept)):
            try:
                place = self._kept.popleft()
            except IndexError:
                break
            view = None
            if len(place) >= size and _is_free(place):
                view = memoryview(place)[:size]
            self._kept.append(place)
            if view is not None:
                return view
        made = bytearray(max(size, self._usual))
        # Before others can see it: a place without a view is anybody's.
        view = memoryview(made)[:size]
        if self._room > 0:
            self._room -= 1
            self._kept.append(made)
        return view


def _is_free(place: bytearray) -> bool:
    """Tell whether no view of some bytes is left: while there is one, their length is fixed."""
    try:
        place.append(place.pop())
    except BufferError:
        return False
    return True
