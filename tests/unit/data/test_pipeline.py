"""Tests of hansa.data.pipeline."""

import hashlib
import io
import os
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate

import pytest

from hansa import limits
from hansa.data import pipeline as module
from hansa.data.chunk import compute_sealed_digest, open_chunk
from hansa.data.compression import PLAIN_PACKER
from hansa.data.fingerprint import compute_chunk_id, compute_fingerprint
from hansa.data.known import KnownChunk, LivingVersion
from hansa.data.layout import ContentLayout
from hansa.data.partition import Partitioner
from hansa.data.pipeline import Ingest
from hansa.data.stream import SourceFile
from hansa.errors import ConflictError, InvalidError
from hansa.limits import CHUNK_BYTES_MAX, LOOKUP_DIGESTS_MAX, MIB, UPLOAD_BATCH_BYTES_MAX
from hansa.testing.doubles import SeededEntropy
from hansa.testing.versions import DEDUP_KEYS, build_version
from tests.unit.data.tables import occurs, table


def noise(count, label):
    """Return reproducible incompressible bytes."""
    return hashlib.shake_256(label.encode()).digest(count)


def known_from(*built):
    """Return a lookup that answers from the manifests of earlier versions."""
    living = [LivingVersion(version.directory, version.contents) for version in built]
    sealed = {upload.chunk: upload.sealed for version in built for upload in version.uploads}

    def find(chunk_id):
        found = next(filter(None, (version.find(chunk_id) for version in living)), None)
        if found is not None and found.dictionary is not None and not found.dictionary.plain:
            chunks = [known.entry.chunk for known in found.dictionary.chunks]
            found.dictionary.open(b"".join(sealed[chunk] for chunk in chunks))
        return found

    return lambda ids: [find(chunk_id) for chunk_id in ids]


def plain_bytes(version, *earlier):
    """Return the plain stream of a version from what it and earlier ones uploaded."""
    sealed = {u.chunk: u.sealed for one in (*earlier, version) for u in one.uploads}
    content = b"".join(sealed[chunk.chunk] for chunk in version.contents.chunks)
    layout = ContentLayout(version.contents)
    return b"".join(layout.read(0, layout.plain_bytes, lambda at, n: content[at : at + n]))


def judge_dictionaries(version, *earlier):
    """Check that all that a version's dictionaries keep occurs in it; return how many they are.

    This is what erasing another version relies on: nothing of that one stays readable here.
    """
    sealed = {u.chunk: u.sealed for one in (*earlier, version) for u in one.uploads}
    plain, contents = plain_bytes(version, *earlier), version.contents
    lengths = [contents.chunks[index].plain_bytes for index in contents.sequence]
    bounds = [0, *accumulate(lengths)]
    for dictionary in contents.dictionaries:
        body = b"".join(
            open_chunk(one.chunk, sealed[one.chunk], one.key, one.plain_bytes)
            for one in (contents.chunks[index] for index in dictionary.chunks)
        )
        for places in dictionary.covers:
            assert occurs(body, plain[bounds[places.start] : bounds[places.stop]])
    return len(contents.dictionaries)


READINGS = table(5_000, 5 * MIB)
FIRST = build_version({"readings": READINGS}, SeededEntropy("first"))


def test_a_dictionary_saves_room():
    """A table is stored in much less than chunk by chunk, and comes back."""
    assert judge_dictionaries(FIRST) == 1
    assert plain_bytes(FIRST) == READINGS
    plain = sum(
        len(PLAIN_PACKER.pack(chunk) or chunk)
        for chunk in Partitioner(DEDUP_KEYS.chunker_seed).partition(io.BytesIO(READINGS))
    )
    stored = sum(len(upload.sealed) for upload in FIRST.uploads)
    assert stored < 0.7 * plain
    assert FIRST.counters.sealed_bytes == stored == FIRST.directory.stored_bytes
    assert FIRST.directory.plain_bytes == len(READINGS)


