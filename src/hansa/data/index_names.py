"""Numbers for what records of the hash index table name often: packs, and versions that are bound.

A record holds four bytes instead of a name. A segment that becomes a pack keeps its number under the new
name, so that all its chunks move in one row. A version's number is never given again: taking its row away
ends what it offers, in every record at once; records that still hold the number count as unbound.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from hansa.codec import decode, encode
from hansa.data.sorted_runs import REMEDY
from hansa.errors import CorruptError, InvalidError
from hansa.types import DatasetId

_PACK, _VERSION, _EDGE = b"P", b"W", b"E"
_NEXT_VERSION_KEY = b"Wnext"

Changes = list[tuple[bytes, bytes | None]]


class Table(Protocol):
    """What is needed of a durable table; see `ports.Table`."""

    def get_many(self, keys: list[bytes], /) -> list[bytes | None]:
        """Return the value of each key, or None."""
        ...

    def scan(self, prefix: bytes, /) -> Iterator[tuple[bytes, bytes]]:
        """Yield pairs under a prefix in key order."""
        ...


class VersionRef(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A version of a dataset."""

    dataset: DatasetId
    number: int
    """From 1."""


class PackNumbers:
    """Names of packs and segments, and their numbers from 1."""

    def __init__(self, table: Table) -> None:
        """Load all names: one for each pack, so they fit."""
        self._names = {_number(key): row for key, row in table.scan(_PACK)}
        self._numbers = {name: number for number, name in self._names.items()}
        self._next = max(self._names, default=0) + 1

    def __len__(self) -> int:
        """Return how many numbers are given."""
        return len(self._names)

    def name(self, number: int) -> bytes:
        """Return the name that a number stands for now.

        Raises:
            CorruptError: it was never given.
        """
        name = self._names.get(number)
        if name is None:
            raise CorruptError("The hash index table names no such pack.", remedy=REMEDY)
        return name

    def number(self, name: bytes, rows: Changes) -> int:
        """Return the number of a name; a new one is added to the rows to write."""
        number = self._numbers.get(name)
        if number is None:
            number, self._next = self._next, self._next + 1
            self._set(number, name, rows)
        return number

    def rename(self, old: bytes, new: bytes, rows: Changes) -> None:
        """Let a number stand for another name: all its chunks lie there now."""
        # Several may stand for one name: those of packs that were renamed to it.
        numbers = [number for number, name in self._names.items() if name == old]
        self._numbers.pop(old, None)
        for number in numbers:
            self._set(number, new, rows)

    def _set(self, number: int, name: bytes, rows: Changes) -> None:
        self._names[number] = name
        self._numbers[name] = number
        rows.append((_key(_PACK, number), name))


class _VersionRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A bound version."""

    version: VersionRef
    chunks: int


@dataclass(slots=True)
class _Bound:
    version: VersionRef
    chunks: int
    """Found through this version."""


class BoundVersions:
    """Versions that live, their numbers from 1, and who shares chunks through whom."""

    def __init__(self, table: Table) -> None:
        """Load all versions.

        Raises:
            CorruptError: a row is not what was written.
        """
        row = table.get_many([_NEXT_VERSION_KEY])[0]
        self._next = int.from_bytes(row or b"\1", "big")
        self._bound: dict[int, _Bound] = {}
        for key, data in table.scan(_VERSION):
            if key != _NEXT_VERSION_KEY:
                known = _decode_version(data)
                self._bound[_number(key)] = _Bound(known.version, known.chunks)
        self._numbers = {bound.version: number for number, bound in self._bound.items()}
        self._edges: dict[int, set[int]] = {}
        for key, _ in table.scan(_EDGE):
            self._edges.setdefault(_number(key), set()).add(_number(key[4:]))
        self.living = self._living()
        """Numbers of the living, ascending."""

    @property
    def chunks(self) -> int:
        """Return how many chunks are found through living versions."""
        return sum(bound.chunks for bound in self._bound.values())

    def find(self, version: VersionRef) -> int | None:
        """Return a living version's number."""
        return self._numbers.get(version)

    def get(self, number: int) -> VersionRef | None:
        """Return the living version of a number."""
        bound = self._bound.get(number)
        return None if bound is None else bound.version

    def add(self, version: VersionRef, rows: Changes) -> int:
        """Return the number of a version that lives now."""
        number = self._numbers.get(version)
        if number is None:
            number, self._next = self._next, self._next + 1
            rows.append((_NEXT_VERSION_KEY, self._next.to_bytes(5, "big")))
            self._bound[number] = _Bound(version, 0)
            self._numbers[version] = number
            self.living = self._living()
            self.count(number, 0, rows)
        return number

    def count(self, number: int, change: int, rows: Changes) -> None:
        """Note how many more chunks are found through a version."""
        bound = self._bound[number]
        bound.chunks += change
        rows.append((_key(_VERSION, number), encode(_VersionRow(bound.version, bound.chunks))))

    def remove(self, version: VersionRef, rows: Changes) -> list[VersionRef]:
        """End a version; return those that share chunks through it and must be bound again."""
        number = self._numbers.pop(version, None)
        if number is None:
            return []
        del self._bound[number]
        self.living = self._living()
        rows.append((_key(_VERSION, number), None))
        for other, sharers in list(self._edges.items()):
            if number in sharers:
                self._drop_edge(other, number, rows)
        return self._sharers(number)

    def share(self, through: int, version: int, rows: Changes) -> None:
        """Note that a version has chunks that are found through another."""
        sharers = self._edges.setdefault(through, set())
        if version not in sharers:
            sharers.add(version)
            rows.append((_edge_key(through, version), b""))

    def settle(self, version: int, rows: Changes) -> None:
        """Note that a version was bound after those ended through which its chunks were found."""
        for other in [number for number in self._edges if number not in self._bound]:
            if version in self._edges[other]:
                self._drop_edge(other, version, rows)

    def orphans(self) -> list[VersionRef]:
        """Return the living versions that must be bound again: what they shared has ended."""
        ended = [number for number in self._edges if number not in self._bound]
        return list(dict.fromkeys(ref for number in ended for ref in self._sharers(number)))

    def _sharers(self, number: int) -> list[VersionRef]:
        return [
            self._bound[sharer].version
            for sharer in sorted(self._edges.get(number, ()))
            if sharer in self._bound
        ]

    def _drop_edge(self, through: int, version: int, rows: Changes) -> None:
        self._edges[through].discard(version)
        if not self._edges[through]:
            del self._edges[through]
        rows.append((_edge_key(through, version), None))

    def _living(self) -> npt.NDArray[np.uint32]:
        return np.array(sorted(self._bound), np.uint32)


def _decode_version(data: bytes) -> _VersionRow:
    try:
        return decode(_VersionRow, data)
    except InvalidError as error:
        raise CorruptError("The hash index table is damaged.", remedy=REMEDY) from error


def _number(key: bytes) -> int:
    return int.from_bytes(key[1:5], "big")


def _key(letter: bytes, number: int) -> bytes:
    return letter + number.to_bytes(4, "big")


def _edge_key(through: int, version: int) -> bytes:
    return _EDGE + through.to_bytes(4, "big") + version.to_bytes(4, "big")
