"""Index files as sealed objects of a store: a data index that exceeds the node's disk, on HDFS or elsewhere.

Counterpart of `hansa.index.files`, beside the folder of `hansa.ledger`. A file is one or more objects
of pages, each sealed by itself (AES-256-GCM, a key of the file's own), so that who keeps the store
learns nothing of descriptions, and a page that was changed, moved or taken from another file is
found. The node's own disk holds logs and, under each file's name, its key: without it the objects
are noise, and the index is built from the chain anew.

    own folder:  base-000000000042 = key ‖ id ‖ bytes ‖ CRC-32     log-000000000042
    store:       index/<id>-0000 = page 0 ‖ tag ‖ page 1 ‖ tag ‖ …, index/<id>-0001, …

Objects are written before the name points to them, and deleted after; what a crash leaves between the
two is swept at the next start.
"""

import contextlib
import weakref
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import NamedTuple

from hansa import limits
from hansa.crypto import sealing
from hansa.errors import CorruptError, InvalidError, MissingError, UnavailableError
from hansa.index.files import IndexFile, IndexFiles, validate_range
from hansa.ports import Entropy, Store
from hansa.storage.names import INDEX

_ID_BYTES = 16
_COUNT_BYTES = 8
_CHECKSUM_BYTES = 4
_POINTER_BYTES = sealing.KEY_BYTES + _ID_BYTES + _COUNT_BYTES + _CHECKSUM_BYTES
_PAGE_BYTES = limits.INDEX_PAGE_BYTES
_SEALED_PAGE_BYTES = _PAGE_BYTES + sealing.TAG_BYTES
_RUN_PAGES = 256
_OBJECT_PAGES = limits.INDEX_OBJECT_BYTES // _PAGE_BYTES
assert _OBJECT_PAGES % _RUN_PAGES == 0
_LAST = b"last"
_INNER = b""


class _Pointer(NamedTuple):
    """What the own disk knows of a file in the store."""

    key: bytes
    """32 bytes."""
    identity: str
    """32 hexadecimal digits: how the names of its objects begin."""
    size: int
    """Plain bytes."""

    def objects(self) -> Iterator[tuple[str, int]]:
        """Yield names and sealed bytes of its objects."""
        for number, start in enumerate(range(0, self.size, limits.INDEX_OBJECT_BYTES)):
            plain = min(limits.INDEX_OBJECT_BYTES, self.size - start)
            yield _name(self.identity, number), plain + sealing.TAG_BYTES * -(-plain // _PAGE_BYTES)

    def encode(self) -> bytes:
        """Return what stands in the own folder."""
        data = self.key + bytes.fromhex(self.identity) + self.size.to_bytes(_COUNT_BYTES, "big")
        return data + zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "big")

    @classmethod
    def decode(cls, encoded: bytes) -> "_Pointer | None":
        """Return what `encode` made, or None for other bytes."""
        data, checksum = encoded[:-_CHECKSUM_BYTES], encoded[-_CHECKSUM_BYTES:]
        if zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "big") != checksum:
            return None
        key, identity = data[: sealing.KEY_BYTES], data[sealing.KEY_BYTES : -_COUNT_BYTES]
        return cls(key, identity.hex(), int.from_bytes(data[-_COUNT_BYTES:], "big"))


