"""Recovery: bring the table in line with the packs and the journal when a store is opened.

Each later place of a chunk can be told from the earlier one, so what a crash left between two steps is
made good: a pack the table does not know is adopted from its footer; a segment none of whose chunks is
needed is removed; records the table does not know are noted. What is missing or damaged is reported.
"""

from hansa.errors import CorruptError
from hansa.storage.addresses import DROPPING_ROW, SEGMENT_ROW, Addresses, Alive, stored_at
from hansa.storage.names import PACKS, name_pack, parse_root
from hansa.storage.pack import read_footer
from hansa.storage.segment import Segment
from hansa.storage.segment_log import Record


def recover(addresses: Addresses, directory_key: bytes) -> None:
    """Make good what a crash left, and report what is lost.

    Raises:
        UnavailableError: the store cannot be listed.
    """
    for name in addresses.journal.unreadable:
        addresses.report("journal", name, "The file is no journal segment; it was left alone.")
    for key, _ in list(addresses.table.scan(DROPPING_ROW)):
        # Its deletion was decided, and nothing has pointed at it since.
        addresses.finish_drop(key[1:])
    _recover_packs(addresses, directory_key)
    for key, row in list(addresses.table.scan(SEGMENT_ROW)):
        _recover_length(addresses, key[1:], int.from_bytes(row, "big"))
    for segment in addresses.journal.list():
        segment.fresh_until_ms = addresses.fresh_from_now()
        _recover_segment(addresses, segment)


def _recover_packs(addresses: Addresses, directory_key: bytes) -> None:
    """Adopt packs the table does not know; report packs it knows that are gone."""
    known = {root for root, _ in addresses.packs()}
    found: set[bytes] = set()
    for name in addresses.store.list(PACKS):
        root = parse_root(name)
        if root is None or name != name_pack(root):
            addresses.report("pack", name, "The object is no pack; it was left alone.")
            continue
        found.add(root)
        if root in known:
            continue
        try:
            footer = read_footer(addresses.store, name, directory_key)
        except CorruptError as error:
            addresses.report("pack", name, str(error))
            continue
        addresses.adopt(root, footer)
    for root in known - found:
        addresses.report("pack", name_pack(root), "The pack is missing.")


def _recover_length(addresses: Addresses, segment_id: bytes, durable: int) -> None:
    """Report a segment that lost bytes that were acknowledged; it takes no more."""
    segment = addresses.journal.segments.get(segment_id)
    if segment is None:
        # Either packed and removed just before a crash, or lost: the addresses tell.
        lost = sum(stored.address.pack == segment_id for _, stored in addresses.index.stored())
        if lost:
            addresses.report("journal", segment_id.hex(), f"A segment of {lost} chunks is gone.")
        else:
            addresses.table.write([(SEGMENT_ROW + segment_id, None)])
    elif segment.size < durable and not segment.damage:
        segment.is_closed = True
        segment.damage = f"{durable - segment.size} acknowledged bytes are gone"


def _recover_segment(addresses: Addresses, segment: Segment) -> None:
    """Note records of a segment that the table does not know; drop it if none is needed."""
    alive = Alive()
    unknown: list[Record] = []
    needed = 0
    for record in segment.records:
        stored = addresses.index.locate(record.sealed_digest)
        here = stored_at(record, segment)
        needed += stored == here
        if stored is not None and segment.is_body_gone:
            # Sealed: the pack has it, be it damaged there. Here there is nothing to offer.
            continue
        if stored is None or (stored != here and not addresses.is_alive(stored, alive)):
            unknown.append(record)
    is_needed = bool(unknown or needed or not segment.records)
    # Without its body it was sealed, if nothing of it is needed; else it was lost.
    if segment.damage and (is_needed or not segment.is_body_gone):
        name = segment.path.name
        addresses.report("journal", name, f"Acknowledged data: {segment.damage}.")
    if not is_needed:
        addresses.drop_segment(segment)
    elif unknown and not segment.is_body_gone:
        addresses.note(segment, unknown)
