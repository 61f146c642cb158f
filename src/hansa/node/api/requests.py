"""Access requests, the notes that go with them, and the wrapped keys of grants."""

from litestar import Request, Response, get, put
from litestar.datastructures import State as AppState
from litestar.params import FromPath, FromQuery

from hansa.chain.records import RequestRecord
from hansa.chain.state import State
from hansa.errors import ConflictError, DeniedError, InvalidError
from hansa.node.api import views
from hansa.node.api.guard import provide_caller
from hansa.node.api.octets import (
    OctetsAnswerOperation,
    OctetsOperation,
    answer_octets,
    read_octets,
)
from hansa.node.api.services import Given, Services
from hansa.node.exchange import find_dataset, find_request
from hansa.rest import RequestView, WrapSet
from hansa.types import OrganisationName, RequestId

AnyRequest = Request[object, object, AppState]
ROLES = ("", "all", "owner", "requester")


@get("/requests", sync_to_thread=False)
def requests(services: Given, role: FromQuery[str] = "") -> list[RequestView]:
    """Return requests: role owner for own data, requester for those of own users, else both."""
    if role not in ROLES:
        raise InvalidError(f"role must be owner, requester or all, not {role[:32]!r}.")
    state, now_ms = services.state(), services.clock.now_ms()
    found = [
        request
        for request in state.requests()
        if (role != "owner" and request.organisation == services.organisation)
        or (role != "requester" and _owner(state, request) == services.organisation)
    ]
    found.sort(key=lambda request: (request.height, request.id))
    return [views.request_view(state, request, now_ms) for request in found]


@get("/requests/{request_id:str}", sync_to_thread=False)
def request_detail(services: Given, request_id: FromPath[str]) -> RequestView:
    """Return one request."""
    state = services.state()
    found = find_request(state, parse_request(request_id))
    return views.request_view(state, found, services.clock.now_ms())


@get("/requests/{request_id:str}/note", operation_class=OctetsAnswerOperation)
async def note(services: Given, request: AnyRequest, request_id: FromPath[str]) -> Response[bytes]:
    """Return the sealed justification for the caller, an officer of the owner."""
    found = _own_request(services, request_id)
    caller = provide_caller(request.scope)
    caller.require_role("officer")
    return answer_octets(await services.workers.run(services.custody.note, found.id, caller.key))


@put("/requests/{request_id:str}/wraps", status_code=204, operation_class=OctetsOperation)
async def put_wraps(services: Given, request: AnyRequest, request_id: FromPath[str]) -> None:
    """Keep the data keys wrapped for a requester: by an officer of the owner, before the grant."""
    found = _own_request(services, request_id)
    provide_caller(request.scope).require_role("officer")
    wraps = await read_octets(request, WrapSet)
    if wraps.request != found.id:
        raise InvalidError("The wrap set is for another request.")
    if found.status in {"denied", "revoked"}:
        raise ConflictError(f"The request is {found.status} already.")
    await services.workers.run(services.custody.keep_wraps, wraps)


@get("/requests/{request_id:str}/wraps", operation_class=OctetsAnswerOperation)
async def get_wraps(
    services: Given, request: AnyRequest, request_id: FromPath[str]
) -> Response[bytes]:
    """Return the wrapped data keys of the caller's own granted request."""
    state = services.state()
    found = find_request(state, parse_request(request_id))
    caller = provide_caller(request.scope)
    if found.requester != caller.key:
        raise DeniedError("These keys are for another requester.")
    if found.status != "granted":
        raise DeniedError(
            f"The request is {found.status}, not granted.",
            remedy="Wait for the owner's decision." if found.status == "open" else "Ask again.",
        )
    owner = find_dataset(state, found.dataset).owner
    return answer_octets(await services.exchange.wraps(caller.key, found, owner))


def _own_request(services: Services, request_id: str) -> RequestRecord:
    state = services.state()
    found = find_request(state, parse_request(request_id))
    owner = _owner(state, found)
    if owner != services.organisation:
        raise DeniedError(f"The request is to {owner}, whose node serves its own officers only.")
    return found


def _owner(state: State, request: RequestRecord) -> OrganisationName | None:
    dataset = state.dataset(request.dataset)
    return dataset.owner if dataset else None


def parse_request(text: str) -> RequestId:
    """Return a request's id.

    Raises:
        InvalidError: not 32 hex digits.
    """
    return RequestId(views.parse_hex(text, 16, "request"))


HANDLERS = [requests, request_detail, note, put_wraps, get_wraps]
