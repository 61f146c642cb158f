"""Restoring as the peers do, without a sync: all cores read, verify, open and write; each file is judged.

A worker takes a window of the stream, reads its sealed chunks at once, and opens and writes them piece by
piece while they are in its core's cache. Pieces are written in any order; those of files that lie in
several are digested in the stream's order afterwards, window by window.
"""

import os
import threading
from bisect import bisect_right
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import repository
from blake3 import blake3

from hansa import limits
from hansa.data.layout import ContentLayout, Window

PIECE_BYTES = 512 * limits.KIB
"""Opened, written and digested at once: it stays in the nearer cache."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
Piece = tuple[int, memoryview]
"""Where it begins in the plain stream, and its bytes."""


def restore_plainly(
    opened: repository.Repository,
    version: repository.Version,
    layout: ContentLayout,
    output: Path,
    threads: int,
) -> None:
    """Write all files of a version below a folder.

    Raises:
        AssertionError: a file is not as published.
        HansaError: a chunk is damaged or gone.
    """
    root, read = bytes.fromhex(version.root), opened.versions.read_content
    files, turns = _Files(output, layout), _Turns(layout)

    def work() -> None:
        while (taken := turns.take()) is not None:
            number, window = taken
            sealed = [read(root, wanted.offset, wanted.length) for wanted in window.ranges]
            pieces: list[Piece] = []
            for piece in layout.gather_pieces(window, sealed, PIECE_BYTES):
                files.write(*piece)
                pieces.append(piece)
            turns.wait(number)
            for piece in pieces:
                files.judge(*piece)
            turns.end(number)

    def work_or_fail() -> None:
        try:
            work()
        except BaseException:
            turns.fail()
            raise

    with ThreadPoolExecutor(threads) as workers:
        for done in [workers.submit(work_or_fail) for _ in range(threads)]:
            done.result()
    files.make_empty()


class _Turns:
    """Gives windows out in order, and lets those who are ready go on in that order."""

    def __init__(self, layout: ContentLayout) -> None:
        self._windows = enumerate(layout.plan(0, layout.plain_bytes))
        self._changed = threading.Condition()
        self._turn = 0
        self._is_failed = False

    def take(self) -> tuple[int, Window] | None:
        """Return the next window and its number; None at the end, or if somebody failed."""
        with self._changed:
            return None if self._is_failed else next(self._windows, None)

    def wait(self, number: int) -> None:
        """Return when all windows before this one have ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_failed or self._turn == number)
            if self._is_failed:
                raise RuntimeError("Another worker failed.")

    def end(self, number: int) -> None:
        """Let the next one go on."""
        with self._changed:
            self._turn = number + 1
            self._changed.notify_all()

    def fail(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._is_failed = True
            self._changed.notify_all()


class _Files:
    """Files on their way; several workers write them."""

    def __init__(self, output: Path, layout: ContentLayout) -> None:
        self._output = str(output)
        self._entries = layout.contents.files
        self._starts = [layout.file_range(index)[0] for index in range(len(self._entries))]
        self._folders: set[str] = set()
        self._opening = threading.Lock()
        self._parted: dict[int, tuple[int, blake3]] = {}
        """Descriptor and digest of each file that lies in several pieces, until its last one."""

    def write(self, start: int, plain: memoryview) -> None:
        """Write a piece, in any order; a file that lies in it whole is judged, too."""
        for index, begin, part in self._parts(start, plain):
            entry = self._entries[index]
            if len(part) < entry.size:
                with self._opening:
                    if index not in self._parted:
                        self._parted[index] = (self._create(entry.name), blake3())
                _write(self._parted[index][0], part, begin)
                continue
            assert blake3(part).digest() == entry.digest, f"{entry.name} is not as published"
            descriptor = self._create(entry.name)
            try:
                _write(descriptor, part, 0)
            finally:
                os.close(descriptor)

    def judge(self, start: int, plain: memoryview) -> None:
        """Digest a piece that was written; one after the other, in the stream's order."""
        for index, begin, part in self._parts(start, plain):
            entry = self._entries[index]
            if len(part) == entry.size:
                continue
            descriptor, state = self._parted[index]
            state.update(part)
            if begin + len(part) == entry.size:
                os.close(descriptor)
                del self._parted[index]
                assert state.digest() == entry.digest, f"{entry.name} is not as published"

    def make_empty(self) -> None:
        """Make the files that have no bytes."""
        for entry in self._entries:
            if not entry.size:
                os.close(self._create(entry.name))

    def _parts(self, start: int, plain: memoryview) -> Iterator[tuple[int, int, memoryview]]:
        """Yield number, first byte in it, and bytes of each file that a piece has bytes of."""
        stop = start + len(plain)
        index = bisect_right(self._starts, start) - 1
        while index < len(self._starts) and self._starts[index] < stop:
            first = self._starts[index]
            begin, end = max(start, first), min(stop, first + self._entries[index].size)
            if begin < end:
                yield index, begin - first, plain[begin - start : end - start]
            index += 1

    def _create(self, name: str) -> int:
        path = f"{self._output}/{name}"
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
        return os.open(path, _NEW, 0o666)


def _write(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
