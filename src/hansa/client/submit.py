"""Submit: operations signed, sealed to the super nodes, sent, and followed into their block.

Upon `reseal` (a super node restarted or another was elected) the same transaction is sealed to the new
keys; its digest stays, so it cannot be taken twice. Upon a refusal the reason's error is raised.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hansa import limits
from hansa.chain.reasons import REASONS
from hansa.chain.sealed import (
    OwnerNote,
    SealedContents,
    SealedTransaction,
    SealingKeyNotice,
    confidential_digest,
    is_sealing_key_signed,
    seal_transaction,
)
from hansa.chain.transactions import (
    Operation,
    Transaction,
    TransactionBody,
    decode_transaction,
    sign_transaction,
)
from hansa.client.session import Session
from hansa.codec import decode, encode
from hansa.errors import (
    ConflictError,
    DeniedError,
    HansaError,
    InvalidError,
    MissingError,
    UnavailableError,
)
from hansa.rest import SealingKeys, Submission, TransactionStatus
from hansa.types import Digest, Height

_PENDING, _COMMITTED, _REFUSED, _EXPIRED, _RESEAL = (
    "pending",
    "committed",
    "refused",
    "expired",
    "reseal",
)
_STATUSES = frozenset({_PENDING, _COMMITTED, _REFUSED, _EXPIRED, _RESEAL})


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction, and the keys that were announced when it was signed."""

    transaction: Transaction
    keys: SealingKeys

    def digest(self) -> Digest:
        """Return the transaction's id."""
        return self.transaction.digest()


