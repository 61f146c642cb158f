"""Tests of hansa.data.layout against plain slicing."""

import hashlib
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hansa.data.layout as module
from hansa.data.layout import ContentLayout
from hansa.errors import CorruptError, InvalidError
from hansa.limits import CONTENT_RANGE_BYTES_MAX, MIB
from hansa.testing.doubles import SeededEntropy
from hansa.testing.versions import build_version
from tests.unit.data.tables import table

NOISE = hashlib.shake_256(b"layout").digest(900_000)
FILES = {
    "small/a": b"alpha",
    "small/empty": b"",
    "large": NOISE,
    "zeros": bytes(1_200_000),
    "again": NOISE,
    "last": b"omega" * 10,
}
BUILT = build_version(FILES, SeededEntropy("layout"))
PLAIN = b"".join(FILES.values())
SEALED = {upload.chunk: upload.sealed for upload in BUILT.uploads}
CONTENT = b"".join(SEALED[chunk.chunk] for chunk in BUILT.contents.chunks)


def fetch(offset, length):
    """Serve the content from memory."""
    return CONTENT[offset : offset + length]


def test_every_file_comes_back():
    """Each file is read whole and as published; repeated chunks are stored once."""
    layout = ContentLayout(BUILT.contents)
    for index, name in enumerate(FILES):
        assert b"".join(layout.read_file(index, fetch)) == FILES[name]
    assert layout.sealed_bytes == len(CONTENT)
    assert layout.plain_bytes == len(PLAIN)
    assert len(CONTENT) < len(NOISE) + 50_000


@settings(max_examples=60)
@given(st.integers(0, len(PLAIN)), st.integers(0, len(PLAIN)))
def test_any_range_equals_a_slice(one, other):
    """Any range of the plain stream is what a slice of the files would be."""
    start, stop = min(one, other), max(one, other)
    assert b"".join(ContentLayout(BUILT.contents).read(start, stop, fetch)) == PLAIN[start:stop]


def gathered(layout, start, stop):
    """Return plain bytes as the windows that are opened to one piece of memory give them."""
    return b"".join(
        bytes(layout.gather(window, [fetch(part.offset, part.length) for part in window.ranges]))
        for window in layout.plan(start, stop)
    )


@settings(max_examples=60)
@given(st.integers(0, len(PLAIN)), st.integers(0, len(PLAIN)))
def test_gathered_is_what_is_assembled(one, other):
    """Opened to one piece of memory, that is used again, a range is the same slice of the files."""
    start, stop = min(one, other), max(one, other)
    with mock.patch.object(module, "_WINDOW_PLAIN_BYTES", 500_000):
        assert gathered(ContentLayout(BUILT.contents), start, stop) == PLAIN[start:stop]


def test_what_occurs_twice_in_a_window_is_opened_once_and_copied():
    """A chunk that comes again in the same window stands at both of its places."""
    layout = ContentLayout(BUILT.contents)
    assert len(list(layout.plan(0, len(PLAIN)))) == 1
    assert gathered(layout, 0, len(PLAIN)) == PLAIN


@settings(max_examples=60)
@given(st.integers(0, len(PLAIN)), st.integers(0, len(PLAIN)), st.integers(1, 400_000))
def test_pieces_of_a_window_are_the_window(one, other, piece_bytes):
    """Opened piece by piece, each where the last one ended and none too small, they are the slice."""
    start, stop = min(one, other), max(one, other)
    layout, at = ContentLayout(BUILT.contents), start
    with mock.patch.object(module, "_WINDOW_PLAIN_BYTES", 500_000):
        for window in layout.plan(start, stop):
            parts = [fetch(part.offset, part.length) for part in window.ranges]
            for begin, piece in layout.gather_pieces(window, parts, piece_bytes):
                assert begin == at
                assert PLAIN[at : at + len(piece)] == piece
                assert len(piece) >= piece_bytes or begin + len(piece) == window.stop
                assert piece.readonly
                at += len(piece)
    assert at == stop


def test_what_came_before_a_damaged_chunk_is_sound():
    """A chunk that does not open ends the pieces; none holds a byte of it."""
    layout = ContentLayout(BUILT.contents)
    (window,) = layout.plan(0, len(NOISE))
    (sealed,) = [fetch(part.offset, part.length) for part in window.ranges]
    damaged = bytearray(sealed)
    damaged[-1] ^= 1
    taken = bytearray()

    def take_all():
        for _, piece in layout.gather_pieces(window, [bytes(damaged)], 1):
            taken.extend(piece)

    with pytest.raises(CorruptError):
        take_all()
    whole = bytes(taken)
    assert 0 < len(whole) < len(NOISE)
    assert PLAIN.startswith(whole)


def test_gathered_memory_is_used_again_when_nobody_looks():
    """What is held stays as it is; what was let go is written over."""
    with mock.patch.object(module, "_WINDOW_PLAIN_BYTES", 500_000):
        layout = ContentLayout(BUILT.contents)
        windows = list(layout.plan(0, len(PLAIN)))
        parts = [[fetch(part.offset, part.length) for part in w.ranges] for w in windows]
        first = layout.gather(windows[0], parts[0])
        held = bytes(first)
        second = layout.gather(windows[1], parts[1])
        assert first.obj is not second.obj
        assert held == first
        place = second.obj
        del second
        third = layout.gather(windows[2], parts[2])
        assert third.obj is place
        assert third.readonly


