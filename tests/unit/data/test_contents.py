"""Tests of hansa.data.contents: values come back; what is refused is in test_manifest."""

from hypothesis import given
from hypothesis import strategies as st

from hansa.data.contents import ContentChunk, Contents, FileEntry, validate_contents
from hansa.errors import InvalidError


def contents(sequence: list[int], chunks: int) -> Contents:
    """Return contents of one file whose chunks have 1, 2, 3 … bytes."""
    listed = [ContentChunk(bytes([n]) * 32, b"k" * 32, 50, n + 1) for n in range(chunks)]
    size = sum(index + 1 for index in sequence if index < chunks)
    return Contents.of([FileEntry("a", size, bytes(32))], listed, sequence)


def test_values_come_back() -> None:
    """Files, chunks and sequence as they were given."""
    made = contents([0, 1, 0, 2], 3)
    validate_contents(made)
    assert [0, 1, 0, 2] == list(made.sequence)
    assert [1, 2, 3] == [chunk.plain_bytes for chunk in made.chunks]
    assert [FileEntry("a", 7, bytes(32))] == list(made.files)
    assert 7 == made.content_bytes()


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(0, 6))
def test_a_version_is_written_in_one_way(sequence, chunks) -> None:
    """First occurrences come as 0, 1, 2 …, and every chunk listed is used: a plain model agrees."""
    firsts = list(dict.fromkeys(sequence))
    is_sound = firsts == list(range(chunks))
    try:
        validate_contents(contents(sequence, chunks))
    except InvalidError:
        assert not is_sound
    else:
        assert is_sound
