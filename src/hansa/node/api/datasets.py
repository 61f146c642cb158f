"""Datasets and their bytes: the manifest and the content, here or at the owner's node."""

from collections.abc import AsyncIterator

from litestar import Request, Response, get
from litestar.datastructures import State as AppState
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from hansa import limits
from hansa.chain.records import DatasetRecord
from hansa.errors import CorruptError, DeniedError, InvalidError
from hansa.node.api import views
from hansa.node.api.guard import Caller, provide_caller
from hansa.node.api.octets import (
    OctetsAnswerOperation,
    answer_octets,
    answer_part,
    answer_stream,
    choose_range,
    is_unchanged,
    parse_short_range,
)
from hansa.node.api.services import Given, Services
from hansa.node.exchange import ReadCall, find_dataset, find_version
from hansa.rest import DatasetView
from hansa.types import DatasetId

AnyRequest = Request[object, object, AppState]


@get("/datasets", sync_to_thread=False)
def datasets(
    services: Given,
    organisation: FromQuery[str] = "",
    retired: FromQuery[bool] = False,  # noqa: FBT002
) -> list[DatasetView]:
    """Return the datasets of the alliance, or of one member, oldest first."""
    state = services.state()
    found = [
        dataset
        for dataset in state.datasets()
        if (not organisation or dataset.owner == organisation)
        and (retired or dataset.status == "active")
    ]
    found.sort(key=lambda dataset: (dataset.height, dataset.id))
    return [views.dataset_view(state, dataset, cluster_of(services, dataset)) for dataset in found]


@get("/datasets/{dataset:str}", sync_to_thread=False)
def dataset_detail(services: Given, dataset: FromPath[str]) -> DatasetView:
    """Return one dataset."""
    state = services.state()
    found = find_dataset(state, parse_dataset(dataset))
    return views.dataset_view(state, found, cluster_of(services, found))


@get(
    "/datasets/{dataset:str}/versions/{number:int}/manifest", operation_class=OctetsAnswerOperation
)
async def manifest(
    services: Given, request: AnyRequest, dataset: FromPath[str], number: FromPath[int]
) -> Stream | Response[bytes]:
    """Return a version's manifest: own, or with a grant."""
    return await _serve("manifest", services, request, dataset, number)


@get("/datasets/{dataset:str}/versions/{number:int}/content", operation_class=OctetsAnswerOperation)
async def content(
    services: Given, request: AnyRequest, dataset: FromPath[str], number: FromPath[int]
) -> Stream | Response[bytes]:
    """Return a version's sealed chunks in order, whole or one range: own, or with a grant."""
    return await _serve("content", services, request, dataset, number)


@get("/datasets/{dataset:str}/versions/{number:int}/key", operation_class=OctetsAnswerOperation)
async def key(services: Given, dataset: FromPath[str], number: FromPath[int]) -> Response[bytes]:
    """Return the version's data key, sealed to the owner's publishing key: own users only."""
    found = find_dataset(services.state(), parse_dataset(dataset))
    if found.owner != services.organisation:
        raise DeniedError(f"This key is kept by the node of {found.owner} for its own users.")
    root = find_version(found, number).manifest_root
    return answer_octets(await services.workers.run(services.custody.key, root))


async def _serve(
    what: str, services: Services, request: AnyRequest, dataset: str, number: int
) -> Stream | Response[bytes]:
    caller = provide_caller(request.scope)
    found = find_dataset(services.state(), parse_dataset(dataset))
    version = find_version(found, number)
    etag = f'"{version.manifest_root.hex()}-{what}"'
    quick = await _serve_short((what, number), services, request, found, etag)
    if quick is not None:
        return quick
    # Asking for the total first also checks the grant before anything is answered.
    probe = ReadCall(caller.key, found.id, number, 0, 0)
    total = (await services.exchange.read(what, caller.key, found, probe)).total
    if is_unchanged(request, etag):
        return Response(b"", status_code=304, headers={"ETag": etag})
    # A range outside of it is answered with the length there is.
    request.scope["hansa_content_length"] = total  # type: ignore[typeddict-unknown-key]
    wanted = choose_range(request, etag, total)
    first, last = (wanted.first, wanted.last) if wanted else (0, total - 1)
    pieces = _pieces(services, caller, found, (what, number), (first, last + 1))
    # The first piece is read before the head is sent: a failure there is still a problem document.
    start = await anext(pieces, b"")
    return answer_stream(_chain(start, pieces), etag=etag, total=total, wanted=wanted)


async def _serve_short(
    what: tuple[str, int],
    services: Services,
    request: AnyRequest,
    dataset: DatasetRecord,
    etag: str,
) -> Response[bytes] | None:
    """Answer one short range with one read, here or at the owner's node; None if it is none.

    The grant is checked with that read. A range that lies outside is left to the longer way, which
    tells how much there is.
    """
    if {"if-range", "if-none-match"} & set(request.headers):
        return None
    wanted = parse_short_range(request.headers.get("range"), PIECE_BYTES)
    if wanted is None:
        return None
    caller = provide_caller(request.scope)
    kind, number = what
    call = ReadCall(caller.key, dataset.id, number, wanted.first, wanted.length)
    try:
        part = await services.exchange.read(kind, caller.key, dataset, call)
    except InvalidError:
        return None
    if len(part.data) != wanted.length:
        raise CorruptError("The owner's node answered with another length than was asked for.")
    return answer_part(part.data, etag=etag, total=part.total, wanted=wanted)


async def _pieces(
    services: Services,
    caller: Caller,
    dataset: DatasetRecord,
    what: tuple[str, int],
    span: tuple[int, int],
) -> AsyncIterator[bytes]:
    kind, number = what
    offset, end = span
    while offset < end:
        length = min(PIECE_BYTES, end - offset)
        call = ReadCall(caller.key, dataset.id, number, offset, length)
        part = await services.exchange.read(kind, caller.key, dataset, call)
        if len(part.data) != length:
            raise CorruptError("The owner's node answered with another length than was asked for.")
        yield part.data
        offset += length


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for piece in rest:
        yield piece


PIECE_BYTES = limits.CONTENT_RANGE_BYTES_MAX // 4
"""Read at once while streaming: what one reader costs in memory."""


def cluster_of(services: Services, dataset: DatasetRecord) -> str:
    """Return the label of the cluster a dataset's features lie in."""
    return services.index.nearest_cluster(dataset.description.features)


def parse_dataset(text: str) -> DatasetId:
    """Return a dataset's id.

    Raises:
        InvalidError: not 32 hex digits.
    """
    return DatasetId(views.parse_hex(text, 16, "dataset"))


HANDLERS = [datasets, dataset_detail, manifest, content, key]
