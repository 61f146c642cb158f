"""Chunk store: the node's side of an upload. Durable when acknowledged, packed when there is enough.

Upon put: check, append to the journal of the cluster's pack to be, sync, note the address, answer. Upon
a full segment: write its pack to the store, move its addresses in one step of the table, then drop the
segment. A crash between any two steps is made good at open, because each later place can be told from
the earlier one.

A chunk's address is looked up by its sealed digest when it is needed; no manifest holds addresses, so
a pack may be sealed, rewritten or moved without touching a manifest.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import msgspec

from hansa import limits
from hansa.codec import decode, encode
from hansa.data.chunk import compute_sealed_digest
from hansa.data.fingerprint import FINGERPRINT_BYTES
from hansa.data.hash_index_table import HashIndexTable, StoredChunk
from hansa.data.pipeline import UploadChunk
from hansa.errors import ConflictError, CorruptError, InvalidError, MissingError
from hansa.ports import Entropy, Store, Table
from hansa.storage.journal import Journal, Record, Segment
from hansa.storage.names import PACKS, name_pack, parse_root
from hansa.storage.pack import (
    FOOTER_ENTRY_BYTES_MAX,
    Member,
    PackFooter,
    PackPlan,
    read_footer,
)
from hansa.types import Address

_PACK_ROW = b"p"
_SEGMENT_ROW = b"j"
_FORMAT_ROW = b"m"
_DAMAGE_ROW = b"d"
"""An address whose bytes were found damaged: never offered again, never attested."""
_FORMAT = b"1"
_RECORD_HEAD_BYTES = 32 + 1 + FINGERPRINT_BYTES + 4
_SPARE_BYTES = 64 * limits.KIB
"""Room a segment leaves for headers and the sealing of the footer."""

Kind = Literal["journal", "pack", "chunk", "manifest"]
"""What a damage was found in."""


class PackRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is known of a pack without reading it."""

    cluster: int
    bytes: int
    chunks: int


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


