"""Explaining: every cluster is looked into or refused, with a reason; times are differences."""

from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles, Question
from hansa.index.explaining import Cost
from hansa.types import Box


def test_every_cluster_is_told(made):
    """Bounds, facets and lists each give their reason; nothing is told where it is not wanted."""
    records = [made.make_record(number) for number in range(300)]
    index = InformationIndex.open(MemoryIndexFiles(), IndexParameters(recluster_registrations=300))
    index.apply(1, [IndexChange(record.dataset, record) for record in records])
    clusters = len(index.stats().clusters)
    by_id = index.ask(Question(dataset=records[0].dataset)).explanation
    assert (clusters, clusters - 1, 1) == (by_id.clusters, by_id.clusters_refused, by_id.pages_read)
    assert "listed" in by_id.refusals[0].reason
    place = index.ask(Question(box=Box(0, 45_000_000, 10, 45_000_010))).explanation
    assert place.clusters_refused == len(place.refusals) or len(place.refusals) == 50
    near = index.ask(Question(like=records[0].dataset, limit=1)).explanation
    assert near.pages_read >= 1
    assert near.rows_read <= 300
    short = index.ask(Question(dataset=records[0].dataset), explain=False).explanation
    assert (clusters, 0, ()) == (short.clusters, short.clusters_refused, short.refusals)
    assert short.bytes_read > 0 or short.rows_read == 0


def test_times_are_differences():
    """Without a file there is nothing but time to tell."""
    ticks = iter((10, 25))
    cost = Cost(lambda: next(ticks), 3)
    cost.mark()
    assert 7 == cost.spent_us
    told = cost.explain(None, Question(), "", None, None, explain=True)
    assert (7, 15, 0) == (told.discriminant_us, told.data_us, told.bytes_read)
