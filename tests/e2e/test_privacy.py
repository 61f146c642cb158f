"""What nodes must never hold: searched for in their folders, their logs and their memory.

Planted: contents and names of files, the justification and contact of a request. Known to the test:
users' keys, the organisation's secrets, data keys, chunk keys. The nodes are real processes.
"""

import os
from pathlib import Path

import pytest

from hansa.client.client import HansaClient
from hansa.client.find import get_dataset
from hansa.client.versions import open_version, own_data_key
from tests.e2e.attacks import until_at
from tests.e2e.local_alliance import LocalAlliance, Member
from tests.e2e.memory import can_read_memory, find_in_files, find_in_memory, forms

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

CONTENT = b"planted-plaintext-5f2e91c07b"
FILE_NAME = "planted-file-name-77aa01.csv"
WHY = "planted-justification-0b6d42 "
JUSTIFICATION = (WHY * 270).strip()
"""Long: what was freed is soon used again, but not all of it at once."""
CONTACT = "planted-contact-93fe11@example.org"
KEYWORD = "plantedkeyword8842"
CHUNKS_TRIED = 3
REQUESTS = 4


def text_forms(**texts: str | bytes) -> dict[str, bytes]:
    """Return planted texts as bytes."""
    return {
        name: text if isinstance(text, bytes) else text.encode() for name, text in texts.items()
    }


async def secrets_of(client: HansaClient, dataset: bytes) -> dict[str, bytes]:
    """Return the keys behind a version that only clients may have, in all their forms."""
    session = client._session
    view = await get_dataset(session, dataset.hex())
    opened = await open_version(session, view, view.versions[0])
    secrets = {
        "dedup": session.keys.secrets.dedup,
        "publishing": session.keys.secrets.publishing,
        "data-key": await own_data_key(session, view, view.versions[0]),
    }
    for index, chunk in enumerate(opened.contents.chunks[:CHUNKS_TRIED]):
        secrets[f"chunk-key-{index}"] = chunk.key
    return {
        f"{name} {form}": value
        for name, secret in secrets.items()
        for form, value in forms(secret).items()
    }


def keys_of(members: list[Member]) -> dict[str, bytes]:
    """Return the private keys of the users, in all their forms."""
    return {
        f"{member.name} {kind} {form}": value
        for member in members[:2]
        for kind, seed in (("signing", member.user.seed()), ("reading", member.reader.seed()))
        for form, value in forms(seed).items()
    }


async def share(alliance: LocalAlliance, folder: Path) -> tuple[dict[str, bytes], int]:
    """Publish, ask, grant and fetch once; return the clients' secrets and the last height."""
    owner, reader = alliance.members[:2]
    source = folder / FILE_NAME
    source.write_bytes(b"".join(b"%d,%s\n" % (row, CONTENT) for row in range(20_000)))
    async with alliance.client(owner) as publishing, alliance.client(reader) as reading:
        published = await publishing.publish([source], title="Counts", keywords=[KEYWORD])
        dataset = bytes(published.dataset)
        await until_at(reading, published.status.height)
        for _ in range(REQUESTS):
            asked = await reading.request_access(dataset, purpose=JUSTIFICATION, contact=CONTACT)

        async def is_told() -> bool:
            return (await publishing.request(bytes(asked.request))).justification == JUSTIFICATION

        await alliance.until(is_told)
        granted = await publishing.grant_access(bytes(asked.request))
        await until_at(reading, granted.status.height)
        await reading.fetch(dataset, folder / "out")
        assert (folder / "out" / FILE_NAME).read_bytes() == source.read_bytes()
        return await secrets_of(publishing, dataset), granted.status.height


async def settled(alliance: LocalAlliance, height: int) -> None:
    """Wait until every node has the block and holds no copy, then let one more block pass."""

    async def is_settled() -> bool:
        found = [await alliance.status(member) for member in alliance.members]
        return all(item.height >= height and item.copies_held == 0 for item in found)

    await alliance.until(is_settled)
    await alliance.submit(alliance.members[0])
    await alliance.until(is_settled)


async def test_nodes_hold_no_plaintext_and_no_keys(tmp_path: Path) -> None:
    """Neither disk nor log nor memory of any node holds what only clients may know."""
    alliance = LocalAlliance.create(tmp_path / "city", 4)
    with alliance.running():
        await alliance.until_ready()
        secrets, height = await share(alliance, tmp_path)
        await settled(alliance, height)
        planted = text_forms(content=CONTENT, name=FILE_NAME)
        confidential = text_forms(justification=WHY, contact=CONTACT)
        never = planted | confidential | secrets | keys_of(alliance.members)
        # The search finds what is there: a keyword is public, on the chain and in the index.
        public = {"keyword": KEYWORD.encode()}
        for member in alliance.members:
            assert find_in_files(member.folder, never) == {}, member.name
            assert find_in_files(member.folder, public), member.name
        pids = {member.name: member.process.pid for member in alliance.members if member.process}
        assert len(pids) == len(alliance.members)
        if not can_read_memory(pids[alliance.members[0].name]):
            assert not os.environ.get("CI"), "the memory of the nodes could not be read"
            pytest.skip("files hold nothing; looking into the nodes' memory needs privileges")
        for name, pid in pids.items():
            assert find_in_memory(pid, never) == {}, name
            assert find_in_memory(pid, public), name
