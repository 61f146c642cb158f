"""What one block changes: an overlay over a state, all or nothing for each transaction.

The state below is never touched, so a draft may be dropped at any time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from typing_extensions import override

from hansa.chain.authenticated import AuthenticatedMap, place_of
from hansa.chain.reasons import REASONS
from hansa.chain.records import OrganisationRecord, Record, UserRecord
from hansa.chain.state import Reads, State
from hansa.chain.transactions import Role, TransactionBody
from hansa.codec import encode
from hansa.types import Digest, Height, Millis, OrganisationName

R = TypeVar("R", bound=Record)

_UNCHANGED = Record()
"""Stands for what a draft says nothing about."""


class Refused(Exception):  # noqa: N818 - an outcome, not a fault
    """A rule says no; caught by `transition`, which turns it into a result."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def refuse(code: str) -> NoReturn:
    """Stop the transaction with a stable reason code."""
    assert code in REASONS, code
    raise Refused(code)


class Draft(Reads):
    """Changes of one block over a state; `keep` or `drop` ends each transaction."""

    __slots__ = ("_base", "_kept", "_pending", "alliance", "genesis")

    def __init__(self, base: State) -> None:
        self.genesis = base.genesis
        self.alliance = base.alliance
        self._base = base
        self._kept: dict[bytes, Record | None] = {}
        self._pending: dict[bytes, Record | None] = {}

    @override
    def record(self, key: bytes, kind: type[R]) -> R | None:
        """Return the value under a key as this block has left it so far."""
        found = self._pending.get(key, _UNCHANGED)
        if found is _UNCHANGED:
            found = self._kept.get(key, _UNCHANGED)
            if found is _UNCHANGED:
                return self._base.record(key, kind)
        assert found is None or isinstance(found, kind), "a key's first byte fixes its kind"
        return found

    @override
    def scan(self, first_byte: int, kind: type[R]) -> Iterator[R]:
        """Yield all values of a kind as this block has left them so far, in order of place."""
        changed = {
            key: value
            for key, value in {**self._kept, **self._pending}.items()
            if key[0] == first_byte
        }
        if not changed:
            yield from self._base.scan(first_byte, kind)
            return
        merged: dict[bytes, Record | None] = {
            leaf.key: self._base.record(leaf.key, kind)
            for leaf in self._base.pairs.leaves(first_byte)
        }
        merged.update(changed)
        for key in sorted(merged, key=place_of):
            found = merged[key]
            if found is not None:
                assert isinstance(found, kind), "a key's first byte fixes its kind"
                yield found

    def put(self, key: bytes, value: Record) -> None:
        """Set a value in the present transaction."""
        self._pending[key] = value

    def delete(self, key: bytes) -> None:
        """Remove a value in the present transaction."""
        self._pending[key] = None

    def keep(self) -> None:
        """End the present transaction: its changes belong to the block."""
        self._kept.update(self._pending)
        self._pending.clear()

    def drop(self) -> None:
        """End the present transaction: it changed nothing."""
        self._pending.clear()

    def finish(self) -> tuple[tuple[tuple[bytes, bytes | None], ...], AuthenticatedMap]:
        """Return the block's writes, sorted by key, and all pairs after them."""
        assert not self._pending, "every transaction was kept or dropped"
        writes: list[tuple[bytes, bytes | None]] = []
        decoded: dict[bytes, object] = {}
        for key in sorted(self._kept):
            value = self._kept[key]
            if value is not None:
                decoded[key] = value
                writes.append((key, encode(value)))
            elif self._base.pairs.leaf(key) is not None:
                writes.append((key, None))
        return tuple(writes), self._base.pairs.updated(writes, decoded)


@dataclass(slots=True)
class Acting:
    """Who acts in a transaction, where and when: what every operation's rule is given.

    Nobody changes it; it is not declared frozen because one is made for each transaction, and a
    frozen one takes three times as long to make.
    """

    draft: Draft
    body: TransactionBody
    digest: Digest
    """Of the transaction."""
    user: UserRecord
    """The author as of the start of the transaction."""
    height: Height
    """Height of the block."""
    time_ms: Millis
    """Time of the block."""

    @property
    def organisation_name(self) -> OrganisationName:
        """Name of the author's organisation."""
        return self.user.organisation

    @property
    def organisation(self) -> OrganisationRecord:
        """The author's organisation as earlier operations have left it."""
        found = self.draft.organisation(self.organisation_name)
        assert found is not None, "a user belongs to a member"
        return found

    def demand(self, role: Role) -> None:
        """Refuse unless the author has a role."""
        if role not in self.user.roles:
            refuse("role-missing")
