"""The membership filter's rows: saved with how many records it covers, so a later open adds only the rest.

The head row is written last. Rows of two saves mixed by a crash fail the check of their shard, and the
filter is then built from all records; nothing depends on it but time.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from hansa.codec import decode, encode
from hansa.data.membership import SHARDS, MembershipFilter
from hansa.errors import InvalidError
from hansa.limits import MIB

_LETTER = b"B"
_HEAD_KEY = b"Bhead"
_PIECE_BYTES = MIB


class Table(Protocol):
    """What is needed of a durable table; see `ports.Table`."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, or None."""
        ...

    def note(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Apply puts and deletes, in order, durable with the next write."""
        ...


class _HeadRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What there is."""

    covered: int
    """Ordinals below this one are in the filter."""
    pieces: tuple[int, ...]
    """Rows of each shard."""


def save_filter(table: Table, held: MembershipFilter, covered: int) -> None:
    """Write a filter, a shard at a time."""
    pieces: list[int] = []
    for shard, part in enumerate(held.parts()):
        rows = list(_rows(shard, part))
        pieces.append(len(rows))
        table.note(rows)
    table.note([(_HEAD_KEY, encode(_HeadRow(covered, tuple(pieces))))])


def load_filter(table: Table) -> tuple[MembershipFilter, int]:
    """Return the filter and what it covers; an empty one that covers nothing if none is sound."""
    row = table.get_many([_HEAD_KEY])[0]
    if row is None:
        return MembershipFilter(), 0
    try:
        head = decode(_HeadRow, row)
    except InvalidError:
        return MembershipFilter(), 0
    parts: list[bytes] = []
    for shard, count in enumerate(head.pieces[:SHARDS]):
        keys = [_key(shard, piece) for piece in range(min(max(count, 0), 1 << 16))]
        parts.append(b"".join(piece or b"" for piece in table.get_many(keys)))
    loaded = MembershipFilter.load(parts)
    return (MembershipFilter(), 0) if loaded is None else (loaded, head.covered)


def _rows(shard: int, part: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    for piece, first in enumerate(range(0, len(part), _PIECE_BYTES)):
        yield _key(shard, piece), part[first : first + _PIECE_BYTES]


def _key(shard: int, piece: int) -> bytes:
    return _LETTER + bytes([shard]) + piece.to_bytes(2, "big")
