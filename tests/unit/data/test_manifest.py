"""Tests of hansa.data.manifest: every field corrupted, each refused."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa import limits
from hansa.codec import encode
from hansa.data.manifest import (
    ContentChunk,
    Contents,
    Directory,
    DirectoryEntry,
    FileEntry,
    build_manifest,
    compute_root,
    decode_manifest,
    open_contents,
    open_directory,
    validate_agreement,
    validate_contents,
    validate_directory,
    validate_names,
)
from hansa.errors import CorruptError, HansaError, InvalidError
from hansa.limits import CHUNK_BYTES_MAX, SEALED_CHUNK_BYTES_MAX

A, B = b"a" * 32, b"b" * 32
DIRECTORY = Directory.of(
    250, 3, (DirectoryEntry(A, b"x" * 32, 90, 100), DirectoryEntry(B, b"y" * 32, 60, 50))
)
CONTENTS = Contents.of(
    (FileEntry("a/one", 120, A), FileEntry("a/empty", 0, B), FileEntry("b", 130, B)),
    (ContentChunk(A, b"k" * 32, 90, 100), ContentChunk(B, b"l" * 32, 60, 50)),
    (0, 1, 0),
)
DEK, KEY, SALT = b"d" * 32, b"e" * 32, b"s" * 32


def build(directory=DIRECTORY, contents=CONTENTS, salt=SALT):
    """Return a manifest's bytes."""
    return build_manifest(
        contents,
        directory,
        data_key=DEK,
        directory_key=KEY,
        salt=salt,
        nonces=(b"1" * 12, b"2" * 12),
    )


def test_round_trip():
    """Both parts come back as they were put in."""
    manifest = decode_manifest(build(), compute_root(build()))
    assert open_directory(manifest, KEY) == DIRECTORY
    assert open_contents(manifest, DEK) == CONTENTS
    assert CONTENTS.content_bytes() == 250


def test_golden():
    """The format is pinned: a change needs a decision and a new hash."""
    assert (
        compute_root(build()).hex()
        == "1209f28fe037f90fc3a8e58a99bbfe56c129e9b04dd9329e75ee9990a86d8765"
    )


def test_each_key_opens_its_part_only():
    """The node's key opens no contents, the data key no directory, and parts cannot be swapped."""
    manifest = decode_manifest(build())
    with pytest.raises(CorruptError):
        open_contents(manifest, KEY)
    with pytest.raises(CorruptError):
        open_directory(manifest, DEK)
    swapped = msgspec.structs.replace(
        manifest, directory=manifest.contents, contents=manifest.directory
    )
    with pytest.raises(CorruptError):
        open_directory(swapped, DEK)


def test_parts_of_two_manifests_do_not_mix():
    """A part under another salt does not open: an old part cannot be put into a new manifest."""
    one, other = decode_manifest(build()), decode_manifest(build(salt=b"t" * 32))
    mixed = msgspec.structs.replace(one, contents=other.contents)
    with pytest.raises(CorruptError):
        open_contents(mixed, DEK)


def test_root_is_salted_and_judged():
    """The same version has another root each time, and only the bytes named pass."""
    assert compute_root(build()) != compute_root(build(salt=b"t" * 32))
    with pytest.raises(CorruptError):
        decode_manifest(build(), b"r" * 32)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_found(place, flip):
    """A flip of any byte of a manifest is refused, even by one who does not know the root."""
    data = bytearray(build())
    data[place % len(data)] ^= flip
    with pytest.raises(HansaError):
        decode_manifest(bytes(data), compute_root(build()))
    try:
        manifest = decode_manifest(bytes(data))
        open_directory(manifest, KEY)
        open_contents(manifest, DEK)
    except HansaError:
        return
    pytest.fail("a changed manifest was opened")