def test_gathered_damage_is_found():
    """As by `assemble`: a changed or short answer of the store is refused."""
    layout = ContentLayout(BUILT.contents)
    (window,) = layout.plan(0, 200_000)
    for lie in (bytes, lambda size: fetch(0, size)[:-1], lambda size: fetch(0, size - 1) + b"\0"):
        with pytest.raises(CorruptError):
            layout.gather(window, [lie(part.length) for part in window.ranges])


def test_only_needed_bytes_are_fetched():
    """A short range fetches one or two chunks; neighbours come in one range."""
    windows = list(ContentLayout(BUILT.contents).plan(300_000, 300_010))
    assert len(windows) == 1
    assert sum(len(wanted.chunks) for wanted in windows[0].ranges) <= 2
    whole = list(ContentLayout(BUILT.contents).plan(5, 900_005))
    assert len(whole[0].ranges) == 1


def test_windows_are_bounded(monkeypatch):
    """No window asks for more than the limits, and together they cover the stream once."""
    monkeypatch.setattr(module, "CONTENT_RANGE_BYTES_MAX", 300_000)
    monkeypatch.setattr(module, "_WINDOW_PLAIN_BYTES", 500_000)
    at = 0
    for window in ContentLayout(BUILT.contents).plan(0, len(PLAIN)):
        assert window.start == at
        assert window.stop - window.start <= 500_000
        assert sum(wanted.length for wanted in window.ranges) <= 300_000
        at = window.stop
    assert at == len(PLAIN)
    assert CONTENT_RANGE_BYTES_MAX > 300_000


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 4), (0, len(PLAIN) + 1)])
def test_ranges_outside_are_refused(start, stop):
    """A range that leaves the stream is refused."""
    with pytest.raises(InvalidError):
        list(ContentLayout(BUILT.contents).plan(start, stop))


def test_damage_is_found():
    """A changed, short or displaced answer of the store is refused, never returned."""
    layout = ContentLayout(BUILT.contents)
    for lie in (
        lambda offset, length: bytes(length),
        lambda offset, length: fetch(offset, length)[:-1],
        lambda offset, length: fetch(offset + 1, length),
        lambda offset, length: fetch(offset, length)[:-1] + b"\x00",
    ):
        with pytest.raises(CorruptError):
            list(layout.read(0, 200_000, lie))


def test_file_digest_is_judged():
    """A file that is not the one published is refused as a whole."""
    layout = ContentLayout(BUILT.contents)
    layout._files = [0, 5, 5, 900_004, *layout._files[4:]]
    with pytest.raises(CorruptError):
        list(layout.read_file(2, fetch))


READINGS = table(5_000, 4 * MIB)
BOTH = READINGS + READINGS[::-1]
with (
    mock.patch("hansa.data.chooser.DICTIONARY_EVERY_BYTES", MIB),
    mock.patch("hansa.data.pipeline._WINDOW_BYTES", 4 * MIB),
):
    TWO = build_version({"r": READINGS, "s": READINGS[::-1]}, SeededEntropy("two"))
_TWO_SEALED = {upload.chunk: upload.sealed for upload in TWO.uploads}
TWO_CONTENT = b"".join(_TWO_SEALED[chunk.chunk] for chunk in TWO.contents.chunks)


def fetch_two(asked, content=TWO_CONTENT):
    """Return a way to fetch; where it is asked is noted."""
    return lambda at, size: asked.append(at) or content[at : at + size]


@settings(max_examples=10)
@given(
    st.lists(st.tuples(st.integers(0, 8 * MIB), st.integers(0, 300_000)), min_size=1, max_size=9)
)
def test_ranges_of_what_was_compressed_with_dictionaries(spans):
    """In any order, on one layout, whatever dictionaries are open."""
    layout = ContentLayout(TWO.contents)
    assert len(TWO.contents.dictionaries) == 2
    for start, length in spans:
        stop = min(len(BOTH), start + length)
        assert b"".join(layout.read(start, stop, fetch_two([]))) == BOTH[start:stop]


def test_a_dictionary_is_fetched_once():
    """With the first chunk that needs it; after that only chunks are."""
    layout, asked = ContentLayout(TWO.contents), []
    for start in (2 * MIB, 3 * MIB, 2 * MIB):
        b"".join(layout.read(start, start + 10, fetch_two(asked)))
    assert asked.count(0) == 1
    assert len(asked) == 4


def test_evicted_while_a_window_waits(monkeypatch):
    """A window keeps what was open when it was planned, though others push it out."""
    monkeypatch.setattr(module, "_DICTIONARIES_OPEN_MAX", 1)
    layout, fetch = ContentLayout(TWO.contents), fetch_two([])
    b"".join(layout.read(2 * MIB, 2 * MIB + 10, fetch))
    (waiting,) = layout.plan(3 * MIB, 3 * MIB + 10)
    assert len(waiting.ranges) == 1
    b"".join(layout.read(7 * MIB, 7 * MIB + 10, fetch))
    parts = [fetch(wanted.offset, wanted.length) for wanted in waiting.ranges]
    assert b"".join(layout.assemble(waiting, parts)) == READINGS[3 * MIB : 3 * MIB + 10]


def test_a_damaged_dictionary_is_found():
    """Nothing is made of it."""
    fetch = fetch_two([], TWO_CONTENT[:50] + b"x" + TWO_CONTENT[51:])
    with pytest.raises(CorruptError):
        b"".join(ContentLayout(TWO.contents).read(2 * MIB, 2 * MIB + 10, fetch))
