"""What of a simulated node outlives a crash: its blocks, its state, its vote log, and how they tear.

The counterpart of `hansa.ledger`, with the same duties and the same crashes: an append is whole, torn
or lost until it is synced; a block is synced before the state records it, and start-up replays the
difference (docs/spec/ledger.md). A torn append was never acknowledged and is cut at the next start.
"""

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from hansa.chain.blocks import CertifiedBlock
from hansa.chain.state import State
from hansa.chain.validation import validate_block
from hansa.codec import decode, encode
from hansa.errors import CorruptError

_HEAD_BYTES = 8


def _frame(payload: bytes) -> bytes:
    length = len(payload).to_bytes(4, "big")
    # The length is under the checksum too: eight zero bytes are no frame.
    return length + zlib.crc32(length + payload).to_bytes(4, "big") + payload


class AppendOnlyFile:
    """Checked frames, of which those behind the last sync may not survive a crash."""

    def __init__(self) -> None:
        self._synced: list[bytes] = []
        """Payloads that no crash takes away."""
        self._unsynced: list[bytes] = []
        self._tail = b""
        """Bytes a crash left behind the last sound frame; cut at the next start."""

    def write(self, payload: bytes) -> None:
        """Append a frame; it is readable at once and durable only after `sync`."""
        assert not self._tail, "start-up cuts what a crash left before anything is written"
        self._unsynced.append(payload)

    def sync(self) -> None:
        """Make durable what was written."""
        self._synced += self._unsynced
        self._unsynced.clear()

    def payloads(self) -> list[bytes]:
        """Return the payloads of all frames, oldest first."""
        return self._synced + self._unsynced

    def replace(self, payloads: Sequence[bytes]) -> None:
        """Replace the file atomically, as a rename does."""
        self._synced, self._unsynced = list(payloads), []

    def crash(self, chance: random.Random) -> None:
        """Lose what a crash may lose: all of the unsynced bytes, some of them, or none."""
        written = b"".join(map(_frame, self._unsynced))
        self._unsynced = []
        if written:
            self._tail = _tear(written, chance)

    def recover(self) -> None:
        """Keep the whole frames that a crash left, and cut the torn rest."""
        at = 0
        while at + _HEAD_BYTES <= len(self._tail):
            length = int.from_bytes(self._tail[at : at + 4], "big")
            payload = self._tail[at + _HEAD_BYTES : at + _HEAD_BYTES + length]
            checksum = int.from_bytes(self._tail[at + 4 : at + _HEAD_BYTES], "big")
            if len(payload) != length or zlib.crc32(self._tail[at : at + 4] + payload) != checksum:
                break
            self._synced.append(payload)
            at += _HEAD_BYTES + length
        self._tail = b""


def _tear(written: bytes, chance: random.Random) -> bytes:
    """Return what the disk holds of unsynced bytes: a prefix, perhaps with sectors never written."""
    kind = chance.randrange(4)
    if kind == 0:
        return b""
    if kind == 1:
        return written
    torn = bytearray(written[: chance.randint(1, len(written))])
    if kind == 2:
        start = chance.randrange(len(torn))
        torn[start : start + 512] = bytes(len(torn[start : start + 512]))
    return bytes(torn)


@dataclass(frozen=True, slots=True)
class Image:
    """A copy of a whole disk, as somebody might put back by mistake."""

    state: State
    blocks: tuple[CertifiedBlock, ...]
    votes: tuple[bytes, ...]


