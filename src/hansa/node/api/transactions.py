"""Submitting transactions and following them into their block."""

from collections.abc import AsyncIterator

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State as AppState
from litestar.params import FromPath, FromQuery
from litestar.response import ServerSentEvent, ServerSentEventMessage

from hansa import limits
from hansa.chain.blocks import CertifiedBlock
from hansa.chain.receipts import build_receipt
from hansa.chain.sealed import OwnerNote, SealedTransaction
from hansa.chain.transactions import derive_id
from hansa.errors import DeniedError, InvalidError, MissingError, UnavailableError
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
from hansa.rest import (
    Submission,
    Submissions,
    TransactionDetail,
    TransactionStatus,
    TransactionStatuses,
)
from hansa.types import Digest, Height

AnyRequest = Request[object, object, AppState]


@post("/transactions", status_code=202, operation_class=OctetsOperation)
async def submit(
    services: Given, request: AnyRequest, wait_ms: FromQuery[int] = 0
) -> TransactionStatus:
    """Take a sealed transaction; it is forwarded until it is committed, refused or expired.

    With wait_ms, answer once it is settled or that time is over. What is answered as pending
    outlives a restart of this node; what was not answered must be submitted again.
    """
    entry = _Entry(services, wait_ms)
    submission = await read_octets(request, Submission, before=entry.wait_for_room)
    return (await _take(services, request, (submission,), entry))[0]


@post("/transactions/bulk", status_code=202, operation_class=OctetsOperation)
async def submit_bulk(
    services: Given, request: AnyRequest, wait_ms: FromQuery[int] = 0
) -> TransactionStatuses:
    """Take several sealed transactions of one author, all or none; as `POST /v1/transactions` each.

    With wait_ms, answer once all are settled or that time is over.
    """
    entry = _Entry(services, wait_ms)
    submissions = (await read_octets(request, Submissions, before=entry.wait_for_room)).submissions
    if not 1 <= len(submissions) <= limits.SUBMISSIONS_PER_CALL_MAX:
        raise InvalidError(f"A call carries 1 to {limits.SUBMISSIONS_PER_CALL_MAX} submissions.")
    return TransactionStatuses(tuple(await _take(services, request, submissions, entry)))


class _Entry:
    """A call's way in: how long it may wait, for room and then for its outcome."""

    def __init__(self, services: Services, wait_ms: int) -> None:
        """Check how long a call wants to wait.

        Raises:
            InvalidError: longer than a call may.
        """
        _validate_wait(wait_ms)
        self.is_patient = wait_ms > 0
        self.left_ms = wait_ms
        """What is left of the wait."""
        self._services = services

    async def wait_for_room(self, size: int) -> None:
        """Wait until there is room for more; who does not wait for an outcome does not wait for that.

        Raises:
            UnavailableError: there is none for now.
        """
        if self.is_patient:
            began = self._services.clock.monotonic_ms()
            await self._services.driver.admission.wait_for_room(size, self.left_ms)
            took = self._services.clock.monotonic_ms() - began
            self.left_ms = max(0, self.left_ms - took)


async def _take(
    services: Services, request: AnyRequest, submissions: tuple[Submission, ...], entry: _Entry
) -> list[TransactionStatus]:
    """Hand submissions to the agreement; return where they stand when the wait is over.

    Raises:
        InvalidError, DeniedError: one of them cannot be right; none is taken.
        UnavailableError: more are on their way than this node carries; none is taken.
    """
    author = provide_caller(request.scope).key
    for submission in submissions:
        _validate(services, submission.sealed)
        if submission.sealed.author != author:
            raise DeniedError(
                "The transaction's author is another user.",
                remedy="Submit it with the author's key.",
            )
        if submission.notes:
            _validate_notes(submission.notes, submission.sealed.transaction)
    fresh = [item for item in submissions if _is_news(services, item.sealed)]
    if services.driver.unsettled + len(fresh) > limits.SUBMISSIONS_UNSETTLED_MAX:
        raise UnavailableError(
            "Too many transactions wait at this node.", remedy="Try again in a second."
        )
    await _post_notes(services, fresh)
    # What is answered as pending is durable before; what is settled by then needs not be.
    if not entry.is_patient:
        await services.outbox.keep(*(item.sealed for item in fresh))
    for item in fresh:
        services.statuses.enter_pending(item.sealed.transaction)
    if fresh:
        services.driver.submit_together(tuple(item.sealed for item in fresh))
    digests = [item.sealed.transaction for item in submissions]
    statuses = await services.statuses.wait_all(digests, entry.left_ms)
    if entry.is_patient:
        pending = {item.transaction for item in statuses if item.status == PENDING}
        late = [item.sealed for item in fresh if item.sealed.transaction.hex() in pending]
        if late:
            await services.outbox.keep(*late)
    return statuses


def _is_news(services: Services, sealed: SealedTransaction) -> bool:
    """Tell whether a transaction is to be handed on: not on its way, and not settled for good."""
    known = services.statuses.peek(sealed.transaction)
    if known is None:
        state = services.state()
        if sealed.expires > state.height and state.transaction_location(sealed.transaction) is None:
            return True  # The state remembers what is in a block until it has expired.
        known = services.statuses.get_or_none(sealed.transaction)
    return known is None or known.status not in {PENDING, "committed", "refused"}


async def _post_notes(services: Services, submissions: list[Submission]) -> None:
    """Keep the notes for owners durably."""
    # What the sender says of its expiry is only looked at once super nodes have opened it.
    furthest = services.state().height + limits.TRANSACTION_LIFETIME_HEIGHTS_MAX
    for submission in submissions:
        if submission.notes:
            await services.workers.run(
                services.custody.post,
                submission.notes,
                submission.sealed.transaction,
                Height(min(submission.sealed.expires, furthest)),
            )


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
    if max(len(sealed.wraps), len(sealed.added)) > limits.SUPER_NODES_MAX:
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
        certified = _block_at(services, height)
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
        certified = _block_at(services, height)
        return views.transaction_detail(services.state(), certified, index, services.ledger.block)

    return await services.workers.run(build)


def _block_at(services: Services, height: int) -> CertifiedBlock:
    """Return the block of a located transaction.

    Raises:
        MissingError: it was pruned here, or this node joined by a snapshot.
    """
    certified = services.ledger.block(Height(height))
    if certified is None:
        raise MissingError(
            f"Block {height} is not on this node any more.",
            remedy="Ask the node of the organisation that signed the transaction.",
        )
    return certified


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


HANDLERS = [submit, submit_bulk, transaction_status, transaction_events, receipt, detail]
