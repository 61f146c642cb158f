"""Windows: stretches of a version's plain stream, fetched ahead, opened by workers, given in order.

A window's sealed ranges that lie near each other are asked for at once: a gap costs less than another
call. Several windows are on their way while the one before is opened and taken; how many is bounded,
and so is memory. What cannot be read is told when its turn comes, narrowed to the files that are
hurt, so that whoever takes can go on with the rest.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hansa import limits
from hansa.client.session import Session
from hansa.client.transfers import one_failure
from hansa.client.versions import OpenVersion
from hansa.data.layout import ContentLayout, SealedRange, Window
from hansa.errors import CorruptError, HansaError, MissingError

T = TypeVar("T")
Span = tuple[int, int]
"""First plain byte of a stretch, and the one after its last."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Plain bytes whose chunks were authenticated."""

    start: int
    stop: int
    pieces: Sequence[bytes] | Sequence[memoryview]
    """Joined they are the bytes from `start` to `stop`."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A stretch that cannot be had, though the others may."""

    start: int
    stop: int
    error: HansaError


Take = Callable[[Opened | Unreadable], Awaitable[None]]
IsWanted = Callable[[int, int], bool]
LOCAL_FAILURES = (CorruptError, MissingError)
"""Failures of one place of a version; any other concerns them all and ends the reading."""
_INLINE_BYTES_MAX = 2 * limits.CHUNK_BYTES_MAX
"""So little is opened on the event loop: handing it to a worker would take longer than the work."""


class Windows:
    """One open version's plain stream, read in windows."""

    def __init__(self, session: Session, opened: OpenVersion, *, is_gathered: bool = False) -> None:
        """Take an open version.

        Args:
            session: of who may read.
            opened: the version.
            is_gathered: give each window as one view of memory that is used again once nobody holds
                it: cheaper for whoever writes it away at once.
        """
        self.opened = opened
        self.layout = ContentLayout(opened.contents)
        self._session = session
        self._is_gathered = is_gathered
        self._path = f"/v1/datasets/{opened.dataset.id}/versions/{opened.version.number}/content"
        self._slots = asyncio.Semaphore(limits.CLIENT_RANGES_IN_FLIGHT_MAX)

    async def stream(
        self, spans: Iterable[Span], take: Take, is_wanted: IsWanted = lambda _start, _stop: True
    ) -> None:
        """Give the plain bytes of `spans`, in their order, to `take`, one window after the other.

        Args:
            spans: what to read.
            take: awaited for each part in turn.
            is_wanted: asked before a window is fetched: what `take` learned may spare it.

        Raises:
            HansaError: the node cannot be reached, or refuses; what was taken before is sound.
        """
        ahead: deque[asyncio.Task[list[Opened | Unreadable] | HansaError]] = deque()

        async def take_next() -> None:
            done = await ahead.popleft()
            if isinstance(done, HansaError):
                raise done
            for part in done:
                await take(part)

        with one_failure():
            async with asyncio.TaskGroup() as group:
                for span in spans:
                    for window in self.layout.plan(*span):
                        if not is_wanted(window.start, window.stop):
                            continue
                        ahead.append(group.create_task(self._try(window)))
                        if len(ahead) == limits.CLIENT_WINDOWS_IN_FLIGHT_MAX:
                            await take_next()
                while ahead:
                    await take_next()

    async def read(self, window: Window) -> list[bytes]:
        """Fetch and open one window; return its plain bytes in pieces.

        Raises:
            CorruptError, MissingError: a chunk of it is damaged or gone.
            HansaError: as the node answered.
        """
        parts = await self._get_all(window)
        return await self._run(window, lambda: list(self.layout.assemble(window, parts)))

    async def gather(self, window: Window) -> list[memoryview]:
        """Fetch and open one window to memory that is used again once nobody holds a view of it.

        Raises:
            HansaError: as `read`.
        """
        parts = await self._get_all(window)
        return await self._run(window, lambda: [self.layout.gather(window, parts)])

    async def _run(self, window: Window, open_all: Callable[[], T]) -> T:
        """Have a worker open a window, unless that takes longer than to do it here."""
        if window.stop - window.start <= _INLINE_BYTES_MAX and len(window.positions) <= 3:
            return open_all()
        return await self._session.workers.run(open_all)

    async def _get_all(self, window: Window) -> list[bytes]:
        """Fetch a window's sealed ranges; return the bytes of each."""
        joins = list(join_near(window.ranges))
        if len(joins) == 1:
            answers = [await self._get(joins[0])]
        else:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._get(join)) for join in joins]
            answers = [task.result() for task in tasks]
        return [part for answer in answers for part in answer]

    async def _get(self, join: list[SealedRange]) -> list[bytes]:
        """Fetch ranges that lie near each other with one call; return the bytes of each."""
        start, stop = join[0].offset, join[-1].offset + join[-1].length
        async with self._slots:
            data = await self._session.transport.get_range(self._path, start, stop - start)
        if len(join) == 1:
            return [data]
        return [data[wanted.offset - start :][: wanted.length] for wanted in join]

    async def _try(self, window: Window) -> list[Opened | Unreadable] | HansaError:
        """Read a window; a failure is told when its turn comes, so that those before it are kept."""
        try:
            with one_failure():
                get = self.gather if self._is_gathered else self.read
                return [Opened(window.start, window.stop, await get(window))]
        except LOCAL_FAILURES as error:
            return await self._narrow(window, error)
        except HansaError as error:
            return error

    async def _narrow(
        self, window: Window, error: HansaError
    ) -> list[Opened | Unreadable] | HansaError:
        """Read the halves of a window that cannot be read, down to one file or one chunk."""
        if len(window.positions) == 1 or self._is_of_one_file(window):
            return [Unreadable(window.start, window.stop, error)]
        middle = (window.start + window.stop) // 2
        found: list[Opened | Unreadable] = []
        for span in ((window.start, middle), (middle, window.stop)):
            for half in self.layout.plan(*span):
                done = await self._try(half)
                if isinstance(done, HansaError):
                    return done
                found.extend(done)
        return found

    def _is_of_one_file(self, window: Window) -> bool:
        """Tell whether all bytes of a window belong to one file."""
        files = range(len(self.opened.contents.files))
        after = bisect_right(
            files, window.start, key=lambda index: self.layout.file_range(index)[0]
        )
        return window.stop <= self.layout.file_range(after - 1)[1]


def join_near(
    ranges: Sequence[SealedRange], gap_bytes_max: int = limits.CLIENT_GAP_BYTES_MAX
) -> Iterable[list[SealedRange]]:
    """Yield runs of ranges, in order of offset, that one call fetches with the gaps between them."""
    run: list[SealedRange] = []
    for wanted in ranges:
        end = wanted.offset + wanted.length
        is_near = (
            run
            and wanted.offset - (run[-1].offset + run[-1].length) <= gap_bytes_max
            and end - run[0].offset <= limits.CONTENT_RANGE_BYTES_MAX
        )
        if run and not is_near:
            yield run
            run = []
        run.append(wanted)
    if run:
        yield run
