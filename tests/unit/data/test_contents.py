"""Tests of hansa.data.contents: values come back; what is refused is in test_manifest."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.data import columns
from hansa.data.contents import (
    ContentChunk,
    Contents,
    FileEntry,
    validate_contents,
    validate_names,
)
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


@pytest.mark.parametrize(
    "change",
    [
        {"chunk_dictionaries": b"\0\0" * 2},
        {"chunk_dictionaries": b"\0\0" * 2 + b"\1\0"},
        {"chunk_dictionaries": b"\0\0" * 4},
        {"chunk_dictionaries": b"\0" * 5},
        {"covers": bytes(12)},
        {"covers": bytes(5)},
        {"dictionary_counts": bytes(4)},
    ],
)
def test_a_version_without_dictionaries_says_nothing_of_any(change) -> None:
    """The short way that most versions take refuses what the long one does."""
    made = contents([0, 1, 2], 3)
    validate_contents(made)
    assert made.dictionaries == []
    with pytest.raises(InvalidError):
        validate_contents(msgspec.structs.replace(made, **change))


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


def _is_refused_one_by_one(names: list[str]) -> bool:
    """Tell by the plainest reading of the rules."""
    folders = {
        "/".join(parts[:depth])
        for parts in (name.split("/") for name in names)
        for depth in range(1, len(parts))
    }
    return (
        any(
            {"", "."} & set(name.split("/"))
            or ".." in name.replace("\\", "/").split("/")
            or any(ord(sign) < 32 or 0xD800 <= ord(sign) < 0xE000 for sign in name)
            or len(name.encode("utf-8", "replace")) > 4_096
            for name in names
        )
        or len(set(names)) < len(names)
        or not folders.isdisjoint(names)
    )


@given(
    st.lists(
        st.text("ab./é", min_size=1, max_size=7) | st.text("a./\\\n\x1f\ud800", max_size=6),
        max_size=5,
    )
    | st.integers(1_000, 4_100).map(lambda length: ["é" * (length // 2), "a" * length])
)
def test_names_are_judged_at_once_as_one_by_one(names) -> None:
    """What is sound at a glance, and what must be looked at."""
    try:
        validate_names(names)
    except InvalidError:
        assert _is_refused_one_by_one(names)
    else:
        assert not _is_refused_one_by_one(names)


@given(
    st.lists(st.integers(0, 5), max_size=8),
    st.integers(0, 6),
    st.sampled_from(["", "places", "file_sizes", "sealed_lengths", "plain_lengths", "chunk_keys"]),
    st.sampled_from([b"\0", bytes(4), b"\1\0\0\0", b"\0\0\0\xff", b"\xff" * 8, bytes(32)]),
    st.booleans(),
)
def test_few_chunks_are_judged_as_many_are(sequence, chunks, column, more, is_more) -> None:
    """What the short way takes and refuses, and why, is what numpy does with long columns."""
    made = contents(sequence, chunks)
    if column:
        old = getattr(made, column)
        changed = old + more if is_more else more + old[len(more) :]
        made = msgspec.structs.replace(made, **{column: changed})

    def verdict() -> str:
        try:
            validate_contents(made)
        except InvalidError as error:
            return error.message
        return "sound"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "FEW_NUMBERS", -1)
        wanted = verdict()
    assert wanted == verdict()
