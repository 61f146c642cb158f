"""Tests of hansa.storage.migrate: every object arrives and is compared; cut short, it goes on."""

import hashlib

import pytest

from hansa.errors import CorruptError, InvalidError, UnavailableError
from hansa.storage.local import LocalStore
from hansa.storage.memory import MemoryStore
from hansa.storage.migrate import PIECE_BYTES, migrate
from hansa.storage.names import PACKS, name_manifest
from tests.unit.storage.keeping import City

NOISE = hashlib.shake_256(b"migrate").digest(PIECE_BYTES + 400_000)


@pytest.fixture
def city(tmp_path):
    """A store with two packs, one longer than a piece, and two versions."""
    city = City(folder=tmp_path / "city")
    for part in (NOISE[:90_000], NOISE):
        city.publish({"a": part})
        city.chunks.flush()
    return city


def contents(store):
    """Return all objects of a store."""
    return {name: store.get(name) for name in store.list("")}


def test_to_a_folder_and_back(city, tmp_path):
    """What arrives is byte for byte what was there, and opens as a store."""
    there, back = LocalStore(tmp_path / "there", "o"), MemoryStore()
    seen = []
    report = migrate(city.store, there, lambda *step: seen.append(step))
    assert contents(there) == city.store.objects
    total = sum(map(len, city.store.objects.values()))
    assert (4, 4, total, ()) == (report.objects, report.copied, report.bytes, report.damaged)
    assert seen[-1] == ("copy", total, total)
    migrate(there, back)
    there.close()
    assert back.objects == city.store.objects
    moved = City(back, tmp_path / "city")
    moved.living = city.living
    assert moved.follow() == []
    for root, (_, built, files) in city.living.items():
        assert files == moved.read(type("U", (), {"built": built})), root


def test_cut_short_at_any_object_and_begun_again(city):
    """What is there already is compared and not copied again."""

    class Frail(MemoryStore):
        left = 0

        def put(self, name, parts):
            self.left -= 1
            if self.left < 0:
                raise UnavailableError("away")
            return super().put(name, parts)

    target = Frail()
    for _ in range(4):
        target.left = 1
        try:
            report = migrate(city.store, target)
        except UnavailableError:
            continue
    assert report.copied == 1
    assert target.objects == city.store.objects
    assert migrate(city.store, target).copied == 0


@pytest.mark.parametrize("at", [0, PIECE_BYTES + 5])
def test_a_target_that_lies_is_found_out(city, at):
    """Other bytes at the same length, or a shorter object."""

    class Liar(MemoryStore):
        def get(self, name, offset=0, length=None):
            data = super().get(name, offset, length)
            if name.startswith(PACKS) and offset <= at < offset + len(data):
                return data[: at - offset] + b"!" + data[at - offset + 1 :]
            return data

    before = dict(city.store.objects)
    with pytest.raises(CorruptError, match="other bytes"):
        migrate(city.store, Liar())
    assert before == city.store.objects
    short = MemoryStore()
    short.objects = {name: data[:-1] for name, data in before.items()}
    with pytest.raises(CorruptError):
        migrate(city.store, short)


def test_damage_of_the_source_travels_and_is_named(city):
    """Its sound chunks are worth keeping; the names say what to repair."""
    manifest = name_manifest(next(iter(city.living)))
    city.store.put(manifest, [city.versions.get_manifest(next(iter(city.living)))])
    pack = max(city.store.list(PACKS), key=city.store.size)
    for name in (manifest, pack):
        data = city.store.objects[name]
        city.store.objects[name] = data[:50] + bytes([data[50] ^ 1]) + data[51:]
    target = MemoryStore()
    assert {manifest, pack} == set(migrate(city.store, target).damaged)
    assert target.objects == city.store.objects


def test_a_place_with_other_things_is_refused(city):
    """Nothing is copied into another store."""
    target = MemoryStore()
    target.put("packs/aa/bb", [b"theirs"])
    with pytest.raises(InvalidError, match="not in the source"):
        migrate(city.store, target)
    assert list(target.objects) == ["packs/aa/bb"]
