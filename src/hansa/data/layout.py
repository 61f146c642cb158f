"""Content layout: from a range of the plain stream to the sealed bytes to fetch, and back.

A version's *content* is its sealed chunks joined in directory order; a reader asks for ranges of it by
offset and never learns where they lie. Windows keep memory bounded; neighbouring chunks are fetched
with one range; every chunk is verified as it is opened.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from blake3 import blake3

from hansa.data.chunk import compute_dictionary_id, open_chunk, open_chunk_into
from hansa.data.columns import (
    few_u32,
    read_u16,
    running_sums,
    running_sums_u32,
    running_sums_u64,
    unpack_u32,
)
from hansa.data.compression import PLAIN_UNPACKER, Unpacker
from hansa.data.manifest import ContentChunk, Contents
from hansa.data.places import Places
from hansa.errors import CorruptError, InvalidError
from hansa.limits import CLIENT_WINDOWS_IN_FLIGHT_MAX, CONTENT_RANGE_BYTES_MAX, MIB

Fetch = Callable[[int, int], bytes]
"""fetch(offset, length) -> exactly `length` sealed bytes of the content."""

_WINDOW_PLAIN_BYTES = 8 * MIB
_PLACES_KEPT = CLIENT_WINDOWS_IN_FLIGHT_MAX + 2
_DICTIONARIES_OPEN_MAX = 32
"""Kept ready, the newest first; some 700 KiB each."""


@dataclass(frozen=True, slots=True)
class SealedRange:
    """Neighbouring chunks, fetched at once."""

    offset: int
    """In the content, from 0."""
    length: int
    """At most CONTENT_RANGE_BYTES_MAX."""
    chunks: range
    """Which of the listed chunks."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the plain stream small enough to hold in memory."""

    start: int
    """First plain byte wanted."""
    stop: int
    """After the last plain byte wanted."""
    positions: range
    """Which places of the sequence it covers."""
    ranges: tuple[SealedRange, ...]
    """What to fetch for it, in order of offset."""
    unpackers: Mapping[int, Unpacker]
    """Of dictionaries that were open when it was planned; others it needs are in `ranges`."""


class _Fetched:
    """What was fetched for a window, chunk by chunk."""

    def __init__(self, window: Window, fetched: list[bytes], offsets: "array[int]") -> None:
        """Take the bytes of each of its ranges, and where each chunk starts in the content.

        Raises:
            CorruptError: a range is short.
        """
        for wanted, data in zip(window.ranges, fetched, strict=True):
            if len(data) != wanted.length:
                raise CorruptError("A range of the content came back with another length.")
        self._offsets = offsets
        self._ranges = window.ranges
        self._firsts = [wanted.chunks.start for wanted in window.ranges]
        self._fetched = [memoryview(data) for data in fetched]

    def of(self, index: int) -> memoryview:
        """Return the sealed bytes of a chunk."""
        at = bisect_right(self._firsts, index) - 1
        begin = self._ranges[at].offset
        return self._fetched[at][self._offsets[index] - begin : self._offsets[index + 1] - begin]


