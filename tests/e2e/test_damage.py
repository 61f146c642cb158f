"""A node's own disk turns against it: nothing wrong is ever served, what is a cache is made again.

One alliance for the module; each test leaves all nodes running.
"""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hansa import limits
from hansa.client.keeping import keep_store
from hansa.errors import CorruptError, DiskFullError, HansaError
from hansa.rest import CheckReport, IndexStats, Question, StoreJobRequest
from hansa.storage.pack import HEADER
from hansa.storage.segment_log import decode_log
from tests.e2e.attacks import until_at
from tests.e2e.harness import wait_for
from tests.e2e.local_alliance import LocalAlliance, Member

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SMALL_DISK_BYTES = 64 * limits.MIB
FILE_BYTES = 400_000


@pytest.fixture(scope="module")
def alliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAlliance]:
    """Four nodes; the last one's folder lies on a small disk of its own, if that may be mounted."""
    folder = tmp_path_factory.mktemp("damage")
    small = folder / "transport"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "tmpfs", str(small)]
    is_mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        made = LocalAlliance.create(folder, 4)
        config = small / "node.toml"
        set_to = f"disk_free_bytes_min = {limits.MIB}"
        config.write_text(re.sub(r"disk_free_bytes_min = \d+", set_to, config.read_text()))
        with made.running():
            asyncio.run(made.until_ready())
            yield made
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(small)], check=True)


def restart(alliance: LocalAlliance, member: Member) -> None:
    """Start a node that was ended, and wait until it is ready."""
    member.start()
    asyncio.run(alliance.until_ready([member]))


async def publish_and_share(
    alliance: LocalAlliance, title: str, data: bytes
) -> tuple[bytes, bytes]:
    """Publish a file by the first member, grant it to the second; return dataset and manifest root."""
    owner, reader = alliance.members[:2]
    source = owner.folder.parent / f"{title}.bin"
    source.write_bytes(data)
    async with alliance.client(owner) as publishing, alliance.client(reader) as reading:
        published = await publishing.publish([source], title=title)
        dataset = bytes(published.dataset)
        await until_at(reading, published.status.height)
        asked = await reading.request_access(dataset, purpose="research")
        await until_at(publishing, asked.status.height)
        granted = await publishing.grant_access(bytes(asked.request))
        await until_at(reading, granted.status.height)
        view = await publishing.dataset(dataset)
        return dataset, bytes.fromhex(view.versions[0].manifest_root)


async def fetch_error(alliance: LocalAlliance, dataset: bytes, output: Path) -> HansaError | None:
    """Fetch as the second member; return how it failed. Nothing may then have its name."""
    async with alliance.client(alliance.members[1]) as reading:
        try:
            await reading.fetch(dataset, output)
        except HansaError as error:
            named = [path for path in output.rglob("*.bin") if path.is_file()]
            assert named == []
            return error
    return None


async def check_store(alliance: LocalAlliance, member: Member) -> CheckReport:
    """Have a node read its store back."""
    async with alliance.client(member) as client:
        job = await keep_store(client, StoreJobRequest(work="check", read_data=True))
        assert job.check is not None
        return job.check


def flip(path: Path, at: int) -> None:
    """Change one byte of a file."""
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x40]))


def largest_body(journal: Path) -> Path:
    """Return the body of a journal that holds most; those of manifests are short."""
    return max(journal.glob("*.pack"), key=lambda path: path.stat().st_size)


def journalled(journal: Path, chunk: bytes) -> tuple[Path, int, int]:
    """Return where a chunk or manifest waits in a journal: body, offset, length."""
    for log in journal.glob("*.log"):
        found = decode_log(log.read_bytes(), len(HEADER))
        for record in found.records if found else ():
            if record.chunk == chunk:
                return log.with_suffix(".pack"), record.offset, record.length
    raise AssertionError("it is not in the journal")


def test_changed_chunks_are_never_served(alliance: LocalAlliance, tmp_path: Path) -> None:
    """A flipped byte of sealed data: a clear error for the reader, the dataset named by the check."""
    owner = alliance.members[0]
    dataset, _ = asyncio.run(publish_and_share(alliance, "chunks", os.urandom(FILE_BYTES)))
    assert asyncio.run(fetch_error(alliance, dataset, tmp_path / "before")) is None
    held = largest_body(owner.folder / "journal")
    place = held.stat().st_size - FILE_BYTES // 2
    flip(held, place)
    error = asyncio.run(fetch_error(alliance, dataset, tmp_path / "after"))
    assert isinstance(error, CorruptError), error
    report = asyncio.run(check_store(alliance, owner))
    assert dataset.hex() in report.damaged_datasets
    assert report.problems
    flip(held, place)
    assert asyncio.run(fetch_error(alliance, dataset, tmp_path / "again")) is None
    assert asyncio.run(check_store(alliance, owner)).damaged_datasets == []