async def sign(
    session: Session, operations: Sequence[Operation], *, confidential: bytes = b""
) -> Signed:
    """Return a signed transaction that may be in a block for half the alliance's longest lifetime.

    Raises:
        InvalidError: too many operations or too long, or this machine's clock is wrong.
    """
    keys = await session.transport.get("/v1/sealing-keys", SealingKeys)
    parameters = session.genesis.parameters
    now_ms = session.clock.now_ms()
    if abs(now_ms - keys.time_ms) > parameters.transaction_age_ms_max // 2:
        raise InvalidError(
            f"This machine's clock is {abs(now_ms - keys.time_ms) // 1000} s off the node's.",
            remedy="Set the clock, then try again.",
        )
    lifetime = max(1, parameters.transaction_lifetime_heights // 2)
    body = TransactionBody(
        format=1,
        alliance=session.profile.alliance,
        author=session.keys.signing.public,
        expires=Height(keys.height + lifetime),
        time_ms=now_ms,
        nonce=session.entropy.random_bytes(16),
        operations=tuple(operations),
        confidential=confidential_digest(confidential),
    )
    transaction = sign_transaction(body, session.keys.signing)
    decode_transaction(encode(transaction))  # what others would refuse is refused here first
    return Signed(transaction, keys)


async def submit(
    session: Session,
    signed: Signed,
    *,
    confidential: bytes = b"",
    notes: Sequence[OwnerNote] = (),
    wait: bool = True,
) -> TransactionStatus:
    """Seal and send a transaction; by default wait until it is in a block.

    A cancel leaves it open whether the transaction will be in a block; sending it again is harmless.

    Returns:
        Its status: committed, or pending where `wait` is false.

    Raises:
        DeniedError, ConflictError, MissingError, InvalidError: refused, for the reason told.
        UnavailableError: expired, or not decided in time.
    """
    transaction, keys = signed.transaction, signed.keys
    contents = SealedContents(encode(transaction), confidential)
    began_ms = session.clock.monotonic_ms()
    query = {"wait_ms": limits.CLIENT_PATIENCE_MS} if wait else None
    for _ in range(limits.CLIENT_RESEALS_MAX):
        sealed = _seal(session, transaction, contents, _choose_notices(session, keys))
        status = await session.transport.submit(
            "/v1/transactions", Submission(sealed, tuple(notes)), TransactionStatus, query
        )
        if wait:
            status = await _follow(session, status, began_ms)
        if status.status != _RESEAL:
            return _judge(status)
        keys = await session.transport.get("/v1/sealing-keys", SealingKeys)
    raise UnavailableError(
        "The super nodes changed their keys each time the transaction was sealed.",
        remedy="Look at `hansa alliance status`, then try again.",
    )


async def act(
    session: Session, operations: Sequence[Operation], *, wait: bool = True
) -> TransactionStatus:
    """Sign and submit operations without a confidential part."""
    return await submit(session, await sign(session, operations), wait=wait)


def refusal(code: str, message: str) -> HansaError:
    """Return the error that a reason code of the chain stands for."""
    text = message or REASONS.get(code, "The super nodes refused it.")
    return _kind_of(code)(f"Refused ({code}): {text}")


def _choose_notices(session: Session, keys: SealingKeys) -> tuple[SealingKeyNotice, ...]:
    """Return the valid sealing keys of the present super nodes, at least a quorum of them.

    Raises:
        UnavailableError: too few super nodes have announced a key.
    """
    super_nodes = set(keys.super_nodes)
    latest: dict[bytes, SealingKeyNotice] = {}
    for view in keys.keys:
        notice = _check_notice(session, view.notice, super_nodes)
        held = latest.get(notice.node_key) if notice else None
        if notice and (held is None or held.serial < notice.serial):
            latest[notice.node_key] = notice
    if len(latest) < max(1, min(keys.quorum, len(super_nodes))):
        raise UnavailableError(
            f"Only {len(latest)} of {len(super_nodes)} super nodes have announced a key to seal to.",
            remedy="Wait until enough super nodes run: see `hansa alliance status`.",
        )
    return tuple(latest[key] for key in sorted(latest))


def _check_notice(session: Session, text: str, super_nodes: set[str]) -> SealingKeyNotice | None:
    """Return a notice if a present super node of this alliance signed it, else None."""
    try:
        notice = decode(SealingKeyNotice, bytes.fromhex(text))
    except (ValueError, InvalidError):
        return None
    is_theirs = notice.alliance == session.profile.alliance and notice.node_key.hex() in super_nodes
    return notice if is_theirs and is_sealing_key_signed(notice) else None


def _seal(
    session: Session,
    transaction: Transaction,
    contents: SealedContents,
    notices: tuple[SealingKeyNotice, ...],
) -> SealedTransaction:
    return seal_transaction(
        contents,
        session.sealing_session(notices),
        transaction=transaction.digest(),
        expires=transaction.body.expires,
        nonce=session.entropy.random_bytes(12),
    )


async def _follow(session: Session, status: TransactionStatus, began_ms: int) -> TransactionStatus:
    """Poll until the transaction is settled or must be sealed again.

    Raises:
        UnavailableError: still pending after CLIENT_SETTLE_MS_MAX, or after CLIENT_PATIENCE_MS if
            the node says why nothing is decided at present.
    """
    path = f"/v1/transactions/{status.transaction}"
    while status.status == _PENDING:
        waited_ms = session.clock.monotonic_ms() - began_ms
        reasons: list[str] = []
        if waited_ms >= limits.CLIENT_PATIENCE_MS:
            health = await session.transport.get_health()
            reasons = [] if health.ready else health.reasons
        if reasons or waited_ms > limits.CLIENT_SETTLE_MS_MAX:
            why = f": {'; '.join(reasons)}" if reasons else ""
            raise UnavailableError(
                f"Transaction {status.transaction} is sent and still pending{why}.",
                remedy="It may yet be taken: before doing it again, look at"
                f" `hansa tx show {status.transaction}`.",
            )
        status = await session.transport.get(
            path, TransactionStatus, {"wait_ms": limits.CLIENT_PATIENCE_MS}
        )
    return status


def _judge(status: TransactionStatus) -> TransactionStatus:
    """Return the status of a transaction that is or may be taken; raise for any other."""
    if status.status == _REFUSED:
        raise refusal(status.code, status.message)
    if status.status == _EXPIRED:
        raise UnavailableError(
            f"Transaction {status.transaction} expired before a block took it.",
            remedy="Give the same command again.",
        )
    if status.status not in _STATUSES:
        raise UnavailableError(f"The node reports an unknown status {status.status!r}.")
    return status


def _kind_of(code: str) -> type[HansaError]:
    """Choose the error class of a reason code (`chain.reasons`); all others are denials."""
    if code in _MISSING:
        return MissingError
    if code in _UNAVAILABLE:
        return UnavailableError
    if code in _CONFLICTS or code.startswith("too-many-"):
        return ConflictError
    if code in _INVALID or code.startswith("malformed"):
        return InvalidError
    return DeniedError


_MISSING = frozenset({"unknown-organisation", "unknown-dataset", "unknown-request"})
_UNAVAILABLE = frozenset({"attestation-expired"})
_CONFLICTS = frozenset(
    {
        "replayed",
        "name-taken",
        "key-in-use",
        "own-organisation",
        "own-dataset",
        "already-voted",
        "last-admin",
        "dataset-retired",
        "wrong-version",
        "request-decided",
        "not-granted",
        "requester-inactive",
    }
)
_INVALID = frozenset(
    {
        "wrong-alliance",
        "expired",
        "lifetime",
        "time-window",
        "bad-signature",
        "wrong-attestation",
        "no-justification",
        "expiry-passed",
    }
)
