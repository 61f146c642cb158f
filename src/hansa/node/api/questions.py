"""Questions to the information index."""

import math

import msgspec
from litestar import get, post
from litestar.params import JSONBody

from hansa.errors import InvalidError
from hansa.index import question as asked
from hansa.index.absence import sign_absence
from hansa.node.api import views
from hansa.node.api.services import Given
from hansa.rest import (
    Answer,
    ClusterRefusal,
    ClusterView,
    Explanation,
    IndexStats,
    Match,
    NearestAnswer,
    NearestRequest,
    Question,
)
from hansa.types import Box, DatasetId, Interval, Millis

REFUSALS_MAX = 50
TIME_MIN_MS, TIME_MAX_MS = -(1 << 62), 1 << 62


@post("/questions", status_code=200)
async def ask(services: Given, data: JSONBody[Question]) -> Answer:
    """Answer a question; tell what was read for it."""
    question = to_question(data)

    def answer() -> Answer:
        found, state = services.index.ask_attested(question)
        told = to_answer(found)
        if not data.signed or found.total:
            return told
        digest = services.index.digest(state)
        signed = sign_absence(services.alliance, found.height, digest, question, services.key)
        return msgspec.structs.replace(told, absence=signed.hex())

    return await services.workers.run(answer)


def to_question(data: Question) -> asked.Question:
    """Return the question in the index's words.

    Raises:
        InvalidError: a part makes no sense.
    """
    words, prefixes, phrases = asked.parse_words(data.words)
    return asked.Question(
        words=words,
        prefixes=prefixes,
        phrases=phrases,
        box=_box(data.bbox),
        near=_near(data.near),
        interval=_interval(data.from_ms, data.to_ms),
        theme=data.theme,
        format=data.format.lower(),
        owner=data.organisation,
        title=data.title,
        dataset=DatasetId(views.parse_hex(data.id, 16, "dataset")) if data.id else None,
        like=DatasetId(views.parse_hex(data.like, 16, "dataset")) if data.like else None,
        limit=data.limit,
        offset=data.offset,
    )


def _box(sides: list[float] | None) -> Box | None:
    if sides is None:
        return None
    if len(sides) != 4 or not all(abs(side) <= 360 for side in sides):
        raise InvalidError("bbox must be [west, south, east, north] in degrees.")
    west, south, east, north = (round(side * views.MICRO) for side in sides)
    return Box(west, south, east, north)


def _near(place: list[float] | None) -> asked.Circle | None:
    if place is None:
        return None
    if len(place) != 3 or not all(abs(part) <= asked.RADIUS_M_MAX for part in place):
        raise InvalidError("near must be [longitude, latitude, metres].")
    x, y, metres = place
    return asked.Circle(round(x * views.MICRO), round(y * views.MICRO), round(metres))


def _interval(from_ms: int | None, to_ms: int | None) -> Interval | None:
    if from_ms is None and to_ms is None:
        return None
    return Interval(
        Millis(TIME_MIN_MS if from_ms is None else from_ms),
        Millis(TIME_MAX_MS if to_ms is None else to_ms),
    )


def to_answer(found: asked.Answer) -> Answer:
    """Return an answer in the API's words."""
    told = found.explanation
    facets = {("organisation" if name == "owner" else name): dict(counts)
              for name, counts in found.facets.items()}  # fmt: skip
    return Answer(
        height=found.height,
        total=found.total,
        matches=[
            Match(
                id=match.dataset.hex(),
                version=match.version,
                title=match.record.title,
                owner=match.record.owner,
                score=match.score,
                themes=list(match.record.themes),
                formats=list(match.record.formats),
                place=match.record.place,
            )
            for match in found.matches
        ],
        facets=facets,
        read_from_disk=told.read_anything,
        explanation=Explanation(
            clusters=told.clusters,
            clusters_refused=told.clusters_refused,
            refusals=[
                ClusterRefusal(cluster=refusal.cluster, reason=refusal.reason)
                for refusal in told.refusals[:REFUSALS_MAX]
            ],
            refused_by=told.refused_by,
            pages_read=told.pages_read,
            rows_read=told.rows_read,
            bytes_read=told.bytes_read,
            discriminant_us=told.discriminant_us,
            cluster_us=told.cluster_us,
            data_us=told.data_us,
        ),
    )


@get("/index")
async def index_stats(services: Given) -> IndexStats:
    """Return the index in figures."""

    def build() -> IndexStats:
        stats = services.index.stats()
        return IndexStats(
            height=stats.height,
            digest=stats.digest.hex(),
            datasets=stats.datasets,
            clusters=len(stats.clusters),
            bandwidth=math.isqrt(stats.bandwidth_squared),
            memory_bytes=stats.upper_layers_bytes,
            file_bytes=stats.file_bytes,
            delta_rows=stats.delta_rows,
            cluster_list=[
                ClusterView(label=item.label, rows=item.rows, words=list(item.words))
                for item in stats.clusters
            ],
        )

    return await services.workers.run(build)


@post("/index/nearest", status_code=200, sync_to_thread=False)
def nearest(services: Given, data: JSONBody[NearestRequest]) -> NearestAnswer:
    """Return the cluster whose run of packs suits a description's features."""
    return NearestAnswer(cluster=services.index.nearest_cluster(data.features))


HANDLERS = [ask, index_stats, nearest]
