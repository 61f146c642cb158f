"""The first half's checks fail where the claim is false: a demo that cannot fail shows nothing."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hansa import rest
from hansa.cli.story import data_steps
from hansa.rest import StoreStats
from tests.unit.cli.conftest import ID, committed
from tests.unit.cli.story.kit import held, make_stage


def _answer(total: int, *, read: bool) -> rest.Answer:
    told = rest.Explanation(
        clusters=0, clusters_refused=0, refusals=[], refused_by="discriminant table", pages_read=0,
        rows_read=0, bytes_read=0, discriminant_us=0, cluster_us=0, data_us=0,
    )  # fmt: skip
    return rest.Answer(
        height=1, total=total, matches=[], facets={}, read_from_disk=read, explanation=told
    )


def _seats(votes: int) -> rest.SuperNodesView:
    return rest.SuperNodesView(
        epoch=1, epoch_ends_at=8, seats=4, faults=1, quorum=3,
        candidates=[
            rest.CandidateView(
                organisation=name, votes=votes, voters=[], is_super_node=True, is_next=True
            )
            for name in "abcd"
        ],
    )  # fmt: skip


async def test_absent_holds_if_nothing_is_found_and_read(tmp_path: Path) -> None:
    """An answer from memory."""
    stage = make_stage(tmp_path, {"find": _answer(0, read=False)})
    await data_steps.absent(stage)
    assert stage.checks.all_held


async def test_absent_fails_if_the_disk_was_read_or_something_found(tmp_path: Path) -> None:
    """Either alone is enough to fail."""
    for answer in (_answer(0, read=True), _answer(1, read=False)):
        stage = make_stage(tmp_path, {"find": answer})
        await data_steps.absent(stage)
        assert not stage.checks.all_held


async def test_elected_counts_processes_and_votes(tmp_path: Path) -> None:
    """Six different processes, votes of all six."""
    for pids, votes, fine in ((6, 6, True), (5, 6, False), (6, 5, False)):
        stage = make_stage(tmp_path, {"/v1/super-nodes": _seats(votes)})
        views: Any = [SimpleNamespace(pid=pid, running=True) for pid in range(pids)]
        stage.alliance.views = lambda views=views: views  # type: ignore[method-assign]
        await data_steps.elected(stage)
        assert stage.checks.all_held is fine


async def test_duplicates_fail_if_all_is_stored_again(tmp_path: Path) -> None:
    """Bytes stored for known data, none known: a store that keeps everything is seen."""
    stats = StoreStats(
        url="", datasets=1, versions=1, logical_bytes=9, chunks=1, stored_bytes=9,
        duplicate_bytes=0, packs=0, journal_bytes=0, free_bytes=0,
    )  # fmt: skip
    published = SimpleNamespace(
        dataset=bytes.fromhex(ID), version=2, status=committed(), bytes_in=9, bytes_stored=9,
        duplicates=0, chunks=1, duplicate_bytes=0,
    )  # fmt: skip
    stage = make_stage(tmp_path, {"publish": published, "/v1/store": stats})
    stage.datasets = {item.title: ID for item in stage.sample}
    await data_steps.duplicates(stage)
    failed = {claim for claim, fine in held(stage).items() if not fine}
    assert "what was known already was dropped" in failed
    assert "environment's store holds each of its chunks once" in failed
    assert "the same data again with one line more" in failed


async def test_find_fails_if_the_dataset_is_not_among_the_matches(tmp_path: Path) -> None:
    """Any other answer is no answer."""
    stage = make_stage(tmp_path, {"find": _answer(0, read=False)})
    stage.datasets = {item.title: ID for item in stage.sample}
    await data_steps.find(stage)
    assert not any(check.held for check in stage.checks.made)


def test_steps_are_in_the_story_s_order() -> None:
    """Find comes after publish."""
    names = [step.__name__ for step in data_steps.STEPS]
    assert names == ["elected", "publish", "duplicates", "find", "absent"]
