"""Rules about sharing: request, grant, deny, revoke, and whether a user may read right now.

The policy decides first: what it prohibits is refused, what it permits is pre-approved (the owner
still has to wrap the keys), what it leaves open is asked or denied as it says. A grant belongs to one
user of one organisation and covers all versions of the dataset.
"""

import msgspec

from hansa import limits
from hansa.chain import records
from hansa.chain.catalogue import INTEGER_MAX, own_dataset
from hansa.chain.draft import Acting, refuse
from hansa.chain.policy import Use, evaluate
from hansa.chain.records import (
    AccessRecord,
    DatasetRecord,
    GrantCountRecord,
    RequestRecord,
    UserRecord,
)
from hansa.chain.state import Reads
from hansa.chain.transactions import (
    DenyAccess,
    GrantAccess,
    RequestAccess,
    RevokeAccess,
    derive_id,
)
from hansa.types import NO_DIGEST, DatasetId, Height, Millis, PublicKey, RequestId


def request_access(acting: Acting, operation: RequestAccess, index: int) -> None:
    """Enter a request, unless the policy prohibits it."""
    acting.demand("reader")
    dataset = acting.draft.dataset(operation.dataset)
    if dataset is None:
        refuse("unknown-dataset")
    if dataset.status == "retired":
        refuse("dataset-retired")
    if dataset.owner == acting.organisation_name:
        refuse("own-dataset")
    if acting.body.confidential == NO_DIGEST:
        refuse("no-justification")
    count = acting.draft.grant_count(dataset.id, acting.organisation_name)
    use = Use(acting.organisation_name, acting.user.roles, operation.purpose, acting.time_ms, count)
    verdict = evaluate(dataset.policy, use)
    if verdict == "prohibited":
        refuse("policy-prohibits")
    if verdict == "deny":
        refuse("policy-denies")
    identity = RequestId(derive_id(acting.digest, index))
    request = RequestRecord(
        id=identity,
        dataset=dataset.id,
        requester=acting.user.key,
        organisation=acting.organisation_name,
        purpose=operation.purpose,
        is_preapproved=verdict == "permitted",
        confidential=acting.body.confidential,
        transaction=acting.digest,
        height=acting.height,
        time_ms=acting.time_ms,
        status="open",
        reason="",
        wrap_digest=NO_DIGEST,
        expires_ms=Millis(0),
        decided_by=PublicKey(b""),
        decided_height=Height(0),
    )
    acting.draft.put(records.request_key(identity), request)
    counters = acting.draft.counters
    acting.draft.put(
        records.COUNTERS_KEY, msgspec.structs.replace(counters, requests=counters.requests + 1)
    )


def grant_access(acting: Acting, operation: GrantAccess) -> None:
    """Grant an open request; the policy's prohibitions hold for the officer too."""
    request, dataset = _own_request(acting, operation.request)
    if request.status != "open":
        refuse("request-decided")
    if len(operation.wrap_digest) != 32 or operation.wrap_digest == NO_DIGEST:
        refuse("malformed-grant")
    expires = operation.expires_ms
    if expires and not acting.time_ms <= expires <= INTEGER_MAX:
        refuse("expiry-passed")
    requester = _active_user(acting.draft, request.requester, request.organisation)
    if requester is None:
        refuse("requester-inactive")
    count = acting.draft.grant_count(dataset.id, request.organisation)
    use = Use(request.organisation, requester.roles, request.purpose, acting.time_ms, count)
    if evaluate(dataset.policy, use) == "prohibited":
        refuse("policy-prohibits")
    _remember_grant(acting, request)
    acting.draft.put(
        records.grant_count_key(dataset.id, request.organisation), GrantCountRecord(count + 1)
    )
    granted = msgspec.structs.replace(
        request, status="granted", wrap_digest=operation.wrap_digest, expires_ms=expires
    )
    _decide(acting, granted)


def deny_access(acting: Acting, operation: DenyAccess) -> None:
    """Deny an open request."""
    request, _ = _own_request(acting, operation.request)
    if request.status != "open":
        refuse("request-decided")
    _decide(acting, _with_reason(request, "denied", operation.reason))


def revoke_access(acting: Acting, operation: RevokeAccess) -> None:
    """End a grant; reads and releases stop with the block."""
    request, _ = _own_request(acting, operation.request)
    if request.status != "granted":
        refuse("not-granted")
    _decide(acting, _with_reason(request, "revoked", operation.reason))


