"""Tests of hansa.ledger.segments."""

import errno
import os
import zlib

import pytest

from hansa.errors import ConflictError, CorruptError, DiskFullError, UnavailableError
from hansa.ledger.segments import FILE_HEADER, FRAME_HEADER, SECTOR_BYTES, SegmentFile, encode_frame

PAYLOADS = [b"first", b"second" * 300, b"third" * 11]


def write(path, payloads=PAYLOADS):
    """Write a file of frames; return the bytes of it."""
    file = SegmentFile(path)
    assert list(file.scan()) == []
    for payload in payloads:
        file.append(payload)
    file.close()
    return path.read_bytes()


def read(path):
    """Open a file and return its payloads."""
    file = SegmentFile(path)
    try:
        return [frame.payload for frame in file.scan()]
    finally:
        file.close()


def test_what_was_appended_is_there_after_reopening(tmp_path):
    """Frames come back in order, by scan and by offset; an empty payload is a frame too."""
    path = tmp_path / "s"
    write(path, [*PAYLOADS, b""])
    assert [*PAYLOADS, b""] == read(path)
    file = SegmentFile(path)
    frames = list(file.scan())
    assert PAYLOADS[1] == file.read(frames[1].offset)
    assert path.stat().st_size == file.end == frames[-1].end
    file.close()


def test_a_tail_cut_at_any_byte_is_dropped_and_writing_goes_on(tmp_path):
    """Wherever a crash ends the last frame, those before it stand and the next append works."""
    path = tmp_path / "s"
    whole = write(path)
    start = len(whole) - len(encode_frame(PAYLOADS[-1]))
    for size in range(start, len(whole)):
        path.write_bytes(whole[:size])
        file = SegmentFile(path)
        assert PAYLOADS[:-1] == [frame.payload for frame in file.scan()], size
        file.append(b"next")
        file.close()
        assert [*PAYLOADS[:-1], b"next"] == read(path), size


def test_an_unwritten_sector_in_the_last_frame_is_a_torn_write(tmp_path):
    """A tail of the right length whose sectors never reached the disk is cut, not called damage."""
    path = tmp_path / "s"
    whole = write(path, [PAYLOADS[0], bytes(range(1, 256)) * 12])
    start = len(whole) - len(encode_frame(bytes(range(1, 256)) * 12))
    for sector in range(-(-start // SECTOR_BYTES), len(whole) // SECTOR_BYTES):
        torn = bytearray(whole)
        torn[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES] = bytes(SECTOR_BYTES)
        path.write_bytes(torn)
        assert [PAYLOADS[0]] == read(path), sector
    path.write_bytes(whole[:start] + bytes(len(whole) - start))
    assert [PAYLOADS[0]] == read(path)


def test_a_changed_byte_anywhere_is_called_damage_and_nothing_is_changed(tmp_path):
    """Bit rot, in the last frame too, is CorruptError naming file and offset; the file stays."""
    path = tmp_path / "s"
    whole = write(path, [b"one" * 9, b"two" * 9, b"three" * 9])
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(CorruptError, match=rf"{path} is damaged at byte \d+") as caught:
            read(path)
        assert caught.value.remedy
        assert bytes(damaged) == path.read_bytes()


def test_a_file_that_another_follows_has_no_unfinished_end(tmp_path):
    """Cutting is for the last file only; before it a short frame is damage."""
    path = tmp_path / "s"
    whole = write(path)
    path.write_bytes(whole[:-3])
    file = SegmentFile(path)
    with pytest.raises(CorruptError, match="cut short"):
        list(file.scan(is_last=False))
    with pytest.raises(CorruptError, match="are missing"):
        list(file.scan(len(whole)))
    file.close()
    assert whole[:-3] == path.read_bytes()


def test_reading_where_no_sound_frame_lies_is_refused(tmp_path):
    """An offset past the end, a cut frame, a damaged one: CorruptError each."""
    path = tmp_path / "s"
    whole = write(path)
    file = SegmentFile(path)
    last = list(file.scan())[-1]
    with pytest.raises(CorruptError):
        file.read(last.end)
    os.truncate(path, len(whole) - 1)
    with pytest.raises(CorruptError):
        file.read(last.offset)
    with pytest.raises(CorruptError):
        file.read(last.offset + 1)
    file.close()


def test_every_append_is_synced_before_it_returns(tmp_path, flaky_sync):
    """One sync for the making of the file and one for each append."""
    file = SegmentFile(tmp_path / "s", sync=flaky_sync)
    list(file.scan())
    assert flaky_sync.count == 1
    for count in range(2, 6):
        file.append(b"x")
        assert count == flaky_sync.count
    file.close()


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EIO, UnavailableError), (errno.ENOSPC, DiskFullError)]
)
def test_after_a_failed_sync_nothing_more_is_taken(tmp_path, flaky_sync, number, kind):
    """Fail-stop: a sync that works again later is not trusted."""
    file = SegmentFile(tmp_path / "s", sync=flaky_sync)
    list(file.scan())
    file.append(b"kept")
    flaky_sync.refuse_at, flaky_sync.number = 3, number
    with pytest.raises(kind):
        file.append(b"lost")
    flaky_sync.refuse_at = 0
    assert file.has_failed
    with pytest.raises(UnavailableError, match="nothing more"):
        file.append(b"never")
    file.close()
    assert read(tmp_path / "s")[0] == b"kept"


def test_a_refused_write_stops_it_too(tmp_path, monkeypatch):
    """A disk that is full in the middle of a frame: refused, and the part is cut on reopening."""
    path = tmp_path / "s"
    write(path)
    file = SegmentFile(path)
    list(file.scan())
    real = os.pwrite

    def half(descriptor, data, offset):
        if len(data) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, bytes(data)[: len(data) - 10], offset)

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(DiskFullError):
        file.append(b"y" * 100)
    monkeypatch.undo()
    with pytest.raises(UnavailableError):
        file.append(b"y")
    file.close()
    assert read(path) == PAYLOADS


def test_a_file_of_another_owner_number_or_format_is_refused(tmp_path):
    """The head says whose the file is; it is whole or the file is damaged."""
    path = tmp_path / "s"
    SegmentFile(path, number=1, owner=b"a" * 32).close()
    with pytest.raises(ConflictError, match="another alliance"):
        SegmentFile(path, number=1, owner=b"b" * 32)
    with pytest.raises(CorruptError, match="number 1, not 2"):
        SegmentFile(path, number=2, owner=b"a" * 32)
    whole = path.read_bytes()
    later = whole[:8] + bytes([whole[8], whole[9] + 1]) + whole[10:-4]
    path.write_bytes(later + zlib.crc32(later).to_bytes(4, "big"))
    with pytest.raises(ConflictError, match="has format"):
        SegmentFile(path, number=1, owner=b"a" * 32)
    path.write_bytes(whole)
    for size in (0, FILE_HEADER.size - 1):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(CorruptError):
            SegmentFile(path, number=1, owner=b"a" * 32)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConflictError):
        SegmentFile(path)


def test_an_absurd_length_is_not_read(tmp_path):
    """A head with sound checksums and a length beyond the bound is damage, not an allocation."""
    path = tmp_path / "s"
    write(path, [b"x" * 40])
    head = (0xFFFFFFFF).to_bytes(4, "big") + bytes(4)
    with path.open("r+b") as file:
        file.seek(FILE_HEADER.size)
        file.write(head + zlib.crc32(head).to_bytes(4, "big"))
    assert FRAME_HEADER.size == 12
    with pytest.raises(CorruptError):
        read(path)