def test_the_next_version_uses_the_dictionaries_of_the_last():
    """What changed is compressed with them too; no dictionary is made anew."""
    other = table(5_000, len(READINGS), seed=2)
    changed = b"new" + READINGS[:3_000_000] + other[:40_000] + READINGS[3_040_000:]
    second = build_version({"readings": changed}, SeededEntropy("2"), known_from(FIRST))
    assert judge_dictionaries(second, FIRST) == 1
    assert plain_bytes(second, FIRST) == changed
    assert len(second.uploads) <= 4
    fresh = {upload.chunk for upload in second.uploads}
    used = {chunk.dictionary for chunk in second.contents.chunks if chunk.chunk in fresh}
    assert used == {1}
    third = build_version({"readings": changed}, SeededEntropy("3"), known_from(second, FIRST))
    assert third.uploads == ()
    assert judge_dictionaries(third, second, FIRST) == 1


def test_without_a_cover_no_dictionary_is_taken_over():
    """A version that has a part only stores that part anew: the dictionary holds more than it does."""
    part = READINGS[3 * MIB :]
    second = build_version({"part": part}, SeededEntropy("2"), known_from(FIRST))
    first_dictionary = {
        FIRST.contents.chunks[i].chunk for i in FIRST.contents.dictionaries[0].chunks
    }
    assert not first_dictionary & {chunk.chunk for chunk in second.contents.chunks}
    judge_dictionaries(second, FIRST)
    assert plain_bytes(second) == part


def test_a_dictionary_that_the_node_does_not_hold_is_not_relied_on():
    """Collected, or stored in another sealing: its chunks are stored anew."""
    known = known_from(FIRST)
    gone = {FIRST.contents.chunks[index].chunk for index in FIRST.contents.dictionaries[0].chunks}

    def lookup(ids):
        return [None if one in gone else found for one, found in zip(ids, known(ids), strict=True)]

    second = build_version({"readings": READINGS}, SeededEntropy("2"), lookup)
    assert plain_bytes(second) == READINGS
    assert not gone & {chunk.chunk for chunk in second.contents.chunks}


def test_a_dictionary_that_did_not_open_still_serves_duplicates():
    """Chunks are used again; what is new is compressed without it."""
    living = LivingVersion(FIRST.directory, FIRST.contents)
    changed = READINGS + noise(100_000, "more")
    second = build_version(
        {"readings": changed}, SeededEntropy("2"), lambda ids: [living.find(one) for one in ids]
    )
    assert plain_bytes(second, FIRST) == changed
    assert len(second.uploads) <= 4
    assert judge_dictionaries(second, FIRST) == 1


def test_uploads_open_with_the_keys_of_the_contents():
    """Each new chunk is sealed under a key of its own, named by digest, and carries the pair."""
    built = build_version({"a": noise(700_000, "a"), "b": b"text" * 9_000}, SeededEntropy())
    assert len({chunk.key for chunk in built.contents.chunks}) == len(built.uploads) > 5
    by_id = {upload.chunk: upload for upload in built.uploads}
    for chunk, entry in zip(built.contents.chunks, built.directory.entries, strict=True):
        upload = by_id[chunk.chunk]
        plain = open_chunk(chunk.chunk, upload.sealed, chunk.key, chunk.plain_bytes)
        assert compute_chunk_id(DEDUP_KEYS, plain) == chunk.chunk
        assert compute_fingerprint(DEDUP_KEYS, plain) == upload.fingerprint
        assert compute_sealed_digest(upload.sealed) == entry.sealed_digest


