"""Tests of hansa.lanes: the kernel says what hashlib says, and only one that may be trusted is loaded."""

import ctypes
import hashlib
import hmac
import mmap
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa import lanes as module
from hansa.data.fingerprint import compute_fingerprint, compute_fingerprints
from hansa.lanes import Lanes, build_lanes, find_lanes, library_path, load_lanes
from hansa.testing.doubles import SeededEntropy
from hansa.testing.versions import DEDUP_KEYS, build_version

COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
needs_compiler = pytest.mark.skipif(
    COMPILER is None, reason="no C compiler: fingerprints are computed one by one here"
)
WIDTHS = (1, 4, 8, 16)
EDGES = (0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 4_095, 4_096)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a kernel built for this module, where nobody looks for one."""
    path = tmp_path_factory.mktemp("environment") / "lib" / "hansa" / "lanes.so"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "library_path", lambda: path)
        found = build_lanes()
    assert found.lanes is not None, found.told
    return path


@pytest.fixture(scope="module")
def kernel(built):
    """Return it, loaded."""
    return load_lanes(built).lanes


def expected(md5_key, sha1_key, messages):
    """Return what hashlib makes of the messages."""
    return [
        hmac.digest(md5_key, message, "md5") + hmac.digest(sha1_key, message, "sha1")
        for message in messages
    ]


def widths(kernel):
    """Return every number of lanes that this processor has."""
    return [width for width in WIDTHS if width <= kernel.width]


@needs_compiler
def test_published_vectors(kernel):
    """RFC 2202, test cases 1 to 3: HMAC-MD5 and HMAC-SHA1."""
    cases = [
        (b"\x0b" * 16, b"\x0b" * 20, b"Hi There",
         "9294727a3638bb1c13f48ef8158bfc9d", "b617318655057264e28bc0b6fb378c8ef146be00"),
        (b"Jefe", b"Jefe", b"what do ya want for nothing?",
         "750c783e6ab0b503eaa86e310a5db738", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (b"\xaa" * 16, b"\xaa" * 20, b"\xdd" * 50,
         "56be34521d144c88dbb8c733f0e8b3f6", "125d7342b9ac11cd91a39af48aa17b4f63f175d3"),
    ]  # fmt: skip
    for md5_key, sha1_key, message, md5, sha1 in cases:
        for width in widths(kernel):
            (found,) = kernel(md5_key, sha1_key, [message], lanes=width)
            assert (md5, sha1) == (found[:16].hex(), found[16:].hex())


@needs_compiler
@settings(max_examples=150, deadline=None)
@given(
    lengths=st.lists(
        st.one_of(st.sampled_from(EDGES), st.integers(0, 300), st.integers(0, 20_000)), max_size=40
    ),
    start=st.integers(0, 63),
    width=st.sampled_from((0, *WIDTHS)),
    keys=st.tuples(st.binary(min_size=1, max_size=64), st.binary(min_size=1, max_size=64)),
)
def test_it_agrees_with_hashlib(kernel, lengths, start, width, keys):
    """Any number of messages, of unequal lengths, anywhere in memory, under any keys."""
    content = hashlib.shake_128(b"content").digest(20_064 + len(lengths))
    messages = [
        memoryview(content)[start + at : start + at + length] for at, length in enumerate(lengths)
    ]
    lanes = width if width <= kernel.width else 0
    assert expected(*keys, messages) == kernel(*keys, messages, lanes=lanes)


@needs_compiler
def test_no_byte_outside_is_read(kernel):
    """Messages that end where readable memory does: to read one byte more would end this process."""
    size = mmap.PAGESIZE
    with mmap.mmap(-1, 2 * size) as room:
        room[:size] = hashlib.shake_128(b"page").digest(size)
        pages = np.frombuffer(room, np.uint8)
        change = ctypes.CDLL(None, use_errno=True).mprotect
        change.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        assert change(pages.ctypes.data + size, size, 0) == 0
        for lengths in ((size,), range(0, 200, 7), range(193)):
            messages = [memoryview(pages)[size - length : size] for length in lengths]
            plain = [bytes(message) for message in messages]
            for width in widths(kernel):
                found = kernel(b"k", b"k", messages, lanes=width)
                assert expected(b"k", b"k", plain) == found
            del messages
        assert change(pages.ctypes.data + size, size, mmap.PROT_READ | mmap.PROT_WRITE) == 0
        del pages


@needs_compiler
def test_what_cannot_be_is_refused(kernel):
    """More lanes than there are, keys longer than a block, memory with gaps."""
    with pytest.raises(MemoryError):
        kernel(b"k", b"k", [b"message"], lanes=kernel.width * 2)
    with pytest.raises(AssertionError):
        kernel(bytes(65), b"k", [b"message"])
    with pytest.raises(BufferError, match="contiguous"):
        kernel(b"k", b"k", [memoryview(b"message")[::2]])
    assert kernel(b"k", b"k", []) == []


@needs_compiler
def test_threads_do_not_meet(kernel):
    """Calls at the same time share nothing."""
    shares = [
        [hashlib.shake_128(b"%d %d" % (at, part)).digest(997 * part) for part in range(20)]
        for at in range(8)
    ]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda share: kernel(b"a", b"b", share), shares))
    assert [expected(b"a", b"b", share) for share in shares] == found


@needs_compiler
def test_fingerprints_and_versions_are_the_same(kernel):
    """A whole version with lanes is byte for byte the one without."""
    chunks = [b"x" * length for length in EDGES]
    one_by_one = [compute_fingerprint(DEDUP_KEYS, chunk) for chunk in chunks]
    assert one_by_one == compute_fingerprints(DEDUP_KEYS, chunks, "md5+sha1")
    assert one_by_one == compute_fingerprints(DEDUP_KEYS, chunks, "md5+sha1", kernel)
    assert [b""] * len(chunks) == compute_fingerprints(DEDUP_KEYS, chunks, "blake3", kernel)
    files = {"noise": hashlib.shake_128(b"noise").digest(3 << 20), "text": b"bus stop\n" * 200_000}
    without = build_version(files, SeededEntropy("same"))
    assert without == build_version(files, SeededEntropy("same"), hmacs=kernel)
    assert all(len(upload.fingerprint) == 36 for upload in without.uploads)


@needs_compiler
def test_only_what_nobody_else_may_write_is_loaded(built, tmp_path):
    """Others' write permission, a link, an open folder, another owner: each is refused, and told."""
    copy = tmp_path / "lib" / "lanes.so"
    copy.parent.mkdir()
    shutil.copy(built, copy)
    copy.chmod(0o755)
    assert load_lanes(copy).lanes is not None
    for mode in (0o775, 0o757):
        copy.chmod(mode)
        assert load_lanes(copy).lanes is None
        assert "may write" in load_lanes(copy).told
    copy.chmod(0o755)
    copy.parent.chmod(0o777)
    assert "anybody may write the folder" in load_lanes(copy).told
    copy.parent.chmod(0o755)
    link = copy.with_name("link.so")
    link.symlink_to(copy)
    assert "no plain file" in load_lanes(link).told
    assert "not built" in load_lanes(copy.with_name("absent.so")).told


