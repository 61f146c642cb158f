"""Partition: cut a stream into chunks where its content says so (paper 4.1 step 1, "data partition").

FastCDC 2020 (Xia et al.) by pyfastcdc, normalised, with a seeded table: an insertion moves only the
cuts next to it, so the next version of a file shares most of its chunks. Cut points are part of what
makes duplicates meet: they are pinned by golden vectors, and a plain-Python reference checks them.
"""

from collections.abc import Iterator
from typing import Protocol

from pyfastcdc import FastCDC

from hansa.limits import CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, KIB

_NORMAL_BYTES = 46 * KIB
"""The chunker's own "average": what is cut after it is cut more eagerly. Gives a mean of 64-68 KiB."""

_READ_BYTES = 4 * CHUNK_BYTES_MAX
"""How much is read at a time; memory stays below three times this, however long the stream."""


class Reader(Protocol):
    """What `open(path, "rb")` returns, as far as partition needs it."""

    def read(self, size: int, /) -> bytes:
        """Return 1 to `size` bytes, or none at the end."""
        ...


class Partitioner:
    """Cuts streams with one organisation's seed; holds no stream state, so it may be shared."""

    def __init__(self, seed: int) -> None:
        """Take the chunker seed from the organisation's `DedupKeys`, 1 to 2^63 − 1."""
        assert 0 < seed < 1 << 63
        self._chunker = FastCDC(
            _NORMAL_BYTES, min_size=CHUNK_BYTES_MIN, max_size=CHUNK_BYTES_MAX, seed=seed
        )

    def partition(self, reader: Reader) -> Iterator[bytes]:
        """Yield the stream's chunks in order; joined they are the stream. None for an empty one.

        Each has CHUNK_BYTES_MIN to CHUNK_BYTES_MAX bytes, but the last may be shorter. How the reader
        splits its answers does not change the cuts.
        """
        pending = b""
        while True:
            fresh, ended = _read_up(reader, _READ_BYTES)
            pending += fresh
            done = 0
            for chunk in self._chunker.cut_buf(pending):
                # A cut is final only if the chunker could see as far as the longest chunk goes.
                if not ended and len(pending) - chunk.offset < CHUNK_BYTES_MAX:
                    break
                yield bytes(chunk.data)
                done = chunk.offset + chunk.length
            pending = pending[done:]
            if ended:
                assert not pending
                return


def _read_up(reader: Reader, size: int) -> tuple[bytes, bool]:
    """Return up to `size` bytes, however small the reader's answers, and whether that was the end."""
    pieces: list[bytes] = []
    while size > 0:
        piece = reader.read(size)
        if not piece:
            return b"".join(pieces), True
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces), False
