"""A node's blocks and state on its own disk: ports.Ledger.

Upon append: the block is synced into a segment first, then state changes, place and height follow in
one LMDB transaction. A crash between the two, or one of the machine that undoes the last transaction,
leaves a block on disk that the state does not know: `recover` replays it on start-up. Nothing was
acknowledged before the block was durable and the state written.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from hansa import limits
from hansa.chain.blocks import CertifiedBlock
from hansa.codec import decode, encode
from hansa.errors import ConflictError, CorruptError, HansaError, InvalidError, UnavailableError
from hansa.ledger.durable import Sync, as_hansa_error, sync_file, sync_folder
from hansa.ledger.segments import FILE_HEADER, FRAME_HEADER, SegmentFile
from hansa.ledger.state_table import TABLE_NAME, Place, StateTable
from hansa.types import Digest, Height

Writes = Iterable[tuple[bytes, bytes | None]]
Apply = Callable[[CertifiedBlock], Writes]
"""Checks a block against the state before it and returns what it writes; raises if it is wrong."""


class BlockLedger:
    """The ledger of one node; one writer, any number of readers in the process."""

    def __init__(
        self,
        folder: Path,
        *,
        alliance: Digest,
        sync: Sync = sync_file,
        segment_bytes_max: int = limits.BLOCK_SEGMENT_BYTES_MAX,
    ) -> None:
        """Open the ledger in `folder`, making both if they are not there.

        Blocks the state does not know yet are counted by `pending`; call `recover` before `append`.

        Raises:
            CorruptError: acknowledged bytes are damaged or missing; says which and where.
            ConflictError: the folder belongs to another alliance.
            DiskFullError, UnavailableError, DeniedError: the disk refused.
        """
        self._folder = folder
        self._alliance = alliance
        self._sync = sync
        self._segment_bytes_max = segment_bytes_max
        try:
            if not folder.exists():
                folder.mkdir(parents=True, mode=0o700)
                sync_folder(folder.parent)
        except OSError as error:
            raise as_hansa_error(error, f"make the folder {folder}") from error
        self._table = StateTable(folder, owner=alliance)
        self._segments: dict[int, SegmentFile] = {}
        self._failed = False
        self._height = self._table.height()
        self._pending: list[tuple[Height, Place]] = []
        try:
            self._open_segments()
        except HansaError:
            self.close()
            raise

    def _segment_path(self, number: int) -> Path:
        return self._folder / f"blocks-{number:08d}.seg"

    def _open_segment(self, number: int) -> SegmentFile:
        found = self._segments.get(number)
        if found is None:
            found = self._segments[number] = SegmentFile(
                self._segment_path(number), number=number, owner=self._alliance, sync=self._sync
            )
        return found

    def _open_segments(self) -> None:
        """Open all segments and read what lies behind the last block the state knows."""
        begin_at = self._table.first_segment()
        numbers = sorted(int(path.stem[7:]) for path in self._folder.glob("blocks-*.seg"))
        for number in [number for number in numbers if number < begin_at]:
            # A crash came between giving it up and removing it.
            self._segment_path(number).unlink()
            numbers.remove(number)
        place = self._table.place(self._height) if self._height else None
        first, start = (place.segment, place.end) if place else (begin_at, FILE_HEADER.size)
        last = max([first, *numbers])
        if (self._height or numbers) and numbers != list(range(begin_at, last + 1)):
            missing = sorted(set(range(begin_at, last + 1)) - set(numbers))
            raise CorruptError(
                f"{self._segment_path(missing[0])} is missing.",
                remedy="Put it back, or let a fresh folder catch up from the other nodes.",
            )
        for number in range(begin_at, last + 1):
            segment = self._open_segment(number)
            if number >= first:
                begin = start if number == first else FILE_HEADER.size
                for frame in segment.scan(begin, is_last=number == last):
                    height = Height(self._height + len(self._pending) + 1)
                    self._decode(frame.payload, height, segment.path)
                    self._pending.append((height, Place(number, frame.offset, frame.end)))
        self._active = last

    def _decode(self, payload: bytes, height: int, path: Path) -> CertifiedBlock:
        try:
            certified = decode(CertifiedBlock, payload)
        except InvalidError as error:
            raise self._not_the_block(height, path) from error
        header = certified.block.header
        if header.height != height or header.alliance != self._alliance:
            raise self._not_the_block(height, path)
        return certified

    @staticmethod
    def _not_the_block(height: int, path: Path) -> CorruptError:
        return CorruptError(
            f"{path} does not hold block {height} where it should be.",
            remedy="Keep the folder for a diagnosis, and let a fresh one catch up.",
        )

    @property
    def pending(self) -> int:
        """How many blocks on disk the state does not know yet; 0 after `recover`."""
        return len(self._pending)

    def recover(self, apply: Apply) -> int:
        """Replay the blocks the state does not know, oldest first; return how many.

        A crash while replaying is harmless: each block is one atomic step, and the rest comes again.

        Raises:
            Whatever `apply` raises; the blocks from there on stay pending.
        """
        count = 0
        while self._pending:
            height, place = self._pending[0]
            segment = self._open_segment(place.segment)
            certified = self._decode(segment.read(place.offset), height, segment.path)
            self._commit(certified, place, apply(certified))
            self._pending.pop(0)
            count += 1
        return count

    def height(self) -> Height:
        """Return the last durable height; 0 if only the genesis is."""
        return self._height

    def append(self, certified: CertifiedBlock, writes: Writes) -> None:
        """Make a block and its state changes durable: the block synced first, then the state.

        Raises:
            ConflictError: not the next height, or blocks wait for `recover`; nothing was written.
            DiskFullError, UnavailableError, CorruptError: the caller must stop the node; every
                further append is refused until the folder is opened again.
        """
        self._require_sound()
        header = certified.block.header
        if self._pending or header.height != self._height + 1 or header.alliance != self._alliance:
            raise ConflictError(
                f"Block {header.height} is not the next: the ledger stands at {self._height}"
                f" and {len(self._pending)} blocks wait to be replayed."
            )
        payload = encode(certified)
        try:
            segment = self._writable_segment(len(payload))
            offset = segment.append(payload)
        except HansaError:
            self._failed = True
            raise
        place = Place(self._active, offset, offset + FRAME_HEADER.size + len(payload))
        self._commit(certified, place, writes)

    def install(
        self, blocks: Sequence[CertifiedBlock], items: Iterable[tuple[bytes, bytes]]
    ) -> None:
        """Take a snapshot into an empty ledger: a state, and blocks up to its height.

        Not atomic: until it returns the folder is of no use, and must be made anew after a crash.

        Args:
            blocks: oldest first; the last is at the state's height.
            items: all pairs of the state.

        Raises:
            ConflictError: the ledger is not empty.
            DiskFullError, UnavailableError, CorruptError: the disk refused.
        """
        self._require_sound()
        if self._height or self._pending or not blocks:
            raise ConflictError(f"The ledger in {self._folder} is not empty.")
        placed, first = [], blocks[-1].block.header.height
        for certified in blocks:
            payload = encode(certified)
            offset = self._writable_segment(len(payload)).append(payload)
            end = offset + FRAME_HEADER.size + len(payload)
            height = certified.block.header.height
            placed.append((height, Place(self._active, offset, end), _outcomes(certified)))
        for height in sorted((at for at, _, _ in placed), reverse=True):
            first = Height(min(first, height)) if height >= first - 1 else first
        self._table.install(blocks[-1].block.header.height, placed, first, items)
        self._height = blocks[-1].block.header.height

    @property
    def first(self) -> Height:
        """The height from which on every block is here; 1 unless older ones were left out."""
        return self._table.first()

    def prune(self, below: int, is_kept: Callable[[CertifiedBlock], bool]) -> int:
        """Remove files whose blocks are all below a height; return how many blocks went.

        The file that is written to stays, and so do blocks that are kept, in the state table. The
        order is: kept blocks durable and the rest forgotten in one step, then the file is removed.

        Args:
            below: blocks from this height on stay.
            is_kept: tells of each block that would go whether it stays all the same.

        Raises:
            CorruptError: a block to be removed is damaged; it and all after it stay.
        """
        self._require_sound()
        removed = 0
        for number in range(self._table.first_segment(), self._active):
            segment = self._open_segment(number)
            blocks = [
                decode(CertifiedBlock, frame.payload)
                for frame in segment.scan(FILE_HEADER.size, is_last=False)
            ]
            heights = [item.block.header.height for item in blocks]
            if heights and max(heights) >= below:
                break
            kept = [(item.block.header.height, encode(item)) for item in blocks if is_kept(item)]
            self._table.give_up(number, heights, kept)
            segment.close()
            del self._segments[number]
            segment.path.unlink()
            sync_folder(self._folder)
            removed += len(blocks) - len(kept)
        return removed

    def _writable_segment(self, payload_bytes: int) -> SegmentFile:
        """Return the segment to append to; a full one is followed by a new one."""
        segment = self._open_segment(self._active)
        if segment.end + payload_bytes > self._segment_bytes_max and segment.end > FILE_HEADER.size:
            segment = self._open_segment(self._active + 1)
            for _ in segment.scan():
                raise self._not_the_block(self._height + 1, segment.path)
            self._active += 1
        return segment

    def _commit(self, certified: CertifiedBlock, place: Place, writes: Writes) -> None:
        self._require_sound()
        block = certified.block
        try:
            self._table.commit(block.header.height, place, _outcomes(certified), writes)
        except HansaError:
            self._failed = True
            raise
        self._height = block.header.height

    def _require_sound(self) -> None:
        if self._failed:
            raise UnavailableError(
                f"The ledger in {self._folder} takes nothing more after a failed write.",
                remedy="Check the disk, then start the node again.",
            )

    def block(self, height: Height) -> CertifiedBlock | None:
        """Return the block at a height, or None where the ledger has none.

        Raises:
            CorruptError: its bytes are damaged.
        """
        place = self._table.place(height) if 1 <= height <= self._height else None
        if place is None:
            kept = self._table.kept(height) if 1 <= height <= self._height else None
            path = self._folder / TABLE_NAME
            return self._decode(kept, height, path) if kept is not None else None
        segment = self._open_segment(place.segment)
        return self._decode(segment.read(place.offset), height, segment.path)

    def locate(self, transaction: Digest) -> tuple[Height, int] | None:
        """Return height and index in its block of a transaction; None if no block holds it."""
        return self._table.locate(transaction)

    def state_items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all state pairs at the durable height, in key order.

        Raises:
            ConflictError: a block was appended meanwhile; begin again.
        """
        return self._table.items()

    def verify(self) -> int:
        """Read every block from `first` on and check it; return how many there are.

        Raises:
            CorruptError: the first damage found.
        """
        first = self.first
        for height in range(first, self._height + 1):
            if self.block(Height(height)) is None:
                raise self._not_the_block(height, self._folder)
        return self._height - first + 1

    def close(self) -> None:
        """Close all files; closing twice is fine."""
        for segment in self._segments.values():
            segment.close()
        self._table.close()


def _outcomes(certified: CertifiedBlock) -> tuple[tuple[Digest, bool], ...]:
    """Return the digest of each transaction of a block, and whether it was accepted."""
    block = certified.block
    return tuple(
        (transaction.digest(), result.accepted)
        for transaction, result in zip(block.transactions, block.results, strict=True)
    )
