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

from hansa import limits
from hansa.codec import decode, digest, encode
from hansa.crypto.sealing import open_sealed, seal
from hansa.data.contents import (
    ContentChunk,
    Contents,
    FileEntry,
    validate_contents,
    validate_names,
)
from hansa.data.directory import Directory, DirectoryEntry, validate_directory
from hansa.errors import CorruptError, InvalidError
from hansa.types import Digest

__all__ = [
    "ContentChunk",
    "Contents",
    "Directory",
    "DirectoryEntry",
    "FileEntry",
    "Manifest",
    "build_manifest",
    "compute_root",
    "decode_manifest",
    "open_contents",
    "open_directory",
    "validate_agreement",
    "validate_contents",
    "validate_directory",
    "validate_names",
]

ROOT_TAG = "hansa.manifest.3"
SALT_BYTES = 32
_DIRECTORY_USE = b"hansa.manifest.directory\x00\x03"
_CONTENTS_USE = b"hansa.manifest.contents\x00\x03"


class _Value(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of the stored values here."""


class Manifest(_Value, frozen=True):
    """The object that is stored and served."""

    format: Literal[3]
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
        3,
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


def validate_agreement(directory: Directory, contents: Contents) -> None:
    """Check both parts, and that they speak of the same chunks, lengths and counts.

    Raises:
        InvalidError: they do not.
    """
    validate_directory(directory)
    validate_contents(contents)
    listed = (directory.chunk_ids, directory.sealed_lengths, directory.plain_lengths)
    used = (contents.chunk_ids, contents.sealed_lengths, contents.plain_lengths)
    counts = (directory.files, directory.content_bytes, directory.dictionary_chunks)
    if listed != used or counts != (
        len(contents.file_names),
        contents.content_bytes(),
        contents.dictionary_chunks(),
    ):
        raise InvalidError("A manifest's directory and contents disagree.")
