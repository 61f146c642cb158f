"""Find: questions to the index of the own node, and datasets by their id."""

import re

from hansa.client.session import Session
from hansa.errors import InvalidError
from hansa.rest import Answer, DatasetView, Question, VersionView

_ID = re.compile(r"[0-9a-f]{32}")


async def find(session: Session, question: Question) -> Answer:
    """Ask the index; the answer tells what was read for it."""
    return await session.transport.post("/v1/questions", question, Answer)


async def get_dataset(session: Session, dataset: str) -> DatasetView:
    """Return one dataset's public facts.

    Raises:
        InvalidError: no id.
        MissingError: no such dataset.
    """
    return await session.transport.get(f"/v1/datasets/{check_id(dataset)}", DatasetView)


async def list_datasets(
    session: Session, *, organisation: str = "", retired: bool = False
) -> list[DatasetView]:
    """Return the datasets of the alliance, or of one member."""
    query: dict[str, str | bool] = {"retired": retired}
    if organisation:
        query["organisation"] = organisation
    return await session.transport.get("/v1/datasets", list[DatasetView], query)


def check_id(text: str) -> str:
    """Return the id of a dataset or a request in its one form.

    Raises:
        InvalidError: not 32 hex digits.
    """
    found = text.strip().lower()
    if not _ID.fullmatch(found):
        raise InvalidError(
            f"{text[:100]!r} is no id.",
            remedy="Ids have 32 hex digits, as `hansa dataset find` prints them.",
        )
    return found


def choose_version(view: DatasetView, number: int | None) -> VersionView:
    """Return a version of a dataset, the newest if none is named.

    Raises:
        InvalidError: there is no such version.
    """
    for version in view.versions:
        if version.number == number:
            return version
    if number is not None or not view.versions:
        raise InvalidError(
            f"Dataset {view.id} has no version {number}.",
            remedy=f"It has versions 1 to {len(view.versions)}.",
        )
    return max(view.versions, key=lambda version: version.number)
