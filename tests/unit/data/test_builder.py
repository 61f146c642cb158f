"""Tests of hansa.data.builder: what it lists is what the plain way of listing gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa import limits
from hansa.data.builder import VersionBuilder
from hansa.data.known import Dictionary, KnownChunk
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
        builder.complete(KnownChunk(entries[at], bytes([at + 2]) * 32))
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


def known(at, dictionary=None):
    """Return a chunk of some number, 10 + that number long."""
    entry = DirectoryEntry(ChunkId(bytes([at]) * 32), bytes([at + 1]) * 32, 100 + at, 10 + at)
    return KnownChunk(entry, bytes([at + 2]) * 32, dictionary)


def ids(*numbers):
    """Return the ids of some chunks."""
    return tuple(known(at).entry.chunk for at in numbers)


def filled(sequence):
    """Return a builder with these chunks, none of them completed, in one file."""
    builder = VersionBuilder()
    for at in sequence:
        builder.place(known(at).entry.chunk, 10 + at)
    builder.add_file("f", sum(10 + at for at in sequence), bytes(32))
    return builder


def test_only_dictionaries_in_use_are_listed():
    """In the order in which they were added, with chunks before all others and covers in place."""
    unused = Dictionary([known(90)], [ids(0)])
    first = Dictionary([known(91), known(92)], [ids(5), ids(0, 1), ids(7, 1)])
    second = Dictionary([known(93)], [ids(2, 3)])
    builder = filled([0, 1, 2, 3, 0, 2])
    for dictionary in (unused, first, second):
        assert not builder.has_dictionary(dictionary)
        assert builder.add_dictionary(dictionary)
        assert builder.has_dictionary(dictionary)
    for at, dictionary in enumerate([second, None, first, second]):
        builder.complete(known(at, dictionary))
    contents, directory = builder.finish()
    validate_agreement(directory, contents)
    listed = [known(at).entry for at in (91, 92, 93, 0, 1, 2, 3)]
    assert Directory.of(10 + 11 + 12 + 13 + 10 + 12, 1, listed, 3) == directory
    assert [0, 0, 0, 2, 0, 1, 2] == [chunk.dictionary for chunk in contents.chunks]
    assert [3, 4, 5, 6, 3, 5] == list(contents.sequence)
    found = contents.dictionaries
    assert [range(2), range(2, 3)] == [dictionary.chunks for dictionary in found]
    assert [(range(2),), (range(2, 4),)] == [dictionary.covers for dictionary in found]
    assert [0, 191 + 192] == [dictionary.offset for dictionary in found]


@pytest.mark.parametrize(
    ("cover", "is_there"),
    [
        (ids(1, 2), True),
        (ids(0), True),
        (ids(2, 0), True),
        (ids(0, 2), False),
        (ids(0, 1, 3), False),
        (ids(4), False),
        (ids(3, 0), False),
    ],
)
def test_a_cover_is_chunks_side_by_side(cover, is_there):
    """All of them, in order, with nothing between, not beyond the end."""
    builder = filled([0, 1, 2, 0, 3])
    dictionary = Dictionary([known(90)], [cover])
    assert is_there == builder.is_covered(dictionary)
    if not is_there:
        with pytest.raises(AssertionError):
            builder.add_dictionary(dictionary)


def test_dictionaries_are_bounded(monkeypatch):
    """There is no room for one too many."""
    monkeypatch.setattr(limits, "DICTIONARIES_PER_VERSION_MAX", 1)
    builder = filled([0])
    assert builder.add_dictionary(Dictionary([known(90)], [ids(0)]))
    assert not builder.add_dictionary(Dictionary([known(91)], [ids(0)]))
