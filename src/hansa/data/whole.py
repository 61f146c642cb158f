"""A small version opened whole: manifest, data key and content in, its files' bytes out.

For versions that are fetched many at a time: nothing is planned or read in parts. What is larger is
read in windows (`layout.py`).
"""

from dataclasses import dataclass

from blake3 import blake3
from typing_extensions import override

from hansa.data.chunk import open_chunk
from hansa.data.columns import sum_u32
from hansa.data.layout import ContentLayout
from hansa.data.manifest import Contents, decode_manifest, open_contents
from hansa.errors import CorruptError


@dataclass(frozen=True, slots=True, repr=False)
class WholeVersion:
    """All files of one version, in order; prints without them."""

    contents: Contents
    files: tuple[bytes, ...]
    """The bytes of each file."""

    @override
    def __repr__(self) -> str:
        return f"WholeVersion({len(self.files)} files, {self.plain_bytes} bytes)"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the files."""
        return self.contents.file_names

    @property
    def plain_bytes(self) -> int:
        """Return the bytes of all files."""
        return sum(map(len, self.files))


def open_whole(
    manifest: bytes, root: bytes, data_key: bytes, content: bytes, *, plain_bytes_max: int
) -> WholeVersion:
    """Open a version; every chunk is authenticated and every file judged by its digest.

    Args:
        manifest: its bytes, as they came.
        root: of the manifest, as the chain names it; 32 bytes.
        data_key: of the version, 32 bytes.
        content: all of its sealed chunks, joined.
        plain_bytes_max: more is not opened.

    Raises:
        CorruptError: it is not what the chain names, or holds more.
        InvalidError: the manifest contradicts itself.
    """
    contents = open_contents(decode_manifest(manifest, root), data_key)
    if contents.content_bytes() > plain_bytes_max:
        raise CorruptError("The version holds more than its manifest should.")
    if len(content) != sum_u32(contents.sealed_lengths):
        raise CorruptError("The content is not of the length that its manifest names.")
    if contents.dictionary_counts:
        layout = ContentLayout(contents)
        files = [
            b"".join(layout.read_file(index, lambda at, size: content[at : at + size]))
            for index in range(len(contents.file_names))
        ]
        return WholeVersion(contents, tuple(files))
    return WholeVersion(contents, _open_plain(contents, content))


def _open_plain(contents: Contents, content: bytes) -> tuple[bytes, ...]:
    """Open a version without dictionaries: chunk after chunk, then file after file."""
    view, at = memoryview(content), 0
    opened: list[bytes] = []
    for chunk in contents.chunks:
        sealed = view[at : at + chunk.sealed_bytes]
        opened.append(open_chunk(chunk.chunk, sealed, chunk.key, chunk.plain_bytes))
        at += chunk.sealed_bytes
    plain = b"".join([opened[place] for place in contents.sequence])
    files: list[bytes] = []
    at = 0
    for entry in contents.files:
        file = plain[at : at + entry.size]
        if blake3(file).digest() != entry.digest:
            raise CorruptError(f"File {entry.name!r} is not as published.")
        files.append(file)
        at += entry.size
    return tuple(files)
