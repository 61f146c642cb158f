"""Share: request, decide, revoke. Who asks says why; only officers of the owner and reviewers read it.

The purpose is a public word of the chain's vocabulary. Whatever else is said is confidential: sealed to
the super nodes with the transaction, and to each officer of the owner as a note, never in clear.

A grant covers the versions there are when it is given: the data keys of each are wrapped to the
requester, and the chain holds their salted digest. A version published later needs a new request
(docs/client.md says why).
"""

from dataclasses import dataclass
from typing import cast, get_args

from hansa import limits
from hansa.chain.sealed import ConfidentialPart, OwnerNote, confidential_digest
from hansa.chain.transactions import (
    DenyAccess,
    GrantAccess,
    Policy,
    Purpose,
    RequestAccess,
    RetireDataset,
    RevokeAccess,
    SetPolicy,
    derive_id,
)
from hansa.client.find import check_id, get_dataset
from hansa.client.session import Session
from hansa.client.submit import act, sign, submit
from hansa.client.wraps import build_wrap_set, encode_confidential, open_note, seal_notes
from hansa.codec import decode
from hansa.errors import ConflictError, CorruptError, DeniedError, InvalidError, MissingError
from hansa.rest import RequestView, TransactionStatus, compute_wrap_digest
from hansa.types import DatasetId, Millis, RequestId

PURPOSES: tuple[str, ...] = get_args(Purpose)