def test_next_version_uploads_only_what_changed():
    """A change of a few bytes costs a chunk or two; the rest is taken from the living version."""
    data = noise(3_000_000, "v1")
    first = build_version({"data": data}, SeededEntropy("1"))
    changed = data[:1_500_000] + b"changed" + data[1_500_000:]
    second = build_version({"data": changed}, SeededEntropy("2"), known_from(first))
    assert len(second.uploads) <= 2
    assert second.counters.chunks_duplicate >= len(first.uploads) - 2
    assert second.counters.sealed_bytes < 2 * CHUNK_BYTES_MAX + 100
    sealed = {u.chunk: u.sealed for u in first.uploads} | {
        u.chunk: u.sealed for u in second.uploads
    }
    content = b"".join(sealed[chunk.chunk] for chunk in second.contents.chunks)
    layout = ContentLayout(second.contents)
    assert b"".join(layout.read_file(0, lambda at, n: content[at : at + n])) == changed


def test_repeats_inside_a_version_are_stored_once():
    """The same file twice, and zeros, cost their chunks once."""
    data = noise(1_000_000, "twice")
    built = build_version({"a": data, "b": data, "zeros": bytes(5 * MIB)}, SeededEntropy())
    assert built.counters.sealed_bytes < 1_100_000
    assert built.counters.duplicate_bytes > 5_500_000
    assert built.directory.content_bytes == 2_000_000 + 5 * MIB


def test_small_files_share_chunks():
    """A thousand tiny files are a few chunks; a large file's chunks do not depend on them."""
    tiny = {f"t/{n:04}": b"%04d" % n * 250 for n in range(1_000)}
    built = build_version(tiny, SeededEntropy())
    assert len(built.uploads) < 40
    large = noise(2_000_000, "large")
    alone = build_version({"large": large}, SeededEntropy())
    among = build_version(
        {"0": b"x", "large": large, "z": b"y"}, SeededEntropy(), known_from(alone)
    )
    assert len(among.uploads) == 2


def test_batches_keep_the_limits():
    """No batch exceeds the upload limit, no look-up asks for too much."""
    asked = []

    def lookup(ids):
        asked.append(len(ids))
        return [None] * len(ids)

    ingest = Ingest(DEDUP_KEYS, lookup, SeededEntropy().random_bytes)
    source = SourceFile("big", 20 * MIB, lambda: io.BytesIO(noise(20 * MIB, "big")))
    sizes = [sum(len(u.sealed) for u in batch) for batch in ingest.batches([source])]
    assert len(sizes) >= 3
    assert max(sizes) <= UPLOAD_BATCH_BYTES_MAX
    assert max(asked) <= LOOKUP_DIGESTS_MAX


def test_batches_of_tiny_chunks_keep_the_limits(monkeypatch):
    """Chunks that compress to nearly nothing do not fill a batch beyond the number allowed."""
    monkeypatch.setattr(limits, "LOOKUP_DIGESTS_MAX", 5)
    ingest = Ingest(DEDUP_KEYS, lambda ids: [None] * len(ids), SeededEntropy().random_bytes)
    text = b"".join(b"%d" % n * 20_000 for n in range(100, 200))
    source = SourceFile("text", len(text), lambda: io.BytesIO(text))
    sizes = [len(batch) for batch in ingest.batches([source])]
    assert max(sizes) == 5
    assert sum(sizes) > 15


def test_memory_stays_bounded():
    """While a long file is read, never more than a few windows of it are in flight."""
    read = 0

    class Long:
        def read(self, size, /):
            nonlocal read
            data = noise(min(size, 56 * MIB - read), f"long {read}")
            read += len(data)
            return data

    ingest = Ingest(DEDUP_KEYS, lambda ids: [None] * len(ids), SeededEntropy().random_bytes)
    given = 0
    for batch in ingest.batches([SourceFile("long", 56 * MIB, Long)]):
        given += sum(len(upload.sealed) for upload in batch)
        assert read - given < 5 * module._WINDOW_BYTES
    assert read == 56 * MIB