def test_names_and_keys_do_not_show():
    """Neither names nor chunk keys nor chunk ids are in the manifest's bytes, or in a repr."""
    assert b"a/one" not in build()
    assert b"k" * 32 not in build()
    assert A not in build()
    assert "k" * 8 not in repr(CONTENTS.chunks[:]) + repr(CONTENTS)


def entry(**changes):
    """Return the directory with its first entry changed."""
    first = msgspec.structs.replace(DIRECTORY.entries[0], **changes)
    return Directory.of(250, 3, (first, *DIRECTORY.entries[1:]))


def column(part, name, data):
    """Return one part with a column of other bytes."""
    return msgspec.structs.replace(part, **{name: data})


@pytest.mark.parametrize(
    "directory",
    [
        entry(chunk=b"short"),
        entry(chunk=B),
        entry(sealed_digest=b"short"),
        entry(sealed_bytes=0),
        entry(sealed_bytes=SEALED_CHUNK_BYTES_MAX + 1),
        entry(plain_bytes=0),
        entry(plain_bytes=CHUNK_BYTES_MAX + 1),
        entry(plain_bytes=2**32 - 5),
        msgspec.structs.replace(DIRECTORY, files=-1),
        msgspec.structs.replace(DIRECTORY, content_bytes=-1),
        msgspec.structs.replace(DIRECTORY, content_bytes=149),
        msgspec.structs.replace(DIRECTORY, content_bytes=0),
        Directory.of(250, 3, ()),
        column(DIRECTORY, "chunk_ids", DIRECTORY.chunk_ids[:-1]),
        column(DIRECTORY, "chunk_ids", DIRECTORY.chunk_ids[:32]),
        column(DIRECTORY, "sealed_digests", DIRECTORY.sealed_digests[:32]),
        column(DIRECTORY, "sealed_lengths", DIRECTORY.sealed_lengths[:4]),
        column(DIRECTORY, "sealed_lengths", DIRECTORY.sealed_lengths + b"x"),
        column(DIRECTORY, "plain_lengths", DIRECTORY.plain_lengths[:4]),
        column(DIRECTORY, "plain_lengths", DIRECTORY.plain_lengths[:-1]),
    ],
)
def test_bad_directories_are_refused(directory):
    """A directory that contradicts itself is refused."""
    with pytest.raises(InvalidError):
        validate_directory(directory)


def changed(part, index, **changes):
    """Return the contents with one file or chunk changed."""
    items = list(getattr(CONTENTS, part))
    items[index] = msgspec.structs.replace(items[index], **changes)
    parts = {"files": CONTENTS.files, "chunks": CONTENTS.chunks, "sequence": CONTENTS.sequence}
    return Contents.of(**{**parts, part: items})


def sequenced(*sequence):
    """Return the contents with another sequence."""
    return Contents.of(CONTENTS.files, CONTENTS.chunks, sequence)


@pytest.mark.parametrize(
    "contents",
    [
        changed("files", 0, size=119),
        changed("files", 0, size=2**63),
        changed("files", 0, digest=b"short"),
        changed("files", 0, name="b"),
        changed("files", 0, name="../b"),
        changed("chunks", 0, chunk=b"short"),
        changed("chunks", 0, chunk=B),
        changed("chunks", 0, key=b"short"),
        changed("chunks", 0, plain_bytes=101),
        changed("chunks", 0, sealed_bytes=0),
        sequenced(0, 1),
        sequenced(1, 0, 0),
        sequenced(0, 2, 0),
        sequenced(0, 2**32 - 1, 0),
        sequenced(0, 1, 2),
        sequenced(),
        Contents.of((), CONTENTS.chunks, CONTENTS.sequence),
        changed("files", 0, size=2**62),
        column(CONTENTS, "file_names", CONTENTS.file_names[:2]),
        column(CONTENTS, "file_sizes", CONTENTS.file_sizes[:16]),
        column(CONTENTS, "file_digests", CONTENTS.file_digests[:64]),
        column(CONTENTS, "chunk_ids", CONTENTS.chunk_ids[:32]),
        column(CONTENTS, "chunk_keys", CONTENTS.chunk_keys[:32]),
        column(CONTENTS, "sealed_lengths", CONTENTS.sealed_lengths[:4]),
        column(CONTENTS, "plain_lengths", CONTENTS.plain_lengths[:-1]),
        column(CONTENTS, "places", CONTENTS.places + b"x"),
    ],
)
def test_bad_contents_are_refused(contents):
    """Contents that contradict themselves are refused."""
    with pytest.raises(InvalidError):
        validate_contents(contents)


