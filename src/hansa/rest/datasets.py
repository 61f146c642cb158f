"""The REST contract: datasets, their versions, and requests for them. See `rest`."""

from hansa.rest.base import Json
from hansa.rest.nodes import UserView


class VersionView(Json, frozen=True):
    """One version's public facts."""

    number: int
    manifest_root: str
    content_bytes: int
    stored_bytes: int
    files: int
    chunks: int
    height: int
    time_ms: int
    transaction: str


class DatasetView(Json, frozen=True):
    """A dataset as anyone in the alliance may see it."""

    id: str
    owner: str
    status: str
    """active or retired."""
    title: str
    description: str
    keywords: list[str]
    themes: list[str]
    place: str
    bbox: list[float] | None
    """[west, south, east, north] in degrees."""
    from_ms: int | None
    to_ms: int | None
    rhythm: str
    """How often it is brought up to date; empty if not told."""
    licence: str
    formats: list[str]
    columns: list[str]
    column_types: list[str]
    """The type of each column; empty if none is known."""
    cluster: str
    versions: list[VersionView]
    undecided: str
    """What happens to a request the policy leaves open: ask or deny."""
    owner_users: list[UserView]
    """Officers of the owner, whom a request's note is sealed to."""


class RequestView(Json, frozen=True):
    """An access request and what became of it."""

    id: str
    dataset: str
    dataset_title: str
    owner: str
    requester: str
    """Key of the user who asked."""
    requester_name: str
    requester_encryption_key: str
    organisation: str
    purpose: str
    status: str
    """open, granted, denied, revoked, expired."""
    reason: str
    height: int
    time_ms: int
    decided_height: int
    expires_ms: int
    wrap_digest: str
    transaction: str
    confidential: str = ""
    """Salted digest of the confidential part, as on the chain; the owner's note must match it."""
