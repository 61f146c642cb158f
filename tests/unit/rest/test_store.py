"""Tests of hansa.rest.store: what a node says of its store is read back by its clients."""

import msgspec
import pytest

from hansa.limits import COLLECT_GRACE_MS
from hansa.rest import store
from hansa.rest.store import CheckReport, StoreJob, StoreJobRequest, StoreStats
from tests.unit.rest.examples import check, values_of

REPORT = CheckReport(packs=1, chunks=2, bytes_read=3, problems=["x"], damaged_datasets=[])


def test_a_job_there_and_back():
    """A job with its report survives JSON; a request says what is usual by itself."""
    request = msgspec.json.decode(b'{"work": "collect"}', type=StoreJobRequest)
    assert (COLLECT_GRACE_MS, False) == (request.grace_ms, request.dry_run)
    job = StoreJob(
        number=1, request=request, status="done", phase="chunks", done=2, total=2, started_ms=1,
        ended_ms=2, check=REPORT,
    )  # fmt: skip
    assert job == msgspec.json.decode(msgspec.json.encode(job), type=StoreJob)


@pytest.mark.parametrize("text", [b'{"work": "burn"}', b'{"work": "check", "fast": true}', b"{}"])
def test_what_is_not_meant_is_refused(text):
    """Unknown work, unknown fields, no work at all."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=StoreJobRequest)


def test_figures_that_an_older_node_does_not_know():
    """What was added later has a value of its own."""
    old = dict.fromkeys(
        ("datasets", "versions", "logical_bytes", "chunks", "stored_bytes", "duplicate_bytes",
         "packs", "journal_bytes", "free_bytes"), 1,
    )  # fmt: skip
    stats = msgspec.convert(old | {"url": "file:store"}, StoreStats)
    assert (0, []) == (stats.quota_bytes, stats.dataset_uses)


@values_of(store)
def test_each_kind(kind):
    """There and back; a field missing, more or wrong is refused."""
    check(kind)
