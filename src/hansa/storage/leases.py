"""Leases: what must not be collected although no block names it yet, or no longer.

Two kinds, for two dangers:

- *Attested*: this node signed that a version is stored. A block may register it as long as the chain's
  own time has not passed the lease's end (`chain/catalogue.py` refuses it later), so this lease is
  judged by the time of the last block here, never by a clock: a clock that jumps, a node that was
  away or cut off cannot end it early.
- *Used*: an upload in flight was told that this living version holds its chunks, or just put this
  manifest. It may end early without harm (the upload is refused and sends again), so the node's clock
  is good enough.

A table begun anew over a store that holds something has lost its leases: until the longest attested
one that can have been given is over, everything is held.
"""

import threading
from collections.abc import Callable, Iterable

from hansa import limits
from hansa.ports import Clock, Table
from hansa.types import Millis

_ATTESTED_ROW = b"l"
_USED_ROW = b"u"
_HELD_ROW = b"h"


class Leases:
    """The leases of one organisation's manifests, by root. Thread-safe."""

    def __init__(self, table: Table, clock: Clock, is_store_empty: Callable[[], bool]) -> None:
        """Load the leases.

        Args:
            table: where they are durable.
            clock: the node's.
            is_store_empty: asked once if the table is new; False means that leases may be lost.
        """
        self._table = table
        self._clock = clock
        self._lock = threading.Lock()
        self._attested = _load(table, _ATTESTED_ROW)
        self._used = _load(table, _USED_ROW)
        self._watched: set[bytes] | None = None
        held = table.get(_HELD_ROW)
        if held is None:
            until = 0 if is_store_empty() else clock.now_ms() + limits.LEASE_MS_MAX
            held = until.to_bytes(8, "big")
            table.write([(_HELD_ROW, held)])
        self.held_until_ms = Millis(int.from_bytes(held, "big"))
        """Until when (time of a block) everything counts as attested; 0 if no lease can be lost."""

    def attest(self, root: bytes, lease_ms: int) -> Millis:
        """Lease a manifest for a transaction that will name it; return until when.

        Args:
            root: the manifest's.
            lease_ms: at most LEASE_MS_MAX; an earlier, longer lease stays.
        """
        until = self._clock.now_ms() + min(max(lease_ms, 0), limits.LEASE_MS_MAX)
        with self._lock:
            until = max(until, self._attested.get(root, 0))
            self._table.write([(_ATTESTED_ROW + root, until.to_bytes(8, "big"))])
            self._attested[root] = until
            self._notice([root])
        return Millis(until)

    def use(self, roots: Iterable[bytes]) -> None:
        """Lease manifests for an upload in flight; writes only when half of a lease is over."""
        now = self._clock.now_ms()
        until = now + limits.UPLOAD_LEASE_MS
        with self._lock:
            wanted = set(roots)
            due = sorted(
                root
                for root in wanted
                if self._used.get(root, 0) < now + limits.UPLOAD_LEASE_MS // 2
            )
            if due:
                self._table.write((_USED_ROW + root, until.to_bytes(8, "big")) for root in due)
                self._used.update(dict.fromkeys(due, until))
            self._notice(wanted)

    def attested_until(self, root: bytes) -> Millis:
        """Return until when a manifest is leased for a transaction; 0 if it never was."""
        return Millis(self._attested.get(root, 0))

    def active(self, chain_ms: int) -> set[bytes]:
        """Return the roots that are leased now.

        Args:
            chain_ms: time of the last block this node knows.
        """
        now = self._clock.now_ms()
        with self._lock:
            attested = {root for root, until in self._attested.items() if until >= chain_ms}
            return attested | {root for root, until in self._used.items() if until >= now}

    def drop_expired(self, chain_ms: int) -> None:
        """Forget the leases that are over."""
        now = self._clock.now_ms()
        with self._lock:
            attested = [root for root, until in self._attested.items() if until < chain_ms]
            used = [root for root, until in self._used.items() if until < now]
            rows = [_ATTESTED_ROW + root for root in attested] + [_USED_ROW + root for root in used]
            if rows:
                self._table.write((key, None) for key in rows)
            for root in attested:
                del self._attested[root]
            for root in used:
                del self._used[root]

    # --- watching, for a collection ---------------------------------------------------------------

    def watch(self) -> None:
        """From now on remember which manifests are leased or bound: a collection begins."""
        with self._lock:
            self._watched = set()

    def notice(self, root: bytes) -> None:
        """Tell that a manifest was bound to a version."""
        with self._lock:
            self._notice([root])

    def take_watched(self) -> set[bytes]:
        """Return, and forget, what was leased or bound since the last call."""
        with self._lock:
            found, self._watched = self._watched or set(), set()
        return found

    def unwatch(self) -> None:
        """The collection ended."""
        with self._lock:
            self._watched = None

    def _notice(self, roots: Iterable[bytes]) -> None:
        if self._watched is not None:
            self._watched.update(roots)


def _load(table: Table, prefix: bytes) -> dict[bytes, int]:
    return {key[1:]: int.from_bytes(row, "big") for key, row in table.scan(prefix)}
