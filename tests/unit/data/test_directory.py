"""Tests of hansa.data.directory: sums and offsets; what is refused is in test_manifest."""

from hypothesis import given
from hypothesis import strategies as st

from hansa.data.directory import Directory, DirectoryEntry, validate_directory

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