class StoredIndexFile:
    """Sealed objects read at positions as one file; reads are counted."""

    def __init__(self, store: Store, pointer: _Pointer) -> None:
        """Open a file of the store.

        Raises:
            MissingError: an object is not there.
            CorruptError: one is not as long as it was written.
            UnavailableError: the store cannot be reached.
        """
        self._store = store
        self._identity, self._size = pointer.identity, pointer.size
        self._pages = sealing.Pages(pointer.key)
        self.bytes_read = 0
        for name, size in pointer.objects():
            if store.size(name) != size:
                raise CorruptError(f"Object {name} of the index was cut.")

    @property
    def size(self) -> int:
        """Bytes of its contents."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes, counted; the pages they lie in come by one read of an object.

        Raises:
            InvalidError: the range lies outside of the file.
            CorruptError: a page was changed, or an object is gone.
            UnavailableError: the store does not deliver.
        """
        validate_range(offset, length, self._size)
        if not length:
            return b""
        first, end = offset // _PAGE_BYTES, -(-(offset + length) // _PAGE_BYTES)
        parts: list[bytes] = []
        start = first
        while start < end:
            stop = min(end, (start // _OBJECT_PAGES + 1) * _OBJECT_PAGES)
            parts.extend(self._read_pages(start, stop))
            start = stop
        self.bytes_read += length
        return b"".join(parts)[offset - first * _PAGE_BYTES :][:length]

    def close(self) -> None:
        """Nothing to release; bytes returned earlier stay."""

    def _read_pages(self, first: int, end: int) -> Iterator[bytes]:
        """Yield the pages from `first` to before `end`, which lie in one object."""
        number = first // _OBJECT_PAGES
        name, begins = _name(self._identity, number), number * _OBJECT_PAGES
        last = (self._size - 1) // _PAGE_BYTES
        length = (end - first) * _SEALED_PAGE_BYTES
        if end > last:
            length -= (last + 1) * _PAGE_BYTES - self._size
        try:
            sealed = self._store.get(name, (first - begins) * _SEALED_PAGE_BYTES, length)
        except (MissingError, InvalidError) as error:
            raise CorruptError(f"Object {name} of the index is gone or was cut.") from error
        view = memoryview(sealed)
        for page in range(first, end):
            at = (page - first) * _SEALED_PAGE_BYTES
            kind = _LAST if page == last else _INNER
            yield self._pages.open(page, view[at : at + _SEALED_PAGE_BYTES], kind)


class StoredIndexFiles:
    """Implements `index.files.IndexFiles`: files in a store, their keys and all logs in a folder."""

    def __init__(self, store: Store, folder: IndexFiles, entropy: Entropy) -> None:
        """Sweep the objects that no name points to.

        Args:
            store: the node's own; nobody else writes `index/` in it.
            folder: for names, keys and logs, on the node's own disk.
            entropy: makes keys and objects' ids.

        Raises:
            UnavailableError: the store cannot be reached.
        """
        self._store = store
        self._folder = folder
        self._entropy = entropy
        self._read: weakref.WeakValueDictionary[str, StoredIndexFile] = (
            weakref.WeakValueDictionary()
        )
        pointers = [pointer for name in folder.list() if (pointer := self._pointer(name))]
        known = {name for pointer in pointers for name, _ in pointer.objects()}
        self._leftovers = set(store.list(INDEX)) - known
        self._sweep()

    def write(self, name: str, parts: Iterable[bytes]) -> None:
        """Write a file whole and durably, or not at all."""
        before = self._pointer(name)
        self._sweep()
        key = self._entropy.random_bytes(sealing.KEY_BYTES)
        identity = self._entropy.random_bytes(_ID_BYTES).hex()
        pages = _Sealing(key)
        runs = pages.seal(parts)
        written: set[str] = set()
        for first in runs:
            stored = _name(identity, len(written))
            written.add(stored)
            # Whatever becomes of it, no name points to it yet.
            self._leftovers.add(stored)
            self._store.put(stored, chain([first], islice(runs, _OBJECT_PAGES // _RUN_PAGES - 1)))
        self._folder.write(name, [_Pointer(key, identity, pages.size).encode()])
        self._leftovers -= written
        if before is not None:
            self._discard(before)

    def open(self, name: str) -> IndexFile:
        """Open a file; it stays readable when it is replaced or deleted."""
        pointer = self._read_pointer(name)
        if pointer is None or not pointer.size:
            raise CorruptError(f"{name} does not point to a file of the index in the store.")
        opened = StoredIndexFile(self._store, pointer)
        self._read[pointer.identity] = opened
        return opened

    def append(self, name: str, record: bytes) -> None:
        """Append a record to a log."""
        self._folder.append(name, record)

    def records(self, name: str) -> Iterator[bytes]:
        """Yield a log's records."""
        return self._folder.records(name)

    def list(self) -> list[str]:
        """Return the names there are, sorted."""
        return self._folder.list()

    def delete(self, name: str) -> None:
        """Remove a file or log; absent is fine."""
        pointer = self._pointer(name)
        self._folder.delete(name)
        if pointer is not None:
            self._discard(pointer)

    def _pointer(self, name: str) -> _Pointer | None:
        """Return what the own disk knows of a file; None for a log, what is no pointer or not there."""
        try:
            return self._read_pointer(name)
        except (MissingError, CorruptError):
            return None

    def _read_pointer(self, name: str) -> _Pointer | None:
        """As `_pointer`, but what is not there or empty is raised."""
        file = self._folder.open(name)
        try:
            if file.size != _POINTER_BYTES:
                return None
            return _Pointer.decode(file.read(0, _POINTER_BYTES))
        finally:
            file.close()

    def _discard(self, pointer: _Pointer) -> None:
        self._leftovers.update(name for name, _ in pointer.objects())
        self._sweep()

    def _sweep(self) -> None:
        """Delete the objects that no name points to, but those that a question still reads.

        If the store is away they are deleted another time.
        """
        with contextlib.suppress(UnavailableError):
            for stored in sorted(self._leftovers):
                if stored.removeprefix(INDEX).partition("-")[0] not in self._read:
                    self._store.delete(stored)
                    self._leftovers.discard(stored)


def discard_index(store: Store) -> None:
    """Delete what an index left in a store whose node keeps it in its own folder now."""
    for stored in list(store.list(INDEX)):
        store.delete(stored)


class _Sealing:
    """Cuts parts into pages and seals them; counts plain bytes."""

    def __init__(self, key: bytes) -> None:
        self._pages = sealing.Pages(key)
        self.size = 0

    def seal(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """Yield runs of sealed pages; the last page is marked, so that an end cut off is found."""
        held, page = bytearray(), 0
        for part in parts:
            held += part
            self.size += len(part)
            # A run stays until more is known to follow: its last page may be the file's.
            while len(held) > _RUN_PAGES * _PAGE_BYTES:
                yield self._seal_run(page, held[: _RUN_PAGES * _PAGE_BYTES], _INNER)
                del held[: _RUN_PAGES * _PAGE_BYTES]
                page += _RUN_PAGES
        if held:
            yield self._seal_run(page, held, _LAST)

    def _seal_run(self, page: int, plain: bytearray, last: bytes) -> bytes:
        """Return sealed pages that follow each other, the last of them marked as told."""
        starts = range(0, len(plain), _PAGE_BYTES)
        return b"".join(
            self._pages.seal(
                page + number,
                plain[start : start + _PAGE_BYTES],
                last if number == len(starts) - 1 else _INNER,
            )
            for number, start in enumerate(starts)
        )


def _name(identity: str, number: int) -> str:
    return f"{INDEX}{identity}-{number:04d}"