def test_changed_manifests_are_never_served(alliance: LocalAlliance, tmp_path: Path) -> None:
    """A flipped byte in a manifest: the reader finds it against the chain's root."""
    owner = alliance.members[0]
    dataset, root = asyncio.run(publish_and_share(alliance, "manifest", os.urandom(FILE_BYTES)))
    path, offset, length = journalled(owner.folder / "journal", root)
    for place in (offset + 10, offset + length // 2, offset + length - 1):
        flip(path, place)
        error = asyncio.run(fetch_error(alliance, dataset, tmp_path / "damaged"))
        assert isinstance(error, CorruptError), (place, error)
        report = asyncio.run(check_store(alliance, owner))
        assert dataset.hex() in report.damaged_datasets, place
        flip(path, place)
    path.rename(path.with_suffix(".away"))
    error = asyncio.run(fetch_error(alliance, dataset, tmp_path / "missing"))
    assert isinstance(error, HansaError)
    assert error.code in {"missing", "corrupt", "unavailable"}
    path.with_suffix(".away").rename(path)
    assert asyncio.run(fetch_error(alliance, dataset, tmp_path / "whole")) is None


def test_caches_are_made_again(alliance: LocalAlliance, tmp_path: Path) -> None:
    """Index and hash index table gone while the node is down: made anew, duplicates still found."""
    owner = alliance.members[0]
    data = os.urandom(FILE_BYTES)
    dataset, _ = asyncio.run(publish_and_share(alliance, "caches", data))
    before = asyncio.run(index_digest(alliance, owner))
    assert owner.end() == 0
    shutil.rmtree(owner.folder / "index")
    (owner.folder / "table.mdb").unlink()
    restart(alliance, owner)
    assert asyncio.run(index_digest(alliance, owner)) == before
    assert asyncio.run(fetch_error(alliance, dataset, tmp_path / "rebuilt")) is None
    assert asyncio.run(publish_again(alliance, data)) == 0
    assert owner.end() == 0
    for path in (owner.folder / "index").rglob("*"):
        if path.is_file() and path.stat().st_size:
            flip(path, path.stat().st_size // 2)
    restart(alliance, owner)
    assert asyncio.run(find(alliance, owner, "caches")) == [dataset.hex()]
    assert asyncio.run(index_digest(alliance, alliance.members[1])) == asyncio.run(
        index_digest(alliance, owner)
    )


async def index_digest(alliance: LocalAlliance, member: Member) -> str:
    """Return the digest of a node's index at the ledger's height."""
    height = max([(await alliance.status(item)).height for item in alliance.members])

    async def caught_up() -> bool:
        return (await alliance.get(member, "/v1/index", IndexStats)).height >= height

    await alliance.until(caught_up)
    return (await alliance.get(member, "/v1/index", IndexStats)).digest


async def find(alliance: LocalAlliance, member: Member, words: str) -> list[str]:
    """Ask a node's index."""
    async with alliance.client(member) as client:
        return [match.id for match in (await client.find(Question(words=words))).matches]


async def publish_again(alliance: LocalAlliance, data: bytes) -> int:
    """Publish the same bytes once more; return how many had to be stored."""
    owner = alliance.members[0]
    source = owner.folder.parent / "again.bin"
    source.write_bytes(data)
    async with alliance.client(owner) as client:
        return (await client.publish([source], title="Once more")).bytes_stored


def test_a_torn_ledger(alliance: LocalAlliance) -> None:
    """The last block's end is cut off while the node is down: fetched again, or refused clearly."""
    torn = alliance.members[2]
    asyncio.run(alliance.submit(torn))
    assert torn.end() == 0
    segment = max(torn.folder.glob("ledger/blocks-*.seg"))
    used = segment.read_bytes().rstrip(b"\0")
    with segment.open("r+b") as file:
        file.truncate(len(used) - 7)
    torn.start()
    assert torn.process is not None
    process = torn.process
    wait_for(lambda: process.poll() is not None or (torn.folder / "node.json").exists())
    if process.poll() is None:
        asyncio.run(alliance.until_ready([torn]))
        assert asyncio.run(alliance.submit(torn)).status == "committed"
        return
    assert process.returncode not in {0, 1}
    words = torn.last_words()
    assert "Traceback" not in words
    assert "ledger" in words.lower() or "block" in words.lower()


def test_a_full_disk(alliance: LocalAlliance, tmp_path: Path) -> None:
    """Publishing onto a full disk is refused, nothing is registered; freed, it works again."""
    owner = alliance.members[3]
    if shutil.disk_usage(owner.folder).total > SMALL_DISK_BYTES:
        # The owner of a machine tests without privileges; where changes land it must be tested.
        assert not os.environ.get("CI"), "a small disk could not be mounted"
        pytest.skip("mounting a small disk needs privileges")
    source = tmp_path / "large.bin"
    source.write_bytes(os.urandom(4 * limits.MIB))
    ballast = owner.folder / "ballast"
    with ballast.open("wb") as file:
        file.write(bytes(max(0, shutil.disk_usage(owner.folder).free - 2 * limits.MIB)))
    before = asyncio.run(alliance.status(owner)).height
    error = asyncio.run(publish_error(alliance, owner, source))
    assert isinstance(error, DiskFullError), error
    assert (error.exit_code, error.code) == (7, "disk-full")
    for member in alliance.members[:2]:
        assert asyncio.run(alliance.submit(member)).status == "committed"
    ballast.unlink()
    if owner.process is not None and owner.process.poll() is not None:
        owner.start()
    asyncio.run(alliance.until_ready([owner]))
    assert asyncio.run(find(alliance, owner, "large")) == []
    assert asyncio.run(publish_error(alliance, owner, source)) is None
    assert asyncio.run(alliance.status(owner)).height > before


async def publish_error(alliance: LocalAlliance, member: Member, source: Path) -> HansaError | None:
    """Publish; return how it failed."""
    async with alliance.client(member) as client:
        try:
            await client.publish([source], title="large")
        except HansaError as error:
            return error
    return None
