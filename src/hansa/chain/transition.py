"""Execution: the one way from a state and a block's contents to the next state.

A pure function: no clock, no float, no set order, no I/O. Each transaction is judged anew, whatever
intake said; it applies whole or not at all. Signatures were checked where the bytes came in
(`transactions.decode_transaction`, or `validation` for what came inside a block).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from hansa.chain import access, catalogue, membership, records
from hansa.chain.authenticated import AuthenticatedMap
from hansa.chain.blocks import Erasure, Result
from hansa.chain.draft import Acting, Draft, Refused, refuse
from hansa.chain.election import elect
from hansa.chain.evidence import Evidence
from hansa.chain.reasons import NEVER_IN_BLOCK
from hansa.chain.records import (
    ElectionRecord,
    HeadRecord,
    SeenAtRecord,
    SeenRecord,
    SeenUntilRecord,
    TrailRecord,
    UserRecord,
)
from hansa.chain.standing import count_block, record_erasures
from hansa.chain.state import State
from hansa.chain.transactions import (
    AddUser,
    AddVersion,
    AdmitOrganisation,
    DenyAccess,
    GrantAccess,
    Operation,
    Redescribe,
    RegisterDataset,
    RequestAccess,
    RetireDataset,
    RevokeAccess,
    RevokeUser,
    SetPolicy,
    SubmitEvidence,
    SuspendOrganisation,
    Transaction,
    TransactionBody,
    UpdateOrganisation,
    VoteSuperNodes,
    validate_form,
)
from hansa.errors import InvalidError
from hansa.types import Digest, EncryptionKey, Epoch, Height, Millis, PublicKey

Convict = Callable[[Evidence, Draft], bool]
"""Tells whether evidence proves a lie, given what the chain remembers of its height."""

ACCEPTED = Result(accepted=True, code="")


@dataclass(frozen=True, slots=True)
class Execution:
    """What a block's contents do to the state they were executed on."""

    height: Height
    results: tuple[Result, ...]
    """One for each transaction, in order."""
    writes: tuple[tuple[bytes, bytes | None], ...]
    """Changed state pairs, sorted by key; None deletes."""
    state_root: Digest
    next_super_nodes: tuple[PublicKey, ...]
    """The set that decides the next height, sorted."""
    total_transactions: int
    base_root: Digest
    """Root of the state that was executed on."""
    pairs: AuthenticatedMap
    """All state pairs afterwards; for `State.advanced`."""


def execute(
    state: State,
    *,
    height: Height,
    time_ms: Millis,
    parent: Digest,
    transactions: Sequence[Transaction],
    erasures: Sequence[Erasure],
    convict: Convict,
) -> Execution:
    """Execute a block's contents on the state before it; the state itself does not change.

    Args:
        state: the state at `height` − 1.
        height: the block's.
        time_ms: the block's, later than the state's.
        parent: digest of the block before; the alliance id at height 1.
        transactions: with checked signatures, in the block's order.
        erasures: checked by `validation.validate_erasures`.
        convict: judges evidence; `validation` gives it, for it may have to execute a block again.
    """
    assert height == state.height + 1, "blocks are executed in order"
    draft = Draft(state)
    draft.put(records.trail_key(height - 1), TrailRecord(parent, state.head.transactions))
    draft.keep()
    taken: dict[Height, list[Digest]] = {}
    results = tuple(
        _execute_one(
            draft, transaction, convict, height=height, time_ms=time_ms, index=index, taken=taken
        )
        for index, transaction in enumerate(transactions)
    )
    _remember(draft, height, taken)
    _forget(draft, height)
    record_erasures(draft, height, erasures)
    count_block(draft, height, len(transactions))
    total = state.total_transactions + len(transactions)
    draft.put(records.HEAD_KEY, HeadRecord(height, time_ms, total, len(transactions)))
    draft.keep()
    if height % state.genesis.parameters.epoch_blocks == 0:
        _end_epoch(draft, height)
    next_super_nodes = draft.election.super_nodes
    writes, pairs = draft.finish()
    return Execution(
        height=height,
        results=results,
        writes=writes,
        state_root=pairs.root,
        next_super_nodes=next_super_nodes,
        total_transactions=total,
        base_root=state.root,
        pairs=pairs,
    )


def judge(
    state: State, transaction: Transaction, *, height: Height, time_ms: Millis, convict: Convict
) -> str:
    """Return what execution at `height` would say about one transaction alone: "" or a reason code.

    Args:
        state: the newest.
        transaction: with a checked signature.
        height: of the block it may go into; `state.height` + 1 or, for intake, later.
        time_ms: the time that block would have.
        convict: as in `execute`.
    """
    draft = Draft(state)
    result = _execute_one(
        draft, transaction, convict, height=height, time_ms=time_ms, index=0, taken={}
    )
    return result.code


def _execute_one(
    draft: Draft,
    transaction: Transaction,
    convict: Convict,
    *,
    height: Height,
    time_ms: Millis,
    index: int,
    taken: dict[Height, list[Digest]],
) -> Result:
    """Apply one transaction to the draft, or nothing of it but that it was seen.

    What a block may carry is entered in `taken`, under the transaction's last height.
    """
    digest = transaction.digest()
    result = ACCEPTED
    try:
        _check_transaction(draft, transaction, digest, height)
        body = transaction.body
        user = _check_author(draft, body, time_ms)
        acting = Acting(draft, body, digest, user, height, time_ms)
        for place, operation in enumerate(body.operations):
            _apply(acting, operation, place, convict)
    except Refused as refused:
        draft.drop()
        result = Result(accepted=False, code=refused.code)
    if result.code not in NEVER_IN_BLOCK:
        draft.put(records.seen_key(digest), SeenRecord(height, index))
        taken.setdefault(transaction.body.expires, []).append(digest)
    draft.keep()
    return result