class ChunkStore:
    """Sealed chunks of one organisation, at its own node. Thread-safe."""

    def __init__(
        self, store: Store, journal: Journal, table: Table, directory_key: bytes, entropy: Entropy
    ) -> None:
        """Open, and make good what a crash left between two steps.

        Args:
            store: where packs go; the organisation's own root.
            journal: on the node's own disk.
            table: on the node's own disk; may be new: it is filled from packs and journal. Living
                versions must then be bound again (`VersionStore.rebuild`).
            directory_key: the organisation's directory key, 32 bytes.
            entropy: names journal segments.

        Raises:
            UnavailableError: the store cannot be listed.
        """
        self.store = store
        self.journal = journal
        self.table = table
        self.index = HashIndexTable(table)
        self.damages: list[Damage] = []
        """What was found wrong at open; `check` reports it again."""
        self._directory_key = directory_key
        self._entropy = entropy
        self._lock = threading.RLock()
        self._damaged = {key[1:] for key, _ in table.scan(_DAMAGE_ROW)}
        self._recover()

    # --- in -------------------------------------------------------------------------------------

    def put(self, chunks: Sequence[UploadChunk], cluster: int) -> list[bytes]:
        """Take chunks; they are durable when this returns. Idempotent.

        Args:
            chunks: at most UPLOAD_BATCH_BYTES_MAX sealed bytes.
            cluster: label of the index cluster nearest to their dataset; decides which pack.

        Returns:
            The sealed digest of each chunk, 32 bytes: what the manifest names it by.

        Raises:
            InvalidError: a length is impossible.
            DiskFullError: nothing of this call was taken.
        """
        digests = [self._check_upload(chunk) for chunk in chunks]
        if sum(len(chunk.sealed) for chunk in chunks) > limits.UPLOAD_BATCH_BYTES_MAX:
            raise InvalidError("An upload carries too many bytes.", remedy="Send smaller batches.")
        if not -(1 << 31) <= cluster < 1 << 31:
            raise InvalidError("A cluster's label is out of range.")
        with self._lock:
            fresh: dict[bytes, UploadChunk] = {}
            for digest, chunk in zip(digests, chunks, strict=True):
                if digest not in fresh and not self._is_stored(digest, chunk):
                    fresh[digest] = chunk
            if fresh:
                self._append(fresh, cluster)
        return digests

    def flush(self, cluster: int | None = None) -> int:
        """Seal the packs begun, of one cluster or of all, however small; return how many."""
        sealed = 0
        with self._lock:
            for segment in list(self.journal.segments.values()):
                if segment.records and cluster in (None, segment.cluster):
                    self._seal(segment)
                    sealed += 1
        return sealed

    def waiting_bytes(self) -> int:
        """Return the bytes of the journal's records: what is durable, and in no pack yet."""
        with self._lock:
            return sum(
                segment.size for segment in self.journal.segments.values() if segment.records
            )

    # --- out ------------------------------------------------------------------------------------

    def locate(self, sealed_digest: bytes) -> StoredChunk:
        """Return where a sealed chunk lies.

        Raises:
            MissingError: it is not stored.
        """
        stored = self.index.locate(sealed_digest)
        if stored is None:
            raise MissingError(
                f"Chunk {sealed_digest.hex()[:16]} is not in the store.",
                remedy="Run `hansa store check` to see which datasets it hurts.",
            )
        return stored

    def read(self, address: Address) -> bytes:
        """Return the bytes at an address: one positioned read.

        Raises:
            MissingError: no such pack, or it has just been sealed or rewritten: locate again.
            CorruptError: the address lies outside of the pack.
        """
        segment = self.journal.segments.get(address.pack)
        if segment is not None:
            return self.journal.read(segment, address.offset, address.length)
        try:
            return self.store.get(name_pack(address.pack), address.offset, address.length)
        except InvalidError as error:
            raise CorruptError(f"Pack {address.pack.hex()[:16]} is shorter than it was.") from error

    def is_alive(self, stored: StoredChunk, alive: Alive) -> bool:
        """Tell whether what holds a chunk is there and long enough, and no damage was found in it."""
        pack = stored.address.pack
        if _place(stored.address) in self._damaged:
            return False
        size = alive.packs.get(pack)
        if size is None:
            segment = self.journal.segments.get(pack)
            size = segment.size if segment is not None else self._pack_bytes(pack)
            alive.packs[pack] = size
        return stored.address.offset + stored.address.length <= size

    def mark_damaged(self, sealed_digests: Iterable[bytes]) -> None:
        """Remember durably that stored bytes are not what was stored: these chunks must come again.

        What is stored anew lies at another address, which is not marked.
        """
        found = [self.index.locate(sealed_digest) for sealed_digest in sealed_digests]
        places = {_place(stored.address) for stored in found if stored} - self._damaged
        if places:
            self.table.write([(_DAMAGE_ROW + place, b"") for place in sorted(places)])
            self._damaged |= places

    def forget_healed(self) -> None:
        """Take the mark from chunks that read soundly after all: a cable, a disk put back."""
        healed = set()
        for sealed_digest, stored in self.index.stored() if self._damaged else ():
            place = _place(stored.address)
            if place in self._damaged and self._reads_soundly(sealed_digest, stored.address):
                healed.add(place)
        if healed:
            self.table.write([(_DAMAGE_ROW + place, None) for place in sorted(healed)])
            self._damaged -= healed

    def _reads_soundly(self, sealed_digest: bytes, address: Address) -> bool:
        try:
            return compute_sealed_digest(self.read(address)) == sealed_digest
        except (CorruptError, MissingError):
            return False

    def packs(self) -> Iterator[tuple[bytes, PackRow]]:
        """Yield the name and facts of every sealed pack."""
        for key, row in self.table.scan(_PACK_ROW):
            yield key[1:], decode(PackRow, row)

    # --- inside ---------------------------------------------------------------------------------

    def _check_upload(self, chunk: UploadChunk) -> bytes:
        if len(chunk.chunk) != 32 or len(chunk.fingerprint) not in (0, FINGERPRINT_BYTES):
            raise InvalidError("An uploaded chunk's id or fingerprint has a wrong length.")
        if not 0 < len(chunk.sealed) <= limits.SEALED_CHUNK_BYTES_MAX:
            raise InvalidError("An uploaded chunk's length is impossible.")
        return compute_sealed_digest(chunk.sealed)

    def _is_stored(self, digest: bytes, chunk: UploadChunk) -> bool:
        """Tell whether these very bytes are stored already, for this chunk id."""
        stored = self.index.locate(digest)
        if stored is None:
            return False
        if stored.chunk != chunk.chunk:
            raise ConflictError("These sealed bytes are stored under another chunk id.")
        return self.is_alive(stored, Alive())

    def _append(self, fresh: dict[bytes, UploadChunk], cluster: int) -> None:
        chunks = list(fresh.values())
        room = sum(len(chunk.sealed) + _RECORD_HEAD_BYTES for chunk in chunks) + _SPARE_BYTES
        room += len(chunks) * FOOTER_ENTRY_BYTES_MAX
        segment = self._segment_for(cluster, room)
        records = self.journal.append(segment, chunks)
        # The durable length tells at the next open whether acknowledged bytes have gone.
        length = segment.size.to_bytes(8, "big")
        self.index.record(
            ((record.sealed_digest, _stored(record, segment.segment_id)) for record in records),
            also=[(_SEGMENT_ROW + segment.segment_id, length)],
        )

    def _segment_for(self, cluster: int, room: int) -> Segment:
        """Return a segment with room, sealing those of the cluster that have none."""
        segments = list(self.journal.segments.values())
        for segment in segments:
            used = segment.size + len(segment.records) * FOOTER_ENTRY_BYTES_MAX
            is_full = used + room > limits.PACK_BYTES_MAX
            if segment.cluster == cluster and is_full and not segment.is_closed:
                self._seal(segment)
        found = self.journal.find(cluster, room)
        if found is not None:
            return found
        if len(self.journal.segments) >= limits.JOURNAL_SEGMENTS_MAX:
            self._seal(max(self.journal.segments.values(), key=lambda segment: segment.size))
        return self.journal.begin(cluster, self._entropy.random_bytes(32))

    def _seal(self, segment: Segment) -> None:
        """Turn a segment into a pack: pack durable, then addresses moved, then segment dropped."""
        members = [
            Member(
                record.chunk,
                record.fingerprint,
                record.sealed_digest,
                record.length,
                partial(self.journal.read, segment, record.offset, record.length),
            )
            for record in segment.records
            if self._is_live(segment, record)
        ]
        if members:
            try:
                plan = PackPlan(members, segment.cluster, self._directory_key)
            except CorruptError as error:
                # Sound chunks stay readable where they are; new ones go to another segment.
                segment.is_closed = True
                self._report("journal", segment.path.name, str(error))
                return
            self.store.put(name_pack(plan.root), plan.parts())
            self._adopt(plan.root, plan.bytes, plan.footer)
        self._drop(segment)

    def _drop(self, segment: Segment) -> None:
        self.journal.remove(segment)
        self.table.write([(_SEGMENT_ROW + segment.segment_id, None)])

    def _is_live(self, segment: Segment, record: Record) -> bool:
        """Tell whether the table points at this very record."""
        stored = self.index.locate(record.sealed_digest)
        return stored == _stored(record, segment.segment_id)

    def _adopt(self, root: bytes, size: int, footer: PackFooter) -> None:
        """Note a pack and the addresses of its chunks in one step."""
        row = PackRow(footer.cluster, size, len(footer.entries))
        self.index.record(
            (
                (
                    entry.sealed_digest,
                    StoredChunk(
                        entry.chunk, entry.fingerprint, Address(root, entry.offset, entry.length)
                    ),
                )
                for entry in footer.entries
            ),
            also=[(_PACK_ROW + root, encode(row))],
        )

    def _pack_bytes(self, pack: bytes) -> int:
        try:
            return self.store.size(name_pack(pack))
        except MissingError:
            return 0

    # --- recovery -------------------------------------------------------------------------------

    def _recover(self) -> None:
        """Bring the table in line with the packs and the journal."""
        if self.table.get(_FORMAT_ROW) != _FORMAT:
            self.table.write([(key, None) for key, _ in self.table.scan(b"")])
            self.table.write([(_FORMAT_ROW, _FORMAT)])
            self.index = HashIndexTable(self.table)
        for name in self.journal.unreadable:
            self._report("journal", name, "The file is no journal segment; it was left alone.")
        self._recover_packs()
        for key, row in list(self.table.scan(_SEGMENT_ROW)):
            self._recover_length(key[1:], int.from_bytes(row, "big"))
        for segment in list(self.journal.segments.values()):
            if segment.damage:
                self._report("journal", segment.path.name, f"Acknowledged data: {segment.damage}.")
            self._recover_segment(segment)

    def _recover_packs(self) -> None:
        """Adopt packs the table does not know; report packs it knows that are gone."""
        known = {root for root, _ in self.packs()}
        found: set[bytes] = set()
        for name in self.store.list(PACKS):
            root = parse_root(name)
            if root is None or name != name_pack(root):
                self._report("pack", name, "The object is no pack; it was left alone.")
                continue
            found.add(root)
            if root in known:
                continue
            try:
                footer = read_footer(self.store, name, self._directory_key)
            except CorruptError as error:
                self._report("pack", name, str(error))
                continue
            self._adopt(root, self.store.size(name), footer)
        for root in known - found:
            self._report("pack", name_pack(root), "The pack is missing.")

    def _recover_length(self, segment_id: bytes, durable: int) -> None:
        """Report a segment that lost bytes that were acknowledged; it takes no more."""
        segment = self.journal.segments.get(segment_id)
        if segment is None:
            # Either packed and removed just before a crash, or lost: the addresses tell.
            lost = sum(stored.address.pack == segment_id for _, stored in self.index.stored())
            if lost:
                self._report("journal", segment_id.hex(), f"A segment of {lost} chunks is gone.")
            else:
                self.table.write([(_SEGMENT_ROW + segment_id, None)])
        elif segment.size < durable:
            segment.is_closed = True
            lost = durable - segment.size
            self._report("journal", segment.path.name, f"{lost} acknowledged bytes are gone.")

    def _recover_segment(self, segment: Segment) -> None:
        """Note records of a segment that the table does not know; drop it if none is needed."""
        alive = Alive()
        unknown: list[tuple[bytes, StoredChunk]] = []
        needed = 0
        for record in segment.records:
            stored = self.index.locate(record.sealed_digest)
            here = _stored(record, segment.segment_id)
            if stored is None or not self.is_alive(stored, alive):
                unknown.append((record.sealed_digest, here))
            needed += stored == here
        if unknown:
            length = segment.size.to_bytes(8, "big")
            self.index.record(unknown, also=[(_SEGMENT_ROW + segment.segment_id, length)])
        elif segment.records and not needed:
            self._drop(segment)

    def _report(self, kind: Kind, name: str, detail: str) -> None:
        self.damages.append(Damage(kind, name, detail))


def _place(address: Address) -> bytes:
    return address.pack + address.offset.to_bytes(8, "big")


def _stored(record: Record, segment_id: bytes) -> StoredChunk:
    address = Address(segment_id, record.offset, record.length)
    return StoredChunk(record.chunk, record.fingerprint, address)
