"""Index files as sealed objects: whole or not at all, nothing in the clear, every change found, crashes swept."""

import gc
import hashlib
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa import limits
from hansa.errors import CorruptError, InvalidError, MissingError, UnavailableError
from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles, Question
from hansa.storage.index_files import StoredIndexFiles, _Pointer, discard_index
from hansa.storage.memory import MemoryStore
from hansa.testing.doubles import SeededEntropy
from tests.unit.index.making import make_record

PAGE = limits.INDEX_PAGE_BYTES
SEALED_PAGE = PAGE + 16


class StoreDouble(MemoryStore):
    """A store whose reads are told, and that can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[int, int]] = []
        self.is_away = False
        self.puts_left = 1 << 30

    def put(self, name, parts):
        if not self.puts_left:
            raise UnavailableError("away")
        self.puts_left -= 1
        return super().put(name, parts)

    def get(self, name, offset=0, length=None):
        self._refuse()
        self.reads.append((offset, length))
        return super().get(name, offset, length)

    def delete(self, name):
        self._refuse()
        super().delete(name)

    def _refuse(self) -> None:
        if self.is_away:
            raise UnavailableError("away")


@pytest.fixture
def store():
    return StoreDouble()


@pytest.fixture
def folder():
    return MemoryIndexFiles()


def opened(store, folder, seed=0):
    return StoredIndexFiles(store, folder, SeededEntropy(str(seed)))


def noise(size: int) -> bytes:
    return hashlib.shake_256(b"noise").digest(size)


@pytest.fixture
def small_objects(monkeypatch):
    """Objects of two runs of two pages, so that small files have several."""
    monkeypatch.setattr("hansa.storage.index_files._RUN_PAGES", 2)
    monkeypatch.setattr("hansa.storage.index_files._OBJECT_PAGES", 4)
    monkeypatch.setattr(limits, "INDEX_OBJECT_BYTES", 4 * PAGE)


SIZES = [1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 4 * PAGE, 4 * PAGE + 1, 8 * PAGE, 9 * PAGE + 7]


@pytest.mark.usefixtures("small_objects")
@pytest.mark.parametrize(("size", "part"), [*product(SIZES, (PAGE // 3, PAGE, 5 * PAGE))])
def test_what_is_written_is_read(store, folder, size, part):
    """At every place, whatever the parts; in objects of equal length, read where asked only."""
    data = noise(size)
    files = opened(store, folder)
    files.write("base-1", (data[start : start + part] for start in range(0, size, part)))
    assert len(store.objects) == -(-size // (4 * PAGE))
    file = opened(store, folder, 1).open("base-1")
    assert (file.size, file.read(0, size)) == (size, data)
    store.reads.clear()
    edges = sorted({0, 1, PAGE - 1, PAGE, 4 * PAGE - 1, 4 * PAGE, 4 * PAGE + 1, size - 1, size})
    for start, end in product([e for e in edges if e <= size], repeat=2):
        if start <= end:
            before = file.bytes_read
            assert file.read(start, end - start) == data[start:end]
            assert file.bytes_read - before == end - start
    with pytest.raises(InvalidError):
        file.read(size, 1)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_reads_of_one_object_are_one(data):
    """A range costs one read, of whole pages; an empty one none."""
    size = data.draw(st.integers(1, 20 * PAGE))
    start = data.draw(st.integers(0, size))
    length = data.draw(st.integers(0, size - start))
    store = StoreDouble()
    files = opened(store, MemoryIndexFiles())
    files.write("base-1", [noise(size)])
    assert files.open("base-1").read(start, length) == noise(size)[start : start + length]
    assert len(store.reads) == bool(length)
    for offset, many in store.reads:
        assert offset % SEALED_PAGE == 0
        assert many <= (length // PAGE + 2) * SEALED_PAGE


def test_nothing_lies_in_the_clear(store, folder):
    """Who keeps the store finds no word of what is written, and no two files alike."""
    files = opened(store, folder)
    text = b"a description of buses " * 2_000
    files.write("base-1", [text])
    files.write("base-2", [text])
    one, two = store.objects.values()
    assert b"buses" not in one + two
    assert one != two


@pytest.mark.usefixtures("small_objects")
def test_every_change_of_the_store_is_found(store, folder):
    """A bit turned, pages that change places, an end cut off, another file's object: corrupt, never wrong."""
    data = noise(9 * PAGE)
    files = opened(store, folder)
    files.write("base-1", [data])
    files.write("base-2", [noise(9 * PAGE)[::-1]])
    whole = dict(store.objects)
    names = sorted(files.open("base-1")._identity + f"-{n:04d}" for n in range(3))
    one, two, three = (f"index/{name}" for name in names)
    other = next(name for name in whole if name not in {one, two, three} and name.endswith("-0000"))

    def damaged(name: str, contents: bytes) -> None:
        store.objects[name] = contents
        file = files.open("base-1")
        with pytest.raises(CorruptError):
            file.read(0, file.size)
        store.objects.update(whole)

    for at in (0, PAGE - 1, PAGE, PAGE + 15, SEALED_PAGE, 3 * SEALED_PAGE + 5):
        turned = bytearray(whole[one])
        turned[at] ^= 1
        damaged(one, bytes(turned))
    pages = [whole[one][i : i + SEALED_PAGE] for i in range(0, 4 * SEALED_PAGE, SEALED_PAGE)]
    damaged(one, pages[1] + pages[0] + pages[2] + pages[3])
    damaged(one, whole[two])
    damaged(one, whole[other])
    store.objects[three] = whole[three][:-1]
    with pytest.raises(CorruptError):
        files.open("base-1")
    store.objects.update(whole)
    file = files.open("base-1")
    del store.objects[two]
    with pytest.raises(CorruptError):
        file.read(0, file.size)
    with pytest.raises(MissingError):
        files.open("base-1")


