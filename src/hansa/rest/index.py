"""The REST contract: questions, answers, explanations and the index in figures. See `rest`."""

from hansa.rest.base import Json


class Question(Json, frozen=True):
    """A question to the index; all given parts must hold."""

    words: str = ""
    """Every word must occur; word* for a prefix; "quoted words" for a phrase."""
    bbox: list[float] | None = None
    """[west, south, east, north] in degrees: the place covered must meet it."""
    near: list[float] | None = None
    """[longitude, latitude, metres]: the place covered must come so near."""
    from_ms: int | None = None
    to_ms: int | None = None
    theme: str = ""
    format: str = ""
    organisation: str = ""
    title: str = ""
    """Exact title."""
    like: str = ""
    """Id of a dataset: nearest first."""
    id: str = ""
    """Exactly this dataset."""
    limit: int = 20
    offset: int = 0
    signed: bool = False
    """If nothing matches, say so under the node's signature."""


class Match(Json, frozen=True):
    """One dataset that answers a question."""

    id: str
    version: int
    title: str
    owner: str
    score: int
    """Smaller is nearer for `like`; larger is better for words."""
    themes: list[str]
    formats: list[str]
    place: str


class ClusterRefusal(Json, frozen=True):
    """Why a cluster was not looked into."""

    cluster: str
    reason: str


class Explanation(Json, frozen=True):
    """What a question cost, layer by layer."""

    clusters: int
    clusters_refused: int
    refusals: list[ClusterRefusal]
    """At most 50 of them."""
    refused_by: str
    """Layer that answered "not here", or empty."""
    pages_read: int
    rows_read: int
    bytes_read: int
    discriminant_us: int
    cluster_us: int
    data_us: int


class Answer(Json, frozen=True):
    """Answer to a question, at one height."""

    height: int
    total: int
    matches: list[Match]
    facets: dict[str, dict[str, int]]
    """theme, format, organisation → counts."""
    read_from_disk: bool
    explanation: Explanation
    absence: str = ""
    """Where nothing matches and a signature was asked for: the node's signed statement, in hex."""


class ClusterView(Json, frozen=True):
    """One cluster of the index."""

    label: str
    rows: int
    words: list[str]


class IndexStats(Json, frozen=True):
    """The index in figures."""

    height: int
    digest: str
    datasets: int
    clusters: int
    bandwidth: int
    memory_bytes: int
    file_bytes: int
    delta_rows: int
    cluster_list: list[ClusterView]


class NearestRequest(Json, frozen=True):
    """Features of a description, to ask for its cluster."""

    features: list[int]


class NearestAnswer(Json, frozen=True):
    """The cluster whose run of packs suits; empty while there is none."""

    cluster: str
