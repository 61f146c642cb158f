"""Ranges: the bytes asked for, only the chunks they overlap, each of them verified."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import limits
from hansa.client.describe import Subject
from hansa.client.fetch import open_reader
from hansa.client.publish import publish
from hansa.client.ranges import parse_range
from hansa.client.share import grant, request_access, revoke
from hansa.client.sources import collect
from hansa.errors import CorruptError, DeniedError, InvalidError

from .conftest import CountedEntropy

BYTES = CountedEntropy(b"ranges").random_bytes
SUBJECT = Subject(title="Counts")


async def _open(pair, folder: Path, **files: bytes):
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    done = await publish(pair.owner, collect([folder]), SUBJECT)
    return await open_reader(pair.owner, done.dataset.hex())


async def test_any_range_of_any_file(pair, tmp_path):
    """Start, middle, end, nothing; a range is cut at its file's end and never runs into the next."""
    first, second = BYTES(1_000_000), BYTES(300_001)
    reader = await _open(pair, tmp_path / "in", a=first, b=second, empty=b"")
    assert reader.names == ("in/a", "in/b", "in/empty")
    assert [reader.size(name) for name in reader.names] == [1_000_000, 300_001, 0]
    for file, data in (("in/a", first), ("in/b", second), ("in/empty", b"")):
        for offset in (0, 1, len(data) // 2, len(data)):
            if offset <= len(data):
                for length in (0, 1, 65_536, 10**6):
                    found = await reader.read(offset, length, file=file)
                    assert found == data[offset : offset + length], (file, offset, length)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), sizes=st.lists(st.integers(0, 300_000), min_size=1, max_size=4))
async def test_reads_as_a_file_does(pair, data, sizes):
    """Whatever the files and the range: what reading the file itself gives."""
    with tempfile.TemporaryDirectory() as temporary:
        files = {f"f{index}": BYTES(size) for index, size in enumerate(sizes)}
        reader = await _open(pair, Path(temporary) / "in", **files)
        name = data.draw(st.sampled_from(sorted(files)))
        offset = data.draw(st.integers(0, len(files[name])))
        length = data.draw(st.integers(0, 400_000))
        found = await reader.read(offset, length, file=f"in/{name}")
        assert found == files[name][offset : offset + length]


async def test_only_what_overlaps_is_fetched(pair, tmp_path):
    """A short range of a long file costs one call of at most two chunks, and no second manifest."""
    reader = await _open(pair, tmp_path / "in", a=BYTES(5_000_000))
    node = pair.owner_node
    node.ranges.clear()
    calls = len(node.calls)
    assert len(await reader.read(2_345_678, 1_000)) == 1_000
    assert len(node.ranges) == 1
    assert node.ranges[0][1] <= 2 * limits.SEALED_CHUNK_BYTES_MAX
    assert len(node.calls) == calls


async def test_a_long_range_is_streamed(pair, tmp_path):
    """In order, and no byte more; progress ends at the length."""
    data, told = BYTES(3_000_000), []
    reader = await _open(pair, tmp_path / "in", a=data)
    found = bytearray()
    done = await reader.stream(found.extend, 17, progress=lambda at, of: told.append((at, of)))
    assert bytes(found) == data[17:]
    assert done == len(found)
    assert told[-1] == (len(found), len(found))


async def test_changed_bytes_are_refused(pair, tmp_path):
    """A flipped byte in a chunk of the range is refused; ranges beside it are read."""
    data = BYTES(2_000_000)
    reader = await _open(pair, tmp_path / "in", a=data)
    real = pair.owner_node.get_range

    async def flip(path, offset, length):
        answer = bytearray(await real(path, offset, length))
        if offset <= 1_000_000 < offset + length:
            answer[1_000_000 - offset] ^= 1
        return bytes(answer)

    pair.owner_node.get_range = flip
    assert await reader.read(0, 100_000) == data[:100_000]
    with pytest.raises(CorruptError):
        await reader.read(990_000, 20_000)
    with pytest.raises(CorruptError):
        await reader.stream(lambda _: None)


async def test_who_may_not_read(pair, tmp_path):
    """Another organisation needs a grant, at the opening and at each range after it."""
    owned = await _open(pair, tmp_path / "in", a=BYTES(200_000))
    identity = owned.opened.dataset.id
    with pytest.raises(DeniedError):
        await open_reader(pair.reader, identity)
    asked = await request_access(pair.reader, identity, "planning")
    await grant(pair.owner, asked.request.hex())
    reader = await open_reader(pair.reader, identity)
    assert await reader.read(5, 10) == (tmp_path / "in/a").read_bytes()[5:15]
    await revoke(pair.owner, asked.request.hex(), reason="over")
    with pytest.raises(DeniedError):
        await open_reader(pair.reader, identity)


async def test_what_cannot_be_read(pair, tmp_path):
    """No name among several, an unknown one, places outside of the file, too much at once."""
    reader = await _open(pair, tmp_path / "in", a=b"12", b=b"34")
    for asked in (
        {"offset": 0, "length": 1},
        {"offset": 0, "length": 1, "file": "a"},
        {"offset": 3, "length": 1, "file": "in/a"},
        {"offset": -1, "length": 1, "file": "in/a"},
        {"offset": 0, "length": -1, "file": "in/a"},
        {"offset": 0, "length": limits.CLIENT_READ_BYTES_MAX + 1, "file": "in/a"},
    ):
        with pytest.raises(InvalidError):
            await reader.read(**asked)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-99", (0, 100)),
        ("100-", (100, 900)),
        ("-100", (900, 100)),
        ("-5000", (0, 1000)),
        ("990-5000", (990, 10)),
        (" 5-5 ", (5, 1)),
    ],
)
def test_ranges_as_in_http(text, expected):
    """First and last byte are both meant; cut to the file's size."""
    assert parse_range(text, 1000) == expected


@pytest.mark.parametrize("text", ["", "-", "5", "9-3", "a-b", "1-2,4-5", "1000-", "-0", "٣-٤"])
def test_what_is_no_range(text):
    """Malformed, backwards, several, or none of the file's bytes."""
    with pytest.raises(InvalidError):
        parse_range(text, 1000)
