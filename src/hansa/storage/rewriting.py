"""Rewriting: what collection and repair do to packs, one durable step after the other.

    rewrite   copies the chunks that are wanted into the journal's segments, verified on the way, and
              moves their addresses; the old pack stays, and so does what was not copied
    forget    drops the addresses of dead chunks, unless an upload has just made them fresh again
    drop      deletes a pack at which no address points any more: a durable row says so first, so that a
              crash in the middle is completed at open

A crash between any two steps leaves a sound store, and each may be repeated. A reader who located an
address before gets MissingError afterwards and locates again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from hansa import limits
from hansa.data.chunk import compute_sealed_digest
from hansa.data.pipeline import UploadChunk
from hansa.errors import CorruptError, MissingError
from hansa.storage.addresses import Addresses
from hansa.storage.names import name_pack
from hansa.storage.pack import PackEntry, read_footer

Append = Callable[[Sequence[UploadChunk], Sequence[bytes], int], None]
"""append(chunks, sealed digests, cluster): durable and noted when it returns."""


class Rewriting:
    """The steps over one store. Thread-safe."""

    def __init__(self, addresses: Addresses, append: Append, directory_key: bytes) -> None:
        """Take the addresses, how chunks are made durable, and the key of the footers."""
        self._addresses = addresses
        self._append = append
        self._directory_key = directory_key

    def entries(self, root: bytes) -> tuple[PackEntry, ...]:
        """Return what a pack holds, in order: from its footer, or what the table knows of it.

        Raises:
            MissingError: there is no such pack.
            UnavailableError: the store cannot be read.
        """
        try:
            footer = read_footer(self._addresses.store, name_pack(root), self._directory_key)
        except CorruptError:
            return tuple(sorted(self._known_entries(root), key=lambda entry: entry.offset))
        return footer.entries

    def rewrite(
        self, roots: Iterable[bytes], is_wanted: Callable[[bytes], bool], cluster: int
    ) -> int:
        """Copy chunks of packs into new ones and move their addresses; return the bytes moved.

        Only chunks whose address points into the pack are copied. Those whose bytes are not what
        was stored are marked damaged and stay.

        Args:
            roots: the packs, in the order in which their chunks shall lie.
            is_wanted: tells by sealed digest which chunks to copy.
            cluster: of the new packs.

        Raises:
            DiskFullError, UnavailableError: what was moved is moved; call again.
        """
        moved = 0
        for root in roots:
            current = self._addresses.current(root, self.entries(root))
            wanted = [entry for entry in current if is_wanted(entry.sealed_digest)]
            for group in _groups(wanted):
                moved += self._copy(root, group, cluster)
        return moved

    def restore(self, chunks: Sequence[UploadChunk], cluster: int) -> None:
        """Store saved chunks again, whatever the quota says; their bytes were compared already.

        Raises:
            DiskFullError, UnavailableError: call again.
        """
        group: list[UploadChunk] = []
        size = 0
        for chunk in (*chunks, None):
            is_full = size + (len(chunk.sealed) if chunk else 0) > limits.UPLOAD_BATCH_BYTES_MAX
            if group and (chunk is None or is_full or len(group) == limits.LOOKUP_DIGESTS_MAX):
                self._append(group, [compute_sealed_digest(one.sealed) for one in group], cluster)
                group, size = [], 0
            if chunk is not None:
                group.append(chunk)
                size += len(chunk.sealed)

    def forget(self, sealed_digests: Sequence[bytes]) -> list[bytes]:
        """Drop the addresses of dead chunks in one step; return which were dropped.

        A chunk in a pack or segment that is fresh stays: an upload may be about to use it.
        """
        with self._addresses.lock:
            now = self._addresses.now_ms()
            fresh: dict[bytes, bool] = {}
            dropped: list[bytes] = []
            found = self._addresses.index.locate_many(sealed_digests)
            for digest, stored in zip(sealed_digests, found, strict=True):
                if stored is None:
                    continue
                pack = stored.address.pack
                if pack not in fresh:
                    fresh[pack] = self._addresses.fresh_until(pack) >= now
                if not fresh[pack]:
                    dropped.append(digest)
            if dropped:
                self._addresses.index.forget(dropped)
            return dropped

    def drop_pack(self, root: bytes) -> bool:
        """Delete a pack at which no address points; return whether it was deleted.

        Raises:
            UnavailableError: the store did not delete it; the next call or open does.
        """
        try:
            entries = self.entries(root)
        except MissingError:
            entries = ()
        with self._addresses.lock:
            if self._addresses.current(root, entries) or not self._addresses.begin_drop(root):
                return False
        self._addresses.finish_drop(root)
        return True

    def packed_bytes(self) -> int:
        """Return the bytes of all packs."""
        return sum(row.bytes for _, row in self._addresses.packs())

    # --- inside ---------------------------------------------------------------------------------

    def _known_entries(self, root: bytes) -> Iterator[PackEntry]:
        """Yield what the table knows of a pack whose footer is lost; reads the whole table."""
        for digest, stored in self._addresses.index.stored():
            address = stored.address
            if address.pack == root:
                yield PackEntry(
                    stored.chunk, stored.fingerprint, digest, address.offset, address.length
                )

    def _copy(self, root: bytes, group: Sequence[PackEntry], cluster: int) -> int:
        """Copy neighbouring chunks of a pack; return their bytes."""
        sound: list[UploadChunk] = []
        digests: list[bytes] = []
        bad: list[bytes] = []
        for entry, sealed in zip(group, self._read(root, group), strict=True):
            if compute_sealed_digest(sealed) == entry.sealed_digest:
                sound.append(UploadChunk(entry.chunk, entry.fingerprint, sealed))
                digests.append(entry.sealed_digest)
            else:
                bad.append(entry.sealed_digest)
        if bad:
            self._addresses.mark_damaged(bad)
        if sound:
            self._append(sound, digests, cluster)
        return sum(len(chunk.sealed) for chunk in sound)

    def _read(self, root: bytes, group: Sequence[PackEntry]) -> list[bytes]:
        """Read neighbours at once; what lies outside of a pack cut short is read as nothing."""
        store, name = self._addresses.store, name_pack(root)
        start, end = group[0].offset, group[-1].offset + group[-1].length
        end = min(end, store.size(name))
        data = memoryview(store.get(name, start, end - start) if start < end else b"")
        return [
            bytes(data[entry.offset - start : entry.offset - start + entry.length])
            for entry in group
        ]


def _groups(entries: Sequence[PackEntry]) -> Iterator[list[PackEntry]]:
    """Split entries into runs that are read and appended at once."""
    group: list[PackEntry] = []
    for entry in entries:
        is_far = (
            group and entry.offset + entry.length - group[0].offset > limits.UPLOAD_BATCH_BYTES_MAX
        )
        if group and (is_far or len(group) == limits.LOOKUP_DIGESTS_MAX):
            yield group
            group = []
        group.append(entry)
    if group:
        yield group
