"""Tests of hansa.data.stream: files joined to runs, each noted as it ends, each closed."""

import io

from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from hansa.data.stream import SourceFile, Stream, group
from hansa.limits import CHUNK_BYTES_MAX


def source(name, data, hint=None):
    """Return a file that holds some bytes."""
    return SourceFile(name, len(data) if hint is None else hint, lambda: io.BytesIO(data))


def drain(stream, size):
    """Return all bytes of a stream, read into places of some size."""
    place, found = memoryview(bytearray(size)), []
    while count := stream.readinto(place):
        found.append(bytes(place[:count]))
    return b"".join(found)


def test_large_files_stand_alone():
    """Small neighbours make one run, a large file makes its own; nothing is opened meanwhile."""
    hints = [1, 2, CHUNK_BYTES_MAX, 0, CHUNK_BYTES_MAX - 1, 3 * CHUNK_BYTES_MAX, CHUNK_BYTES_MAX]
    files = [source(str(at), b"", hint) for at, hint in enumerate(hints)]
    runs = [[file.name for file in run.files] for run in group(files)]
    assert runs == [["0", "1"], ["2"], ["3", "4"], ["5"], ["6"]]
    assert list(group([])) == []


def filled(name, data):
    """Return a file that can be had at once, too."""

    def fill(place):
        assert len(place) > len(data)
        place[: len(data)] = data
        return len(data)

    return SourceFile(name, len(data), lambda: io.BytesIO(data), fill)


@given(
    st.lists(st.binary(max_size=300), max_size=12),
    st.integers(1, 2_000),
    st.sets(st.integers(0, 11)),
)
def test_a_stream_is_its_files_joined(contents, size, at_once):
    """However it is read; name, size and digest of each file are noted in order."""
    noted = []
    files = [
        (filled if at in at_once else source)(str(at), data) for at, data in enumerate(contents)
    ]
    stream = Stream(iter(files), lambda *note: noted.append(note))
    assert drain(stream, size) == b"".join(contents)
    assert noted == [
        (str(at), len(data), blake3(data).digest()) for at, data in enumerate(contents)
    ]


def test_files_are_closed():
    """Each as it ends, before it is noted; the one at hand when the stream is closed."""
    opened = []

    def opening(data):
        def start():
            opened.append(io.BytesIO(data))
            return opened[-1]

        return SourceFile("f", len(data), start)

    stream = Stream(iter([opening(b"one"), opening(b"two")]), lambda *_: opened[0].closed or 1 / 0)
    place = memoryview(bytearray(3))
    assert 3 == stream.readinto(place)
    assert 3 == stream.readinto(place)
    assert [file.closed for file in opened] == [True, False]
    stream.close()
    stream.close()
    assert opened[1].closed


def test_readers_without_close():
    """What has only `read` can be published too."""

    class Bare:
        left = 5

        def read(self, size, /):
            count = min(size, self.left)
            self.left -= count
            return b"x" * count

    stream = Stream(iter([SourceFile("f", 5, Bare)]), lambda *_: None)
    assert drain(stream, 2) == b"xxxxx"
