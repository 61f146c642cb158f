"""Addresses: where each chunk lies, as the table of a node says; what is damaged, what is fresh.

One place for the rows beside the hash index table's own: packs, segments' durable lengths, damage
marks. Every change is one atomic, durable step of the table.
"""

import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from hansa import limits
from hansa.codec import decode, encode
from hansa.data.chunk import compute_sealed_digest
from hansa.data.hash_index_table import HashIndexTable, StoredChunk
from hansa.errors import CorruptError, InvalidError, MissingError, UnavailableError
from hansa.ports import Clock, Store, Table
from hansa.storage.journal import Journal
from hansa.storage.names import name_pack
from hansa.storage.pack import PackEntry, PackFooter
from hansa.storage.segment import Segment
from hansa.storage.segment_log import Record
from hansa.types import Address, Millis

PACK_ROW = b"p"
SEGMENT_ROW = b"j"
DROPPING_ROW = b"r"
"""A pack that is being deleted: nothing in it is needed."""
_FORMAT_ROW = b"m"
_DAMAGE_ROW = b"d"
"""An address whose bytes were found damaged: never offered again, never attested."""
_FORMAT = b"4"

Kind = Literal["journal", "pack", "chunk", "manifest"]
"""What a damage was found in."""


class PackRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is known of a pack without reading it."""

    cluster: int
    bytes: int
    chunks: int
    fresh_until_ms: int
    """Until then nothing in it is collected: an upload may be about to use it."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not as it was written."""

    kind: Kind
    name: str
    """Of the object, or the hex of the id."""
    detail: str
    """One sentence for the operator."""


@dataclass(slots=True)
class Alive:
    """Remembers which packs were seen alive during one question."""

    packs: dict[bytes, int] = field(default_factory=dict)
    """Bytes of each pack seen, 0 for one that is missing."""


