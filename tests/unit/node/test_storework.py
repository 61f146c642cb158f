"""Tests of node.storework on a real node: erasure, and what the chain says of it."""

import dataclasses
import os

from scene import CONFIDENTIAL

from hansa.chain.transactions import RequestAccess, RetireDataset
from hansa.node.storework import is_over
from hansa.rest import StoreJobRequest
from hansa.types import RequestId

DAY = 24 * 3_600_000


class Ahead:
    """A clock that can be set forward."""

    def __init__(self, clock) -> None:
        self.clock = clock
        self.ms = 0

    def now_ms(self):
        """Return the time."""
        return self.clock.now_ms() + self.ms

    def monotonic_ms(self):
        """Return the time for timers."""
        return self.clock.monotonic_ms()


def set_forward(live, ahead) -> None:
    """Let the parts that judge leases and grace see a later time."""
    versions, keeper = live.services.versions, live.services.keeper
    versions.leases._clock = ahead
    versions.chunks.addresses._clock = ahead
    keeper._work._clock = ahead


async def job(live, **request):
    """Run a job to its end."""
    begun = live.services.keeper.start(StoreJobRequest(**request))
    done = await live.services.keeper.wait(begun.number, 20_000)
    assert done.status == "done", done
    return done


async def publish(live, path, **options):
    """Publish a file."""
    async with live.alliance.client(live.member) as client:
        return await client.publish([path], **options)


async def test_retired_datasets_are_erased_and_the_living_stay(live, tmp_path) -> None:
    """Data keys, manifest and chunks of the retired go; a chunk it shared stays readable."""
    shared, own = os.urandom(300_000), os.urandom(300_000)
    (tmp_path / "one.bin").write_bytes(shared + own)
    (tmp_path / "two.bin").write_bytes(shared)
    first = await publish(live, tmp_path / "one.bin", title="One")
    second = await publish(live, tmp_path / "two.bin", title="Two")
    assert second.duplicates > 0
    services = live.services
    state = services.state()
    roots = [state.dataset(one.dataset).versions[0].manifest_root for one in (first, second)]
    services.versions.chunks.flush()
    ahead = Ahead(services.clock)
    set_forward(live, ahead)
    done = await live.submit(RetireDataset(first.dataset))
    assert done.status == "committed"
    for _ in range(2):
        ahead.ms += 2 * DAY
        services.keeper._work.look = _later(services.keeper._work, ahead)
        report = (await job(live, work="collect", compact=True)).collect
    assert (1, 1) == (report.manifests_deleted, report.keys_destroyed)
    assert report.chunks_forgotten > 0
    assert {roots[1]} == set(services.custody.key_roots())
    assert {roots[1]} == set(services.versions.manifests.bundled())
    async with live.alliance.client(live.member) as client:
        await client.fetch(second.dataset, tmp_path / "out")
    assert (tmp_path / "out" / "two.bin").read_bytes() == shared
    found = (await job(live, work="check", read_data=True)).check
    assert ([], []) == (found.problems, found.hurt)


def _later(work, ahead):
    """Return the chain as it would be after a block of the later time."""
    look = type(work).look

    def later():
        return dataclasses.replace(look(work), time_ms=ahead.now_ms())

    return later


async def test_a_node_that_is_behind_collects_nothing(live, monkeypatch) -> None:
    """The job fails with the reason, nothing else does."""
    monkeypatch.setattr(live.services.keeper._work, "_behind", lambda: "not synced: x")
    begun = live.services.keeper.start(StoreJobRequest(work="collect"))
    done = await live.services.keeper.wait(begun.number, 20_000)
    assert ("failed", "unavailable") == (done.status, done.code)
    assert "not synced: x" in done.message


async def test_keys_of_grants_that_ended(scene) -> None:
    """An open request's wraps stay, and a granted one's; with the dataset's end they go."""
    live = scene.live
    await scene.act_as_reader(RequestAccess(scene.dataset, "planning"), CONFIDENTIAL)
    wraps = await scene.grant()
    state = live.services.state()
    assert not is_over(state, scene.request)
    assert not is_over(state, RequestId(b"?" * 16))
    assert (await job(live, work="collect")).collect.wraps_destroyed == 0
    await live.submit(RetireDataset(scene.dataset))
    assert is_over(live.services.state(), scene.request)
    assert (await job(live, work="collect", dry_run=True)).collect.wraps_destroyed == 0
    assert (await job(live, work="collect")).collect.wraps_destroyed == 1
    rows = list(live.services.custody._table.scan(b""))
    assert not any(wraps.wraps[0][1] in value for _, value in rows)