@needs_compiler
def test_another_owner_is_refused(built, monkeypatch):
    """Neither root, nor this user, nor who owns the code."""
    real = type(built).lstat
    status = real(built)
    stranger = os.stat_result([*status[:4], 4_242, *status[5:]])
    monkeypatch.setattr(
        type(built), "lstat", lambda path: stranger if path == built else real(path)
    )
    assert "belongs to somebody else" in load_lanes(built).told


@needs_compiler
def test_a_kernel_that_is_wrong_is_not_used(tmp_path, monkeypatch):
    """One constant of the source changed: it loads, and does not agree with hashlib."""
    source = tmp_path / "lanes.c"
    text = module.SOURCE.read_text()
    assert "0xeb86d391" in text
    source.write_text(text.replace("0xeb86d391", "0xeb86d390"))
    monkeypatch.setattr(module, "SOURCE", source)
    monkeypatch.setattr(module, "library_path", lambda: tmp_path / "lib" / "wrong.so")
    found = build_lanes()
    assert found.lanes is None
    assert "does not hash" in found.told
    assert list((tmp_path / "lib").iterdir()) == []


def test_what_does_not_load_is_not_used(tmp_path):
    """A file that is no library: publishing goes on without."""
    path = tmp_path / "lanes.so"
    path.write_bytes(b"no library")
    path.chmod(0o755)
    tmp_path.chmod(0o755)
    assert "does not load" in load_lanes(path).told


def test_building_says_what_is_missing(tmp_path, monkeypatch):
    """No compiler, one that fails, one that is not there, a place that takes nothing."""
    place = tmp_path / "lib" / "lanes.so"
    monkeypatch.setattr(module, "library_path", lambda: place)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    assert "no C compiler" in build_lanes().told
    for compiler, said in ((sys.executable, " says: "), ("absent-compiler", "not built")):
        monkeypatch.setenv("CC", compiler)
        found = build_lanes()
        assert found.lanes is None
        assert said in found.told
    assert list(place.parent.iterdir()) == []
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(module, "library_path", lambda: file / "hansa" / "lanes.so")
    assert "not" in build_lanes().told


@needs_compiler
def test_a_built_kernel_is_kept(built, monkeypatch):
    """Building again compiles nothing."""
    monkeypatch.setattr(module, "library_path", lambda: built)
    monkeypatch.setenv("CC", "absent-compiler")
    assert build_lanes().lanes is not None


def test_it_can_be_turned_off(monkeypatch):
    """HANSA_LANES=off: none is looked for."""
    monkeypatch.setenv(module.SWITCH, "off")
    find_lanes.cache_clear()
    assert find_lanes().lanes is None
    assert "HANSA_LANES=off" in find_lanes().told
    monkeypatch.undo()
    find_lanes.cache_clear()
    assert isinstance(find_lanes().lanes, Lanes | None)


def test_its_place_is_the_environment(monkeypatch, tmp_path):
    """Inside the environment, or beside the package where there is none; never elsewhere."""
    monkeypatch.setattr(module.sys, "prefix", str(tmp_path))
    assert tmp_path.resolve() / "lib" / "hansa" == library_path().parent
    monkeypatch.setattr(module.sys, "prefix", module.sys.base_prefix)
    assert module.SOURCE.parent == library_path().parent
    assert hashlib.sha256(module.SOURCE.read_bytes()).hexdigest()[:16] in library_path().name
