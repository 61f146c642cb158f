"""Tests of hansa.data.layout against plain slicing."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hansa.data.layout as module
from hansa.data.layout import ContentLayout
from hansa.errors import CorruptError, InvalidError
from hansa.limits import CONTENT_RANGE_BYTES_MAX
from hansa.testing.doubles import SeededEntropy
from hansa.testing.versions import build_version

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
