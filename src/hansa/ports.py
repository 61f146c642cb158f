"""What the node and the client hand in: the narrow Protocols behind which disks, clocks and links lie.

Each port states idempotence, order, durability and which errors are permanent.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from hansa.types import Height, Millis

if TYPE_CHECKING:  # blocks bring the signatures; who only stores needs neither
    from hansa.chain.blocks import CertifiedBlock

T = TypeVar("T")


class Clock(Protocol):
    """The only source of time."""

    def now_ms(self) -> Millis:
        """Return wall-clock time; may jump."""
        ...

    def monotonic_ms(self) -> Millis:
        """Return time for timers; never goes back."""
        ...


class Entropy(Protocol):
    """The only source of randomness."""

    def random_bytes(self, count: int) -> bytes:
        """Return `count` unpredictable bytes."""
        ...


class Workers(Protocol):
    """A pool of threads for work that would hold the event loop."""

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Run `function(*arguments)` in the pool; a cancel leaves it running to its end."""
        ...


class Store(Protocol):
    """Immutable named objects, off the chain: memory, a local directory, HDFS.

    Names are relative, lower-case hex words and slashes ("packs/ab/abcd…"). An object appears whole
    or not at all, and is durable when `put` returns. `put` of a name that is there is a no-op if the
    bytes are equal. Permanent errors: DeniedError, CorruptError; worth a retry: UnavailableError.
    """

    def put(self, name: str, parts: Iterable[bytes]) -> int:
        """Write an object whole and durably; return its bytes.

        Raises:
            DiskFullError: no room; nothing is left behind.
            UnavailableError: the store cannot be reached.
        """
        ...

    def put_file(self, name: str, path: Path) -> int:
        """Take a complete, synced file of the own disk as an object; return its bytes.

        Keeps the promises of `put`. On success the file may be gone from its path, and the caller
        uses it no more; after an error the caller may call again, and that completes it.

        Raises:
            DiskFullError, UnavailableError: as `put`.
        """
        ...

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read bytes at a position; to the end if no length is given.

        Raises:
            MissingError: no such object.
            InvalidError: the range lies outside of it.
        """
        ...

    def size(self, name: str) -> int:
        """Return an object's bytes.

        Raises:
            MissingError: no such object.
        """
        ...

    def exists(self, name: str) -> bool:
        """Tell whether the object is there."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Yield all names under a prefix, in order; an error is raised, never an empty answer."""
        ...

    def delete(self, name: str) -> None:
        """Remove an object; absent is fine."""
        ...


class Table(Protocol):
    """Ordered durable key-value pairs of one node: the hash index table's disk.

    A row that is not what was written raises CorruptError, wherever it is met.
    """

    def get(self, key: bytes) -> bytes | None:
        """Return a value or None."""
        ...

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, or None: one view of the table for all."""
        ...

    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Apply puts and (None) deletes in one atomic, durable step, and all noted before with it."""
        ...

    def note(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Apply puts and deletes, seen at once, durable with the next write or at close.

        A crash loses the latest notes: all or none of each, never one and not a later one. For rows
        that can be told again from elsewhere.
        """
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield pairs under a prefix in key order."""
        ...

    def changing(self) -> AbstractContextManager[object]:
        """Hold off other threads that change in several steps; may be nested."""
        ...


class Ledger(Protocol):
    """A node's blocks and state on its own disk: one atomic, durable step for each block."""

    def height(self) -> Height:
        """Return the last durable height; 0 if only the genesis is."""
        ...

    def append(
        self, certified: "CertifiedBlock", writes: Iterable[tuple[bytes, bytes | None]]
    ) -> None:
        """Make a block and its state changes durable: the block synced first, then state and height.

        Raises:
            DiskFullError, CorruptError: the caller must stop the node (fail-stop).
        """
        ...

    def block(self, height: Height) -> "CertifiedBlock | None":
        """Return the block at a height, or None."""
        ...

    def state_items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all state pairs at the durable height."""
        ...


class VoteLog(Protocol):
    """A super node's promises: what was appended and synced before anything was sent."""

    def append(self, records: Iterable[bytes]) -> None:
        """Make records durable, in order, with one sync.

        Raises:
            DiskFullError, UnavailableError: the caller must stop the node (fail-stop).
        """
        ...

    def records(self) -> Iterator[bytes]:
        """Yield the records kept, oldest first; a torn tail is cut, a corrupt middle raises."""
        ...

    def reset(self, keep: Iterable[bytes]) -> None:
        """Replace the log atomically by `keep`: what a decided height leaves behind."""
        ...
