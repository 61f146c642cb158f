"""How much of its own users' a node has under way at once; who comes when that is enough waits unread.

A transaction under way is told to each next master until a block takes it: the longer the queue, the more
often. So what is beyond some blocks' worth waits here as the bytes that came, in order, and costs nothing
until there is room; what cannot wait is refused at once. Counterpart: `driver`, which tells how many are under way.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from hansa import limits
from hansa.errors import UnavailableError


class Admission:
    """The queue before the agreement."""

    def __init__(self, unsettled: Callable[[], int]) -> None:
        """Begin with nobody waiting.

        Args:
            unsettled: returns how many own users' transactions are under way.
        """
        self._unsettled = unsettled
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._waiting_bytes = 0
        self._entering = False
        """Whether somebody was let in who has not taken up the room yet."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def _has_room(self) -> bool:
        return not self._entering and self._unsettled() < limits.SUBMISSIONS_UNDER_WAY_MAX

    async def wait_for_room(self, size: int, wait_ms: int) -> None:
        """Return when there is room, in the order of asking; the caller then submits before it awaits.

        A cancel leaves the queue as if nobody had asked.

        Args:
            size: bytes that are held meanwhile.
            wait_ms: how long it may take.

        Raises:
            UnavailableError: there is no room for now; the call can come again.
        """
        if not self._waiting and self._has_room:
            return
        if self._waiting_bytes + size > limits.SUBMISSIONS_WAITING_BYTES_MAX:
            raise _busy()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._waiting_bytes += size
        try:
            async with asyncio.timeout(wait_ms / 1000):
                await turn
        except TimeoutError as error:
            raise _busy() from error
        finally:
            self._waiting_bytes -= size
            if turn.done() and not turn.cancelled():
                self._entering = False
            else:
                self._waiting.remove(turn)

    def let_in(self) -> None:
        """Let in who waits longest, if there is room: one at a time, for each takes up room."""
        while self._waiting and self._has_room:
            turn = self._waiting[0]
            if turn.done():
                return  # Cancelled a moment ago: it is about to leave the queue by itself.
            del self._waiting[0]
            self._entering = True
            turn.set_result(None)


def _busy() -> UnavailableError:
    return UnavailableError(
        "Too many transactions wait at this node.", remedy="Try again in a second."
    )
