"""Windows: near ranges in one call, order kept, damage narrowed to what is hurt."""

import pytest

from hansa import limits
from hansa.client.describe import Subject
from hansa.client.fetch import open_reader
from hansa.client.publish import publish
from hansa.client.sources import collect
from hansa.client.windows import Opened, Unreadable, Windows, join_near
from hansa.data.layout import SealedRange
from hansa.errors import CorruptError, DeniedError, UnavailableError

from .conftest import CountedEntropy

BYTES = CountedEntropy(b"windows").random_bytes


def _ranges(*spans: tuple[int, int]) -> list[SealedRange]:
    return [SealedRange(start, stop - start, range(0)) for start, stop in spans]


def test_near_ranges_are_one_call():
    """Joined over small gaps, apart over large ones, and never longer than a call may be."""
    near = _ranges((0, 10), (15, 20), (21, 30))
    assert list(join_near(near, 5)) == [near]
    assert list(join_near(near, 4)) == [near[:1], near[1:]]
    long = limits.CONTENT_RANGE_BYTES_MAX
    wide = _ranges((0, long - 10), (long - 5, long), (long, long + 1))
    assert list(join_near(wide)) == [wide[:2], wide[2:]]
    assert list(join_near([])) == []


async def _windows(pair, folder, **files: bytes) -> Windows:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    done = await publish(pair.owner, collect([folder]), Subject(title="Counts"))
    reader = await open_reader(pair.owner, done.dataset.hex())
    return Windows(pair.owner, reader.opened)


async def _collect(windows: Windows, spans) -> list[Opened | Unreadable]:
    found: list[Opened | Unreadable] = []

    async def take(part):
        found.append(part)

    await windows.stream(spans, take)
    return found


async def test_spans_come_in_order(pair, tmp_path):
    """Several stretches, each divided into windows, are given one after the other."""
    data = BYTES(20_000_000)
    windows = await _windows(pair, tmp_path / "in", a=data)
    spans = [(5, 70_000), (100_000, 18_000_000), (19_000_000, 20_000_000)]
    found = await _collect(windows, spans)
    assert b"".join(b"".join(part.pieces) for part in found) == b"".join(
        data[start:stop] for start, stop in spans
    )
    assert len(found) > len(spans)


async def test_gaps_cost_no_call(pair, tmp_path):
    """A stretch with duplicates of the beginning is fetched with few calls."""
    block, parts = BYTES(100_000), []
    for _ in range(20):
        parts += [block, BYTES(120_000)]
    windows = await _windows(pair, tmp_path / "in", a=b"".join(parts))
    pair.owner_node.ranges.clear()
    found = await _collect(windows, [(0, windows.layout.plain_bytes)])
    assert b"".join(b"".join(part.pieces) for part in found) == b"".join(parts)
    assert len(pair.owner_node.ranges) <= 3


async def test_damage_is_narrowed(pair, tmp_path):
    """One bad byte hurts its chunk's neighbourhood; everything else comes, in order."""
    files = {f"f{number:03}": BYTES(60_000) for number in range(100)}
    data = b"".join(files.values())
    windows = await _windows(pair, tmp_path / "in", **files)
    real = pair.owner_node.get_range

    async def flip(path, offset, length):
        answer = bytearray(await real(path, offset, length))
        if offset <= 3_000_000 < offset + length:
            answer[3_000_000 - offset] ^= 1
        return bytes(answer)

    pair.owner_node.get_range = flip
    found = await _collect(windows, [(0, len(data))])
    lost = [part for part in found if isinstance(part, Unreadable)]
    assert all(isinstance(part.error, CorruptError) for part in lost)
    assert 0 < sum(part.stop - part.start for part in lost) <= limits.CHUNK_BYTES_MAX
    at = 0
    for part in found:
        assert part.start == at
        at = part.stop
        if isinstance(part, Opened):
            assert b"".join(part.pieces) == data[part.start : part.stop]
    assert at == len(data)


async def test_damage_inside_of_one_file_is_not_narrowed(pair, tmp_path):
    """The file is lost anyway: its window is not read again and again."""
    windows = await _windows(pair, tmp_path / "in", a=BYTES(6_000_000))
    pair.owner_node.damage = lambda data: data[:-1] + b"X"
    pair.owner_node.ranges.clear()
    (lost,) = await _collect(windows, [(0, 6_000_000)])
    assert isinstance(lost, Unreadable)
    assert (lost.start, lost.stop) == (0, 6_000_000)
    assert len(pair.owner_node.ranges) == 1


@pytest.mark.parametrize("kind", [UnavailableError, DeniedError])
async def test_what_concerns_all_ends_the_reading(pair, tmp_path, kind):
    """A node that is away or refuses is no damage: raised, after what came before was given."""
    windows = await _windows(pair, tmp_path / "in", a=BYTES(30_000_000))
    real, served = pair.owner_node.get_range, []

    async def failing(path, offset, length):
        served.append(length)
        if len(served) > 2:
            raise kind("No.")
        return await real(path, offset, length)

    pair.owner_node.get_range = failing
    found: list[Opened | Unreadable] = []

    async def take(part):
        found.append(part)

    with pytest.raises(kind, match="No"):
        await windows.stream([(0, 30_000_000)], take)
    assert found
    assert all(isinstance(part, Opened) for part in found)