@dataclass(frozen=True, slots=True)
class Requested:
    """An access request that was made."""

    request: RequestId
    """Its id; what a grant names."""
    dataset: DatasetId
    purpose: Purpose
    """The public code."""
    status: TransactionStatus


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant that was made."""

    request: RequestId
    dataset: DatasetId
    versions: int
    """How many versions it covers."""
    status: TransactionStatus


@dataclass(frozen=True, slots=True)
class OpenedRequest:
    """A request as an officer of the owner sees it."""

    view: RequestView
    justification: str
    contact: str
    note: str
    """Why there is no justification to read; empty if there is one."""


def split_purpose(purpose: str, code: str = "") -> tuple[Purpose, str]:
    """Return the public code of a purpose, and what is told in confidence (never empty).

    A word of the vocabulary is the code; any other text goes under `code`, or `other`.

    Raises:
        InvalidError: empty, too long, or an unknown code.
    """
    text, code = purpose.strip(), code.strip().lower()
    if not text or (code and code not in PURPOSES):
        raise InvalidError(
            f"{code!r} is no public purpose." if text else "A request needs a purpose.",
            remedy=f"Public words are: {', '.join(PURPOSES)}.",
        )
    if not code and text.lower() in PURPOSES:
        code = text.lower()
    if len(text) > limits.JUSTIFICATION_CHARACTERS_MAX:
        raise InvalidError(
            f"A purpose has at most {limits.JUSTIFICATION_CHARACTERS_MAX} characters."
        )
    return cast("Purpose", code or "other"), text


async def request_access(
    session: Session,
    dataset: str,
    purpose: str,
    *,
    code: str = "",
    contact: str = "",
    wait: bool = True,
) -> Requested:
    """Ask for a dataset, all the versions it has when granted.

    Args:
        session: of a reader.
        dataset: its id.
        purpose: a word of the vocabulary, or text that only reviewers and the owner read.
        code: the public word beside such text; `other` by default.
        contact: whom the owner may ask; confidential.
        wait: until it is in a block.

    Raises:
        ConflictError: it belongs to the own organisation, whose users may read it anyway.
        DeniedError: its policy prohibits, or the user may not ask.
    """
    public, told = split_purpose(purpose, code)
    view = await get_dataset(session, dataset)
    if view.owner == session.profile.organisation:
        raise ConflictError(
            "The dataset belongs to your own organisation: you may read it without a request."
        )
    confidential = encode_confidential(session.entropy.random_bytes(32), told, contact)
    identity = DatasetId(bytes.fromhex(view.id))
    operation = RequestAccess(identity, public)
    transaction = await sign(session, [operation], confidential=confidential)
    request = RequestId(derive_id(transaction.digest(), 0))
    notes = seal_notes(request, view.owner, view.owner_users, confidential)
    status = await submit(session, transaction, confidential=confidential, notes=notes, wait=wait)
    return Requested(request, identity, public, status)


async def list_requests(session: Session, role: str = "") -> list[RequestView]:
    """Return requests: `role` owner (for own data), requester (made by own users), or all."""
    query = {"role": role} if role else {}
    return await session.transport.get("/v1/requests", list[RequestView], query)


async def get_request(session: Session, request: str) -> RequestView:
    """Return one request."""
    return await session.transport.get(f"/v1/requests/{check_id(request)}", RequestView)


async def open_request(session: Session, view: RequestView) -> OpenedRequest:
    """Return a request with its confidential part, as far as this user may read it."""
    if view.owner != session.profile.organisation:
        return OpenedRequest(view, "", "", "only the owner's officers can read it")
    path = f"/v1/requests/{view.id}/note"
    try:
        data = await session.transport.get_octets(path, bytes_max=2 * limits.NOTE_BYTES_MAX)
        part = _open_note(session, view, decode(OwnerNote, data))
    except (MissingError, DeniedError, CorruptError, InvalidError) as error:
        return OpenedRequest(view, "", "", str(error))
    return OpenedRequest(view, part.justification, part.contact, "")


async def grant(
    session: Session, request: str, *, expires_ms: int = 0, wait: bool = True
) -> Granted:
    """Grant a request: wrap the data keys to the requester, hand them to the own node, then sign.

    Args:
        session: of an officer of the owner, with the organisation's secrets.
        request: id of the request.
        expires_ms: when the grant ends, milliseconds since 1970; 0 for no end.
        wait: until it is in a block.

    Raises:
        DeniedError: not the owner, or no officer.
        ConflictError: the request is not open.
    """
    # Late: numpy comes with it, which most commands never need.
    from hansa.client.versions import own_data_key  # noqa: PLC0415

    view = await get_request(session, request)
    if view.owner != session.profile.organisation:
        raise DeniedError(
            f"Request {view.id} is for data of {view.owner}.", remedy="Only its owner can grant it."
        )
    if view.status != "open":
        raise ConflictError(
            f"Request {view.id} is {view.status} already.",
            remedy="The requester can make a new request.",
        )
    dataset = await get_dataset(session, view.dataset)
    data_keys = {
        version.number: (
            bytes.fromhex(version.manifest_root),
            await own_data_key(session, dataset, version),
        )
        for version in dataset.versions
    }
    identity = RequestId(bytes.fromhex(view.id))
    wraps = build_wrap_set(
        identity,
        session.entropy.random_bytes(32),
        bytes.fromhex(view.requester_encryption_key),
        data_keys,
    )
    await session.transport.send_octets("PUT", f"/v1/requests/{view.id}/wraps", wraps)
    operation = GrantAccess(identity, compute_wrap_digest(wraps), Millis(expires_ms))
    status = await act(session, [operation], wait=wait)
    return Granted(identity, DatasetId(bytes.fromhex(dataset.id)), len(data_keys), status)


async def deny(
    session: Session, request: str, *, reason: str, wait: bool = True
) -> TransactionStatus:
    """Deny a request, with a public reason."""
    identity = RequestId(bytes.fromhex(check_id(request)))
    return await act(session, [DenyAccess(identity, reason)], wait=wait)


async def revoke(
    session: Session, request: str, *, reason: str, wait: bool = True
) -> TransactionStatus:
    """End a grant; reads stop with the block."""
    identity = RequestId(bytes.fromhex(check_id(request)))
    return await act(session, [RevokeAccess(identity, reason)], wait=wait)


async def retire(session: Session, dataset: str, *, wait: bool = True) -> TransactionStatus:
    """Retire an own dataset: no longer found, no longer served."""
    identity = DatasetId(bytes.fromhex(check_id(dataset)))
    return await act(session, [RetireDataset(identity)], wait=wait)


async def set_policy(
    session: Session, dataset: str, policy: Policy, *, wait: bool = True
) -> TransactionStatus:
    """Replace the policy of an own dataset."""
    identity = DatasetId(bytes.fromhex(check_id(dataset)))
    return await act(session, [SetPolicy(identity, policy)], wait=wait)


def _open_note(session: Session, view: RequestView, note: OwnerNote) -> ConfidentialPart:
    """Open a note and check that it says what the super nodes reviewed.

    Raises:
        CorruptError: another request's, sealed to another, or not what was reviewed.
    """
    if note.request.hex() != view.id or note.recipient != session.keys.signing.public:
        raise CorruptError("The node gave the note of another request or reader.")
    part, data = open_note(note, session.keys.decryption)
    if view.confidential and confidential_digest(data).hex() != view.confidential:
        raise CorruptError(
            "The note does not say what the super nodes reviewed.",
            remedy="Do not decide on it; deny the request and tell the requester.",
        )
    return part
