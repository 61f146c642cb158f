"""Opening versions: keys from the right place, manifests as the chain names them."""

import msgspec
import pytest

from hansa.client import versions as module
from hansa.client.describe import Subject
from hansa.client.publish import publish
from hansa.client.share import grant, request_access, revoke
from hansa.client.sources import collect
from hansa.client.versions import LivingChunks, find_grant, open_version
from hansa.codec import decode, encode
from hansa.data.manifest import Directory
from hansa.errors import CorruptError, DeniedError
from hansa.rest import WrapSet


@pytest.fixture(name="view")
async def _view(pair, tmp_path):
    (tmp_path / "a").write_bytes(b"data")
    done = await publish(pair.owner, collect([tmp_path / "a"]), Subject(title="T"))
    return pair.city.datasets[done.dataset.hex()]


async def test_own_and_granted_versions_open(pair, view):
    """The same contents by the publishing key and by a grant; printed masked."""
    own = await open_version(pair.owner, view, view.versions[0])
    assert [file.name for file in own.contents.files] == ["a"]
    assert "contents" not in repr(own)
    asked = await request_access(pair.reader, view.id, "audit")
    await grant(pair.owner, asked.request.hex())
    theirs = await open_version(pair.reader, view, view.versions[0])
    assert theirs.contents == own.contents


async def test_without_a_living_grant(pair, view):
    """Never asked, and revoked: each with what to do."""
    with pytest.raises(DeniedError, match="hansa access request"):
        await find_grant(pair.reader, view)
    asked = await request_access(pair.reader, view.id, "audit")
    await grant(pair.owner, asked.request.hex())
    assert (await find_grant(pair.reader, view)).id == asked.request.hex()
    await revoke(pair.owner, asked.request.hex(), reason="Over.")
    with pytest.raises(DeniedError, match=r"is revoked: Over\."):
        await find_grant(pair.reader, view)


async def test_wraps_must_be_those_of_the_grant(pair, view):
    """A node that gives other wraps than the chain names is found out."""
    asked = await request_access(pair.reader, view.id, "audit")
    await grant(pair.owner, asked.request.hex())
    wraps = decode(WrapSet, pair.city.wraps[asked.request.hex()])
    pair.city.wraps[asked.request.hex()] = encode(WrapSet(wraps.request, b"x" * 32, wraps.wraps))
    with pytest.raises(CorruptError, match="grant names"):
        await open_version(pair.reader, view, view.versions[0])


async def test_a_living_chunk_is_taken_from_own_versions_only(pair, view):
    """A lookup that names another's dataset, or an unknown version, yields nothing."""
    living = LivingChunks(pair.owner)
    chunk = next(iter(pair.owner_node.bound))
    identity = bytes.fromhex(view.id)
    found = await living.find(identity, 1, chunk)
    assert found.entry.chunk == chunk
    assert await living.find(identity, 9, chunk) is None
    assert await LivingChunks(pair.reader).find(identity, 1, chunk) is None


async def test_open_manifests_are_bounded(pair, view, monkeypatch):
    """The least recently used version goes first."""
    monkeypatch.setattr("hansa.limits.CLIENT_MANIFESTS_OPEN_MAX", 1)
    living = LivingChunks(pair.owner)
    identity = bytes.fromhex(view.id)
    for number in (1, 9, 1):
        await living.find(identity, number, b"c" * 32)
        assert len(living._versions) == 1


async def test_contents_must_be_of_the_size_on_the_chain(pair, view):
    """A manifest of another version under the right root would be noticed by its counts too."""
    version = view.versions[0]
    for change in ({"files": 2}, {"content_bytes": 5}):
        other = msgspec.structs.replace(version, **change)
        with pytest.raises(CorruptError, match="size"):
            await open_version(pair.owner, view, other)


async def test_a_manifest_whose_parts_disagree_gives_no_key(pair, view, monkeypatch):
    """A key must never be taken for another sealing than its own."""
    chunk = next(iter(pair.owner_node.bound))
    directory = module.open_directory

    def other(*given):
        found = directory(*given)
        entries = tuple(
            msgspec.structs.replace(entry, sealed_bytes=entry.sealed_bytes + 1)
            for entry in found.entries
        )
        return Directory.of(found.content_bytes, found.files, entries)

    monkeypatch.setattr(module, "open_directory", other)
    with pytest.raises(CorruptError, match="disagree"):
        await LivingChunks(pair.owner).find(bytes.fromhex(view.id), 1, chunk)
