"""Chooser: which dictionary the new chunks of a version are compressed with.

Upon a known chunk, the dictionary that it came with: what lies around it is like it. Otherwise one that
is trained on the content at hand, now and then, and kept only if it shrinks some chunks there clearly better
than what was used until then; where it does not, the next attempt is put off longer and longer.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from hansa.data.compression import PLAIN_PACKER, Packer
from hansa.data.dictionary import EDGE_BYTES, TRAINED_BYTES_MIN, train_dictionary
from hansa.data.known import Dictionary
from hansa.limits import CHUNK_BYTES_MAX, DICTIONARY_EVERY_BYTES, MIB
from hansa.types import ChunkId

_FIRST_BYTES = MIB
"""So much is new before anything is trained."""
_WAIT_BYTES_MAX = 16 * DICTIONARY_EVERY_BYTES
_TRIED_CHUNKS = 4


@dataclass(frozen=True, slots=True)
class Proposal:
    """A dictionary that is worth its room, not yet sealed."""

    pieces: tuple[bytes, ...]
    """What it is stored as: chunks, in order."""
    covers: tuple[tuple[ChunkId, ...], ...]
    """Chunks of the content at hand, side by side, that have all it keeps."""

    @property
    def plain(self) -> bytes:
        """Its bytes."""
        return b"".join(self.pieces)


class DictionaryChooser:
    """Holds the packer for new chunks, and says when to change it."""

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        """Begin without a dictionary."""
        self.packer: Packer = PLAIN_PACKER
        self._random_bytes = random_bytes
        self._new_bytes = 0
        self._due_bytes = _FIRST_BYTES
        self._wait_bytes = DICTIONARY_EVERY_BYTES

    def adopt(self, dictionary: Dictionary) -> None:
        """Compress with a dictionary from here on, if it is open."""
        if dictionary.plain and dictionary.id != self.packer.dictionary_id:
            self.packer = Packer(dictionary.plain, dictionary.id)
            self._new_bytes, self._due_bytes = 0, DICTIONARY_EVERY_BYTES

    def propose(
        self, chunks: Sequence[memoryview], chunk_ids: Sequence[ChunkId], new_bytes: int
    ) -> Proposal | None:
        """Return a better dictionary, if one is due and there is one.

        Args:
            chunks: content at hand, side by side.
            chunk_ids: theirs.
            new_bytes: how much of it is to be compressed.
        """
        self._new_bytes += new_bytes
        is_enough = sum(map(len, chunks)) >= TRAINED_BYTES_MIN
        if not is_enough or self._new_bytes < self._due_bytes:
            return None
        proposal = self._train(chunks, chunk_ids)
        self._wait_bytes = (
            DICTIONARY_EVERY_BYTES if proposal else min(2 * self._wait_bytes, _WAIT_BYTES_MAX)
        )
        self._new_bytes, self._due_bytes = 0, self._wait_bytes
        return proposal

    def _train(self, chunks: Sequence[memoryview], chunk_ids: Sequence[ChunkId]) -> Proposal | None:
        bounds = [0, *accumulate(map(len, chunks))]
        near = chunks[: bisect_left(bounds, 2 * TRAINED_BYTES_MIN)]
        tried = [near[at * len(near) // _TRIED_CHUNKS] for at in range(_TRIED_CHUNKS)]
        # The first ones may hold the dictionary itself.
        tried = [*tried[1:], near[-1]]
        if all(PLAIN_PACKER.is_noise(chunk) for chunk in tried):
            return None
        # It looks at no more than the least it asks for; what lies behind need not be joined.
        looked_at = chunks[: bisect_left(bounds, TRAINED_BYTES_MIN)]
        trained = train_dictionary(b"".join(looked_at), self._random_bytes(2 * EDGE_BYTES))
        if trained is None:
            return None
        packer = Packer(trained.plain)
        if _packed_bytes(packer, tried) > 15 * _packed_bytes(self.packer, tried) // 16:
            return None
        covers = tuple(
            tuple(chunk_ids[bisect_right(bounds, start) - 1 : bisect_left(bounds, stop)])
            for start, stop in trained.covers
        )
        pieces = tuple(
            trained.plain[at : at + CHUNK_BYTES_MAX]
            for at in range(0, len(trained.plain), CHUNK_BYTES_MAX)
        )
        return Proposal(pieces, covers)


def _packed_bytes(packer: Packer, chunks: Sequence[memoryview]) -> int:
    return sum(len(packer.pack(chunk) or chunk) for chunk in chunks)