def test_threads_change_nothing():
    """On a pool the result is the same, byte for byte."""
    files = {"a": noise(2_000_000, "a"), "b": b"b" * 3_000_000}

    def run(spread):
        ingest = Ingest(
            DEDUP_KEYS,
            lambda ids: [None] * len(ids),
            SeededEntropy().random_bytes,
            spread=spread,
        )
        sources = [SourceFile(n, len(d), lambda d=d: io.BytesIO(d)) for n, d in files.items()]
        return list(ingest.batches(sources)), ingest.finish()

    with ThreadPoolExecutor(2) as pool:
        assert run(map) == run(pool.map)


def test_lying_lookup_is_not_believed():
    """An answer about another chunk, or of another length, is not used."""
    data = noise(30_000, "x")
    first = build_version({"a": data}, SeededEntropy("1"))
    other = build_version({"a": noise(40_000, "y")}, SeededEntropy("2"))
    wrong = KnownChunk(other.directory.entries[0], b"k" * 32)
    second = build_version({"a": data}, SeededEntropy("3"), lambda ids: [wrong] * len(ids))
    assert [u.chunk for u in second.uploads] == [u.chunk for u in first.uploads]


def test_profile_blake3():
    """Without the pair uploads carry no fingerprint."""
    ingest = Ingest(
        DEDUP_KEYS, lambda ids: [None] * len(ids), SeededEntropy().random_bytes, profile="blake3"
    )
    batches = list(ingest.batches([SourceFile("a", 3, lambda: io.BytesIO(b"abc"))]))
    assert batches[0][0].fingerprint == b""


def test_empty_input():
    """No files, and empty files, make a version without chunks."""
    assert not build_version({}, SeededEntropy()).directory.entries
    built = build_version({"a": b"", "b": b""}, SeededEntropy())
    assert [file.size for file in built.contents.files] == [0, 0]
    assert built.uploads == ()


def test_file_size_is_what_was_read():
    """A file that grew since it was listed is recorded as it was read."""
    ingest = Ingest(DEDUP_KEYS, lambda ids: [None] * len(ids), SeededEntropy().random_bytes)
    list(ingest.batches([SourceFile("grown", 1, lambda: io.BytesIO(noise(600_000, "g")))]))
    assert ingest.finish()[0].files[0].size == 600_000


def test_files_are_closed():
    """Each file is closed when it ends, and when reading breaks off."""
    opened = []

    class Source(io.BytesIO):
        def readinto(self, place, /):
            if self.getvalue() == b"bad":
                raise PermissionError
            return super().readinto(place)

    def source(data):
        def start():
            opened.append(Source(data))
            return opened[-1]

        return SourceFile(data.decode(), len(data), start)

    ingest = Ingest(DEDUP_KEYS, lambda ids: [None] * len(ids), SeededEntropy().random_bytes)
    with pytest.raises(PermissionError):
        list(ingest.batches([source(b"one"), source(b"two"), source(b"bad"), source(b"four")]))
    assert [stream.closed for stream in opened] == [True, True, True]


@pytest.mark.parametrize("names", [["../a"], ["a", "a"], ["a", "a/b"]])
def test_bad_names_are_refused(names):
    """A name that cannot be used stops the publish."""
    ingest = Ingest(DEDUP_KEYS, lambda ids: [None] * len(ids), SeededEntropy().random_bytes)

    def publish():
        list(ingest.batches([SourceFile(n, 1, lambda: io.BytesIO(b"x")) for n in names]))
        ingest.finish()

    with pytest.raises(InvalidError):
        publish()


def test_files_are_bounded(monkeypatch):
    """The first file too many ends it, before its bytes are stored."""
    monkeypatch.setattr(limits, "FILES_PER_VERSION_MAX", 2)
    assert len(build_version({"a": b"1", "b": b"2"}, SeededEntropy()).directory.entries) == 1
    with pytest.raises(InvalidError, match="at most 2 files"):
        build_version({"a": b"1", "b": b"2", "c": b"3"}, SeededEntropy())


