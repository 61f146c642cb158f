"""Known chunks: what the manifests of living versions say of chunks that a publisher can use again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from hansa.data.chunk import compute_dictionary_id, open_chunk
from hansa.data.columns import Numbers, read_digest, read_u16
from hansa.data.contents import Contents
from hansa.data.directory import Directory, DirectoryEntry
from hansa.errors import CorruptError
from hansa.types import ChunkId


@dataclass(frozen=True, slots=True)
class KnownChunk:
    """A duplicate: what the own manifest of a living version says of it."""

    entry: DirectoryEntry
    key: bytes
    """The chunk's key, 32 bytes."""
    dictionary: "Dictionary | None" = None
    """What it was compressed with; who uses the chunk again must list it too."""

    @override
    def __repr__(self) -> str:
        return f"KnownChunk({self.entry.chunk.hex()[:16]}…)"


class Dictionary:
    """What other chunks were compressed with: the sealed chunks that hold it, and its covers."""

    def __init__(
        self,
        chunks: Sequence[KnownChunk],
        covers: Sequence[tuple[ChunkId, ...]],
        place: tuple[int, int] = (0, 0),
        plain: bytes = b"",
    ) -> None:
        """Take what a version says of it.

        Args:
            chunks: what it is stored as, in order.
            covers: neighbouring chunks of a version's content in which it occurs.
            place: offset and length of its sealed bytes in the content of that version.
            plain: its bytes, if they are at hand.
        """
        self.chunks = tuple(chunks)
        self.covers = tuple(covers)
        self.place = place
        self.plain = plain
        """Its bytes; none while it is not open."""
        self.id = compute_dictionary_id(known.entry.chunk for known in chunks)
        self.sealing = tuple(known.entry.sealed_digest for known in chunks)
        """Which sealing of it this is: two with equal ones are the same in all respects."""

    def open(self, sealed: bytes) -> None:
        """Take its bytes from its sealed ones.

        Raises:
            CorruptError: they are not those that the manifest names.
        """
        if len(sealed) != sum(known.entry.sealed_bytes for known in self.chunks):
            raise CorruptError("A dictionary came back with another length.")
        parts: list[bytes] = []
        at = 0
        for known in self.chunks:
            entry = known.entry
            part = memoryview(sealed)[at : at + entry.sealed_bytes]
            parts.append(open_chunk(entry.chunk, part, known.key, entry.plain_bytes))
            at += entry.sealed_bytes
        self.plain = b"".join(parts)

    def close(self) -> None:
        """Let its bytes go."""
        self.plain = b""

    @override
    def __repr__(self) -> str:
        return f"Dictionary({self.id.hex()[:16]}…)"


class LivingVersion:
    """Both parts of one manifest, ready to be asked for chunks: 16 bytes more for each chunk."""

    def __init__(self, directory: Directory, contents: Contents) -> None:
        """Take two parts that agree (`validate_agreement`)."""
        self._entries = directory.entries
        self._contents = contents
        heads = np.frombuffer(contents.chunk_ids, dtype="<u8")[::4]
        self._order = np.argsort(heads, kind="stable")
        self._heads: Numbers = heads[self._order]
        self._dictionaries = contents.dictionaries
        self._made: dict[int, Dictionary] = {}
        self._next = 0
        """Chunk after the one found last: the next version asks for most in the same order."""

    def find(self, chunk: ChunkId) -> KnownChunk | None:
        """Return what the version says of a chunk, or None if it does not use it."""
        if read_digest(self._contents.chunk_ids, self._next) == chunk:
            return self._known(self._next)
        head = np.frombuffer(chunk, dtype="<u8", count=1)[0]
        at = int(np.searchsorted(self._heads, head))
        while at < len(self._heads) and self._heads[at] == head:
            index = int(self._order[at])
            if read_digest(self._contents.chunk_ids, index) == chunk:
                return self._known(index)
            at += 1
        return None

    def _known(self, index: int) -> KnownChunk:
        self._next = index + 1
        number = read_u16(self._contents.chunk_dictionaries, index)
        return KnownChunk(
            self._entries[index],
            read_digest(self._contents.chunk_keys, index),
            self._dictionary(number - 1) if number else None,
        )

    def _dictionary(self, number: int) -> Dictionary:
        made = self._made.get(number)
        if made is None:
            contents = self._contents
            listed = self._dictionaries[number]
            ids = [
                tuple(contents.chunks[contents.sequence[place]].chunk for place in places)
                for places in listed.covers
            ]
            chunks = [self._known(index) for index in listed.chunks]
            length = sum(known.entry.sealed_bytes for known in chunks)
            made = self._made[number] = Dictionary(chunks, ids, (listed.offset, length))
        return made
