"""Tests of hansa.data.directory: sums and offsets; what is refused is in test_manifest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.data import columns
from hansa.data.directory import Directory, DirectoryEntry, validate_chunks, validate_directory
from hansa.errors import InvalidError
from hansa.limits import CHUNK_BYTES_MAX, SEALED_CHUNK_BYTES_MAX

ENTRIES = [DirectoryEntry(bytes([n]) * 32, bytes([n + 9]) * 32, 10 + n, 20 + n) for n in range(5)]


def test_entries_come_back() -> None:
    """In their order, each with all of its fields."""
    directory = Directory.of(200, 2, ENTRIES)
    validate_directory(directory)
    assert ENTRIES == list(directory.entries)
    assert ENTRIES[1:3] == directory.entries[1:3]


def test_sums_and_offsets() -> None:
    """What is stored, what is in it, and where each chunk starts."""
    directory = Directory.of(200, 2, ENTRIES)
    assert sum(entry.sealed_bytes for entry in ENTRIES) == directory.stored_bytes
    assert sum(entry.plain_bytes for entry in ENTRIES) == directory.plain_bytes
    assert [0, 10, 21, 33, 46, 60] == list(directory.offsets())
    assert [0] == list(Directory.of(0, 0, ()).offsets())


@given(st.integers(0, 5), st.integers(0, 7))
def test_a_stretch_of_entries(start, stop) -> None:
    """What is made at once is what is made one by one."""
    directory = Directory.of(200, 2, ENTRIES)
    assert ENTRIES[start:stop] == directory.entries[start:stop]


@pytest.mark.parametrize("few", [columns.FEW_NUMBERS, -1])
@given(
    plain=st.lists(st.sampled_from([0, 1, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX + 1]), max_size=3),
    sealed=st.sampled_from([0, 1, SEALED_CHUNK_BYTES_MAX, SEALED_CHUNK_BYTES_MAX + 1]),
)
def test_lengths_are_within_their_bounds(few, plain, sealed) -> None:
    """Few are judged as many are: from 1 to the longest chunk there is."""
    ids = b"".join(bytes([n]) * 32 for n in range(len(plain)))
    is_sound = all(0 < length <= CHUNK_BYTES_MAX for length in plain) and (
        not plain or 0 < sealed <= SEALED_CHUNK_BYTES_MAX
    )
    packed = columns.pack_u32([sealed] * len(plain)), columns.pack_u32(plain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "FEW_NUMBERS", few)
        if is_sound:
            assert len(plain) == validate_chunks(ids, *packed, "It")
            return
        with pytest.raises(InvalidError):
            validate_chunks(ids, *packed, "It")
