"""A store in a folder of HDFS.

    root/
    ├─ owner      which organisation's store this is
    ├─ tmp/       being written; what is older than any write takes was left by a crash, and is swept
    └─ objects/   immutable, complete, read back

Upon put: write to a name of its own in tmp, close, read back and compare, rename without replacing. Any
number of nodes may do so at once: no lock is needed, since nothing is ever changed in place.

Upon an error: what may pass is tried again with pauses; what will not (denied, quota, no such
nameservice) is raised at once. No call of the library runs without a deadline.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from hdfs_native import Client, FileReader, FileStatus

from hansa import limits
from hansa.errors import (
    ConflictError,
    CorruptError,
    HansaError,
    InvalidError,
    MissingError,
    UnavailableError,
)
from hansa.ports import Clock, Entropy
from hansa.storage.hdfs.calls import BoundedCalls, Patience, Pulse, T
from hansa.storage.hdfs.failures import (
    LateError,
    UnreachableError,
    explain,
    explain_read,
    is_expected,
)
from hansa.storage.hdfs.settings import HdfsSettings, connect
from hansa.storage.hdfs.writing import (
    FileSource,
    PartsSource,
    Source,
    compute_digest,
    discard,
    read_back,
    watched,
    write_file,
)
from hansa.storage.names import validate_name

FOLDER_MODE = 0o700
_QUOTA_NONE = 1 << 62
"""HDFS says "no quota" by the largest number of 63 or of 64 bits."""


class HdfsStore:
    """Implements `ports.Store` on a folder of HDFS. Thread-safe."""

    def __init__(
        self,
        settings: HdfsSettings,
        owner: str,
        *,
        clock: Clock,
        entropy: Entropy,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Open or make the store, and sweep what a crash left in tmp.

        Args:
            settings: where it is.
            owner: one line that names the alliance and the organisation.
            clock: for outages and for what is old.
            entropy: names temporary files.
            tell: is told when the store is away, and when it is back.

        Raises:
            InvalidError: the settings cannot be right.
            ConflictError: the store belongs to another organisation.
            DeniedError: HDFS refuses this user.
            UnavailableError: HDFS did not answer, or was in safe mode, for too long.
        """
        self._root = settings.root()
        self._objects = f"{self._root}/objects"
        self._tmp = f"{self._root}/tmp"  # noqa: S108 - in HDFS, and our own
        self._replication = settings.replication
        self._client: Client = connect(settings)
        self._clock = clock
        self._entropy = entropy
        self._calls = BoundedCalls()
        self._patience = Patience(clock, entropy, tell)
        self._lock = threading.Lock()
        self._readers: OrderedDict[str, FileReader] = OrderedDict()
        self._folders: set[str] = set()
        self._swept_ms = clock.monotonic_ms()
        try:
            self._open(owner)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all waiting; calls under way are left to end by themselves."""
        self._patience.close()
        self._calls.close()

    @property
    def waiting_for(self) -> str:
        """Say what is waited out just now; empty if the store answers."""
        return self._patience.waiting_for

    # --- the contract ---------------------------------------------------------------------------

    def put(self, name: str, parts: Iterable[bytes]) -> int:
        """Write an object whole and durably; return its bytes."""
        path = self._path(name)
        source = PartsSource(parts)
        try:
            return self._put(path, name, source)
        finally:
            source.close()

    def put_file(self, name: str, path: Path) -> int:
        """Take a complete, synced file of the own disk as an object; return its bytes."""
        return self._put(self._path(name), name, FileSource(path))

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes at a position; to the end if no length is given."""
        path = self._path(name)
        reader = self._reader(path, name)
        size = len(reader)
        if length is None:
            length = size - offset
        # The library panics, with a trace on stderr, on a range that leaves the file.
        if offset < 0 or length < 0 or offset + length > size:
            raise InvalidError(f"Bytes {offset} + {length} lie outside of object {name}.")
        if not length:
            return b""
        return self._read(path, name, offset, length)

    def size(self, name: str) -> int:
        """Return an object's bytes."""
        return self._stat(self._path(name), name).length

    def exists(self, name: str) -> bool:
        """Tell whether the object is there."""
        try:
            self._stat(self._path(name), name)
        except MissingError:
            return False
        return True

    def list(self, prefix: str) -> Iterator[str]:
        """Yield all names under a prefix, in order; an error is raised, never an empty answer."""
        above = prefix.rpartition("/")[0]
        if above:
            validate_name(above)
        folder = f"{self._objects}/{above}" if above else self._objects
        before = len(self._objects) + 1

        def walk() -> list[str]:
            try:
                found = [
                    s.path for s in self._client.list_status(folder, recursive=True) if not s.isdir
                ]
            except FileNotFoundError:
                # Absent is an answer only while the store itself is there.
                self._client.get_file_info(self._objects)
                if self._is_there(folder):
                    raise
                return []
            return sorted(path[before:] for path in found)

        names = self._ask(walk, f"the list of objects {prefix}", limits.HDFS_LIST_MS_MAX)
        return iter([name for name in names if name.startswith(prefix)])

    def delete(self, name: str) -> None:
        """Remove an object; absent is fine. It does not go to HDFS's trash."""
        path = self._path(name)
        self._forget(path)
        self._ask(lambda: self._client.delete(path), f"object {name}")
        self._forget(path)

    def free_bytes(self) -> int | None:
        """Return how many bytes of objects the quota leaves; None where no space quota is set."""
        found = self._ask(lambda: self._client.get_content_summary(self._root), "the quota")
        if found.space_quota >= _QUOTA_NONE:
            return None
        return max(0, found.space_quota - found.space_consumed) // self._replication

    # --- opening --------------------------------------------------------------------------------

    def _open(self, owner: str) -> None:
        what = f"the store's folder {self._root}"
        self._patience.outage_ms_max = limits.HDFS_OPENING_MS_MAX
        for folder in (self._root, self._tmp, self._objects):
            self._ask(partial(self._client.mkdirs, folder, FOLDER_MODE, create_parent=True), what)
        self._claim(f"{self._root}/owner", owner.encode() + b"\n")
        self._sweep()
        self._patience.outage_ms_max = None

    def _claim(self, marker: str, wanted: bytes) -> None:
        """Check or write whose store this is."""
        self._put(marker, "owner", PartsSource([wanted]), claims=True)

    def _sweep(self) -> None:
        """Delete what crashed writers left; others' writes under way are younger than that."""
        oldest_ms = self._clock.now_ms() - limits.HDFS_TEMPORARY_MS_MAX

        def sweep() -> None:
            for status in list(self._client.list_status(self._tmp)):
                if not status.isdir and status.modification_time < oldest_ms:
                    self._client.delete(status.path)

        self._ask(sweep, "what crashed writes left", limits.HDFS_LIST_MS_MAX)

    # --- writing --------------------------------------------------------------------------------

    def _put(self, path: str, name: str, source: Source, *, claims: bool = False) -> int:
        what = f"object {name}"
        if self._clock.monotonic_ms() - self._swept_ms > limits.HDFS_TEMPORARY_MS_MAX:
            self._swept_ms = self._clock.monotonic_ms()
            self._sweep()

        def attempt() -> int:
            if not self._bounded(lambda: self._is_there(path)):
                temporary = self._write(source)
                try:
                    if self._publish(temporary, path):
                        return source.size
                except BaseException:
                    self._discard(temporary)
                    raise
                self._discard(temporary)
            self._compare(path, name, source, claims=claims)
            return source.size

        return self._patience.attempt(attempt, what, limits.HDFS_PUT_MS_MAX)

    def _write(self, source: Source) -> str:
        """Write a temporary file and read it back; return its path."""
        temporary = f"{self._tmp}/{self._entropy.random_bytes(16).hex()}"
        pulses = (Pulse(), Pulse())
        deadline_ms = _transfer_ms(source.size)
        try:
            written = self._calls.run(
                lambda: write_file(self._client, temporary, source, self._replication, pulses[0]),
                deadline_ms,
                pulses[0],
            )
            back = self._read_back(temporary, source.size, pulses[1])
        except LateError as error:
            self._discard(temporary)
            raise UnavailableError(
                f"HDFS did not take {source.size} bytes: nothing moved any more.",
                remedy="A DataNode may hang: `hdfs dfsadmin -report`.",
            ) from error
        except BaseException as error:
            pulses[0].is_cancelled = pulses[1].is_cancelled = True
            self._discard(temporary)
            self._blame_datanode(error, temporary)
            raise
        if written != back:
            # Seen once in a pipeline that lost a DataNode: written anew, under another name.
            self._discard(temporary)
            raise UnavailableError("HDFS gave back other bytes than were written.")
        return temporary

    def _read_back(self, path: str, size: int, pulse: Pulse) -> tuple[bytes, int]:
        """Return digest and count of what a file gives back."""
        return self._calls.run(
            lambda: read_back(self._client, path, pulse), _transfer_ms(size), pulse
        )

    def _blame_datanode(self, error: BaseException, temporary: str) -> None:
        """Raise that a DataNode failed if a connection did and the NameNode answers.

        Else a write would be taken for an outage of the whole store, and told so.
        """
        if not is_expected(error) or isinstance(error, HansaError):
            return
        what = f"file {temporary}"
        if isinstance(explain(error, what), UnreachableError) and self._answers(temporary):
            raise UnavailableError(
                f"A DataNode could not be reached in the middle of a write: {error}.",
                remedy="See which are dead: `hdfs dfsadmin -report`.",
            ) from error

    def _answers(self, path: str) -> bool:
        """Tell whether the NameNode answers."""
        try:
            self._bounded(lambda: self._is_there(path))
        except BaseException as error:
            if not is_expected(error) and not isinstance(error, HansaError):
                raise
            return False
        return True

    def _publish(self, temporary: str, path: str) -> bool:
        """Give a file its name; return False if the name is taken."""
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            self._bounded(partial(self._client.mkdirs, folder, FOLDER_MODE, create_parent=True))
            self._folders.add(folder)
        try:
            self._bounded(partial(self._client.rename, temporary, path))
        except FileExistsError:
            return False
        except FileNotFoundError:
            # The folder has gone, or an answer was lost and the file has its name already.
            self._folders.discard(folder)
            raise
        return True

    def _compare(self, path: str, name: str, source: Source, *, claims: bool) -> None:
        """Check that the object under a name that is taken has the source's bytes."""
        back = self._read_back(path, source.size, Pulse())
        if back == compute_digest(source.pieces()):
            return
        if claims:
            raise ConflictError(
                f"The store {self._root} belongs to another organisation.",
                remedy="Give each node a folder of its own, or look into the file `owner` there.",
            )
        raise CorruptError(
            f"Object {name} is there already with other bytes.",
            remedy="Run `hansa store check`: a name that follows from its bytes means damage.",
        )

    def _discard(self, temporary: str) -> None:
        """Delete a temporary file without waiting long; what stays is swept later."""
        try:
            self._bounded(partial(discard, self._client, temporary))
        except BaseException as error:
            if not is_expected(error) and not isinstance(error, HansaError):
                raise

    # --- reading --------------------------------------------------------------------------------

    def _reader(self, path: str, name: str) -> FileReader:
        """Return an open reader, kept from an earlier read or opened now."""
        with self._lock:
            reader = self._readers.get(path)
            if reader is not None:
                self._readers.move_to_end(path)
                return reader

        def open_file() -> FileReader:
            try:
                return self._client.read(path)
            except FileNotFoundError as error:
                raise self._missing(name) from error

        reader = self._ask(open_file, f"object {name}")
        with self._lock:
            self._readers[path] = reader
            while len(self._readers) > limits.HDFS_READERS_OPEN_MAX:
                self._readers.popitem(last=False)
        return reader

    def _forget(self, path: str) -> None:
        """Drop an open reader: it keeps the places of its blocks from when it was opened."""
        with self._lock:
            self._readers.pop(path, None)

    def _read(self, path: str, name: str, offset: int, length: int) -> bytes:
        """Read a range that lies inside; the library tries one replica after the other."""

        def read() -> bytes:
            reader = self._reader(path, name)
            started_ms = self._clock.monotonic_ms()
            try:
                data = self._transfer(reader, offset, length)
            except BaseException as error:
                self._forget(path)
                if not is_expected(error):
                    raise
                took_ms = self._clock.monotonic_ms() - started_ms
                what = f"bytes {offset} + {length} of object {name}"
                raise explain_read(error, what, took_ms, limits.HDFS_SILENCE_MS_MAX) from error
            if len(data) != length:
                self._forget(path)
                raise CorruptError(f"Object {name} became shorter while it was read.")
            return data

        try:
            return self._patience.attempt(read, f"object {name}", limits.HDFS_READ_MS_MAX)
        except CorruptError:
            # Once more with the places as the NameNode knows them now: it may have a new replica.
            return self._patience.attempt(read, f"object {name}", limits.HDFS_READ_MS_MAX)

    def _transfer(self, reader: FileReader, offset: int, length: int) -> bytes:
        """Read a range; a long one on another thread, under a deadline.

        A short one needs none: it ends when each replica's DataNode has been silent for
        HDFS_SILENCE_MS_MAX, and the hand-over would cost a tenth of it.
        """
        if length <= limits.HDFS_PIECE_BYTES:
            return reader.read_range(offset, length)
        pulse = Pulse()

        def stream() -> bytes:
            # As one range the library copies it twice, for twice the processor time.
            return b"".join(watched(reader.read_range_stream(offset, length), pulse))

        return self._calls.run(stream, _transfer_ms(length), pulse)

    def _stat(self, path: str, name: str) -> FileStatus:
        def stat() -> FileStatus:
            try:
                status = self._client.get_file_info(path)
            except FileNotFoundError as error:
                raise self._missing(name) from error
            if status.isdir:
                raise self._missing(name)
            return status

        return self._ask(stat, f"object {name}")

    # --- inside ---------------------------------------------------------------------------------

    def _path(self, name: str) -> str:
        validate_name(name)
        return f"{self._objects}/{name}"

    def _missing(self, name: str) -> MissingError:
        return MissingError(f"There is no object {name} in the store.")

    def _is_there(self, path: str) -> bool:
        try:
            self._client.get_file_info(path)
        except FileNotFoundError:
            return False
        return True

    def _bounded(self, function: Callable[[], T]) -> T:
        """Ask the NameNode something, once."""
        return self._calls.run(function, limits.HDFS_CALL_MS_MAX)

    def _ask(self, function: Callable[[], T], what: str, deadline_ms: int = 0) -> T:
        """Ask the NameNode something, and wait out its being away."""
        deadline_ms = deadline_ms or limits.HDFS_CALL_MS_MAX
        return self._patience.attempt(lambda: self._calls.run(function, deadline_ms), what)


def _transfer_ms(size: int) -> int:
    """Return how long moving so many bytes may take, milliseconds."""
    return limits.HDFS_TRANSFER_MS_MIN + size // limits.HDFS_TRANSFER_BYTES_PER_MS_MIN
