"""Calls that need no token: health, figures, the genesis. They tell nothing about users or data."""

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State

from hansa.node.api.octets import OctetsAnswerOperation, answer_octets
from hansa.node.api.services import Given
from hansa.rest import Health


@get("/healthz/live", sync_to_thread=False)
def live() -> dict[str, bool]:
    """Tell that the event loop runs."""
    return {"live": True}


@get("/healthz/ready", sync_to_thread=False, raises=[])
def ready(services: Given) -> Response[Health]:
    """Tell whether the node can do its work, with every reason why not."""
    health = services.health.look()
    return Response(health, status_code=200 if health.ready else 503)


@get("/metrics", media_type="text/plain", sync_to_thread=False)
def metrics(services: Given) -> bytes:
    """Return the node's figures for Prometheus."""
    replica, figures = services.driver.replica, services.metrics
    figures.height.set(services.ledger.height())
    figures.round.set(replica.round)
    figures.peers.set(len(services.peers.connected()))
    figures.pool.set(replica.pool_size)
    figures.copies.set(replica.copies_held)
    figures.index_height.set(services.index.height)
    figures.super_node.set(int(replica.is_super_node))
    figures.synced.set(int(replica.is_synced))
    figures.disk_free.set(services.health.disk_free_bytes())
    return figures.render()


@get("/v1/genesis", sync_to_thread=False, operation_class=OctetsAnswerOperation)
def genesis(services: Given) -> Response[bytes]:
    """Return the alliance's genesis; whoever uses it checks its digest, the alliance id."""
    return answer_octets(services.genesis_bytes)


@get("/openapi.json", sync_to_thread=False, include_in_schema=False)
def openapi(request: Request[object, object, State]) -> Response[bytes]:
    """Return the description of this API."""
    schema = request.app.openapi_schema.to_schema()
    return Response(msgspec.json.encode(schema), media_type="application/json")


HANDLERS = [live, ready, metrics, genesis, openapi]