def may_read(
    state: Reads,
    dataset: DatasetRecord | DatasetId,
    organisation: str,
    user_key: bytes,
    time_ms: int,
) -> str:
    """Return "" if a user may read a dataset's contents now, or the reason code why not.

    Asked by the owner's node at each read, of its newest state. Users of the owner need no grant.

    Args:
        state: what is judged; never an older one.
        dataset: the dataset or its id.
        organisation: the reader's organisation, as proved by its node's link.
        user_key: the reader's key, for which its node vouches.
        time_ms: the node's clock; a time before the last block's counts as that block's.
    """
    found = state.dataset(dataset.id if isinstance(dataset, DatasetRecord) else dataset)
    if found is None:
        return "unknown-dataset"
    if found.status == "retired":
        return "dataset-retired"
    reader = state.user(user_key)
    reason = _judge_reader(state, reader, organisation)
    if reader is None or reason or found.owner == organisation:
        return reason
    owner = state.organisation(found.owner)
    if owner is None or owner.status != "active":
        return "owner-suspended"
    return _judge_grants(state, found, reader, max(time_ms, state.head.time_ms))


def _judge_reader(state: Reads, reader: UserRecord | None, organisation: str) -> str:
    """Return "" if a reader is who the caller says and in good standing, else why not."""
    if reader is None or reader.organisation != organisation:
        return "unknown-user"
    if reader.status == "revoked":
        return "user-revoked"
    member = state.organisation(organisation)
    if member is None or member.status != "active":
        return "organisation-suspended"
    return ""


def _judge_grants(state: Reads, dataset: DatasetRecord, reader: UserRecord, time_ms: int) -> str:
    """Return "" if one of the reader's grants holds, else why the newest does not."""
    reason = "no-grant"
    for identity in state.access(dataset.id, reader.key).requests:
        request = state.request(identity)
        assert request is not None  # only what was granted is listed, and no request is forgotten
        reason = _judge_grant(dataset, request, reader, time_ms)
        if not reason:
            return ""
    return reason


def _judge_grant(
    dataset: DatasetRecord, request: RequestRecord, reader: UserRecord, time_ms: int
) -> str:
    if request.status == "revoked":
        return "grant-revoked"
    if request.expires_ms and time_ms > request.expires_ms:
        return "grant-expired"
    use = Use(reader.organisation, reader.roles, request.purpose, time_ms, None)
    return "policy-prohibits" if evaluate(dataset.policy, use) == "prohibited" else ""


def _own_request(acting: Acting, identity: bytes) -> tuple[RequestRecord, DatasetRecord]:
    """Return a request for an active dataset of the author's organisation, or refuse."""
    acting.demand("officer")
    request = acting.draft.request(identity)
    if request is None:
        refuse("unknown-request")
    return request, own_dataset(acting, request.dataset)


def _active_user(state: Reads, key: bytes, organisation: str) -> UserRecord | None:
    user, member = state.user(key), state.organisation(organisation)
    if user is None or user.status != "active" or member is None or member.status != "active":
        return None
    return user


def _remember_grant(acting: Acting, request: RequestRecord) -> None:
    """Add a request to its user's grants; grants that have ended make room."""
    draft = acting.draft
    held: list[RequestId] = list(draft.access(request.dataset, request.requester).requests)
    if len(held) >= limits.GRANTS_PER_USER_MAX:
        held = [identity for identity in held if _is_live(draft.request(identity), acting.time_ms)]
    if len(held) >= limits.GRANTS_PER_USER_MAX:
        refuse("too-many-grants")
    key = records.access_key(request.dataset, request.requester)
    draft.put(key, AccessRecord((*held, request.id)))


def _is_live(request: RequestRecord | None, time_ms: int) -> bool:
    return (
        request is not None
        and request.status == "granted"
        and (not request.expires_ms or time_ms <= request.expires_ms)
    )


def _with_reason(request: RequestRecord, status: str, reason: str) -> RequestRecord:
    if not 1 <= len(reason) <= limits.REASON_CHARACTERS_MAX:
        refuse("malformed-reason")
    return msgspec.structs.replace(request, status=status, reason=reason)


def _decide(acting: Acting, request: RequestRecord) -> None:
    decided = msgspec.structs.replace(
        request, decided_by=acting.user.key, decided_height=acting.height
    )
    acting.draft.put(records.request_key(request.id), decided)
