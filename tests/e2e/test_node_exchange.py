"""Data between real nodes: published here, asked for there, granted, read, revoked, never in plaintext."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from local_alliance import LocalAlliance, problem

from hansa.client.client import HansaClient
from hansa.errors import DeniedError
from hansa.rest import Question, RequestView, StoreStats
from tests.e2e.attacks import until_at

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

MARKER = b"MARKER-of-a-published-file-0451"
PURPOSE = "MARKER-of-a-purpose-0452: the lighting plan of the ring road"


async def test_way_in_and_way_out(tmp_path: Path) -> None:
    """Publish, find, be refused, request, grant, fetch; after a revocation reads stop."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "stops.csv").write_bytes(b"id,name\n" + MARKER + b"\n" + os.urandom(600_000))
    (source / "empty.txt").write_bytes(b"")
    alliance = LocalAlliance.create(tmp_path / "alliance", 4)
    owner, reader = alliance.members[0], alliance.members[2]
    with alliance.running():
        await alliance.until_ready()
        async with alliance.client(owner) as publisher, alliance.client(reader) as asking:
            published = await publisher.publish([source], title="Stops of the ring road")
            dataset = published.dataset
            await until_at(asking, published.status.height)
            view = await asking.dataset(dataset)
            path = f"/v1/datasets/{view.id}/versions/1"

            async def is_found() -> bool:
                answer = await asking.find(Question(words="ring road"))
                return [view.id] == [match.id for match in answer.matches]

            await alliance.until(is_found)
            for part in ("manifest", "content"):
                status, body, _ = await alliance.request(reader, "GET", f"{path}/{part}")
                assert (status, problem(body)["code"]) == (403, "denied"), part
            status, body, _ = await alliance.request(reader, "GET", f"{path}/key")
            assert status == 403

            asked = await asking.request_access(dataset, purpose=PURPOSE)
            request = asked.request

            async def has_note() -> bool:
                opened = await publisher.request(request)
                return PURPOSE in opened.justification

            await alliance.until(has_note)
            granted = await publisher.grant_access(request)
            await until_at(asking, granted.status.height)
            found = await asking.fetch(dataset, tmp_path / "out")
            assert found is not None
            fetched = {p.name: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
            assert {p.name: p.read_bytes() for p in source.iterdir()} == fetched

            await check_ranges(alliance, reader, f"{path}/content")
            stats = await alliance.get(owner, "/v1/store", StoreStats)
            assert (1, 1) == (stats.datasets, stats.versions)
            assert stats.logical_bytes > 600_000

            again = await publisher.publish([source], title="The same once more")
            assert again.dataset != dataset

            async def is_counted() -> bool:
                # A version is bound, and counts, a little after its block.
                stats = await alliance.get(owner, "/v1/store", StoreStats)
                return stats.duplicate_bytes > 500_000

            await alliance.until(is_counted)

            await publisher.revoke_access(request, "over")

            async def is_refused() -> bool:
                status, body, _ = await alliance.request(reader, "GET", f"{path}/manifest")
                return status == 403 and problem(body)["code"] == "denied"

            await alliance.until(is_refused)
            with pytest.raises(DeniedError):
                await asking.fetch(dataset, tmp_path / "again")
            views = await alliance.get(owner, "/v1/requests?role=owner", list[RequestView])
            assert ["revoked"] == [item.status for item in views]
        for member in alliance.members:
            assert member.end() == 0
    for needle in (MARKER, PURPOSE[:20].encode()):
        holders = [
            str(file.relative_to(tmp_path))
            for file in (tmp_path / "alliance").rglob("*")
            if file.is_file() and needle in file.read_bytes()
        ]
        assert [] == holders


async def check_ranges(alliance: LocalAlliance, member: object, path: str) -> None:
    """Single ranges, suffixes, impossible ranges, If-Range, If-None-Match; streamed from the owner."""
    status, whole, headers = await alliance.request(member, "GET", path)
    assert status == 200
    etag = headers["ETag"]
    for header, expected in {
        "bytes=0-9": whole[:10],
        "bytes=100-": whole[100:],
        "bytes=-7": whole[-7:],
        f"bytes={len(whole) - 1}-999999999": whole[-1:],
    }.items():
        status, part, headers = await alliance.request(
            member, "GET", path, headers={"Range": header}
        )
        assert (206, expected) == (status, part), header
        assert headers["Content-Range"].endswith(f"/{len(whole)}")
    status, body, headers = await alliance.request(
        member, "GET", path, headers={"Range": f"bytes={len(whole)}-"}
    )
    assert (416, "invalid") == (status, problem(body)["code"])
    assert headers["Content-Range"] == f"bytes */{len(whole)}"
    for extra in ({"Range": "bytes=0-9", "If-Range": '"another"'}, {"Range": "bytes=5-2"}):
        status, body, _ = await alliance.request(member, "GET", path, headers=extra)
        assert (200, whole) == (status, body), extra
    status, body, _ = await alliance.request(
        member, "GET", path, headers={"Range": "bytes=0-9", "If-Range": etag}
    )
    assert (206, whole[:10]) == (status, body)
    status, body, _ = await alliance.request(member, "GET", path, headers={"If-None-Match": etag})
    assert (304, b"") == (status, body)


async def test_many_small_datasets_with_one_call(tmp_path: Path) -> None:
    """Own, granted, denied, unknown and large ones at once; after a revocation that one alone is refused."""
    alliance = LocalAlliance.create(tmp_path / "alliance", 4)
    owner, reader = alliance.members[0], alliance.members[2]
    contents = [b"%d;%s\n" % (n, MARKER) * 40 for n in range(5)] + [os.urandom(2_500_000)]
    with alliance.running():
        await alliance.until_ready()
        async with alliance.client(owner) as publisher, alliance.client(reader) as asking:
            datasets: list[bytes] = []
            for number, data in enumerate(contents):
                file = tmp_path / f"{number}.csv"
                file.write_bytes(data)
                done = await publisher.publish([file], title=f"Counts of quarter {number}")
                datasets.append(done.dataset)
            await until_at(asking, done.status.height)
            requests = [await asking.request_access(one, purpose="planning") for one in datasets]
            granted = [
                await publisher.grant_access(one.request)
                for at, one in enumerate(requests)
                if at != 1
            ]
            await until_at(asking, granted[-1].status.height)

            async def fetched_by(client: HansaClient, name: str) -> dict[int, str]:
                wanted, output = [b"n" * 16, *datasets], tmp_path / name
                found = [one async for one in client.fetch_many(wanted, output)]
                assert wanted == [one.dataset for one in found]
                for number, one in enumerate(found[1:]):
                    if one.fetched is not None:
                        assert [contents[number]] == [p.read_bytes() for p in one.fetched.files]
                return {at: one.error.code for at, one in enumerate(found, -1) if one.error}

            assert {-1: "missing"} == await fetched_by(publisher, "owner")
            assert {-1: "missing", 1: "denied"} == await fetched_by(asking, "reader")
            await publisher.revoke_access(requests[3].request, "over")

            async def is_refused() -> bool:
                read = [one async for one in asking.read_many([datasets[3]])]
                return [(one.error.code if one.error else "") for one in read] == ["denied"]

            await alliance.until(is_refused)
            refused = {-1: "missing", 1: "denied", 3: "denied"}
            assert refused == await fetched_by(asking, "again")
        for member in alliance.members:
            assert member.end() == 0
