"""Tests of hansa.client.keeping: a job is begun, watched, and its failure raised as its own error."""

import msgspec
import pytest

from hansa.client.keeping import keep_store
from hansa.errors import CorruptError
from hansa.rest import CheckReport, StoreJob, StoreJobRequest

REQUEST = StoreJobRequest(work="check", read_data=True)
BEGUN = StoreJob(
    number=7, request=REQUEST, status="running", phase="begin", done=0, total=0, started_ms=1,
    ended_ms=0,
)  # fmt: skip
REPORT = CheckReport(packs=1, chunks=2, bytes_read=3, problems=[], damaged_datasets=[])


class Node:
    """A node that answers from a list."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def post(self, path, body, kind):
        """Take the request."""
        self.asked.append((path, body))
        return self.answers.pop(0)

    async def get(self, path, kind, query=None):
        """Tell how far it is."""
        self.asked.append((path, query))
        return self.answers.pop(0)


async def test_watched_until_done():
    """Each step is shown, and the job with its report comes back."""
    half = msgspec.structs.replace(BEGUN, phase="packs", done=5, total=10)
    done = msgspec.structs.replace(BEGUN, status="done", check=REPORT)
    node, seen = Node(BEGUN, half, done), []
    assert done == await keep_store(node, REQUEST, seen.append)
    assert [BEGUN, half] == seen
    assert ("/v1/store/jobs", REQUEST) == node.asked[0]
    assert node.asked[1][0] == "/v1/store/jobs/7"


async def test_a_failure_is_the_nodes_error():
    """With its class, message and remedy."""
    failed = msgspec.structs.replace(
        BEGUN, status="failed", code="corrupt", message="Nothing was collected.", remedy="Repair."
    )
    with pytest.raises(CorruptError, match="Nothing was collected") as caught:
        await keep_store(Node(failed), REQUEST)
    assert caught.value.remedy == "Repair."