def test_an_end_cut_off_is_no_shorter_file(store, folder):
    """A pointer that tells fewer bytes does not make the front of a file a file."""
    files = opened(store, folder)
    files.write("base-1", [noise(3 * PAGE)])
    (name,) = store.objects
    pointer = _Pointer.decode(folder.open("base-1").read(0, folder.open("base-1").size))
    folder.write("base-1", [pointer._replace(size=2 * PAGE).encode()])
    store.objects[name] = store.objects[name][: 2 * SEALED_PAGE]
    file = files.open("base-1")
    assert file.read(0, PAGE) == noise(PAGE)
    with pytest.raises(CorruptError):
        file.read(0, 2 * PAGE)


def test_a_question_ends_with_the_file_it_began_with(store, folder):
    """Replaced or deleted, a file that is open stays readable; its object goes when nobody reads it."""
    files = opened(store, folder)
    files.write("base-1", [b"old" * 9_000])
    file = files.open("base-1")
    files.write("base-1", [b"new" * 9_000])
    assert file.read(8_192, 3) == b"old"[2:] + b"ol"
    files.delete("base-1")
    assert file.read(0, 3) == b"old"
    assert len(store.objects) == 1
    with pytest.raises(MissingError):
        files.open("base-1")
    del file
    gc.collect()
    files.delete("base-1")
    files.write("base-2", [b"x"])
    assert len(store.objects) == 1
    assert files.list() == ["base-2"]


@pytest.mark.usefixtures("small_objects")
@pytest.mark.parametrize("puts", [0, 1, 2])
def test_a_write_that_fails_changes_nothing(store, folder, puts):
    """The older file stays, and what was written of the new one is swept."""
    files = opened(store, folder)
    files.write("base-1", [noise(9 * PAGE)])
    before = dict(store.objects)
    store.puts_left = puts
    with pytest.raises(UnavailableError):
        files.write("base-1", [b"x" * 9 * PAGE])
    assert files.open("base-1").read(0, 9 * PAGE) == noise(9 * PAGE)
    store.puts_left = 1 << 30
    opened(store, folder, 5)
    assert store.objects == before


def test_a_crash_leaves_nothing_behind(store, folder):
    """Objects that no name points to are swept at a start; those of names stay."""
    opened(store, folder).write("base-1", [b"x"])
    store.put("index/" + "ab" * 16 + "-0000", [b"half written"])
    store.put("packs/ab/cd", [b"a pack"])
    files = opened(store, folder, 2)
    assert files.open("base-1").read(0, 1) == b"x"
    assert len(store.objects) == 2
    discard_index(store)
    assert list(store.objects) == ["packs/ab/cd"]


def test_a_store_that_is_away_is_swept_later(store, folder):
    """What cannot be deleted now is deleted with the next change."""
    files = opened(store, folder)
    files.write("base-1", [b"x"])
    store.is_away = True
    files.delete("base-1")
    with pytest.raises(MissingError):
        files.open("base-1")
    store.is_away = False
    files.write("base-2", [b"y"])
    assert len(store.objects) == 1


@pytest.mark.parametrize("contents", [b"x", b"x" * 60, b"x" * 5_000])
def test_what_is_no_pointer_is_corrupt(store, folder, contents):
    """A file of the folder itself, or a damaged pointer, is dropped and the index built anew."""
    folder.write("base-1", [contents])
    with pytest.raises(CorruptError):
        opened(store, folder).open("base-1")


def test_an_empty_file_is_corrupt(store, folder):
    """As in a folder: no index file is empty."""
    files = opened(store, folder)
    files.write("base-1", [])
    with pytest.raises(CorruptError):
        files.open("base-1")


def test_an_index_in_a_store(store, folder):
    """Equal to one in memory, before and after a start; damage in the store is noticed and mended."""
    changes = [IndexChange(record.dataset, record) for record in map(make_record, range(200))]
    parameters = IndexParameters(recluster_registrations=64)
    files = opened(store, folder)
    index = InformationIndex.open(files, parameters)
    plain = InformationIndex.open(MemoryIndexFiles(), parameters)
    for height, start in enumerate(range(0, 200, 40), 1):
        index.apply(height, changes[start : start + 40])
        plain.apply(height, changes[start : start + 40])
    questions = [Question(words=("bus",)), Question(theme="health"), Question(words=("zwanzig",))]
    again = InformationIndex.open(opened(store, folder, 3), parameters)
    assert again.height == plain.height
    for question in questions:
        assert again.find(question) == index.find(question) == plain.find(question)
    assert again.digest() == plain.digest()

    for name, contents in store.objects.items():
        store.objects[name] = contents[:-1] + bytes([contents[-1] ^ 1])
    broken = InformationIndex.open(opened(store, folder, 4), parameters)
    assert broken.height == 0
    broken.apply(1, changes)
    assert broken.find(questions[1]).total == plain.find(questions[1]).total
