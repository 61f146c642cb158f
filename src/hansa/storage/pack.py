"""Pack: a large immutable object of many sealed chunks (paper 4.1 step 1, the off-chain link).

    header    "HANSAPAK" ‖ format (2) ‖ zeros (6)
    chunks    sealed, one after the other
    footer    sealed to the directory key: for each chunk its id, fingerprint, sealed digest, place
    trailer   synthetic value (32) ‖ footer's length (8) ‖ "HANSAEND"

A pack's name is the root of a digest tree over its 1 MiB parts, so anybody can check it without keys.
It is written chunk by chunk as a segment of the journal (`segment.py`), and so never copied.
The footer's key is derived from the directory key and a synthetic value over the footer (as SIV modes
do, RFC 5297): sealing the same journal again after a crash gives the same bytes and the same name.
"""

import hashlib
from collections.abc import Iterable
from typing import Literal, Protocol

import msgspec
from blake3 import blake3
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hansa.codec import decode, encode
from hansa.crypto.merkle import compute_root
from hansa.crypto.sealing import NONCE_BYTES, open_sealed, seal
from hansa.errors import CorruptError, InvalidError
from hansa.limits import MIB, PACK_BYTES_MAX
from hansa.types import ChunkId, Digest

PACK_FORMAT = 2
HEADER = b"HANSAPAK" + PACK_FORMAT.to_bytes(2, "big") + bytes(6)
_END = b"HANSAEND"
_TRAILER_BYTES = 32 + 8 + len(_END)
PART_BYTES = MIB
FOOTER_ENTRY_BYTES_MAX = 160
"""Footer bytes one chunk takes at most: for planning how much fits."""
_USE = b"hansa.pack.footer\x00\x02"


class PackEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One chunk of a pack."""

    chunk: ChunkId
    fingerprint: bytes
    sealed_digest: bytes
    offset: int
    """From the pack's start."""
    length: int


