"""Data keys on their way: sealed to the publishing key, wrapped to a reader, and notes to an owner.

A data key is bound to the manifest it opens, by the root that stands on the chain, so one wrap cannot
be passed off as another's. All pure given randomness.
"""

from collections.abc import Mapping, Sequence

from hansa.chain.sealed import ConfidentialPart, OwnerNote
from hansa.codec import decode, encode
from hansa.crypto.envelope import DecryptionKey, wrap
from hansa.crypto.sealing import KEY_BYTES, open_sealed, seal
from hansa.errors import CorruptError, MissingError
from hansa.limits import CONFIDENTIAL_BYTES_MAX
from hansa.rest import UserView, WrapSet, compute_wrap_digest
from hansa.types import OrganisationName, PublicKey, RequestId

_KEY_WRAP_USE = b"hansa.key-wrap.1"
_DATA_KEY_USE = b"hansa.data-key.1"
_NOTE_USE = b"hansa.owner-note.1"


def seal_data_key(publishing: bytes, nonce: bytes, data_key: bytes, manifest_root: bytes) -> bytes:
    """Seal a version's data key to the organisation's publishing key."""
    assert len(data_key) == KEY_BYTES
    return seal(publishing, nonce, data_key, _KEY_WRAP_USE + manifest_root)


def open_data_key(publishing: bytes, sealed: bytes, manifest_root: bytes) -> bytes:
    """Return the data key of an own version.

    Raises:
        CorruptError: sealed to another publishing key, for another manifest, or changed.
    """
    data_key = open_sealed(publishing, sealed, _KEY_WRAP_USE + manifest_root)
    if len(data_key) != KEY_BYTES:
        raise CorruptError("A sealed data key has the wrong length.")
    return data_key


def build_wrap_set(
    request: RequestId,
    salt: bytes,
    requester: bytes,
    data_keys: Mapping[int, tuple[bytes, bytes]],
) -> WrapSet:
    """Wrap data keys to the requester.

    Args:
        request: the request that is granted.
        salt: 32 random bytes.
        requester: the requester's X25519 key.
        data_keys: version number → (manifest root, data key).
    """
    wraps = tuple(
        (number, wrap(requester, _data_key_info(request, number, root), data_key))
        for number, (root, data_key) in sorted(data_keys.items())
    )
    return WrapSet(request, salt, wraps)


def decode_wraps(data: bytes, request: bytes, wrap_digest: bytes) -> WrapSet:
    """Return the wraps of a grant, seen to be those that it names on the chain.

    Args:
        data: as the owner's node gave them.
        request: the granted request's id.
        wrap_digest: of the wraps, as the grant names it.

    Raises:
        CorruptError: they are others.
    """
    wraps = decode(WrapSet, data)
    if compute_wrap_digest(wraps) != wrap_digest or wraps.request != request:
        raise CorruptError(
            "The wrapped keys are not those that the grant names.",
            remedy="Ask the owner to grant again.",
        )
    return wraps


def unwrap_data_key(wraps: WrapSet, number: int, root: bytes, key: DecryptionKey) -> bytes:
    """Return the data key of one version from a grant's wraps.

    Raises:
        MissingError: the grant was made before that version.
        CorruptError: wrapped to another key, or changed.
    """
    for version, wrapped in wraps.wraps:
        if version == number:
            data_key = key.unwrap(_data_key_info(wraps.request, number, root), wrapped)
            if len(data_key) != KEY_BYTES:
                raise CorruptError("A wrapped data key has the wrong length.")
            return data_key
    raise MissingError(
        f"The grant does not cover version {number}.",
        remedy="It was published after the grant: request access again, or fetch an older version.",
    )


def seal_notes(
    request: RequestId, owner: str, officers: Sequence[UserView], confidential: bytes
) -> tuple[OwnerNote, ...]:
    """Seal a request's confidential part to each officer of the owner."""
    return tuple(
        OwnerNote(
            request,
            OrganisationName(owner),
            PublicKey(bytes.fromhex(officer.key)),
            wrap(
                bytes.fromhex(officer.encryption_key),
                _note_info(request, bytes.fromhex(officer.key)),
                confidential,
            ),
        )
        for officer in officers
    )


def open_note(note: OwnerNote, key: DecryptionKey) -> tuple[ConfidentialPart, bytes]:
    """Return the confidential part of a note, and its bytes (for the digest on the chain).

    Raises:
        CorruptError: sealed to somebody else, or changed.
        InvalidError: what is inside is malformed.
    """
    data = key.unwrap(_note_info(note.request, note.recipient), note.wrapped)
    return decode(ConfidentialPart, data, bytes_max=CONFIDENTIAL_BYTES_MAX), data


def encode_confidential(salt: bytes, justification: str, contact: str) -> bytes:
    """Return the bytes of a confidential part."""
    assert len(salt) == 32
    return encode(ConfidentialPart(salt, justification, contact))


def _data_key_info(request: bytes, number: int, root: bytes) -> bytes:
    return _DATA_KEY_USE + request + number.to_bytes(8, "big") + root


def _note_info(request: bytes, recipient: bytes) -> bytes:
    return _NOTE_USE + request + recipient
