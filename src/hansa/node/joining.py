"""A new node takes a snapshot instead of replaying all blocks, from members' nodes that it does not trust.

Upon a connected node: its offer, then every part, then the blocks; each piece is checked as it comes
(`chain.snapshots`). A piece that proves nothing, or does not come, ends the attempt with that node; the
next is asked. Nothing is written before everything is proved, and no agreement runs meanwhile: the
replica is made after the snapshot is on the disk. Counterpart: `snapshots`.
"""

import asyncio
from collections.abc import Callable, Sequence

from hansa import limits
from hansa.chain.blocks import CertifiedBlock
from hansa.chain.genesis import Genesis
from hansa.chain.parts import StatePart
from hansa.chain.snapshots import Checkpoint, Snapshot, SnapshotOffer
from hansa.chain.state import State
from hansa.codec import decode, encode
from hansa.consensus.schedule import RECENT_BLOCKS
from hansa.errors import HansaError, InvalidError, UnavailableError
from hansa.node.parts import Peers
from hansa.node.snapshots import BlockCall, PartCall
from hansa.types import PublicKey

JOIN_S_MAX = 600
"""After so long without a snapshot the node gives up and says why."""
PAUSE_S = 0.5
PARTS_MAX = 1_000_000

Taken = tuple[State, Sequence[CertifiedBlock]]


async def take_snapshot(
    peers: Peers, genesis: Genesis, checkpoint: Checkpoint, tell: Callable[[str], None]
) -> Taken:
    """Return a proved state and the blocks that belong to it, oldest first.

    Args:
        peers: links to the members that the genesis names, running.
        genesis: of the alliance.
        checkpoint: what the operator knows to be on the chain.
        tell: takes what happens, for the operator.

    Raises:
        UnavailableError: no node gave one in time; the message says what the last one did wrong.
    """
    reason = "no other node is connected"
    loop = asyncio.get_running_loop()
    deadline = loop.time() + JOIN_S_MAX
    while loop.time() < deadline:
        for peer in sorted(peers.connected()):
            try:
                return await _take_from(peers, peer, genesis, checkpoint)
            except HansaError as error:
                reason = f"node {peer.hex()[:16]}: {error.message}"
                tell(reason)
        await asyncio.sleep(PAUSE_S)
    raise UnavailableError(
        f"No snapshot could be had: {reason}",
        remedy="Compare the checkpoint with another member, and see that their nodes are reached.",
    )


async def _take_from(
    peers: Peers, peer: PublicKey, genesis: Genesis, checkpoint: Checkpoint
) -> Taken:
    answer = await peers.call(peer, "snapshot", b"")
    offer = decode(SnapshotOffer, answer, bytes_max=limits.FRAME_BYTES_MAX)
    if not 1 <= offer.parts <= PARTS_MAX:
        raise InvalidError("The offer names an impossible number of parts.")
    snapshot = Snapshot(genesis, offer, checkpoint)
    height = snapshot.header.height
    # The blocks first: if the checkpoint is not on that chain, the state need not be fetched.
    for wanted in snapshot.wanted(RECENT_BLOCKS):
        answer = await peers.call(peer, "snapshot-block", encode(BlockCall(wanted)))
        block = decode(CertifiedBlock, answer, bytes_max=limits.FRAME_BYTES_MAX)
        snapshot.add_block(wanted, block)
    for number in range(offer.parts):
        answer = await peers.call(peer, "snapshot-part", encode(PartCall(height, number)))
        snapshot.assembly.add(decode(StatePart, answer, bytes_max=limits.FRAME_BYTES_MAX))
    return snapshot.finish(RECENT_BLOCKS)