@pytest.mark.parametrize(
    "directory",
    [
        entry(sealed_bytes=91),
        entry(plain_bytes=99),
        entry(chunk=b"c" * 32),
        msgspec.structs.replace(DIRECTORY, files=2),
        msgspec.structs.replace(DIRECTORY, content_bytes=251),
        Directory.of(250, 3, DIRECTORY.entries[::-1]),
    ],
)
def test_parts_must_agree(directory):
    """A directory that speaks of other chunks, lengths or counts than the contents is refused."""
    with pytest.raises(InvalidError):
        validate_agreement(directory, CONTENTS)


C = b"c" * 32
WITH_DIRECTORY = Directory.of(
    250, 3, (DirectoryEntry(C, b"z" * 32, 70, 400_000 // 2), *DIRECTORY.entries), 1
)


def with_dictionary(used=(0, 1, 0), dictionaries=((1, [range(1, 3)]),), chunks=None, **columns):
    """Return contents whose first chunk holds a dictionary."""
    listed = chunks or (ContentChunk(C, b"m" * 32, 70, 400_000 // 2), *CONTENTS.chunks)
    named = [msgspec.structs.replace(c, dictionary=n) for c, n in zip(listed, used, strict=True)]
    contents = Contents.of(CONTENTS.files, named, [1, 2, 1], dictionaries)
    return msgspec.structs.replace(contents, **columns)


def test_round_trip_with_a_dictionary():
    """Chunks tell their dictionary, dictionaries their chunks and covers."""
    manifest = decode_manifest(build(WITH_DIRECTORY, with_dictionary()))
    contents = open_contents(manifest, DEK)
    assert [0, 1, 0] == [chunk.dictionary for chunk in contents.chunks]
    (listed,) = contents.dictionaries
    assert (range(1), 0, (range(1, 3),)) == (listed.chunks, listed.offset, listed.covers)
    directory = open_directory(manifest, KEY)
    assert 1 == directory.dictionary_chunks
    assert 150 == directory.plain_bytes


@pytest.mark.parametrize(
    "contents",
    [
        with_dictionary(used=(1, 0, 0)),
        with_dictionary(used=(0, 0, 0)),
        with_dictionary(used=(0, 2, 0)),
        with_dictionary(used=(0, 2, 1)),
        with_dictionary(dictionaries=()),
        with_dictionary(dictionaries=((2, [range(1, 3)]),)),
        with_dictionary(dictionaries=((0, [range(1, 3)]),)),
        with_dictionary(dictionaries=((4, [range(1, 3)]),)),
        with_dictionary(dictionaries=((1, []),)),
        with_dictionary(dictionaries=((1, [range(1, 4)]),)),
        with_dictionary(dictionaries=((1, [range(3, 3)]),)),
        with_dictionary(dictionaries=((1, [range(1)] * 5),)),
        with_dictionary(dictionaries=((1, [range(1)]), (1, [range(1)]))),
        with_dictionary(covers=b""),
        with_dictionary(covers=bytes(4)),
        with_dictionary(covers=b"\1\0\0\0" + bytes(4) + b"\1\0\0\0"),
        with_dictionary(covers=with_dictionary().covers + b"\1\0\0\0" + bytes(4) + b"\1\0\0\0"),
        with_dictionary(chunk_dictionaries=b"\0\0\1\0"),
        with_dictionary(chunk_dictionaries=b"\0\0\1\0\0"),
        with_dictionary(dictionary_counts=b"\1\0\0"),
        with_dictionary(places=b"\0" * 4 + with_dictionary().places[4:]),
    ],
)
def test_bad_dictionaries_are_refused(contents):
    """Users, chunks and covers of dictionaries must fit; a file holds no dictionary."""
    validate_contents(with_dictionary())
    with pytest.raises(InvalidError):
        validate_contents(contents)


def test_a_dictionary_is_not_too_long():
    """Its chunks together keep the bound."""
    chunks = [ContentChunk(bytes([n]) * 32, b"m" * 32, 70, CHUNK_BYTES_MAX) for n in range(3)]
    for count in (2, 3):
        contents = Contents.of(
            CONTENTS.files,
            [
                *chunks[:count],
                *(msgspec.structs.replace(chunk, dictionary=1) for chunk in CONTENTS.chunks),
            ],
            [count, count + 1, count],
            ((count, [range(1)]),),
        )
        if count == 2:
            validate_contents(contents)
        else:
            with pytest.raises(InvalidError, match="length"):
                validate_contents(contents)


@pytest.mark.parametrize("count", [-1, 0, 2, 4])
def test_parts_agree_on_dictionaries(count):
    """Both say how many chunks are no part of a file."""
    directory = msgspec.structs.replace(WITH_DIRECTORY, dictionary_chunks=count)
    validate_agreement(WITH_DIRECTORY, with_dictionary())
    with pytest.raises(InvalidError):
        validate_agreement(directory, with_dictionary())


def test_empty_version():
    """A version may hold no bytes at all."""
    contents = Contents.of((FileEntry("empty", 0, A),), (), ())
    manifest = decode_manifest(build(Directory.of(0, 1, ()), contents))
    assert open_contents(manifest, DEK) == contents


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "a/",
        "a//b",
        "..",
        "../a",
        "a/../b",
        "./a",
        "a/.",
        "a\x00b",
        "a\nb",
        "..\\a",
        "a\\..\\b",
        "\ud800",
        "ä" * 2_049,
    ],
)
def test_unsafe_names_are_refused(name):
    """A name that could leave the reader's folder, or no file system can hold, is refused."""
    with pytest.raises(InvalidError):
        validate_names([name])


@pytest.mark.parametrize("names", [["a", "a"], ["a/b", "a"], ["a", "a/b/c"]])
def test_conflicting_names_are_refused(names):
    """Two names that cannot both be files are refused."""
    with pytest.raises(InvalidError):
        validate_names(names)


def test_odd_names_are_fine():
    """Spaces, dots, other scripts and long paths are names."""
    validate_names(["a b", ".hidden", "..x", "é/路/x", "a/b", "a/c", "-", "C:", "x" * 255])


def test_wrong_salt_length():
    """A salt of another length is refused."""
    manifest = msgspec.structs.replace(decode_manifest(build()), salt=b"short")
    with pytest.raises(InvalidError):
        decode_manifest(encode(manifest))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_cleanly(data):
    """Whatever is sent, the answer is the declared error."""
    with pytest.raises(InvalidError):
        decode_manifest(data)
    assert hashlib.sha256(data).digest() != compute_root(data)


def test_a_version_is_bounded(monkeypatch):
    """Too many bytes for one manifest, or too many files: refused by name, not cut."""
    size = len(build())
    monkeypatch.setattr(limits, "MANIFEST_BYTES_MAX", size)
    assert size == len(build())
    monkeypatch.setattr(limits, "MANIFEST_BYTES_MAX", size - 1)
    with pytest.raises(InvalidError, match="too many chunks"):
        build()
    monkeypatch.setattr(limits, "FILES_PER_VERSION_MAX", 2)
    validate_names(["a", "b"])
    with pytest.raises(InvalidError, match="at most 2 files"):
        validate_names(["a", "b", "c"])