class Addresses:
    """The addresses of one organisation's chunks. Thread-safe."""

    def __init__(self, store: Store, journal: Journal, table: Table, clock: Clock) -> None:
        """Take what is open; a table of another format is emptied, `recovery` fills it again."""
        self.store = store
        self.journal = journal
        self.table = table
        self.damages: list[Damage] = []
        """What was found wrong at open or at sealing; `check` reports it again."""
        self.lock = threading.RLock()
        """Held for bookkeeping only; never while a segment is written, synced or sealed."""
        self._clock = clock
        if table.get(_FORMAT_ROW) != _FORMAT:
            table.write([(key, None) for key, _ in table.scan(b"")])
            table.write([(_FORMAT_ROW, _FORMAT)])
        self.index = HashIndexTable(table)
        self._damaged = {key[1:] for key, _ in table.scan(_DAMAGE_ROW)}
        self._placing: dict[bytes, int] = {}
        self._dropping: set[bytes] = set()
        self.packed_bytes = sum(row.bytes for _, row in self.packs())
        """Bytes of all sealed packs."""

    def locate(self, sealed_digest: bytes) -> StoredChunk:
        """Return where a sealed chunk lies.

        Raises:
            MissingError: it is not stored.
        """
        return self.locate_many([sealed_digest])[0]

    def locate_many(self, sealed_digests: Sequence[bytes]) -> list[StoredChunk]:
        """Return where sealed chunks lie, by one question to the table; raises as `locate`."""
        places: list[StoredChunk] = []
        found = self.index.locate_many(sealed_digests)
        for sealed_digest, stored in zip(sealed_digests, found, strict=True):
            if stored is None:
                raise MissingError(
                    f"Chunk {sealed_digest.hex()[:16]} is not in the store.",
                    remedy="Run `hansa store check` to see which datasets it hurts.",
                )
            places.append(stored)
        return places

    def read(self, address: Address) -> bytes:
        """Return the bytes at an address: one positioned read.

        Raises:
            MissingError: no such pack, or it has just been sealed or rewritten: locate again.
            CorruptError: the address lies outside of the pack.
        """
        pack = address.pack
        segment = self.journal.segments.get(pack)
        if segment is not None:
            try:
                return segment.read(address.offset, address.length)
            except MissingError:
                if segment.root is None:
                    raise
                # It is being sealed: the same bytes at the same place of the pack.
                pack = segment.root
        try:
            return self.store.get(name_pack(pack), address.offset, address.length)
        except InvalidError as error:
            raise CorruptError(f"Pack {pack.hex()[:16]} is shorter than it was.") from error

    def is_alive(self, stored: StoredChunk, alive: Alive) -> bool:
        """Tell whether what holds a chunk is there and long enough, and no damage was found in it."""
        return self.is_address_alive(stored.address, alive)

    def is_address_alive(self, address: Address, alive: Alive) -> bool:
        """Tell of an address what `is_alive` tells of the chunk there."""
        pack = address.pack
        if self._damaged and _place(address) in self._damaged:
            return False
        size = alive.packs.get(pack)
        if size is None:
            segment = self.journal.segments.get(pack)
            size = segment.size if segment is not None else self._pack_bytes(pack)
            alive.packs[pack] = size
        return address.offset + address.length <= size

    def mark_damaged(self, sealed_digests: Iterable[bytes]) -> None:
        """Remember durably that stored bytes are not what was stored: these chunks must come again.

        What is stored anew lies at another address, which is not marked.
        """
        with self.lock:
            found = [self.index.locate(sealed_digest) for sealed_digest in sealed_digests]
            places = {_place(stored.address) for stored in found if stored} - self._damaged
            if places:
                self.table.write([(_DAMAGE_ROW + place, b"") for place in sorted(places)])
                self._damaged |= places

    def damaged_count(self) -> int:
        """Return how many chunks are marked as damaged."""
        return len(self._damaged)

    def forget_healed(self) -> None:
        """Take the mark from chunks that read soundly after all: a cable, a disk put back."""
        healed = set()
        for sealed_digest, stored in self.index.stored() if self._damaged else ():
            place = _place(stored.address)
            if place in self._damaged and self._reads_soundly(sealed_digest, stored.address):
                healed.add(place)
        if healed:
            with self.lock:
                self.table.write([(_DAMAGE_ROW + place, None) for place in sorted(healed)])
                self._damaged -= healed

    def _reads_soundly(self, sealed_digest: bytes, address: Address) -> bool:
        try:
            return compute_sealed_digest(self.read(address)) == sealed_digest
        except (CorruptError, MissingError):
            return False

    def packs(self) -> Iterator[tuple[bytes, PackRow]]:
        """Yield the name and facts of every sealed pack."""
        for key, row in self.table.scan(PACK_ROW):
            yield key[1:], decode(PackRow, row)

    def fresh_until(self, pack: bytes) -> Millis:
        """Return until when nothing of a pack or segment may be collected; 0 if there is none."""
        segment = self.journal.segments.get(pack)
        if segment is not None:
            return Millis(segment.fresh_until_ms)
        row = self.table.get(PACK_ROW + pack)
        return Millis(0 if row is None else decode(PackRow, row).fresh_until_ms)

    def now_ms(self) -> Millis:
        """Return wall-clock time."""
        return self._clock.now_ms()

    def fresh_from_now(self) -> int:
        """Return until when what is put now is kept from collection."""
        return self._clock.now_ms() + limits.UPLOAD_LEASE_MS

    def adopt(self, root: bytes, footer: PackFooter, segment_id: bytes = b"") -> None:
        """Note a pack, and move the addresses of its chunks to it, in one step.

        A chunk that is alive at another place stays there. A damage mark moves with its chunk.

        Args:
            root: the pack's name.
            footer: what it holds.
            segment_id: the segment it was, if it was sealed just now.
        """
        size = self.store.size(name_pack(root))
        with self.lock:
            assert root not in self._dropping
            alive = Alive()
            moved: dict[bytes, StoredChunk] = {}
            marks: set[bytes] = set()
            places = self.index.locate_many([entry.sealed_digest for entry in footer.entries])
            for entry, known in zip(footer.entries, places, strict=True):
                address = Address(root, entry.offset, entry.length)
                was = Address(segment_id, entry.offset, entry.length)
                if known is not None and known.address == was and _place(was) in self._damaged:
                    marks.add(_place(address))
                elif known is not None and known.address != was and self.is_alive(known, alive):
                    continue
                moved[entry.sealed_digest] = StoredChunk(entry.chunk, entry.fingerprint, address)
            segment = self.journal.segments.get(segment_id)
            fresh = segment.fresh_until_ms if segment else self.fresh_from_now()
            row = PackRow(footer.cluster, size, len(footer.entries), fresh)
            if self.table.get(PACK_ROW + root) is None:
                self.packed_bytes += size
            self._damaged |= marks
            self.index.record(
                moved.items(),
                also=[
                    (PACK_ROW + root, encode(row)),
                    (DROPPING_ROW + root, None),
                    *((_DAMAGE_ROW + mark, b"") for mark in sorted(marks)),
                ],
            )

    @contextlib.contextmanager
    def placing(self, root: bytes) -> Iterator[None]:
        """Keep a pack that is being written from being deleted meanwhile, and the other way round.

        Raises:
            UnavailableError: a pack of this very name is being deleted; try again.
        """
        with self.lock:
            if root in self._dropping:
                raise UnavailableError("A pack of the same bytes is just being deleted.")
            self._placing[root] = self._placing.get(root, 0) + 1
        try:
            yield
        finally:
            with self.lock:
                self._placing[root] -= 1
                if not self._placing[root]:
                    del self._placing[root]

    def current(self, root: bytes, entries: Sequence[PackEntry]) -> list[PackEntry]:
        """Return the entries of a pack at which the table points; one question for all."""
        found = self.index.locate_many([entry.sealed_digest for entry in entries])
        return [
            entry
            for entry, stored in zip(entries, found, strict=True)
            if stored is not None and stored.address == Address(root, entry.offset, entry.length)
        ]

    def begin_drop(self, root: bytes) -> bool:
        """Note durably that a pack goes; False if it is just being written. Under the lock."""
        if root in self._placing or root in self._dropping:
            return False
        marks = self._unmark(root)
        row = self.table.get(PACK_ROW + root)
        if row is not None:
            self.packed_bytes -= decode(PackRow, row).bytes
        self.table.write([(DROPPING_ROW + root, b""), (PACK_ROW + root, None), *marks])
        self._dropping.add(root)
        return True

    def finish_drop(self, root: bytes) -> None:
        """Delete a pack that is noted to go."""
        try:
            self.store.delete(name_pack(root))
            self.table.write([(DROPPING_ROW + root, None)])
        finally:
            with self.lock:
                self._dropping.discard(root)

    def drop_segment(self, segment: Segment) -> None:
        """Remove a segment none of whose chunks is needed."""
        with self.lock:
            self.journal.remove(segment)
            self.table.write(
                [(SEGMENT_ROW + segment.segment_id, None), *self._unmark(segment.segment_id)]
            )

    def _unmark(self, pack: bytes) -> list[tuple[bytes, None]]:
        """Return the changes that forget the damage marks in a pack or segment that is gone."""
        gone = {place for place in self._damaged if place.startswith(pack)}
        self._damaged -= gone
        return [(_DAMAGE_ROW + place, None) for place in sorted(gone)]

    def note(self, segment: Segment, records: Sequence[Record]) -> None:
        """Point at records of a segment, and remember its durable length, in one step."""
        # The length tells at the next open whether acknowledged bytes have gone.
        length = segment.size.to_bytes(8, "big")
        with self.lock:
            self.index.record(
                ((record.sealed_digest, stored_at(record, segment)) for record in records),
                also=[(SEGMENT_ROW + segment.segment_id, length)],
            )

    def is_current(self, segment: Segment, record: Record) -> bool:
        """Tell whether the table points at this very record."""
        return self.index.locate(record.sealed_digest) == stored_at(record, segment)

    def report(self, kind: Kind, name: str, detail: str) -> None:
        """Remember a damage for `check`."""
        self.damages.append(Damage(kind, name, detail))

    def keep_fresh(self, packs: set[bytes]) -> None:
        """Keep what an upload found stored already from being collected under it.

        The caller holds the lock from its look-up on.
        """
        until = self.fresh_from_now()
        changes: list[tuple[bytes, bytes | None]] = []
        for pack in sorted(packs):
            segment = self.journal.segments.get(pack)
            row = self.table.get(PACK_ROW + pack)
            if segment is not None:
                segment.fresh_until_ms = until
            elif row is not None:
                known = decode(PackRow, row)
                # Written anew only when half of the time is over: a repeated upload costs no sync.
                if known.fresh_until_ms < until - limits.UPLOAD_LEASE_MS // 2:
                    renewed = msgspec.structs.replace(known, fresh_until_ms=until)
                    changes.append((PACK_ROW + pack, encode(renewed)))
        if changes:
            self.table.write(changes)

    def _pack_bytes(self, pack: bytes) -> int:
        try:
            return self.store.size(name_pack(pack))
        except MissingError:
            return 0


def stored_at(record: Record, segment: Segment) -> StoredChunk:
    """Return what the table says of a record of a segment."""
    address = Address(segment.segment_id, record.offset, record.length)
    return StoredChunk(record.chunk, record.fingerprint, address)


def _place(address: Address) -> bytes:
    return address.pack + address.offset.to_bytes(8, "big")
