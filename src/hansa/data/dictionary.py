"""Training of dictionaries: what a stretch of content repeats, for each chunk to be compressed with.

A chunk of 64 KiB repeats little in itself; much of it repeats what its neighbours hold, at one and the
same distance where the content is a table. A dictionary is a piece of content, as long as that distance,
with everything blanked out (`FILLER`) that is not the same at other places too; what is kept stays where
it was, so that it is found at one distance again.

A dictionary is content, and the promise is that erasing a version makes its content unreadable. So
it is cut into *cells* of 64 bytes, and a *cover* of it is a stretch of content in which what every cell
keeps occurs, at equal spacing. A version may list a dictionary only with a cover in its own content:
whoever can read the dictionary through it reads nothing that the version itself does not hold.

Form: 16 random bytes, cells, 16 random bytes: neither half of it, stored as a chunk, is ever equal to
another chunk.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hansa.crypto.sealing import Buffer
from hansa.limits import DICTIONARY_BYTES_MAX, KIB

EDGE_BYTES = 16
CELL_BYTES = 64
FILLER = 0x30
"""Blanked bytes become this; a zero, as it is what stands in for digits best. A kept byte of this value
is as good as blanked: it tells nothing."""
BODY_BYTES_MAX = DICTIONARY_BYTES_MAX - CELL_BYTES
"""Edges and cells stay below the bound."""
TRAINED_BYTES_MIN = 2 << 20
"""Shorter content is not worth a dictionary."""

_WORD_BYTES = 8
_SAMPLED_BITS = 4
"""One word in 2^this is looked at, chosen by the word itself."""
_MIXED_AT_ONCE = 1 << 15
_SLOT_BITS = 17
_NEAR_BYTES = 64 * KIB
"""What repeats nearer than this, a chunk finds in itself."""
_BIN_BYTES = 4 * KIB
_REPEATS_MIN = 32
"""Fewer sampled words that come again are chance."""
_KEPT_BYTES_MIN = 16
"""A cell that keeps less is blanked."""
_CELLS_MIN = 64
"""A dictionary of fewer useful cells is none."""
_OTHERS = 2
"""How many other places must have what a cell keeps; each is a cover."""

_MIX = np.uint64(0x9E37_79B9_7F4A_7C15)
_SAMPLED_BELOW = np.uint64(1 << (64 - _SAMPLED_BITS))
Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Kept = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Trained:
    """A dictionary, and where in the content it was trained on its covers lie."""

    plain: bytes
    """At most DICTIONARY_BYTES_MAX bytes."""
    covers: tuple[tuple[int, int], ...]
    """First byte of each, and the one after its last."""


def train_dictionary(content: Buffer, edges: bytes) -> Trained | None:
    """Return what a stretch of content repeats, or None if that is not much.

    Args:
        content: TRAINED_BYTES_MIN and more.
        edges: 32 random bytes.
    """
    assert len(edges) == 2 * EDGE_BYTES
    assert len(content) >= TRAINED_BYTES_MIN
    data = np.frombuffer(content, np.uint8)
    length = _find_period(data)
    if length is None:
        return None
    base = data[:length]
    cells = base.reshape(-1, CELL_BYTES)
    index = _Words(base)
    kept = cells != FILLER
    covers = [(0, length)]
    # A period further on, everything has come by once again.
    width = length + length // 8
    for start in range(length, 1 + _OTHERS * length, length):
        kept &= index.agree(data[start : start + width])
        covers.append((start, start + width))
    kept[kept.sum(axis=1) < _KEPT_BYTES_MIN] = False
    if kept.any(axis=1).sum() < _CELLS_MIN:
        return None
    masked = np.where(kept, cells, np.uint8(FILLER)).tobytes()
    return Trained(edges[:EDGE_BYTES] + masked + edges[EDGE_BYTES:], tuple(covers))


def _find_period(data: Bytes) -> int | None:
    """Return after how many bytes words come again, some more, in whole cells."""
    near, far = data[:_NEAR_BYTES], data[_NEAR_BYTES : 2 * BODY_BYTES_MAX]
    index = _Words(near)
    places, found = index.places_of(far)
    if len(found) < _REPEATS_MIN:
        return None
    # Each word once, at the first place where it comes again.
    words, first = np.unique(found, return_index=True)
    if len(words) < _REPEATS_MIN:
        return None
    distances = places[first] + _NEAR_BYTES - words
    counts = np.bincount(distances // _BIN_BYTES)
    pairs = counts[:-1] + counts[1:]
    peak = int(pairs.argmax())
    # Most at one distance: a table. Else as far as most of them are.
    if 8 * pairs[peak] >= len(distances):
        length = (peak + 2) * _BIN_BYTES
    else:
        length = int(np.quantile(distances, 0.75))
    return min(max(length, 2 * _NEAR_BYTES), BODY_BYTES_MAX) // CELL_BYTES * CELL_BYTES


class _Words:
    """Sampled words that occur once in a stretch, and where."""

    def __init__(self, base: Bytes) -> None:
        self._base = base
        self._places, self._words, mixed = _sampled_words(base)
        slots = _slot(mixed)
        self._slots = np.full(1 << _SLOT_BITS, -1, np.int64)
        self._slots[slots] = np.arange(len(slots))
        # What occurs several times tells no place.
        self._slots[np.bincount(slots, minlength=1 << _SLOT_BITS) > 1] = -1

    def places_of(self, region: Bytes) -> tuple[Numbers, Numbers]:
        """Return places in a region whose words occur in the base, in order, and where there."""
        places, words, mixed = _sampled_words(region)
        found = self._slots[_slot(mixed)]
        same = np.flatnonzero(found >= 0)
        same = same[self._words[found[same]] == words[same]]
        return places[same], self._places[found[same]]

    def agree(self, region: Bytes) -> Kept:
        """Return which bytes of each cell stand equally in a region, (cells, CELL_BYTES).

        A cell is compared where the last word before its end lies in the region, and where the
        next one does; the better place counts.
        """
        cells = self._base.reshape(-1, CELL_BYTES)
        places, found = self.places_of(region)
        order = np.argsort(found, kind="stable")
        places, found = places[order], found[order]
        if not len(found):
            return np.zeros(cells.shape, np.bool_)
        shown = np.lib.stride_tricks.sliding_window_view(region, CELL_BYTES)
        at = np.arange(len(cells)) * CELL_BYTES
        following = np.searchsorted(found, at + CELL_BYTES)
        agreements: list[Kept] = []
        for word in (following - 1, following):
            shift = (places - found)[np.clip(word, 0, len(found) - 1)]
            starts = np.clip(at + shift, 0, len(region) - CELL_BYTES)
            agreements.append(shown[starts] == cells)
        before, after = agreements
        is_better = after.sum(axis=1) > before.sum(axis=1)
        before[is_better] = after[is_better]
        return before


def _sampled_words(data: Bytes) -> tuple[Numbers, Words, Words]:
    """Return places, words and mixed words, in order, of those that the sample takes."""
    # A word begins at every byte.
    count = max(0, len(data) - _WORD_BYTES + 1)
    words: Words = np.ndarray((count,), "<u8", data, 0, (1,))
    mixed = np.empty(min(count, _MIXED_AT_ONCE), np.uint64)
    taken: list[Numbers] = [np.empty(0, np.int64)]
    # A piece at a time: what lies in the nearer cache is not fetched again for each step.
    for at in range(0, count, _MIXED_AT_ONCE):
        some = words[at : at + _MIXED_AT_ONCE]
        np.multiply(some, _MIX, out=mixed[: len(some)])
        taken.append(np.flatnonzero(mixed[: len(some)] < _SAMPLED_BELOW) + at)
    places = np.concatenate(taken)
    chosen = words[places]
    return places, chosen, chosen * _MIX


def _slot(mixed: Words) -> Numbers:
    """Return a number below 2^_SLOT_BITS for each mixed word; the sample's bits are not used."""
    shifted = (mixed << np.uint64(_SAMPLED_BITS)) >> np.uint64(64 - _SLOT_BITS)
    return shifted.astype(np.int64)
