"""Partition: cut a stream into chunks where its content says so (paper 4.1 step 1, "data partition").

FastCDC 2020 (Xia et al.) by pyfastcdc, normalised, with a seeded table: an insertion moves only the
cuts next to it, so the next version of a file shares most of its chunks. Cut points are part of what
makes duplicates meet: they are pinned by golden vectors, and a plain-Python reference checks them.
"""

from collections.abc import Iterator
from typing import Protocol, cast

from pyfastcdc import FastCDC

from hansa.data.places import Places
from hansa.limits import CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, KIB, MIB

_NORMAL_BYTES = 46 * KIB
"""The chunker's own "average": what is cut after it is cut more eagerly. Gives a mean of 64-68 KiB."""

_READ_BYTES = 4 * MIB
"""How much is read at a time, and the memory that chunks of one reading share."""
_READ_BYTES_MIN = MIB // 2
_PLACES_KEPT = 14
"""As many as a pipeline has in use at once."""


class Reader(Protocol):
    """What `open(path, "rb")` returns, as far as partition needs it; may have `readinto` too."""

    def read(self, size: int, /) -> bytes:
        """Return 1 to `size` bytes, or none at the end."""
        ...


class Filler(Protocol):
    """A stream that fills a given place."""

    def readinto(self, place: memoryview, /) -> int:
        """Write 1 to len(place) bytes to its start and return how many; 0 at the end."""
        ...


class Partitioner:
    """Cuts streams with one organisation's seed, one at a time."""

    def __init__(self, seed: int) -> None:
        """Take the chunker seed from the organisation's `DedupKeys`, 1 to 2^63 − 1."""
        assert 0 < seed < 1 << 63
        self._chunker = FastCDC(
            _NORMAL_BYTES, min_size=CHUNK_BYTES_MIN, max_size=CHUNK_BYTES_MAX, seed=seed
        )
        self._places = Places(_READ_BYTES, _READ_BYTES + CHUNK_BYTES_MAX, _PLACES_KEPT)

    def partition(
        self, stream: Reader | Filler, size_hint: int = _READ_BYTES
    ) -> Iterator[memoryview]:
        """Yield the stream's chunks in order; joined they are the stream. None for an empty one.

        Each has CHUNK_BYTES_MIN to CHUNK_BYTES_MAX bytes, but the last may be shorter. How the stream
        splits its answers does not change the cuts. The chunks are read-only views of memory that
        holds up to 4 MiB of the stream: nobody copies them, and it goes with the last of them.

        Args:
            stream: what is cut.
            size_hint: about how long it is: a short one takes no room for a long one.
        """
        fill = as_filler(stream)
        # One byte more than a stream of the hinted length has: so its end is seen at once.
        size = min(_READ_BYTES, max(_READ_BYTES_MIN, size_hint + 1))
        rest = memoryview(b"")
        while True:
            buffer = self._places.take(len(rest) + size)
            buffer[: len(rest)] = rest
            filled, ended = _fill_up(fill, buffer, len(rest))
            pending = buffer[:filled].toreadonly()
            done = 0
            for chunk in self._chunker.cut_buf(pending):
                # A cut is final only if the chunker could see as far as the longest chunk goes.
                if not ended and filled - chunk.offset < CHUNK_BYTES_MAX:
                    break
                done = chunk.offset + chunk.length
                yield pending[chunk.offset : done]
            rest = pending[done:]
            if ended:
                assert not rest
                return


def as_filler(stream: Reader | Filler) -> Filler:
    """Return a stream as one that fills a given place; a reader without `readinto` costs a copy."""
    # Asked by name: `isinstance` of a protocol would cost more than reading a small file.
    if hasattr(stream, "readinto"):
        return cast("Filler", stream)
    return _Copying(stream)


class _Copying:
    """Gives a reader what it lacks."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def readinto(self, place: memoryview, /) -> int:
        """Write what one reading gives."""
        data = self._reader.read(len(place))
        place[: len(data)] = data
        return len(data)


def _fill_up(fill: Filler, buffer: memoryview, at: int) -> tuple[int, bool]:
    """Fill a buffer from `at`, however small the answers; return its fill, and whether that was the end."""
    while at < len(buffer):
        count = fill.readinto(buffer[at:])
        if not count:
            return at, True
        at += count
    return at, False
