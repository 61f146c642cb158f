"""Long work on the own store: begun at the node, watched until it ends."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from hansa.client.transport import Query
from hansa.errors import ERRORS_BY_CODE, HansaError
from hansa.rest import StoreJob, StoreJobRequest

T = TypeVar("T")
LOOK_EVERY_MS = 500


class Api(Protocol):
    """The part of the client that is needed here."""

    async def get(self, path: str, kind: type[T], query: Query | None = None) -> T:
        """GET a JSON answer."""
        ...

    async def post(self, path: str, body: object, kind: type[T]) -> T:
        """POST a JSON question."""
        ...


def no_watcher(_job: StoreJob) -> None:
    """Watch nothing."""


async def keep_store(
    api: Api, request: StoreJobRequest, watch: Callable[[StoreJob], None] = no_watcher
) -> StoreJob:
    """Have the node check, collect or repair its store; return the job once it is done.

    A cancel leaves the job running at the node; asked for again while it runs, it is the same one.

    Args:
        api: an open client of an own user; `collect` and `repair` need the role admin.
        request: what to do.
        watch: told now and then how far it is.

    Raises:
        ConflictError: other work is running.
        HansaError: the job failed, with the node's reason.
    """
    job = await api.post("/v1/store/jobs", request, StoreJob)
    while job.status == "running":
        watch(job)
        job = await api.get(f"/v1/store/jobs/{job.number}", StoreJob, {"wait_ms": LOOK_EVERY_MS})
    if job.status == "failed":
        raise ERRORS_BY_CODE.get(job.code, HansaError)(job.message, remedy=job.remedy)
    return job
