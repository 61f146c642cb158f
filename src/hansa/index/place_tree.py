"""Where rows are: boxes packed by nearness into blocks of 128, these into blocks again, up to a few.

A box asked for is compared with whole blocks at once, from the top down; what is left at the bottom are
exactly the rows whose boxes it meets. Boxes are put in order by the bits of their middles in turn
(Morton's order), so that what is near in the order is near on the globe.
"""

from struct import Struct
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.index.question import Circle
from hansa.types import Box

_BLOCK_BITS = 7
BLOCK = 1 << _BLOCK_BITS
_TOP_BLOCKS = 64
"""So many blocks are compared at once sooner than through another level."""
_NOWHERE = (1 << 31) - 1
"""Sides of what fills the last blocks: no box meets it."""
_FOUR_TRUE = np.uint32(0x01010101)
_sides = Struct("<4i").pack
_SPREAD = (
    (16, 0x0000_FFFF_0000_FFFF),
    (8, 0x00FF_00FF_00FF_00FF),
    (4, 0x0F0F_0F0F_0F0F_0F0F),
    (2, 0x3333_3333_3333_3333),
    (1, 0x5555_5555_5555_5555),
)
Rows = npt.NDArray[np.uint32]


class PlaceTree:
    """The boxes of a file's rows. Never changes."""

    def __init__(self, rows: npt.NDArray[Any], boxes: npt.NDArray[np.int32]) -> None:
        """Take rows, by any numbers, that have boxes (n, 4): west, south, east, north."""
        order = _morton(boxes).argsort(kind="stable")
        # East and north with their signs turned: then one comparison says whether two boxes meet.
        sides = boxes[order] * np.array((1, 1, -1, -1), dtype=np.int32)
        self._levels: list[npt.NDArray[np.int32]] = []
        """Blocks of four sides for each box, from the top; the first is compared as a whole."""
        blocks = _TOP_BLOCKS + 1
        while blocks > _TOP_BLOCKS:
            blocks = max(1, -(-len(sides) // BLOCK))
            level = np.full((blocks, BLOCK, 4), _NOWHERE, dtype=np.int32)
            level.reshape(-1, 4)[: len(sides)] = sides
            self._levels.insert(0, level.reshape(blocks, 4 * BLOCK))
            sides = level.min(axis=1)
        self._rows: Rows = np.zeros((len(self._levels[-1]), BLOCK), dtype=np.uint32)
        self._rows.reshape(-1)[: len(rows)] = rows[order]

    @staticmethod
    def bytes_of(boxes: int) -> int:
        """Return how much memory so many boxes take, at most."""
        return 21 * boxes + 64 * BLOCK

    def rows_meeting(self, box: Box) -> tuple[Rows, int]:
        """Return the rows whose boxes meet a box, in no order, and how many boxes were compared."""
        asked = np.frombuffer(_sides(box.east, box.north, -box.west, -box.south) * BLOCK, "<i4")
        first, *below = self._levels
        at = _meeting(first, asked)
        if not below:
            return self._rows.reshape(-1).take(at), BLOCK * len(first)
        blocks = at
        for level in below[:-1]:
            at = _meeting(level.take(blocks, axis=0), asked)
            blocks = (blocks.take(at >> _BLOCK_BITS) << _BLOCK_BITS) + (at & BLOCK - 1)
        at = _meeting(below[-1].take(blocks, axis=0), asked)
        return self._rows.take(blocks, axis=0).reshape(-1).take(at), BLOCK * len(blocks)


def _meeting(blocks: npt.NDArray[np.int32], asked: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    """Return which boxes of some blocks, counted through, have no side beyond what is asked."""
    inside = (blocks <= asked).reshape(-1).view(np.uint32)
    return np.equal(inside, _FOUR_TRUE).nonzero()[0]


def _morton(boxes: npt.NDArray[np.int32]) -> npt.NDArray[np.uint64]:
    """Return for each box the bits of its middle's longitude and latitude in turn, (n,)."""
    wide = boxes.astype(np.int64) + (1 << 30)
    spread = []
    for low, high in ((0, 2), (1, 3)):
        values = ((wide[:, low] + wide[:, high]) >> 1).astype(np.uint64)
        for shift, mask in _SPREAD:
            values = (values | (values << np.uint64(shift))) & np.uint64(mask)
        spread.append(values)
    return np.asarray(spread[0] | (spread[1] << np.uint64(1)), dtype=np.uint64)


def circle_meets(circle: Circle, boxes: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return which boxes (n, 4) a circle meets; each distinct box is measured once."""
    distinct_boxes, inverse = np.unique(boxes, axis=0, return_inverse=True)
    found = np.array([circle.meets(Box(*sides)) for sides in distinct_boxes.tolist()], np.bool_)
    return found[inverse.reshape(-1)]