class Made:
    """A stream of some length that is made as it is read: noise first, then zeros."""

    def __init__(self, size, noisy):
        self.left = size
        self.noisy = noisy

    def readinto(self, place, /):
        count = min(len(place), self.left)
        self.left -= count
        place[:count] = os.urandom(count) if self.noisy > 0 else bytes(count)
        self.noisy -= count
        return count


def peak_of(files):
    """Return the most bytes that were in use at once while files went through the pipeline."""
    ingest = Ingest(DEDUP_KEYS, lambda ids: [None] * len(ids), os.urandom, profile="blake3")
    tracemalloc.start()
    try:
        for _ in ingest.batches(files):
            pass
        ingest.finish()
        return tracemalloc.get_traced_memory()[1], ingest.counters
    finally:
        tracemalloc.stop()


def test_a_huge_file_takes_no_more_memory():
    """Noise for longer than all windows hold, and a gibibyte of what a hole reads as."""
    short, _ = peak_of([SourceFile("f", 96 * MIB, lambda: Made(96 * MIB, 96 * MIB))])
    long, counters = peak_of([SourceFile("f", 1024 * MIB, lambda: Made(1024 * MIB, 96 * MIB))])
    assert counters.plain_bytes == 1024 * MIB
    assert counters.duplicate_bytes > 920 * MIB
    assert short < 64 * MIB
    assert long < short + 2 * MIB


def test_many_tiny_files_take_little_memory():
    """Forty thousand files, some of them empty: a few hundred bytes for each, and no more."""
    data = [b"", b"tiny", b"one byte more"]
    files = (
        SourceFile(f"{at // 1000}/{at}", len(data[at % 3]), lambda at=at: io.BytesIO(data[at % 3]))
        for at in range(40_000)
    )
    peak, counters = peak_of(files)
    assert counters.files == 40_000
    assert peak < 40_000 * 500 + 8 * MIB


def test_reading_ahead_ends_before_its_file_is_closed():
    """Whoever stops midway waits for the reading that a worker is at: no file is closed under it."""
    went_in, may_go_on, events = threading.Event(), threading.Event(), []

    class Slow(io.BytesIO):
        def readinto(self, place, /):
            if self.tell() >= 2 * module._WINDOW_BYTES:
                went_in.set()
                assert may_go_on.wait(20)
            count = super().readinto(place)
            events.append("read")
            return count

        def close(self):
            events.append("closed")
            super().close()

    def waited_for(done):
        # The reading goes on once somebody waits for it, and not before.
        if went_in.is_set():
            may_go_on.set()
        yield from done

    data = noise(20 * MIB, "slow")
    with ThreadPoolExecutor(2) as pool:
        ingest = Ingest(
            DEDUP_KEYS,
            lambda ids: [None] * len(ids),
            os.urandom,
            profile="blake3",
            spread=lambda function, items: waited_for(pool.map(function, items)),
        )
        windows = ingest._read_ahead(
            ingest._windows([SourceFile("f", len(data), lambda: Slow(data))])
        )
        next(windows)
        assert went_in.wait(20)
        windows.close()
    assert "closed" == events[-1]
    assert 1 == events.count("closed")


@pytest.mark.parametrize("spread", ["in turn", "by workers"])
def test_a_reading_ahead_that_fails_is_told(spread):
    """At the place where its bytes would have come."""

    class Failing(io.BytesIO):
        def readinto(self, place, /):
            if self.tell() > 3 * module._WINDOW_BYTES:
                raise ConflictError("changed")
            return super().readinto(place)

    size = 5 * module._WINDOW_BYTES
    source = SourceFile("f", size, lambda: Failing(noise(size, "f")))
    with ThreadPoolExecutor(2) as pool:
        ingest = Ingest(
            DEDUP_KEYS,
            lambda ids: [None] * len(ids),
            os.urandom,
            profile="blake3",
            spread=map if spread == "in turn" else pool.map,
        )
        with pytest.raises(ConflictError, match="changed"):
            list(ingest.batches([source]))
    assert ingest.counters.chunks > 0
