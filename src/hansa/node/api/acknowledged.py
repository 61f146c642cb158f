"""Who acknowledged that the copies of a height are gone: from the state, then from the blocks that say so.

Upon a height the state remembers (as long as transactions live): what it remembers. Upon an older one: the
blocks that could carry an acknowledgement are read, from the next height to the end of the next epoch, until
every super node of the height is found in them. Upon one of these blocks pruned, or never had: what is found
is told, and that the rest is no longer kept; nobody is called missing for what this node has thrown away.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hansa.chain.blocks import CertifiedBlock
from hansa.chain.records import ErasureEntry
from hansa.chain.state import State
from hansa.rest import ErasureView
from hansa.types import Height, PublicKey

BlockAt = Callable[[Height], CertifiedBlock | None]
"""The block of a height, None where this node has none."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a node can prove of the erasures of one height."""

    entries: tuple[ErasureEntry, ...]
    """As blocks took them up, each with the height of that block."""
    wanting: tuple[PublicKey, ...]
    """Super nodes of the height that are not in `entries` with its block; none unless `is_kept`."""
    is_kept: bool
    """Whether all blocks that may hold acknowledgements are known here."""
    last_height: Height
    """The last block that may carry one."""


def acknowledged(state: State, certified: CertifiedBlock, block_at: BlockAt) -> Acknowledged:
    """Return who acknowledged the erasure of a block's copies.

    Args:
        state: after the last block.
        certified: the block whose copies they were.
        block_at: reads this node's blocks; called for at most two epochs of heights.
    """
    header, parameters = certified.block.header, state.genesis.parameters
    height, lifetime = header.height, parameters.transaction_lifetime_heights
    # `standing.is_erasure_valid`: of this epoch or the last, and while the height is remembered.
    end_of_next_epoch = (header.epoch + 2) * parameters.epoch_blocks
    last = Height(min(end_of_next_epoch, height + lifetime - 1))
    is_kept = True
    if state.height < height + lifetime:
        entries = state.erasures(height)
    else:
        entries, is_kept = _from_blocks(certified, last, block_at)
    done = _done(entries)
    wanting = tuple(key for key in header.super_nodes if key not in done) if is_kept else ()
    return Acknowledged(entries, wanting, is_kept, last)


def _from_blocks(
    certified: CertifiedBlock, last: Height, block_at: BlockAt
) -> tuple[tuple[ErasureEntry, ...], bool]:
    """Return what blocks up to `last` say of a height, and whether nothing more can be known."""
    height, all_of_them = certified.block.header.height, set(certified.block.header.super_nodes)
    entries: list[ErasureEntry] = []
    is_kept = True
    for at in range(height + 1, last + 1):
        found = block_at(Height(at))
        if found is None:
            is_kept = False
            continue
        entries += [
            ErasureEntry(
                round=item.round,
                outcome=item.outcome,
                digest=item.digest,
                copies=item.copies,
                super_node=item.super_node,
                recorded_height=Height(at),
                has_voted=bool(item.vote),
            )
            for item in found.block.erasures
            if item.height == height
        ]
        if _done(entries) >= all_of_them:
            return tuple(entries), True
    return tuple(entries), is_kept


def _done(entries: list[ErasureEntry] | tuple[ErasureEntry, ...]) -> set[PublicKey]:
    return {entry.super_node for entry in entries if entry.outcome == "committed"}


def erasure_views(
    found: Acknowledged, height: Height, names: dict[PublicKey, str], block_at: BlockAt
) -> list[ErasureView]:
    """Return the acknowledgements of a height for people, each with the time of the block that has it."""
    heights = sorted({entry.recorded_height for entry in found.entries})
    blocks = {at: block_at(at) for at in heights}
    times = {at: item.block.header.time_ms for at, item in blocks.items() if item is not None}
    return [
        ErasureView(
            organisation=names.get(entry.super_node, entry.super_node.hex()),
            height=height,
            round=entry.round,
            outcome=entry.outcome,
            copies=entry.copies,
            recorded_at=entry.recorded_height,
            recorded_ms=times.get(entry.recorded_height, 0),
        )
        for entry in found.entries
    ]
