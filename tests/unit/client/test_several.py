"""Fetching many: each dataset into a folder of its own, few calls, one failure spoils no other."""

from pathlib import Path

import msgspec
import pytest

from hansa import limits
from hansa.client.describe import Subject
from hansa.client.fetch import IncompleteError
from hansa.client.publish import publish
from hansa.client.several import LargeVersionError, fetch_many, read_many
from hansa.client.share import grant, request_access
from hansa.client.sources import collect
from hansa.errors import (
    ConflictError,
    CorruptError,
    DeniedError,
    MissingError,
    ProtocolError,
)
from hansa.rest.reads import ReadAnswer

from .conftest import CountedEntropy

BYTES = CountedEntropy(b"several").random_bytes
NOWHERE = b"n" * 16


async def _publish(pair, folder: Path, files: dict[str, bytes]) -> bytes:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return (await publish(pair.owner, collect([folder]), Subject(title="Counts"))).dataset


async def _publish_some(pair, folder: Path, count: int) -> dict[bytes, dict[str, bytes]]:
    """Publish datasets; return the files of each under their names."""
    made = {}
    for number in range(count):
        files = {"a/data.bin": BYTES(3_000 + number), "text": b"x,y\n" * number}
        identity = await _publish(pair, folder / f"{number}", files)
        made[identity] = {f"{number}/{name}": data for name, data in files.items()}
    return made


def _trees(folder: Path) -> dict[bytes, dict[str, bytes]]:
    return {
        bytes.fromhex(one.name): {
            str(path.relative_to(one)): path.read_bytes()
            for path in one.rglob("*")
            if path.is_file()
        }
        for one in folder.iterdir()
    }


async def _fetch(session, datasets, output: Path, **options) -> list:
    return [one async for one in fetch_many(session, datasets, output, **options)]


async def test_many_come_back_with_few_calls(pair, tmp_path, monkeypatch):
    """In the order asked for, page by page, however much room an answer has."""
    made = await _publish_some(pair, tmp_path / "in", 7)
    order = list(made)[::-1]
    for page, room, calls in ((256, 100, [7]), (3, 100, [3, 3, 1]), (4, 3, [4, 4, 1])):
        pair.owner_node.reads, pair.owner_node.reads_max = [], room
        monkeypatch.setattr(limits, "READS_PER_CALL_MAX", page)
        read = [one async for one in read_many(pair.owner, order)]
        assert order == [one.dataset for one in read]
        assert [made[identity] for identity in order] == [
            dict(zip(one.whole.names, one.whole.files, strict=True)) for one in read
        ]
        assert calls == pair.owner_node.reads
    done = await _fetch(pair.owner, iter(order), tmp_path / "out")
    assert order == [one.dataset for one in done]
    assert made == _trees(tmp_path / "out")
    assert {True} == {path.is_file() for one in done for path in one.fetched.files}
    assert [sum(map(len, made[one].values())) for one in order] == [
        one.fetched.bytes_fetched for one in done
    ]
    again = await _fetch(pair.owner, order, tmp_path / "out")
    assert {0} == {one.fetched.bytes_fetched for one in again}
    assert [] == await _fetch(pair.owner, [], tmp_path / "none")


async def test_one_failure_spoils_no_other(pair, tmp_path):
    """Missing, damaged and in the way: each is told of itself; the others are there."""
    made = await _publish_some(pair, tmp_path / "in", 3)
    first, damaged, blocked = made
    broken = pair.owner_node.content(
        bytes.fromhex(pair.city.datasets[damaged.hex()].versions[0].manifest_root)
    )
    pair.owner_node.damage = lambda data: bytes(len(data)) if data == broken else data
    in_the_way = tmp_path / "out" / blocked.hex() / "2" / "text"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_bytes(b"mine")
    done = await _fetch(pair.owner, [NOWHERE, damaged, blocked, first], tmp_path / "out")
    assert [MissingError, CorruptError, ConflictError, None] == [
        one.error and type(one.error) for one in done
    ]
    assert ("No such dataset.", "Look for it.") == (done[0].error.message, done[0].error.remedy)
    assert b"mine" == in_the_way.read_bytes()
    trees = _trees(tmp_path / "out")
    assert made[first] == trees[first]
    assert damaged not in trees
    done = await _fetch(pair.owner, [blocked], tmp_path / "out", overwrite=True)
    assert made[blocked] == _trees(tmp_path / "out")[blocked]
    assert done[0].error is None


