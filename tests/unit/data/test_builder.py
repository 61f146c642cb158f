"""Tests of hansa.data.builder: what it lists is what the plain way of listing gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa import limits
from hansa.data.builder import VersionBuilder
from hansa.data.manifest import (
    ContentChunk,
    Contents,
    Directory,
    DirectoryEntry,
    FileEntry,
    validate_agreement,
)
from hansa.errors import InvalidError
from hansa.types import ChunkId


@given(st.lists(st.integers(0, 9), max_size=40))
def test_against_the_plain_way(drawn):
    """Chunks in order of first occurrence, each completed at any time before the end."""
    builder = VersionBuilder()
    order = list(dict.fromkeys(drawn))
    entries = {
        at: DirectoryEntry(ChunkId(bytes([at]) * 32), bytes([at + 1]) * 32, 100 + at, 10 + at)
        for at in order
    }
    fresh = [builder.place(entries[at].chunk, entries[at].plain_bytes) for at in drawn]
    assert [at not in drawn[:place] for place, at in enumerate(drawn)] == fresh
    for at in reversed(order):
        builder.complete(entries[at], bytes([at + 2]) * 32)
    size = sum(10 + at for at in drawn)
    builder.add_file("f", size, bytes(32))
    contents, directory = builder.finish()
    listed = [
        ContentChunk(entry.chunk, bytes([at + 2]) * 32, entry.sealed_bytes, entry.plain_bytes)
        for at, entry in entries.items()
    ]
    places = [order.index(at) for at in drawn]
    assert contents == Contents.of([FileEntry("f", size, bytes(32))], listed, places)
    assert directory == Directory.of(size, 1, list(entries.values()))
    validate_agreement(directory, contents)


def test_what_was_never_sealed_is_never_listed():
    """A chunk without its sealing is a mistake of the caller."""
    builder = VersionBuilder()
    builder.place(ChunkId(b"i" * 32), 7)
    with pytest.raises(AssertionError, match="never sealed"):
        builder.finish()


def test_files_are_bounded_and_named_well(monkeypatch):
    """The first too many is refused at once, a bad name at the end."""
    monkeypatch.setattr(limits, "FILES_PER_VERSION_MAX", 2)
    builder = VersionBuilder()
    builder.add_file("a", 0, bytes(32))
    builder.add_file("a/b", 0, bytes(32))
    with pytest.raises(InvalidError, match="at most 2"):
        builder.add_file("c", 0, bytes(32))
    with pytest.raises(InvalidError, match="both a file and a folder"):
        builder.finish()
