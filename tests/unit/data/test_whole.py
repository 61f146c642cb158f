"""Tests of hansa.data.whole: small versions opened at once."""

from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.data.manifest import build_manifest, compute_root
from hansa.data.whole import open_whole
from hansa.errors import CorruptError
from hansa.limits import MIB
from hansa.testing.doubles import SeededEntropy
from hansa.testing.versions import DATA_KEY, DIRECTORY_KEY, build_version
from tests.unit.data.tables import table

FILES = {"a/text": b"text," * 3_000, "empty": b"", "noise": bytes(range(256)) * 90}


def sealed(built) -> bytes:
    """Return the content of a version that was built."""
    by_id = {upload.chunk: upload.sealed for upload in built.uploads}
    return b"".join(by_id[chunk.chunk] for chunk in built.contents.chunks)


def opened(built, content: bytes, **changes):
    """Open a version that was built."""
    given = {"root": built.root, "data_key": DATA_KEY, "plain_bytes_max": 10**6} | changes
    return open_whole(built.manifest, content=content, **given)


@settings(max_examples=25)
@given(st.lists(st.binary(max_size=400), max_size=5), st.integers(0, 3))
def test_whatever_the_files_they_come_back(files, copies):
    """In their order, with their names; equal ones too."""
    named = {f"{at}": data for at, data in enumerate(files + files[:copies])}
    built = build_version(named, SeededEntropy("whole"))
    found = opened(built, sealed(built))
    assert named == dict(zip(found.names, found.files, strict=True))
    assert sum(map(len, named.values())) == found.plain_bytes


def test_what_is_not_as_published_is_refused():
    """A changed bit anywhere, bytes missing or more, another root or key, and more than was allowed."""
    built = build_version(FILES, SeededEntropy("whole"))
    content = sealed(built)
    assert tuple(FILES.values()) == opened(built, content).files
    for at in (0, len(content) // 2, len(content) - 1):
        changed = bytearray(content)
        changed[at] ^= 1
        with pytest.raises(CorruptError):
            opened(built, bytes(changed))
    for wrong in (content[:-1], content + b"\0", b""):
        with pytest.raises(CorruptError):
            opened(built, wrong)
    with pytest.raises(CorruptError):
        opened(built, content, root=bytes(32))
    with pytest.raises(CorruptError):
        opened(built, content, data_key=bytes(32))
    plain = sum(map(len, FILES.values()))
    assert opened(built, content, plain_bytes_max=plain)
    with pytest.raises(CorruptError):
        opened(built, content, plain_bytes_max=plain - 1)


def test_what_was_compressed_with_a_dictionary_comes_back():
    """As in windows; a damaged dictionary opens nothing."""
    files = {"readings": table(5_000, 4 * MIB), "empty": b""}
    with (
        mock.patch("hansa.data.chooser.DICTIONARY_EVERY_BYTES", 2 * MIB),
        mock.patch("hansa.data.pipeline._WINDOW_BYTES", 4 * MIB),
    ):
        built = build_version(files, SeededEntropy("dictionary"))
    assert built.contents.dictionaries
    content = sealed(built)
    assert tuple(files.values()) == opened(built, content, plain_bytes_max=4 * MIB).files
    changed = bytearray(content)
    changed[40] ^= 1
    with pytest.raises(CorruptError):
        opened(built, bytes(changed), plain_bytes_max=4 * MIB)


def test_a_file_is_judged_by_its_digest():
    """Each chunk is as published, and the file is another: told, not given."""
    built = build_version(FILES, SeededEntropy("whole"))
    lying = msgspec.structs.replace(built.contents, file_digests=bytes(32 * len(FILES)))
    entropy = SeededEntropy("lying")
    manifest = build_manifest(
        lying,
        built.directory,
        data_key=DATA_KEY,
        directory_key=DIRECTORY_KEY,
        salt=entropy.random_bytes(32),
        nonces=(entropy.random_bytes(12), entropy.random_bytes(12)),
    )
    with pytest.raises(CorruptError, match="as published"):
        open_whole(manifest, compute_root(manifest), DATA_KEY, sealed(built), plain_bytes_max=10**6)


def test_nothing_of_the_files_is_printed():
    """Not even their names."""
    built = build_version(FILES, SeededEntropy("whole"))
    found = opened(built, sealed(built))
    assert "text" not in repr(found)
    assert compute_root(built.manifest) == built.root