async def test_granted_and_not(pair, tmp_path):
    """A reader gets what was granted, opened with the grant's own wraps; and no wraps of another."""
    made = await _publish_some(pair, tmp_path / "in", 3)
    granted, other, denied = made
    for identity in (granted, other):
        asked = await request_access(pair.reader, identity.hex(), "planning")
        await grant(pair.owner, asked.request.hex())
    done = await _fetch(pair.reader, [denied, granted], tmp_path / "out")
    assert [DeniedError, None] == [one.error and type(one.error) for one in done]
    assert {granted: made[granted]} == _trees(tmp_path / "out")

    # Wraps of another grant, or ones that the grant does not name, open nothing.
    mine, another = (
        next(one for one in pair.city.requests.values() if one.dataset == identity.hex())
        for identity in (granted, other)
    )
    pair.city.wraps[mine.id] = pair.city.wraps[another.id]
    (read,) = [one async for one in read_many(pair.reader, [granted])]
    assert isinstance(read.error, CorruptError)
    pair.city.requests[mine.id] = msgspec.structs.replace(mine, wrap_digest=another.wrap_digest)
    (read,) = [one async for one in read_many(pair.reader, [granted])]
    assert isinstance(read.error, CorruptError)
    assert read.whole is None


async def test_large_ones_are_fetched_by_themselves(pair, tmp_path):
    """Into a folder like the others; to memory they do not come."""
    small = await _publish(pair, tmp_path / "small", {"a": BYTES(900)})
    large = await _publish(pair, tmp_path / "large", {"b": BYTES(300_000), "c": BYTES(200_000)})
    read = [one async for one in read_many(pair.owner, [large, small])]
    assert [LargeVersionError, None] == [one.error and type(one.error) for one in read]
    done = await _fetch(pair.owner, [large, small], tmp_path / "out")
    assert [500_000, 900] == [one.fetched.bytes for one in done]
    assert 300_000 == len(_trees(tmp_path / "out")[large]["large/b"])

    lost = pair.owner_node.get_range

    async def broken(path, offset, length):
        data = await lost(path, offset, length)
        return data if offset + length < 400_000 else bytes(length)

    pair.owner_node.get_range = broken
    done = await _fetch(pair.owner, [large, small], tmp_path / "again")
    assert [IncompleteError, None] == [one.error and type(one.error) for one in done]
    assert 1 == len(done[0].fetched.files)


async def test_plain_bytes_are_bounded(pair, tmp_path, monkeypatch):
    """A version that would expand too far is not opened whole: by what the chain says, or the manifest."""
    identity = await _publish(pair, tmp_path / "zeros", {"a": bytes(50_000)})
    monkeypatch.setattr(limits, "READ_WHOLE_PLAIN_BYTES_MAX", 49_999)
    (read,) = [one async for one in read_many(pair.owner, [identity])]
    assert isinstance(read.error, LargeVersionError)
    view = pair.city.datasets[identity.hex()]
    lying = msgspec.structs.replace(view.versions[0], content_bytes=10)
    pair.city.datasets[view.id] = msgspec.structs.replace(view, versions=[lying])
    (read,) = [one async for one in read_many(pair.owner, [identity])]
    assert isinstance(read.error, CorruptError)
    monkeypatch.setattr(limits, "READ_WHOLE_PLAIN_BYTES_MAX", 50_000)
    (read,) = [one async for one in read_many(pair.owner, [identity])]
    assert isinstance(read.error, CorruptError)


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_an_answer_for_others_is_refused(pair, tmp_path, monkeypatch, count):
    """Fewer or more outcomes than were asked for, or none that goes on, are no answer."""
    identity = await _publish(pair, tmp_path / "in", {"a": b"1"})
    real = pair.owner_node._post

    def answer(path, body):
        found = real(path, body)
        return ReadAnswer(found.outcomes[:1] * count) if isinstance(found, ReadAnswer) else found

    monkeypatch.setattr(pair.owner_node, "_post", answer)
    with pytest.raises(ProtocolError):
        [one async for one in read_many(pair.owner, [identity, identity])]
    monkeypatch.undo()
    pair.owner_node.reads_max = 0
    with pytest.raises(ProtocolError):
        [one async for one in read_many(pair.owner, [identity])]


async def test_a_part_damaged_meanwhile_is_written_anew(pair, tmp_path):
    """What an earlier attempt left is used if it is right, and thrown away if not."""
    files = {"a": BYTES(4_000)}
    identity = await _publish(pair, tmp_path / "in", files)
    root = pair.city.datasets[identity.hex()].versions[0].manifest_root
    for left in (files["a"][:1_000], b"x" * 1_000, files["a"], b"x" * 4_000):
        output = tmp_path / f"out {len(left)} {left[:1]!r}"
        parts = output / identity.hex() / f".hansa-{root[:32]}"
        parts.mkdir(parents=True)
        (parts / "0.part").write_bytes(left)
        (done,) = await _fetch(pair.owner, [identity], output)
        assert done.error is None
        assert {identity: {"in/a": files["a"]}} == _trees(output)
