"""What the node keeps for its users and can read nothing of: sealed notes, wraps of keys.

All of it is ciphertext; each entry is durable before the caller is answered. Kept in a table of the
node's own, apart from the ledger: nothing here is agreed on.

    note/<request><recipient>   OwnerNote      for an officer of the own organisation
    outgoing/<request><recipient>  Outgoing    a note on its way to the owner's node
    wraps/<request>             WrapSet        for the requester, put before the grant
    key/<manifest root>         bytes          data key sealed to the own publishing key
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from hansa import limits
from hansa.chain.sealed import OwnerNote
from hansa.codec import decode, encode
from hansa.errors import InvalidError, MissingError, UnavailableError
from hansa.ports import Table
from hansa.rest import WrapSet, compute_wrap_digest
from hansa.types import Digest, Height, PublicKey, RequestId

NOTE, OUTGOING, WRAPS, KEY = b"note/", b"outgoing/", b"wraps/", b"key/"
OUTGOING_MAX = 20_000
NOTES_PER_SUBMISSION_MAX = 256
KEY_WRAP_BYTES_MAX = 1_024
WRAP_BYTES_MAX = 1_024
WRAPS_MAX = 100_000
REQUEST_BYTES = 16


class Outgoing(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A note that waits for its request to be in a block, then for the owner's node."""

    note: OwnerNote
    transaction: Digest
    """The transaction that makes the request."""
    expires: Height
    """If the request is not on the chain after this height, the note is dropped."""


class Custody:
    """Durable ciphertexts of one node, over a table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._outgoing = sum(1 for _ in table.scan(OUTGOING))

    def outgoing_count(self) -> int:
        """Return how many notes wait."""
        return self._outgoing

    # --- notes ----------------------------------------------------------------------------------

    def post(self, notes: tuple[OwnerNote, ...], transaction: Digest, expires: Height) -> None:
        """Keep the notes of a submission until they can be delivered.

        Raises:
            InvalidError: too many, too long or malformed.
            UnavailableError: too many notes wait already.
        """
        if len(notes) > NOTES_PER_SUBMISSION_MAX:
            raise InvalidError(f"At most {NOTES_PER_SUBMISSION_MAX} notes go with a transaction.")
        for note in notes:
            validate_note(note)
        if self._outgoing + len(notes) > OUTGOING_MAX:
            raise UnavailableError(
                "Too many notes wait for their owners' nodes.", remedy="Try again later."
            )
        self._table.write(
            (_outgoing_key(note), encode(Outgoing(note, transaction, expires))) for note in notes
        )
        self._outgoing = sum(1 for _ in self._table.scan(OUTGOING))

    def outgoing(self) -> list[Outgoing]:
        """Return the notes that wait, in key order."""
        return [decode(Outgoing, value) for _, value in self._table.scan(OUTGOING)]

    def delivered(self, note: OwnerNote) -> None:
        """Forget a note that arrived, or that has nowhere to go any more."""
        self._table.write([(_outgoing_key(note), None)])
        self._outgoing = max(0, self._outgoing - 1)

    def keep_note(self, note: OwnerNote) -> None:
        """Keep a note for one of the own users; once more is harmless."""
        validate_note(note)
        self._table.write([(NOTE + note.request + note.recipient, encode(note))])

    def note(self, request: RequestId, recipient: PublicKey) -> OwnerNote:
        """Return the note of a request for one user.

        Raises:
            MissingError: there is none for that user, or it is still on its way.
        """
        value = self._table.get(NOTE + request + recipient)
        if value is None:
            raise MissingError(
                "No note of this request is here for you.",
                remedy="It may still be on its way, or you became an officer after the request.",
            )
        return decode(OwnerNote, value)

    # --- wraps of keys --------------------------------------------------------------------------

    def keep_wraps(self, wraps: WrapSet) -> None:
        """Keep the wrapped data keys for a requester; a later set replaces an earlier one.

        Raises:
            InvalidError: malformed.
        """
        numbers = [number for number, _ in wraps.wraps]
        if len(wraps.request) != 16 or len(wraps.salt) != 32:
            raise InvalidError("A wrap set names its request in 16 bytes and has a salt of 32.")
        if not 1 <= len(numbers) <= WRAPS_MAX or numbers != sorted(set(numbers)) or numbers[0] < 1:
            raise InvalidError("A wrap set lists version numbers from 1, sorted, each once.")
        if any(not 1 <= len(wrapped) <= WRAP_BYTES_MAX for _, wrapped in wraps.wraps):
            raise InvalidError(f"A wrapped key has 1 to {WRAP_BYTES_MAX} bytes.")
        # Keyed by the digest that a grant names: a second set cannot spoil one granted already.
        self._table.write([(WRAPS + wraps.request + compute_wrap_digest(wraps), encode(wraps))])

    def wraps(self, request: RequestId, wrap_digest: Digest) -> WrapSet:
        """Return the wrap set that a grant names by its digest.

        Raises:
            MissingError: never put here.
        """
        value = self._table.get(WRAPS + request + wrap_digest)
        if value is None:
            raise MissingError(
                "The wrapped keys of this grant are not here.",
                remedy="An officer of the owner must grant again.",
            )
        return decode(WrapSet, value)

    def keep_key(self, manifest_root: Digest, wrapped: bytes) -> None:
        """Keep a version's data key, sealed to the own publishing key.

        Raises:
            InvalidError: of absurd size.
        """
        if not 1 <= len(wrapped) <= KEY_WRAP_BYTES_MAX:
            raise InvalidError(f"A wrapped data key has 1 to {KEY_WRAP_BYTES_MAX} bytes.")
        self._table.write([(KEY + manifest_root, wrapped)])

    def key(self, manifest_root: Digest) -> bytes:
        """Return a version's wrapped data key.

        Raises:
            MissingError: never put here.
        """
        value = self._table.get(KEY + manifest_root)
        if value is None:
            raise MissingError("The wrapped data key of this version is not here.")
        return value

    # --- erasure --------------------------------------------------------------------------------

    def key_roots(self) -> Iterator[bytes]:
        """Yield the manifest root of every version whose data key is kept."""
        for key, _ in self._table.scan(KEY):
            yield key[len(KEY) :]

    def destroy_keys(self, roots: Sequence[bytes]) -> int:
        """Destroy the data keys of versions that are no more; return how many there were."""
        kept = [KEY + root for root in roots if self._table.get(KEY + root) is not None]
        if kept:
            self._table.write((key, None) for key in kept)
        return len(kept)

    def destroy_wraps(self, is_over: Callable[[RequestId], bool]) -> int:
        """Destroy the wrapped keys of requests whose dataset is no more; return how many sets.

        Args:
            is_over: tells it for a request's id; False for one that the chain does not know (yet).
        """
        over = [
            key
            for key, _ in self._table.scan(WRAPS)
            if is_over(RequestId(key[len(WRAPS) : len(WRAPS) + REQUEST_BYTES]))
        ]
        if over:
            self._table.write((key, None) for key in over)
        return len(over)


def validate_note(note: OwnerNote) -> None:
    """Check a note's form.

    Raises:
        InvalidError: a field has the wrong length.
    """
    if len(note.request) != 16 or len(note.recipient) != 32:
        raise InvalidError("A note names its request in 16 bytes and its reader in 32.")
    if not 1 <= len(note.wrapped) <= limits.NOTE_BYTES_MAX:
        raise InvalidError(f"A sealed note has 1 to {limits.NOTE_BYTES_MAX} bytes.")


def _outgoing_key(note: OwnerNote) -> bytes:
    return OUTGOING + note.request + note.recipient
