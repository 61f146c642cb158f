"""Known chunks: what the manifests of living versions say of chunks that a publisher can use again."""

from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from hansa.data.columns import Numbers, read_digest
from hansa.data.contents import Contents
from hansa.data.directory import Directory, DirectoryEntry
from hansa.types import ChunkId


@dataclass(frozen=True, slots=True)
class KnownChunk:
    """A duplicate: what the own manifest of a living version says of it."""

    entry: DirectoryEntry
    key: bytes
    """The chunk's key, 32 bytes."""

    @override
    def __repr__(self) -> str:
        return f"KnownChunk({self.entry.chunk.hex()[:16]}…)"


class LivingVersion:
    """Both parts of one manifest, ready to be asked for chunks: 16 bytes more for each chunk."""

    def __init__(self, directory: Directory, contents: Contents) -> None:
        """Take two parts that agree (`validate_agreement`)."""
        self._directory = directory
        self._contents = contents
        heads = np.frombuffer(contents.chunk_ids, dtype="<u8")[::4]
        self._order = np.argsort(heads, kind="stable")
        self._heads: Numbers = heads[self._order]

    def find(self, chunk: ChunkId) -> KnownChunk | None:
        """Return what the version says of a chunk, or None if it does not use it."""
        head = np.frombuffer(chunk, dtype="<u8", count=1)[0]
        at = int(np.searchsorted(self._heads, head))
        while at < len(self._heads) and self._heads[at] == head:
            index = int(self._order[at])
            if read_digest(self._contents.chunk_ids, index) == chunk:
                key = read_digest(self._contents.chunk_keys, index)
                return KnownChunk(self._directory.entries[index], key)
            at += 1
        return None
