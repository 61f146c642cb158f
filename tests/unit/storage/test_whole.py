"""Tests of hansa.storage.whole: many versions with few reads, each answered by itself."""

import hashlib

import pytest

from hansa import limits
from hansa.data.hash_index_table import VersionRef
from hansa.data.whole import open_whole
from hansa.errors import CorruptError, MissingError
from hansa.storage.manifests import BUNDLE_CLUSTER
from hansa.storage.memory import MemoryStore
from hansa.storage.names import name_pack
from hansa.storage.whole import StoredWhole, read_whole
from hansa.testing.doubles import SeededEntropy
from hansa.testing.versions import DATA_KEY, build_version
from tests.unit.storage.test_version_store import open_versions, publish

ROOM = limits.READS_BYTES_MAX


class CountingStore(MemoryStore):
    """A store that counts its positioned reads."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def get(self, name, offset=0, length=None):
        """Count, then read."""
        self.reads += 1
        return super().get(name, offset, length)


@pytest.fixture
def store():
    """An empty store."""
    return CountingStore()


@pytest.fixture
def versions(tmp_path, store):
    """An empty version store on it."""
    return open_versions(tmp_path, store)


def make(versions, count: int, size: int = 3_000):
    """Publish versions of one file each; return what was built."""
    made = []
    for number in range(count):
        data = hashlib.shake_256(b"whole %d" % number).digest(size)
        built = build_version({f"{number}.bin": data}, SeededEntropy(f"whole {number}"))
        publish(versions, built, VersionRef(number.to_bytes(16, "big"), 1))
        made.append(built)
    return made


def read(versions, roots, room: int = ROOM, beside: int = 0):
    """Read versions, with as many bytes beside each."""
    return read_whole(versions, roots, [beside] * len(roots), room)


def replace(store, name: str, data: bytes) -> None:
    """Put other bytes under a name, as a failing disk does."""
    store.delete(name)
    store.put(name, [data])


def is_right(found, built) -> bool:
    """Tell whether all of a version is there, and opens."""
    assert isinstance(found, StoredWhole)
    whole = open_whole(found.manifest, built.root, DATA_KEY, found.content, plain_bytes_max=ROOM)
    return whole.names == built.contents.file_names


def test_many_come_with_few_reads(versions, store):
    """From the journal and from packs, in the order asked for, one asked twice too."""
    made = make(versions, 60)
    order = [*range(59, -1, -1), 7]
    roots = [made[at].root for at in order]
    assert all(map(is_right, read(versions, roots), [made[at] for at in order]))
    versions.chunks.flush()
    store.reads = 0
    assert all(map(is_right, read(versions, roots), [made[at] for at in order]))
    # One for the manifests, one for the chunks.
    assert 2 == store.reads


def test_one_that_fails_spoils_no_other(versions, store):
    """A damaged chunk, a damaged manifest and one that is nowhere are answers of their own."""
    made = make(versions, 5)
    versions.chunks.flush()
    entry = made[1].directory.entries[0]
    stored = versions.chunks.locate(entry.sealed_digest)
    name = name_pack(stored.address.pack)
    pack = bytearray(store.get(name))
    pack[stored.address.offset + 5] ^= 1
    replace(store, name, bytes(pack))
    (bundle,) = [root for root, row in versions.chunks.packs() if row.cluster == BUNDLE_CLUSTER]
    name = name_pack(bundle)
    data = store.get(name)
    at = data.index(made[3].manifest)
    replace(store, name, data[: at + 9] + bytes([data[at + 9] ^ 1]) + data[at + 10 :])
    found = read(versions, [*(one.root for one in made), bytes(32)])
    assert [True, CorruptError, True, CorruptError, True, "large"] == [
        is_right(one, made[place])
        if isinstance(one, StoredWhole)
        else type(one)
        if isinstance(one, Exception)
        else one
        for place, one in enumerate(found)
    ]
    assert 1 <= versions.chunks.addresses.damaged_count()


def test_a_pack_that_is_gone_hurts_only_its_own(versions, store):
    """Versions in other packs are read."""
    first = make(versions, 2)
    versions.chunks.flush()
    lost = versions.chunks.locate(first[0].directory.entries[0].sealed_digest).address.pack
    more = build_version({"more": b"more" * 900}, SeededEntropy("more"))
    publish(versions, more, VersionRef(b"m" * 16, 1))
    versions.chunks.flush()
    store.delete(name_pack(lost))
    found = read(versions, [first[0].root, more.root, first[1].root])
    assert [MissingError, StoredWhole, MissingError] == [type(one) for one in found]
    assert is_right(found[1], more)


def test_an_answer_has_its_bound(versions):
    """What does not fit is for later, with all that comes after it; the first always fits, or is large."""
    made = make(versions, 4)
    roots = [one.root for one in made]
    size = len(made[0].manifest) + made[0].directory.stored_bytes
    found = read(versions, roots, room=2 * size + size // 2)
    assert [StoredWhole, StoredWhole, str, str] == [type(one) for one in found]
    assert ["later", "later"] == found[2:]
    # What comes beside each counts.
    assert "later" == read(versions, roots, room=2 * size, beside=10)[1]
    assert ["large"] == read(versions, roots[:1], room=size - 1)


def test_a_large_version_is_left_to_be_read_by_itself(versions, monkeypatch):
    """Larger than one that is read whole, whatever room there is."""
    made = make(versions, 2, size=5_000)
    monkeypatch.setattr(limits, "READ_WHOLE_BYTES_MAX", made[0].directory.stored_bytes)
    assert is_right(read(versions, [made[0].root])[0], made[0])
    monkeypatch.setattr(limits, "READ_WHOLE_BYTES_MAX", made[0].directory.stored_bytes - 1)
    assert ["large", "large"] == read(versions, [one.root for one in made])
