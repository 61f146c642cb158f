"""Submitting transactions and following them into their block."""

from collections.abc import AsyncIterator

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State as AppState
from litestar.params import FromPath, FromQuery
from litestar.response import ServerSentEvent, ServerSentEventMessage

from hansa import limits
from hansa.chain.receipts import build_receipt
from hansa.chain.sealed import OwnerNote, SealedTransaction
from hansa.chain.transactions import derive_id
from hansa.errors import DeniedError, InvalidError, MissingError
from hansa.node.api import views
from hansa.node.api.guard import provide_caller
from hansa.node.api.octets import (
    OctetsAnswerOperation,
    OctetsOperation,
    answer_octets,
    read_octets,
)
from hansa.node.api.services import Given, Services
from hansa.node.statuses import PENDING, Statuses
from hansa.rest import Submission, TransactionDetail, TransactionStatus
from hansa.types import Digest, Height

AnyRequest = Request[object, object, AppState]


@post("/transactions", status_code=202, operation_class=OctetsOperation)
async def submit(
    services: Given, request: AnyRequest, wait_ms: FromQuery[int] = 0
) -> TransactionStatus:
    """Take a sealed transaction; it is forwarded until it is committed, refused or expired.

    With wait_ms, answer once it is settled or that time is over.
    """
    _validate_wait(wait_ms)
    submission = await read_octets(request, Submission)
    sealed = submission.sealed
    _validate(services, sealed)
    if sealed.author != provide_caller(request.scope).key:
        raise DeniedError(
            "The transaction's author is another user.", remedy="Submit it with the author's key."
        )
    known = services.statuses.get_or_none(sealed.transaction)
    if known is not None and known.status in {PENDING, "committed", "refused"}:
        return await services.statuses.wait(sealed.transaction, wait_ms)
    if submission.notes:
        _validate_notes(submission.notes, sealed.transaction)
        # What the sender says of its expiry is only looked at once super nodes have opened it.
        furthest = services.state().height + limits.TRANSACTION_LIFETIME_HEIGHTS_MAX
        await services.workers.run(
            services.custody.post,
            submission.notes,
            sealed.transaction,
            Height(min(sealed.expires, furthest)),
        )
    await services.outbox.keep(sealed)
    status = services.statuses.submitted(sealed.transaction)
    services.driver.submit(sealed)
    return await services.statuses.wait(sealed.transaction, wait_ms) if wait_ms else status


def _validate_wait(wait_ms: int) -> None:
    if not 0 <= wait_ms <= limits.WAIT_MS_MAX:
        raise InvalidError(f"wait_ms must be from 0 to {limits.WAIT_MS_MAX}.")


def _validate(services: Services, sealed: SealedTransaction) -> None:
    if sealed.alliance != services.alliance:
        raise InvalidError(
            "The transaction is for another alliance.", remedy="Check the profile's genesis file."
        )
    if len(sealed.transaction) != 32 or not sealed.wraps:
        raise InvalidError("The sealed transaction lacks its id or its wraps.")
    if len(sealed.ciphertext) > limits.SEALED_TRANSACTION_BYTES_MAX:
        raise InvalidError(
            f"A sealed transaction has at most {limits.SEALED_TRANSACTION_BYTES_MAX} bytes."
        )
    if len(sealed.wraps) > limits.SUPER_NODES_MAX:
        raise InvalidError("The transaction is sealed to more nodes than there can be super nodes.")


def _validate_notes(notes: tuple[OwnerNote, ...], transaction: Digest) -> None:
    """Check that notes go with requests of their own transaction: none replaces another user's."""
    made = {derive_id(transaction, i) for i in range(limits.OPERATIONS_PER_TRANSACTION_MAX)}
    if any(note.request not in made for note in notes):
        raise InvalidError("A note belongs to a request that this transaction does not make.")


@get("/transactions/{transaction:str}")
async def transaction_status(
    services: Given, transaction: FromPath[str], wait_ms: FromQuery[int] = 0
) -> TransactionStatus:
    """Return where a transaction stands; with wait_ms, once it is settled or that time is over."""
    _validate_wait(wait_ms)
    return await services.statuses.wait(parse_digest(transaction), wait_ms)


@get("/transactions/{transaction:str}/events")
async def transaction_events(services: Given, transaction: FromPath[str]) -> ServerSentEvent:
    """Stream the status as server-sent events until it is settled."""
    digest = parse_digest(transaction)
    services.statuses.get(digest)
    return ServerSentEvent(_events(services.statuses, digest))


async def _events(statuses: Statuses, digest: Digest) -> AsyncIterator[ServerSentEventMessage]:
    status = statuses.get(digest)
    while True:
        data = msgspec.json.encode(status).decode()
        yield ServerSentEventMessage(data=data, event="status", id=status.status)
        if status.status != PENDING:
            return
        status = await statuses.wait(digest, limits.WAIT_MS_MAX // 2)


@get("/transactions/{transaction:str}/receipt", operation_class=OctetsAnswerOperation)
async def receipt(services: Given, transaction: FromPath[str]) -> Response[bytes]:
    """Return the receipt: the proof of a transaction that stands alone."""
    digest = parse_digest(transaction)

    def build() -> bytes:
        height, index = locate(services, digest)
        certified = services.ledger.block(Height(height))
        assert certified is not None, "the ledger located it"
        changes = [services.ledger.block(at) for at in services.state().set_changes()]
        present = [change for change in changes if change is not None]
        return build_receipt(services.genesis, certified, index, present)

    return answer_octets(await services.workers.run(build))


@get("/transactions/{transaction:str}/detail")
async def detail(services: Given, transaction: FromPath[str]) -> TransactionDetail:
    """Return a committed transaction for people."""
    digest = parse_digest(transaction)

    def build() -> TransactionDetail:
        height, index = locate(services, digest)
        certified = services.ledger.block(Height(height))
        assert certified is not None, "the ledger located it"
        return views.transaction_detail(services.state(), certified, index)

    return await services.workers.run(build)


def locate(services: Services, digest: Digest) -> tuple[int, int]:
    """Return height and index of a committed transaction.

    Raises:
        MissingError: no block holds it.
    """
    place = services.ledger.locate(digest)
    if place is None:
        raise MissingError("No block holds this transaction.")
    return place


def parse_digest(text: str) -> Digest:
    """Return the id of a transaction.

    Raises:
        InvalidError: not 64 hex digits.
    """
    return Digest(views.parse_hex(text, 32, "transaction"))


HANDLERS = [submit, transaction_status, transaction_events, receipt, detail]