class PackFooter(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a pack holds."""

    format: Literal[2]
    cluster: int
    """Label of the index cluster its chunks were gathered for; a hint."""
    segment: bytes
    """Id of the segment it was, 32 bytes: the same chunks written anew make a pack of another name, so
    that a damaged pack is never in the way of what is saved from it."""
    entries: tuple[PackEntry, ...]
    """In order of offset, without gaps."""


class ReadOnlyStore(Protocol):
    """What reading a pack needs of a store."""

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read bytes at a position."""
        ...

    def size(self, name: str) -> int:
        """Return an object's bytes."""
        ...


class PackHasher:
    """The digest tree of a pack's name, kept up while the pack grows.

    Leaves are the BLAKE3 digests of 1 MiB parts; the tree is that of RFC 9162.
    """

    def __init__(self) -> None:
        """Begin before the first byte."""
        self.bytes = 0
        """Taken so far."""
        self._leaves: list[bytes] = []
        self._part = blake3()
        self._room = PART_BYTES

    def update(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.bytes += len(piece)
        if len(piece) < self._room:
            self._part.update(piece)
            self._room -= len(piece)
            return
        view = memoryview(piece)
        while len(view) >= self._room:
            self._part.update(view[: self._room])
            self._leaves.append(self._part.digest())
            view, self._part, self._room = view[self._room :], blake3(), PART_BYTES
        self._part.update(view)
        self._room -= len(view)

    def root(self, tail: bytes = b"") -> Digest:
        """Return the name of what was taken and then `tail`; 32 bytes. Changes nothing."""
        if tail:
            whole = PackHasher()
            whole._leaves, whole._part = list(self._leaves), self._part.copy()
            whole._room = self._room
            whole.update(tail)
            return whole.root()
        last = [self._part.digest()] if self._room < PART_BYTES else []
        return compute_root([*self._leaves, *last])


def compute_pack_root(pieces: Iterable[bytes]) -> Digest:
    """Return a pack's name, 32 bytes, from its bytes in order, in pieces of any length."""
    hasher = PackHasher()
    for piece in pieces:
        hasher.update(piece)
    return hasher.root()


def encode_tail(footer: PackFooter, directory_key: bytes) -> bytes:
    """Return what stands behind a pack's last chunk: sealed footer, then trailer."""
    plain = encode(footer)
    synthetic = _synthetic_value(directory_key, plain)
    # The key is unique to this plaintext, so a fixed nonce is never used twice with it.
    sealed = seal(_footer_key(directory_key, synthetic), bytes(NONCE_BYTES), plain, _USE)
    return sealed + synthetic + len(sealed).to_bytes(8, "big") + _END


def is_intact(store: ReadOnlyStore, name: str, root: bytes) -> bool:
    """Read a pack whole and tell whether it has this root; needs no key."""
    size = store.size(name)
    parts = (store.get(name, at, min(PART_BYTES, size - at)) for at in range(0, size, PART_BYTES))
    return compute_pack_root(parts) == root


def read_footer(store: ReadOnlyStore, name: str, directory_key: bytes) -> PackFooter:
    """Read what a pack holds: three positioned reads.

    Raises:
        CorruptError: no pack, of another format, changed, or sealed to another organisation's directory key.
        MissingError: no such object.
    """
    size = store.size(name)
    _validate_header(store.get(name, 0, min(size, len(HEADER))), name)
    if not len(HEADER) + _TRAILER_BYTES <= size <= PACK_BYTES_MAX:
        raise CorruptError(f"Object {name} has no pack's length.")
    trailer = store.get(name, size - _TRAILER_BYTES, _TRAILER_BYTES)
    length = int.from_bytes(trailer[32:40], "big")
    start = size - _TRAILER_BYTES - length
    if trailer[40:] != _END or start < len(HEADER):
        raise CorruptError(f"Object {name} does not end as a pack does.")
    synthetic = trailer[:32]
    plain = open_sealed(_footer_key(directory_key, synthetic), store.get(name, start, length), _USE)
    if _synthetic_value(directory_key, plain) != synthetic:
        raise CorruptError(f"The footer of {name} does not fit its trailer.")
    try:
        footer = decode(PackFooter, plain)
    except InvalidError as error:
        raise CorruptError(f"The footer of {name} is malformed.") from error
    _validate_footer(footer, start, name)
    return footer


def _validate_header(header: bytes, name: str) -> None:
    """Check that a pack begins as one of this format."""
    if header == HEADER:
        return
    if header[:8] == HEADER[:8]:
        written = int.from_bytes(header[8:10], "big")
        raise CorruptError(
            f"Pack {name} has format {written}; this release reads format {PACK_FORMAT}.",
            remedy="Publish into a new store, or open this one with the release that wrote it.",
        )
    raise CorruptError(f"Object {name} does not begin as a pack does.")


def _validate_footer(footer: PackFooter, body_end: int, name: str) -> None:
    """Check that the entries fill the body without gaps or overlap."""
    offset = len(HEADER)
    if len(footer.segment) != 32:
        raise CorruptError(f"The footer of {name} holds a malformed id.")
    for entry in footer.entries:
        if entry.offset != offset or entry.length < 1:
            raise CorruptError(f"The footer of {name} does not describe its chunks.")
        if len(entry.chunk) != 32 or len(entry.sealed_digest) != 32:
            raise CorruptError(f"The footer of {name} holds a malformed id.")
        offset += entry.length
    if offset != body_end:
        raise CorruptError(f"The footer of {name} does not describe its chunks.")


def _synthetic_value(directory_key: bytes, plain: bytes) -> bytes:
    return _derive(directory_key, b"hansa.pack.synthetic.2" + hashlib.sha256(plain).digest())


def _footer_key(directory_key: bytes, synthetic: bytes) -> bytes:
    return _derive(directory_key, b"hansa.pack.key.2" + synthetic)


def _derive(directory_key: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=info).derive(directory_key)
