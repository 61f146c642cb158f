"""Finding: questions, ids, versions."""

import pytest

from hansa.client.find import check_id, choose_version, find, get_dataset, list_datasets
from hansa.errors import InvalidError, MissingError
from hansa.rest import Question, VersionView


class Asked:
    """A transport that remembers."""

    def __init__(self):
        self.calls = []

    async def post(self, path, body, kind):
        self.calls.append((path, body))

    async def get(self, path, kind, query=None):
        self.calls.append((path, query))
        return []


class At:
    """A session with that transport."""

    def __init__(self):
        self.transport = Asked()


async def test_questions_and_lists():
    """Each is one call of the API."""
    session = At()
    question = Question(words="bus")
    await find(session, question)
    await list_datasets(session, organisation="health")
    assert session.transport.calls == [
        ("/v1/questions", question),
        ("/v1/datasets", {"retired": False, "organisation": "health"}),
    ]


async def test_an_unknown_dataset(pair):
    """Missing at the node, invalid if it is no id."""
    with pytest.raises(MissingError):
        await get_dataset(pair.owner, "0" * 32)
    assert check_id(" " + "AB" * 16) == "ab" * 16
    for text in ("", "x" * 32, "0" * 31):
        with pytest.raises(InvalidError):
            check_id(text)


def test_versions_are_chosen():
    """The newest unless one is named that is there."""
    fields = dict.fromkeys(
        ("content_bytes", "stored_bytes", "files", "chunks", "height", "time_ms"), 0
    )
    versions = [
        VersionView(number=n, manifest_root="", transaction="", **fields) for n in (1, 3, 2)
    ]

    class View:
        id = "x"

    view = View()
    view.versions = versions
    assert choose_version(view, None).number == 3
    assert choose_version(view, 2).number == 2
    with pytest.raises(InvalidError, match="no version 4"):
        choose_version(view, 4)
