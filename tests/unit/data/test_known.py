"""Tests of hansa.data.known: a living version answers for exactly the chunks it has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.data.known import KnownChunk, LivingVersion
from hansa.data.manifest import ContentChunk, Contents, Directory, DirectoryEntry, FileEntry
from hansa.errors import CorruptError
from hansa.limits import MIB
from hansa.testing.doubles import SeededEntropy
from hansa.testing.versions import build_version
from hansa.types import ChunkId
from tests.unit.data.tables import occurs, table


def living(ids):
    """Return a version of these chunks, a byte each."""
    entries = [DirectoryEntry(ChunkId(one), one[::-1], 40, 1) for one in ids]
    chunks = [ContentChunk(ChunkId(one), one[1:] + b"k", 40, 1) for one in ids]
    contents = Contents.of([FileEntry("f", len(ids), bytes(32))], chunks, range(len(ids)))
    return LivingVersion(Directory.of(len(ids), 1, entries), contents)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.binary(min_size=2, max_size=2)), unique=True, max_size=40
    ),
    st.integers(0, 40),
)
def test_against_a_dictionary(drawn, split):
    """Ids that agree in their first eight bytes, and absent ones, included."""
    ids = [bytes([85 * head] * 8) + tail + bytes(22) for head, tail in drawn]
    version = living(ids[:split])
    model = {
        one: KnownChunk(DirectoryEntry(ChunkId(one), one[::-1], 40, 1), one[1:] + b"k")
        for one in ids[:split]
    }
    assert [model.get(one) for one in ids] == [version.find(ChunkId(one)) for one in ids]


def test_a_known_chunk_prints_no_key():
    """Whoever logs it tells where a chunk lies, not how it opens."""
    known = KnownChunk(DirectoryEntry(ChunkId(b"i" * 32), bytes(32), 40, 1), b"k" * 32)
    assert (b"i" * 8).hex() in repr(known)
    assert "kkk" not in f"{known!r} {known}"


def test_dictionaries_come_with_their_chunks():
    """Place, sealing and covers as listed; its bytes once it was opened, and not from others."""
    readings = table(5_000, 5 * MIB)
    built = build_version({"r": readings}, SeededEntropy())
    sealed = {upload.chunk: upload.sealed for upload in built.uploads}
    content = b"".join(sealed[chunk.chunk] for chunk in built.contents.chunks)
    version = LivingVersion(built.directory, built.contents)
    (listed,) = built.contents.dictionaries
    found = [version.find(entry.chunk) for entry in built.directory.entries]
    assert {None} == {known.dictionary for known in found[: listed.chunks.stop]}
    (dictionary,) = {known.dictionary for known in found[listed.chunks.stop :]}
    at, length = dictionary.place
    assert (0, sum(known.entry.sealed_bytes for known in dictionary.chunks)) == (at, length)
    assert dictionary.sealing == tuple(
        e.sealed_digest for e in built.directory.entries[: listed.chunks.stop]
    )
    places = [tuple(built.contents.sequence[place] for place in run) for run in listed.covers]
    chunks = built.contents.chunks
    assert dictionary.covers == tuple(tuple(chunks[i].chunk for i in run) for run in places)
    assert dictionary.plain == b""
    for wrong in (content[: length - 1], content[1 : length + 1], b""):
        with pytest.raises(CorruptError):
            dictionary.open(wrong)
    dictionary.open(content[:length])
    assert len(dictionary.plain) == sum(known.entry.plain_bytes for known in dictionary.chunks)
    assert occurs(dictionary.plain, readings)
    dictionary.close()
    assert dictionary.plain == b""
    assert dictionary.id.hex()[:16] in repr(dictionary)
