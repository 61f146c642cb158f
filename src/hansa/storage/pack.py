"""Pack: a large immutable object of many sealed chunks (paper 4.1 step 1, the off-chain link).

    header    "HANSAPAK" ‖ format (2) ‖ zeros (6)
    chunks    sealed, one after the other
    footer    sealed to the directory key: for each chunk its id, fingerprint, sealed digest, place
    trailer   synthetic value (32) ‖ footer's length (8) ‖ "HANSAEND"

A pack's name is the root of a digest tree over its 1 MiB parts, so anybody can check it without keys.
The footer's key is derived from the directory key and a synthetic value over the footer (as SIV modes
do, RFC 5297): sealing the same journal again after a crash gives the same bytes and the same name.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hansa.codec import decode, encode
from hansa.crypto.merkle import compute_root
from hansa.crypto.sealing import NONCE_BYTES, open_sealed, seal
from hansa.data.chunk import compute_sealed_digest
from hansa.errors import CorruptError, InvalidError
from hansa.limits import MIB, PACK_BYTES_MAX
from hansa.types import ChunkId, Digest

HEADER = b"HANSAPAK" + (1).to_bytes(2, "big") + bytes(6)
_END = b"HANSAEND"
_TRAILER_BYTES = 32 + 8 + len(_END)
PART_BYTES = MIB
FOOTER_ENTRY_BYTES_MAX = 160
"""Footer bytes one chunk takes at most: for planning how much fits."""
_USE = b"hansa.pack.footer\x00\x01"


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

    format: Literal[1]
    cluster: int
    """Label of the index cluster its chunks were gathered for; a hint."""
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


@dataclass(frozen=True, slots=True)
class Member:
    """A chunk to be packed, and how to read its sealed bytes (twice: for the name, for the pack)."""

    chunk: ChunkId
    fingerprint: bytes
    sealed_digest: bytes
    length: int
    read: Callable[[], bytes]


class PackPlan:
    """A pack about to be written: its name is known before its first byte is."""

    def __init__(self, members: Sequence[Member], cluster: int, directory_key: bytes) -> None:
        """Lay the pack out and read its members once, for its name.

        Raises:
            CorruptError: a member's bytes are not those that were recorded.
        """
        entries: list[PackEntry] = []
        offset = len(HEADER)
        for member in members:
            entries.append(
                PackEntry(
                    member.chunk, member.fingerprint, member.sealed_digest, offset, member.length
                )
            )
            offset += member.length
        self._members = members
        self.footer = PackFooter(1, cluster, tuple(entries))
        self._tail = _seal_footer(self.footer, directory_key)
        self.bytes = offset + len(self._tail)
        assert self.bytes <= PACK_BYTES_MAX
        self.root = compute_pack_root(self.parts())

    def parts(self) -> Iterator[bytes]:
        """Yield the pack's bytes in order."""
        yield HEADER
        for member in self._members:
            sealed = member.read()
            if compute_sealed_digest(sealed) != member.sealed_digest:
                raise CorruptError("A chunk changed in the journal before it could be packed.")
            yield sealed
        yield self._tail


def compute_pack_root(parts: Iterable[bytes]) -> Digest:
    """Return the root of the digest tree over 1 MiB parts of the joined bytes, 32 bytes.

    Leaves are the SHA-256 digests of the parts; the tree is that of RFC 9162.
    """
    leaves: list[bytes] = []
    state, room = hashlib.sha256(), PART_BYTES
    for piece in parts:
        view = memoryview(piece)
        while view:
            state.update(view[:room])
            taken = min(room, len(view))
            view, room = view[taken:], room - taken
            if room == 0:
                leaves.append(state.digest())
                state, room = hashlib.sha256(), PART_BYTES
    if room < PART_BYTES:
        leaves.append(state.digest())
    return compute_root(leaves)


def is_intact(store: ReadOnlyStore, name: str, root: bytes) -> bool:
    """Read a pack whole and tell whether it has this root; needs no key."""
    size = store.size(name)
    parts = (store.get(name, at, min(PART_BYTES, size - at)) for at in range(0, size, PART_BYTES))
    return compute_pack_root(parts) == root


def read_footer(store: ReadOnlyStore, name: str, directory_key: bytes) -> PackFooter:
    """Read what a pack holds: two positioned reads.

    Raises:
        CorruptError: no pack, changed, or sealed to another organisation's directory key.
        MissingError: no such object.
    """
    size = store.size(name)
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


def _validate_footer(footer: PackFooter, body_end: int, name: str) -> None:
    """Check that the entries fill the body without gaps or overlap."""
    offset = len(HEADER)
    for entry in footer.entries:
        if entry.offset != offset or entry.length < 1:
            raise CorruptError(f"The footer of {name} does not describe its chunks.")
        if len(entry.chunk) != 32 or len(entry.sealed_digest) != 32:
            raise CorruptError(f"The footer of {name} holds a malformed id.")
        offset += entry.length
    if offset != body_end:
        raise CorruptError(f"The footer of {name} does not describe its chunks.")


def _seal_footer(footer: PackFooter, directory_key: bytes) -> bytes:
    """Return sealed footer ‖ trailer."""
    plain = encode(footer)
    synthetic = _synthetic_value(directory_key, plain)
    # The key is unique to this plaintext, so a fixed nonce is never used twice with it.
    sealed = seal(_footer_key(directory_key, synthetic), bytes(NONCE_BYTES), plain, _USE)
    return sealed + synthetic + len(sealed).to_bytes(8, "big") + _END


def _synthetic_value(directory_key: bytes, plain: bytes) -> bytes:
    return _derive(directory_key, b"hansa.pack.synthetic.1" + hashlib.sha256(plain).digest())


def _footer_key(directory_key: bytes, synthetic: bytes) -> bytes:
    return _derive(directory_key, b"hansa.pack.key.1" + synthetic)


def _derive(directory_key: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=info).derive(directory_key)