class Disk:
    """The disk of one node."""

    def __init__(self, state: State) -> None:
        self.state = state
        """The state table: changed in one atomic transaction."""
        self.blocks: list[CertifiedBlock] = []
        """What the state knows of the block file: all from the height after `base` on."""
        self.base = 0
        """Last height whose block was pruned, or lies before the snapshot that was taken."""
        self._apart: dict[int, CertifiedBlock] = {}
        """Older blocks that are kept all the same: they changed the set, or are the checkpoint."""
        self._block_file = AppendOnlyFile()
        self._vote_file = AppendOnlyFile()
        self.is_forgetful = False
        """A planted bug: votes are written and never synced."""

    @property
    def votes(self) -> list[bytes]:
        """The records of the vote log, oldest first."""
        return [item for frame in self._vote_file.payloads() for item in decode(_Records, frame)]

    def write_votes(self, records: Sequence[bytes]) -> None:
        """Append promises as one frame; not durable yet."""
        self._vote_file.write(encode(tuple(records)))

    def sync_votes(self) -> None:
        """Make the promises durable."""
        if not self.is_forgetful:
            self._vote_file.sync()

    def reset_votes(self, keep: Sequence[bytes]) -> None:
        """Replace the vote log."""
        self._vote_file.replace([encode(tuple(keep))] if keep else [])

    def write_block(self, certified: CertifiedBlock) -> None:
        """Append a block to its file; not durable yet."""
        self._block_file.write(encode(certified))

    def sync_block(self) -> None:
        """Make the block durable; the state does not know it yet."""
        self._block_file.sync()

    def record(self, certified: CertifiedBlock, state: State) -> None:
        """The state's transaction: the block now counts."""
        assert state.height == certified.block.header.height == self.base + len(self.blocks) + 1
        self.blocks.append(certified)
        self.state = state

    def block(self, height: int) -> CertifiedBlock | None:
        """Return the block of a height, None if it is not here."""
        if self.base < height <= self.base + len(self.blocks):
            return self.blocks[height - self.base - 1]
        return self._apart.get(height)

    def prune(self, keep: int) -> None:
        """Let go of all blocks but the last `keep` and those that changed the set."""
        gone = max(0, len(self.blocks) - keep)
        changes = self.state.set_changes()
        for certified in self.blocks[:gone]:
            if certified.block.header.height in changes:
                self._apart[certified.block.header.height] = certified
        self.blocks = self.blocks[gone:]
        self.base += gone
        self._block_file.replace([encode(item) for item in self.blocks])

    def put_snapshot(self, state: State, blocks: Sequence[CertifiedBlock]) -> None:
        """Replace everything, in one step, by a snapshot; the vote log begins anew.

        Args:
            state: after the last of the blocks.
            blocks: oldest first; the last ones follow each other, older ones are kept apart.
        """
        self.state, self._apart = state, {item.block.header.height: item for item in blocks}
        self.base = state.height
        while self.base in self._apart:
            self.base -= 1
        last = range(self.base + 1, state.height + 1)
        self.blocks = [self._apart.pop(height) for height in last]
        self._block_file.replace([encode(item) for item in self.blocks])
        self.reset_votes(())

    def crash(self, chance: random.Random) -> None:
        """Lose what a crash may lose."""
        self._vote_file.crash(chance)
        self._block_file.crash(chance)

    def recover(self) -> int:
        """Start-up: cut torn ends, replay blocks that the state does not know; return how many.

        Raises:
            CorruptError: the block file lacks what the state knows.
        """
        self._vote_file.recover()
        self._block_file.recover()
        payloads = self._block_file.payloads()
        if len(payloads) < len(self.blocks):
            raise CorruptError("The block file is shorter than the state.")
        behind = payloads[len(self.blocks) :]
        for payload in behind:
            certified = decode(CertifiedBlock, payload)
            parent = self.blocks[-1].block.header if self.blocks else None
            execution = validate_block(self.state, certified.block, parent)
            self.record(certified, self.state.advanced(execution))
        return len(behind)

    def image(self) -> Image:
        """Return a copy."""
        assert not self.base, "only of a disk that has all its blocks"
        return Image(self.state, tuple(self.blocks), tuple(self.votes))

    def put_back(self, image: Image) -> None:
        """Make the disk what it was when the copy was taken; whatever came later is gone."""
        assert not self.base, "only of a disk that has all its blocks"
        self.state, self.blocks = image.state, list(image.blocks)
        self._block_file.replace([encode(item) for item in image.blocks])
        self.reset_votes(image.votes)


_Records = tuple[bytes, ...]
