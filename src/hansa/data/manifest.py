"""Manifest: what one version is made of, in two sealed parts under one salted root.

The *directory* (chunk ids, sealed digests, lengths) is sealed to the organisation's directory key: its
own node opens it to serve ranges and to know what is alive. The *contents* (names, chunk keys) are
sealed under the version's data key (DEK): only who was granted that key can read. Only the root, a
salted digest, is on the chain. A chunk that occurs twice in a version is listed once, where it occurs
first; `sequence` says how the listed chunks join to the plain stream, which files divide in order.

Each redundant field is compared at decode, so a reader never meets two answers to one question.
"""

from typing import Literal

import msgspec
from typing_extensions import override

from hansa import limits
from hansa.codec import decode, digest, encode
from hansa.crypto.sealing import open_sealed, seal
from hansa.errors import CorruptError, InvalidError
from hansa.types import ChunkId, Digest

ROOT_TAG = "hansa.manifest.1"
SALT_BYTES = 32
_DIRECTORY_USE = b"hansa.manifest.directory\x00\x01"
_CONTENTS_USE = b"hansa.manifest.contents\x00\x01"


class _Value(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of the stored values here."""


class DirectoryEntry(_Value, frozen=True):
    """One stored chunk, as the own node sees it."""

    chunk: ChunkId
    """Keyed digest of the plain bytes, 32 bytes."""
    sealed_digest: bytes
    """BLAKE3 of the sealed bytes, 32 bytes: which sealing of the chunk this version uses."""
    sealed_bytes: int
    """Length of the sealed bytes."""
    plain_bytes: int
    """Length of the plain bytes, 1 to CHUNK_BYTES_MAX."""


class Directory(_Value, frozen=True):
    """The node's part: enough to store, serve, count and collect; nothing to read with."""

    format: Literal[1]
    content_bytes: int
    """Plain bytes of all files."""
    files: int
    """How many files."""
    entries: tuple[DirectoryEntry, ...]
    """Distinct chunks in order of first occurrence: their sealed bytes, joined, are the content."""


class FileEntry(_Value, frozen=True):
    """One file: the next `size` bytes of the plain stream."""

    name: str
    """Relative path with slashes, at most FILE_NAME_BYTES_MAX bytes of UTF-8."""
    size: int
    """Plain bytes, from 0."""
    digest: bytes
    """BLAKE3 of the file, 32 bytes."""


class ContentChunk(_Value, frozen=True):
    """One stored chunk, as a reader needs it; prints without its key."""

    chunk: ChunkId
    key: bytes
    """The chunk's own key, 32 bytes."""
    sealed_bytes: int
    plain_bytes: int

    @override
    def __repr__(self) -> str:
        return f"ContentChunk({self.chunk.hex()[:16]}…)"


class Contents(_Value, frozen=True):
    """The reader's part."""

    format: Literal[1]
    files: tuple[FileEntry, ...]
    chunks: tuple[ContentChunk, ...]
    """Distinct chunks, as in the directory."""
    sequence: tuple[int, ...]
    """Index into `chunks` for each chunk of the plain stream in order."""

    def content_bytes(self) -> int:
        """Return the plain bytes of all files."""
        return sum(file.size for file in self.files)


class Manifest(_Value, frozen=True):
    """The object that is stored and served."""

    format: Literal[1]
    salt: bytes
    """32 random bytes: the root says nothing to who guesses the rest."""
    directory: bytes
    """Sealed `Directory`."""
    contents: bytes
    """Sealed `Contents`."""


def build_manifest(
    contents: Contents,
    directory: Directory,
    *,
    data_key: bytes,
    directory_key: bytes,
    salt: bytes,
    nonces: tuple[bytes, bytes],
) -> bytes:
    """Check both parts, seal them, and return the manifest's canonical bytes.

    Args:
        contents: the reader's part.
        directory: the node's part; must agree with the contents.
        data_key: the version's DEK, 32 random bytes, used for nothing else.
        directory_key: the organisation's directory key, 32 bytes.
        salt: 32 random bytes.
        nonces: 12 random bytes each, for the directory and for the contents.

    Raises:
        InvalidError: a name, a length or a sum is wrong; the message says which.
    """
    assert len(salt) == SALT_BYTES
    validate_agreement(directory, contents)
    manifest = Manifest(
        1,
        salt,
        seal(directory_key, nonces[0], encode(directory), _DIRECTORY_USE + salt),
        seal(data_key, nonces[1], encode(contents), _CONTENTS_USE + salt),
    )
    data = encode(manifest)
    if len(data) > limits.MANIFEST_BYTES_MAX:
        raise InvalidError("The version has too many chunks for one manifest.")
    return data


def compute_root(data: bytes) -> Digest:
    """Return the salted root of a manifest's bytes: what the chain holds, 32 bytes."""
    return digest(ROOT_TAG, data)


def decode_manifest(data: bytes, root: bytes | None = None) -> Manifest:
    """Decode a manifest, and check it against the root on the chain if one is given.

    Raises:
        CorruptError: these bytes do not have that root.
        InvalidError: malformed.
    """
    if root is not None and compute_root(data) != root:
        raise CorruptError("The manifest does not have the root that the chain names.")
    manifest = decode(Manifest, data, bytes_max=limits.MANIFEST_BYTES_MAX)
    if len(manifest.salt) != SALT_BYTES:
        raise InvalidError("A manifest's salt has 32 bytes.")
    return manifest


def open_directory(manifest: Manifest, directory_key: bytes) -> Directory:
    """Open and check the node's part.

    Raises:
        CorruptError: sealed to another key, or changed.
        InvalidError: it contradicts itself.
    """
    plain = open_sealed(directory_key, manifest.directory, _DIRECTORY_USE + manifest.salt)
    directory = decode(Directory, plain)
    validate_directory(directory)
    return directory


def open_contents(manifest: Manifest, data_key: bytes) -> Contents:
    """Open and check the reader's part.

    Raises:
        CorruptError: sealed under another key, or changed.
        InvalidError: it contradicts itself.
    """
    plain = open_sealed(data_key, manifest.contents, _CONTENTS_USE + manifest.salt)
    contents = decode(Contents, plain)
    validate_contents(contents)
    return contents


def validate_directory(directory: Directory) -> None:
    """Check lengths and uniqueness.

    Raises:
        InvalidError: the message says what is wrong.
    """
    if not 0 <= directory.files <= limits.FILES_PER_VERSION_MAX or directory.content_bytes < 0:
        raise InvalidError("A directory's counts are impossible.")
    plain = 0
    for entry in directory.entries:
        _validate_lengths(entry.chunk, entry.sealed_bytes, entry.plain_bytes)
        if len(entry.sealed_digest) != 32:
            raise InvalidError("A directory's sealed digests have 32 bytes.")
        plain += entry.plain_bytes
    if len({entry.chunk for entry in directory.entries}) != len(directory.entries):
        raise InvalidError("A directory lists a chunk twice.")
    if plain > directory.content_bytes or (directory.content_bytes > 0) != (plain > 0):
        raise InvalidError("A directory's chunks do not make up its content.")


def validate_contents(contents: Contents) -> None:
    """Check names, lengths, order and sums.

    Raises:
        InvalidError: the message says what is wrong.
    """
    validate_names([file.name for file in contents.files])
    for file in contents.files:
        if file.size < 0 or len(file.digest) != 32:
            raise InvalidError(f"The entry of file {file.name!r} is malformed.")
    for chunk in contents.chunks:
        _validate_lengths(chunk.chunk, chunk.sealed_bytes, chunk.plain_bytes)
        if len(chunk.key) != 32:
            raise InvalidError("Chunk keys have 32 bytes.")
    if len({chunk.chunk for chunk in contents.chunks}) != len(contents.chunks):
        raise InvalidError("The contents list a chunk twice.")
    # First occurrences come in order 0, 1, 2 …: one version has one way to be written down.
    expected, plain = 0, 0
    for index in contents.sequence:
        if not 0 <= index <= expected or index >= len(contents.chunks):
            raise InvalidError("The contents' sequence names chunks out of order.")
        expected += index == expected
        plain += contents.chunks[index].plain_bytes
    if expected != len(contents.chunks):
        raise InvalidError("The contents list a chunk that no file uses.")
    if plain != contents.content_bytes():
        raise InvalidError("The contents' chunks and files differ in length.")


def validate_agreement(directory: Directory, contents: Contents) -> None:
    """Check both parts, and that they speak of the same chunks, lengths and counts.

    Raises:
        InvalidError: they do not.
    """
    validate_directory(directory)
    validate_contents(contents)
    listed = [(entry.chunk, entry.sealed_bytes, entry.plain_bytes) for entry in directory.entries]
    used = [(chunk.chunk, chunk.sealed_bytes, chunk.plain_bytes) for chunk in contents.chunks]
    counts = (directory.files, directory.content_bytes)
    if listed != used or counts != (len(contents.files), contents.content_bytes()):
        raise InvalidError("A manifest's directory and contents disagree.")


def validate_names(names: list[str]) -> None:
    """Check the names of a version's files: safe to write below a folder, and no two in conflict.

    Raises:
        InvalidError: the message names the first bad one.
    """
    if len(names) > limits.FILES_PER_VERSION_MAX:
        raise InvalidError(f"A version holds at most {limits.FILES_PER_VERSION_MAX} files.")
    folders: set[str] = set()
    for name in names:
        parts = name.split("/")
        # A backslash separates where a reader's system says so: look through both eyes.
        pieces = name.replace("\\", "/").split("/")
        if (
            "" in parts
            or "." in parts
            or ".." in pieces
            or any(letter < " " or "\ud800" <= letter <= "\udfff" for letter in name)
            or len(name.encode("utf-8", "replace")) > limits.FILE_NAME_BYTES_MAX
        ):
            raise InvalidError(
                f"{name[:200]!r} cannot be a file's name in a version.",
                remedy="Use a relative path without '..', control characters or invalid UTF-8.",
            )
        while len(parts) > 1:
            parts.pop()
            folders.add("/".join(parts))
    if len(set(names)) != len(names):
        raise InvalidError("Two files of a version have the same name.")
    for name in names:
        if name in folders:
            raise InvalidError(f"{name[:200]!r} is both a file and a folder.")


def _validate_lengths(chunk: bytes, sealed_bytes: int, plain_bytes: int) -> None:
    """Check what both parts say of a chunk."""
    if len(chunk) != 32:
        raise InvalidError("Chunk ids have 32 bytes.")
    if not 0 < plain_bytes <= limits.CHUNK_BYTES_MAX:
        raise InvalidError("A chunk's plain length is impossible.")
    if not 0 < sealed_bytes <= limits.SEALED_CHUNK_BYTES_MAX:
        raise InvalidError("A chunk's sealed length is impossible.")
