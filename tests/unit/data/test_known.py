"""Tests of hansa.data.known: a living version answers for exactly the chunks it has."""

from hypothesis import given
from hypothesis import strategies as st

from hansa.data.known import KnownChunk, LivingVersion
from hansa.data.manifest import ContentChunk, Contents, Directory, DirectoryEntry, FileEntry
from hansa.types import ChunkId


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