class ContentLayout:
    """Offsets of one version's chunks and files."""

    def __init__(self, contents: Contents) -> None:
        """Take contents that were validated (as `open_contents` does)."""
        self.contents = contents
        self._chunks, self._sequence = contents.chunks, contents.sequence
        self._sealed = running_sums_u32(contents.sealed_lengths)
        self._plain = _sum_places(contents)
        self._files = running_sums_u64(contents.file_sizes)
        self._used, self._dictionaries = contents.chunk_dictionaries, contents.dictionaries
        self._open: tuple[tuple[int, Unpacker], ...] = ()
        self._memory = Places(_WINDOW_PLAIN_BYTES // 2, _WINDOW_PLAIN_BYTES, _PLACES_KEPT)

    @property
    def sealed_bytes(self) -> int:
        """Return the length of the content."""
        return self._sealed[-1]

    @property
    def plain_bytes(self) -> int:
        """Return the length of the plain stream."""
        return self._plain[-1]

    def file_range(self, index: int) -> tuple[int, int]:
        """Return where file `index` starts and stops in the plain stream."""
        return self._files[index], self._files[index + 1]

    def plan(self, start: int, stop: int) -> Iterator[Window]:
        """Yield windows that cover plain bytes `start` to `stop`, in order.

        Raises:
            InvalidError: the range lies outside the stream.
        """
        if not 0 <= start <= stop <= self.plain_bytes:
            raise InvalidError(f"Bytes {start} to {stop} lie outside of the content.")
        while start < stop:
            first = bisect_right(self._plain, start) - 1
            last, sealed = first, 0
            wanted: set[int] = set()
            unpackers = dict(self._open)
            while last < len(self._sequence) and self._plain[last] < stop:
                index = self._sequence[last]
                length = self._sealed[index + 1] - self._sealed[index]
                more = 0 if index in wanted else length
                plain = self._plain[last + 1] - self._plain[first]
                if last > first and (
                    sealed + more > CONTENT_RANGE_BYTES_MAX or plain > _WINDOW_PLAIN_BYTES
                ):
                    break
                wanted.add(index)
                sealed += more
                last += 1
            end = min(stop, self._plain[last])
            for number in {read_u16(self._used, index) for index in wanted} - {0, *unpackers}:
                wanted.update(self._dictionaries[number - 1].chunks)
            yield Window(start, end, range(first, last), self._join(wanted), unpackers)
            start = end

    def assemble(self, window: Window, fetched: list[bytes]) -> Iterator[bytes]:
        """Open what was fetched for a window and yield its plain bytes in order.

        Args:
            window: as planned.
            fetched: the bytes of each of its ranges.

        Raises:
            CorruptError: a range is short, or a chunk does not open.
        """
        sealed = _Fetched(window, fetched, self._sealed)
        opened: dict[int, bytes] = {}
        unpackers = {0: PLAIN_UNPACKER, **window.unpackers}
        for position in window.positions:
            base, index = self._plain[position], self._sequence[position]
            if index not in opened:
                chunk = self._chunks[index]
                unpacker = self._unpacker(chunk.dictionary, unpackers, sealed)
                opened[index] = _open_chunk(chunk, sealed.of(index), unpacker)
            yield opened[index][max(0, window.start - base) : window.stop - base]

    def gather(self, window: Window, fetched: list[bytes]) -> memoryview:
        """Open what was fetched for a window to one piece of memory; return its plain bytes.

        The memory is used again for another window once nobody holds a view of it.

        Args:
            window: as planned.
            fetched: the bytes of each of its ranges.

        Raises:
            CorruptError: as `assemble`.
        """
        ((_, whole),) = self.gather_pieces(window, fetched, window.stop - window.start)
        return whole

    def gather_pieces(
        self, window: Window, fetched: list[bytes], piece_bytes: int
    ) -> Iterator[tuple[int, memoryview]]:
        """Open what was fetched for a window to memory that is used again; yield it as it is opened.

        Whoever takes each piece at once finds it in the processor's cache. All pieces lie in one
        place, which is another window's once nobody holds a view of it.

        Args:
            window: as planned.
            fetched: the bytes of each of its ranges.
            piece_bytes: plain bytes that a piece has at least, but for the last.

        Yields:
            The first plain byte's place in the stream, and a read-only view; in order.

        Raises:
            CorruptError: as `assemble`; what was yielded before is sound.
        """
        base = self._plain[window.positions.start]
        whole = self._memory.take(self._plain[window.positions.stop] - base)
        sealed = _Fetched(window, fetched, self._sealed)
        opened: dict[int, memoryview] = {}
        unpackers = {0: PLAIN_UNPACKER, **window.unpackers}
        start = window.start
        for position in window.positions:
            index, stop = self._sequence[position], self._plain[position + 1]
            place = whole[self._plain[position] - base : stop - base]
            if index in opened:
                place[:] = opened[index]
            else:
                chunk = self._chunks[index]
                unpacker = self._unpacker(chunk.dictionary, unpackers, sealed)
                open_chunk_into(chunk.chunk, sealed.of(index), chunk.key, place, unpacker)
                opened[index] = place
            stop = min(stop, window.stop)
            if stop - start >= piece_bytes or stop == window.stop:
                yield start, whole[start - base : stop - base].toreadonly()
                start = stop

    def read(self, start: int, stop: int, fetch: Fetch) -> Iterator[bytes]:
        """Yield plain bytes `start` to `stop`, fetching window by window.

        Raises:
            InvalidError: outside of the stream.
            CorruptError: what was fetched is not what the manifest names.
        """
        for window in self.plan(start, stop):
            fetched = [fetch(wanted.offset, wanted.length) for wanted in window.ranges]
            yield from self.assemble(window, fetched)

    def read_file(self, index: int, fetch: Fetch) -> Iterator[bytes]:
        """Yield a whole file's bytes; the digest is judged after the last.

        Raises:
            CorruptError: as `read`, or the file as a whole is not the one published.
        """
        state = blake3()
        for part in self.read(*self.file_range(index), fetch):
            state.update(part)
            yield part
        if state.digest() != self.contents.files[index].digest:
            raise CorruptError(f"File {self.contents.files[index].name!r} is not as published.")

    def _unpacker(self, number: int, known: dict[int, Unpacker], sealed: _Fetched) -> Unpacker:
        """Return what opens chunks of a dictionary; made of its chunks, it is kept for other windows.

        Args:
            number: 0 for none, or 1 + the dictionary's.
            known: those at hand; it is added.
            sealed: has the dictionary's chunks, if it is not at hand.
        """
        unpacker = known.get(number)
        if unpacker is None:
            chunks = self._dictionaries[number - 1].chunks
            plain = b"".join(
                _open_chunk(self._chunks[index], sealed.of(index), PLAIN_UNPACKER)
                for index in chunks
            )
            named = compute_dictionary_id(self._chunks[index].chunk for index in chunks)
            known[number] = unpacker = Unpacker(plain, named)
            # One assignment: several threads may do this at the same time, and one of them wins.
            self._open = ((number, unpacker), *self._open)[:_DICTIONARIES_OPEN_MAX]
        return unpacker

    def _join(self, wanted: set[int]) -> tuple[SealedRange, ...]:
        """Join neighbouring chunks into ranges of at most CONTENT_RANGE_BYTES_MAX."""
        ranges: list[SealedRange] = []
        for index in sorted(wanted):
            offset, end = self._sealed[index], self._sealed[index + 1]
            last = ranges[-1] if ranges else None
            joins = last is not None and last.chunks.stop == index
            if last is not None and joins and end - last.offset <= CONTENT_RANGE_BYTES_MAX:
                ranges[-1] = SealedRange(
                    last.offset, end - last.offset, range(last.chunks.start, index + 1)
                )
            else:
                ranges.append(SealedRange(offset, end - offset, range(index, index + 1)))
        return tuple(ranges)


def _sum_places(contents: Contents) -> "array[int]":
    """Return where each place of the plain stream starts, and the stream's end."""
    few, lengths = few_u32(contents.places), few_u32(contents.plain_lengths)
    if few is not None and lengths is not None:
        return running_sums([lengths[place] for place in few])
    return running_sums(unpack_u32(contents.plain_lengths)[unpack_u32(contents.places)])


def _open_chunk(chunk: ContentChunk, sealed: memoryview, unpacker: Unpacker) -> bytes:
    return open_chunk(chunk.chunk, sealed, chunk.key, chunk.plain_bytes, unpacker)