def _check_transaction(
    draft: Draft, transaction: Transaction, digest: Digest, height: Height
) -> None:
    """Refuse what no block may carry."""
    body = transaction.body
    try:
        validate_form(transaction)
    except InvalidError:
        refuse("malformed")
    if body.alliance != draft.alliance:
        refuse("wrong-alliance")
    if body.expires < height:
        refuse("expired")
    if body.expires > height + draft.genesis.parameters.transaction_lifetime_heights:
        refuse("lifetime")
    if draft.transaction_location(digest) is not None:
        refuse("replayed")


def _check_author(draft: Draft, body: TransactionBody, time_ms: Millis) -> UserRecord:
    """Return the author if they may act at all now, or refuse."""
    if abs(body.time_ms - time_ms) > draft.genesis.parameters.transaction_age_ms_max:
        refuse("time-window")
    user = draft.user(body.author) or _node_as_author(draft, body)
    if user is None:
        refuse("unknown-user")
    if user.status == "revoked":
        refuse("user-revoked")
    organisation = draft.organisation(user.organisation)
    if organisation is None or organisation.status != "active":
        refuse("organisation-suspended")
    return user


def _node_as_author(draft: Draft, body: TransactionBody) -> UserRecord | None:
    """Return a member's node as an author without roles: it may bring evidence and nothing else."""
    member = draft.organisation_by_node_key(body.author)
    if member is None or not all(isinstance(item, SubmitEvidence) for item in body.operations):
        return None
    return UserRecord(
        key=body.author,
        encryption_key=EncryptionKey(b""),
        organisation=member.name,
        name="",
        roles=(),
        status="active",
        added_height=member.admitted_height,
        revoked_height=Height(0),
    )


def _apply(  # noqa: C901, PLR0912
    acting: Acting, operation: Operation, place: int, convict: Convict
) -> None:
    """Apply one operation, or refuse the transaction."""
    match operation:
        case AdmitOrganisation():
            membership.admit_organisation(acting, operation)
        case SuspendOrganisation():
            membership.suspend_organisation(acting, operation)
        case UpdateOrganisation():
            membership.update_organisation(acting, operation)
        case AddUser():
            membership.add_user(acting, operation)
        case RevokeUser():
            membership.revoke_user(acting, operation)
        case VoteSuperNodes():
            membership.vote_super_nodes(acting, operation)
        case SubmitEvidence():
            membership.submit_evidence(acting, operation, convict)
        case RegisterDataset():
            catalogue.register_dataset(acting, operation, place)
        case AddVersion():
            catalogue.add_version(acting, operation)
        case Redescribe():
            catalogue.redescribe(acting, operation)
        case RetireDataset():
            catalogue.retire_dataset(acting, operation)
        case SetPolicy():
            catalogue.set_policy(acting, operation)
        case RequestAccess():
            access.request_access(acting, operation, place)
        case GrantAccess():
            access.grant_access(acting, operation)
        case DenyAccess():
            access.deny_access(acting, operation)
        case RevokeAccess():
            access.revoke_access(acting, operation)
        case _:
            assert_never(operation)


def _remember(draft: Draft, height: Height, taken: dict[Height, list[Digest]]) -> None:
    """Enter which transactions of a block are forgotten when: by (last height, height of the block).

    However many transactions expire at one height, a block rewrites no more than its own; and it
    writes each list once.
    """
    for expires, digests in taken.items():
        until_key = records.seen_until_key(expires)
        until = draft.record(until_key, SeenUntilRecord)
        heights = () if until is None else until.heights
        draft.put(until_key, SeenUntilRecord((*heights, height)))
        draft.put(records.seen_at_key(expires, height), SeenAtRecord(tuple(digests)))
    draft.keep()


def _forget(draft: Draft, height: Height) -> None:
    """Drop what the block at `height` was the last that could carry, and old acknowledgements.

    An expired transaction is refused by its expiry, so its digest is needed no longer.
    """
    until = draft.record(records.seen_until_key(height), SeenUntilRecord)
    for at_height in () if until is None else until.heights:
        at_key = records.seen_at_key(height, at_height)
        at = draft.record(at_key, SeenAtRecord)
        assert at is not None, "each height named has its list"
        for digest in at.transactions:
            draft.delete(records.seen_key(digest))
        draft.delete(at_key)
    draft.delete(records.seen_until_key(height))
    oldest = height - draft.genesis.parameters.transaction_lifetime_heights
    if oldest > 0 and draft.erasures(oldest):
        draft.delete(records.erasures_key(oldest))
    if oldest >= 0:
        draft.delete(records.trail_key(oldest))


def _end_epoch(draft: Draft, height: Height) -> None:
    """Let the votes as of now decide who decides from the next height."""
    before = draft.election
    chosen = elect(draft)
    changes = before.changes if chosen == before.super_nodes else (*before.changes, height)
    after = ElectionRecord(
        epoch=Epoch(before.epoch + 1),
        first_height=Height(height + 1),
        super_nodes=chosen,
        previous_super_nodes=before.super_nodes,
        changes=changes,
    )
    draft.put(records.ELECTION_KEY, after)
    draft.delete(records.STANDING_KEY)
    draft.keep()
