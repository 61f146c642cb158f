"""Many small versions with one call: own ones, and granted ones of other organisations."""

from litestar import Request, Response, post
from litestar.datastructures import State as AppState

from hansa import limits
from hansa.node.api.guard import provide_caller
from hansa.node.api.octets import OctetsBothOperation, answer_octets, read_octets
from hansa.node.api.services import Given
from hansa.rest.reads import ReadAnswer, ReadRequest


@post("/reads", status_code=200, operation_class=OctetsBothOperation)
async def reads(services: Given, request: Request[object, object, AppState]) -> Response[bytes]:
    """Return versions whole, each with its key, or the reason why not; each grant is checked now."""
    caller = provide_caller(request.scope)
    asked = await read_octets(request, ReadRequest, bytes_max=64 * limits.KIB)
    outcomes = await services.several.read(caller.key, asked.items)
    return answer_octets(ReadAnswer(tuple(outcomes)))


HANDLERS = [reads]
