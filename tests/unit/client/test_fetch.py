"""Fetching: identical bytes, resumption, verification, and nothing outside of the output."""

import functools
import io
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.client.describe import Subject
from hansa.client.fetch import IncompleteError, _gaps, fetch, fetch_stream
from hansa.client.publish import publish
from hansa.client.share import grant, request_access
from hansa.client.sources import collect
from hansa.data.layout import ContentLayout
from hansa.data.manifest import Contents
from hansa.errors import (
    ConflictError,
    CorruptError,
    DeniedError,
    InvalidError,
    MissingError,
    UnavailableError,
)

from .conftest import CountedEntropy

module = sys.modules["hansa.client.fetch"]
BYTES = CountedEntropy(b"fetch").random_bytes
SUBJECT = Subject(title="Counts")


async def _publish(pair, folder: Path, files: dict[str, bytes]) -> str:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return (await publish(pair.owner, collect([folder]), SUBJECT)).dataset.hex()


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


async def test_own_data_comes_back_identical(pair, tmp_path):
    """Large and small, empty and repeated files come back as they were, and nothing else."""
    big = BYTES(900_000)
    files = {"a/big.bin": big, "a/again.bin": big, "empty": b"", "z.csv": b"x,y\n1,2\n"}
    identity = await _publish(pair, tmp_path / "in", files)
    done = await fetch(pair.owner, identity, tmp_path / "out")
    assert _tree(tmp_path / "out") == {f"in/{name}": data for name, data in files.items()}
    assert done.bytes == done.bytes_fetched == 1_800_008
    assert {str(path.relative_to(tmp_path / "out")) for path in done.files} == {
        f"in/{name}" for name in files
    }


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sizes=st.lists(st.integers(0, 400_000), min_size=1, max_size=6), repeat=st.integers(0, 3))
async def test_round_trip(pair, sizes, repeat):
    """Whatever the files, publish then fetch is identity."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        block = BYTES(400_000)
        files = {
            f"{index}.bin": (block if index == repeat else BYTES(400_000))[:size]
            for index, size in enumerate(sizes)
        }
        identity = await _publish(pair, folder / "in", files)
        await fetch(pair.owner, identity, folder / "out")
        assert _tree(folder / "out" / "in") == files


async def test_another_organisation_needs_a_grant(pair, tmp_path):
    """Refused without one, identical with one, refused again for another dataset."""
    identity = await _publish(pair, tmp_path / "in", {"a": b"data"})
    with pytest.raises(DeniedError, match="not granted to you"):
        await fetch(pair.reader, identity, tmp_path / "out")
    asked = await request_access(pair.reader, identity, "planning")
    with pytest.raises(DeniedError, match="is open"):
        await fetch(pair.reader, identity, tmp_path / "out")
    await grant(pair.owner, asked.request.hex())
    await fetch(pair.reader, identity, tmp_path / "out")
    assert _tree(tmp_path / "out") == {"in/a": b"data"}


async def test_goes_on_where_it_stopped(pair, tmp_path):
    """A second attempt fetches only what the first did not verify."""
    identity = await _publish(pair, tmp_path / "in", {"a": BYTES(30_000_000)})
    real, served = pair.owner_node.get_range, []

    async def failing(path, offset, length):
        served.append(length)
        if len(served) > 2:
            raise UnavailableError("The node was killed.")
        return await real(path, offset, length)

    pair.owner_node.get_range = failing
    with pytest.raises(UnavailableError, match="killed"):
        await fetch(pair.owner, identity, tmp_path / "out")
    assert not (tmp_path / "out" / "in").exists()
    pair.owner_node.get_range = real
    done = await fetch(pair.owner, identity, tmp_path / "out")
    assert 0 < done.bytes_fetched < done.bytes
    assert (tmp_path / "out/in/a").read_bytes() == (tmp_path / "in/a").read_bytes()
    assert (await fetch(pair.owner, identity, tmp_path / "out")).bytes_fetched == 0


async def test_a_damaged_part_is_fetched_again(pair, tmp_path):
    """What an earlier attempt left is judged with the whole file, and replaced if it was damaged."""
    identity = await _publish(pair, tmp_path / "in", {"a": BYTES(200_000)})
    root = pair.city.datasets[identity].versions[0].manifest_root
    parts = tmp_path / "out" / f".hansa-{root[:32]}"
    parts.mkdir(parents=True)
    (parts / "0.part").write_bytes(b"rubbish")
    await fetch(pair.owner, identity, tmp_path / "out")
    assert (tmp_path / "out/in/a").read_bytes() == (tmp_path / "in/a").read_bytes()
    assert not parts.exists()


@pytest.mark.parametrize("position", [0, 40, -1])
async def test_changed_bytes_never_get_a_name(pair, tmp_path, position):
    """A flipped byte in manifest or content is refused, and no file appears."""
    identity = await _publish(pair, tmp_path / "in", {"a": BYTES(100_000)})

    def flip(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[position] ^= 1
        return bytes(changed)

    real = pair.owner_node.get_octets
    pair.owner_node.damage = flip
    with pytest.raises(CorruptError):
        await fetch(pair.owner, identity, tmp_path / "out")

    async def sound(path, *, bytes_max):
        pair.owner_node.damage = lambda data: data
        answer = await real(path, bytes_max=bytes_max)
        pair.owner_node.damage = flip
        return answer

    pair.owner_node.get_octets = sound
    with pytest.raises(CorruptError):
        await fetch(pair.owner, identity, tmp_path / "out")
    assert not (tmp_path / "out" / "in").exists()


async def test_other_files_are_left_alone(pair, tmp_path):
    """A file of that name with other contents is a conflict unless it may be overwritten."""
    identity = await _publish(pair, tmp_path / "in", {"a": b"new"})
    (tmp_path / "out/in").mkdir(parents=True)
    (tmp_path / "out/in/a").write_bytes(b"old")
    with pytest.raises(ConflictError, match="other contents") as refused:
        await fetch(pair.owner, identity, tmp_path / "out")
    assert "--overwrite" in refused.value.remedy
    assert (tmp_path / "out/in/a").read_bytes() == b"old"
    await fetch(pair.owner, identity, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out/in/a").read_bytes() == b"new"


async def test_an_older_version_can_be_fetched(pair, tmp_path):
    """Each version stays what it was; a grant covers those there were when it was given."""
    identity = await _publish(pair, tmp_path / "in", {"a": b"one"})
    asked = await request_access(pair.reader, identity, "research")
    await grant(pair.owner, asked.request.hex())
    (tmp_path / "in/a").write_bytes(b"two")
    await publish(pair.owner, collect([tmp_path / "in"]), SUBJECT, dataset=identity)
    await fetch(pair.owner, identity, tmp_path / "new")
    assert (tmp_path / "new/in/a").read_bytes() == b"two"
    await fetch(pair.reader, identity, tmp_path / "old", version=1)
    assert (tmp_path / "old/in/a").read_bytes() == b"one"
    with pytest.raises(Exception, match="does not cover version 2"):
        await fetch(pair.reader, identity, tmp_path / "none")


async def test_stream(pair, tmp_path):
    """One file goes into a function; of several one must be named."""
    identity = await _publish(pair, tmp_path / "in", {"a": b"first", "b": BYTES(200_000)})
    out = io.BytesIO()
    await fetch_stream(pair.owner, identity, out.write, file="in/b")
    assert out.getvalue() == (tmp_path / "in/b").read_bytes()
    for file in (None, "c"):
        with pytest.raises(InvalidError):
            await fetch_stream(pair.owner, identity, out.write, file=file)


async def test_gaps_join_neighbours(pair, tmp_path):
    """Missing neighbours are fetched in one stretch, what is there is left out."""
    identity = await _publish(pair, tmp_path / "in", {"a": b"12", "b": b"34", "c": b"", "d": b"56"})
    del identity

    class Fixed(ContentLayout):
        def __init__(self):
            self._files = [0, 2, 4, 4, 6]

    layout = Fixed()
    assert list(_gaps(layout, {0: 0, 1: 0, 2: 0, 3: 0})) == [(0, 6)]
    assert list(_gaps(layout, {0: 1, 3: 0})) == [(1, 2), (4, 6)]
    assert list(_gaps(layout, {2: 0})) == []


async def test_a_file_that_is_not_as_published(pair, tmp_path, monkeypatch):
    """Sound chunks that do not make up the file named: refused, in a folder and in a stream."""
    identity = await _publish(pair, tmp_path / "in", {"a": b"data"})
    real = module.open_version

    async def lying(*arguments):
        opened = await real(*arguments)
        wrong = msgspec.structs.replace(opened.contents.files[0], digest=bytes(32))
        contents = Contents.of((wrong,), opened.contents.chunks, opened.contents.sequence)
        return replace(opened, contents=contents)

    monkeypatch.setattr(module, "open_version", lying)
    with pytest.raises(CorruptError, match="though each of its chunks"):
        await fetch(pair.owner, identity, tmp_path / "out")
    assert not (tmp_path / "out" / "in").exists()
    with pytest.raises(CorruptError, match="throw away"):
        await fetch_stream(pair.owner, identity, lambda _: None)


async def test_one_damaged_file_does_not_keep_the_others_back(pair, tmp_path):
    """The sound files are there, the error names the other, its owner and dataset; healed, it comes."""
    files = {"a": BYTES(300_000), "b": BYTES(3_000_000), "c": BYTES(300_000), "d": b"small"}
    identity = await _publish(pair, tmp_path / "in", files)
    root = bytes.fromhex(pair.city.datasets[identity].versions[0].manifest_root)
    place = len(pair.owner_node.content(root)) // 2
    real = pair.owner_node.get_range

    async def flip(path, offset, length):
        answer = bytearray(await real(path, offset, length))
        if offset <= place < offset + length:
            answer[place - offset] ^= 1
        return bytes(answer)

    pair.owner_node.get_range = flip
    with pytest.raises(IncompleteError) as told:
        await fetch(pair.owner, identity, tmp_path / "out")
    assert "in/b" in told.value.message
    for word in (identity, "health", "Counts", "3 of 4"):
        assert word in str(told.value)
    assert list(told.value.lost) == list(told.value.reasons()) == ["in/b"]
    whole = {name: data for name, data in files.items() if name != "b"}
    hidden = f".hansa-{root.hex()[:32]}/"
    found = {n: d for n, d in _tree(tmp_path / "out").items() if not n.startswith(hidden)}
    assert found == {f"in/{name}": data for name, data in whole.items()}
    assert {path.name for path in told.value.fetched.files} == set(whole)
    pair.owner_node.get_range = real
    done = await fetch(pair.owner, identity, tmp_path / "out")
    assert done.bytes_fetched < 3_000_000
    assert _tree(tmp_path / "out") == {f"in/{name}": data for name, data in files.items()}


@pytest.mark.slow
async def test_a_large_damaged_file_is_not_fetched_to_its_end(pair, tmp_path):
    """Once a file is given up, no more windows of it are asked for."""
    pair.owner_node.content = functools.cache(pair.owner_node.content)
    identity = await _publish(pair, tmp_path / "in", {"a": BYTES(70_000_000), "b": BYTES(1_000)})
    real, asked = pair.owner_node.get_range, []

    async def gone(path, offset, length):
        asked.append(length)
        if offset < 10_000_000:
            raise MissingError("A pack is gone.")
        return await real(path, offset, length)

    pair.owner_node.get_range = gone
    with pytest.raises(IncompleteError, match="A pack is gone"):
        await fetch(pair.owner, identity, tmp_path / "out")
    assert sum(asked) < 70_000_000
    assert (tmp_path / "out/in/b").exists()
