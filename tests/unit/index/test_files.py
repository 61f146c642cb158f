"""Index files in memory keep the contract that the disk's keep too."""

import pytest

from hansa.errors import CorruptError, InvalidError, MissingError
from hansa.index.files import MemoryIndexFiles, validate_range


def test_files_in_memory():
    """Whole files, counted reads, logs, names in order, deletes that may repeat."""
    files = MemoryIndexFiles()
    files.write("base", (b"ab", b"cd"))
    files.append("delta", b"one")
    files.append("delta", b"two")
    opened = files.open("base")
    assert (4, b"bc", 2) == (opened.size, opened.read(1, 2), opened.bytes_read)
    assert [b"one", b"two"] == list(files.records("delta"))
    assert ["base", "delta"] == files.list()
    files.delete("base")
    files.delete("base")
    assert b"abcd" == opened.read(0, 4)
    opened.close()
    with pytest.raises(MissingError):
        files.open("base")
    assert [] == list(files.records("base"))


def test_changed_contents_are_corrupt():
    """What was not written is not read."""
    files = MemoryIndexFiles()
    files.write("base", (b"abcd",))
    files.files["base"] = (files.files["base"][0], b"abcx")
    with pytest.raises(CorruptError):
        files.open("base")


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 5), (4, 1), (0, -1)])
def test_ranges_outside_are_invalid(offset, length):
    """No read outside of a file; its whole and its empty end are inside."""
    validate_range(0, 4, 4)
    validate_range(4, 0, 4)
    with pytest.raises(InvalidError):
        validate_range(offset, length, 4)
