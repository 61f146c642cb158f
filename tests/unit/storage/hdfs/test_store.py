"""Tests of hansa.storage.hdfs.store with a library that fails, lies and hangs; the real one is in tests/e2e."""

import threading

import pytest

from hansa import limits
from hansa.errors import (
    ConflictError,
    CorruptError,
    DeniedError,
    DiskFullError,
    InvalidError,
    MissingError,
    UnavailableError,
)
from hansa.storage.hdfs import HdfsSettings, HdfsStore
from hansa.storage.hdfs import store as store_module
from hansa.testing.doubles import FixedClock, SeededEntropy
from hansa.testing.store_contract import StoreContract
from tests.unit.storage.hdfs.library import FakeClient, hang

ROOT = "/city/transport"
SETTINGS = HdfsSettings(url=f"hdfs://name:8020{ROOT}", replication=2)
AWAY = OSError("Connection refused (os error 111)")
FULL = RuntimeError('RPCError("a.DSQuotaExceededException", "quota = 1 B")')
DENIED = RuntimeError('RPCError("a.AccessControlException", "Permission denied")')


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    """Return the double that every store of the test uses; pauses are short."""
    made = FakeClient()
    monkeypatch.setattr(store_module, "connect", lambda _: made)
    monkeypatch.setattr(limits, "HDFS_BACKOFF_MS_MIN", 1)
    monkeypatch.setattr(limits, "HDFS_BACKOFF_MS_MAX", 1)
    return made


def _open(
    owner: str = "city transport", clock: FixedClock | None = None, **options: object
) -> HdfsStore:
    return HdfsStore(
        SETTINGS, owner, clock=clock or FixedClock(), entropy=SeededEntropy(), **options
    )


@pytest.fixture
def store(client):
    """Return an open store over the double."""
    opened = _open()
    yield opened
    opened.close()


class TestContractOverDouble(StoreContract):
    """The double is like HDFS as far as the contract goes, so its faults mean something."""

    @pytest.fixture
    def store(self, client):
        """Return an empty store."""
        opened = _open()
        yield opened
        opened.close()


def _temporary(client: FakeClient) -> list[str]:
    return [name for name in client.files if name.startswith(f"{ROOT}/tmp/")]


def test_layout(client, store) -> None:
    """Objects, owner and nothing temporary, under the root."""
    store.put("packs/ab/cd", [b"x"])
    assert set(client.files) == {f"{ROOT}/owner", f"{ROOT}/objects/packs/ab/cd"}


def test_another_organisations_root_is_refused(client, store) -> None:
    """A root marked by one organisation is never opened for another; by itself it is."""
    with pytest.raises(ConflictError, match="another organisation"):
        _open("city energy")
    _open().close()


@pytest.mark.parametrize("at", ["create", "write", "close", "read", "stream", "mkdirs", "rename"])
def test_a_fault_at_any_step_of_a_put_is_mended(client, store, at: str) -> None:
    """Written anew under a fresh name; nothing temporary stays."""
    client.fault(at, AWAY)
    assert store.put("a/b", [b"bytes"]) == 5
    assert store.get("a/b") == b"bytes"
    assert _temporary(client) == []


@pytest.mark.parametrize(
    ("error", "kind"), [(FULL, DiskFullError), (DENIED, DeniedError)], ids=["quota", "denied"]
)
@pytest.mark.parametrize("at", ["create", "write", "close", "rename", "mkdirs"])
def test_a_permanent_fault_leaves_nothing(client, store, at: str, error, kind) -> None:
    """Quota used up and denied are told at once, at every step; the name stays free."""
    client.fault(at, error)
    with pytest.raises(kind):
        store.put("a/b", [b"bytes"])
    assert not store.exists("a/b")
    assert _temporary(client) == []
    assert store.put("a/b", [b"bytes"]) == 5


def test_a_lying_store_is_caught(client, store) -> None:
    """What is read back is compared: bytes that changed on the way are never given a name."""
    for lie in (b"bytez", b"byte", b"bytes!", b""):
        client.fault("stream", lambda original, lie=lie: lie)
    assert store.put("a", [b"bytes"]) == 5
    assert client.files[f"{ROOT}/objects/a"] == b"bytes"
    assert client.done.count("create") == 1 + 5  # the owner's marker, then four lies and the truth
    assert _temporary(client) == []


def test_a_store_that_always_lies_is_given_up(client, store, monkeypatch) -> None:
    """After a while the write fails, and says why."""
    monkeypatch.setattr(limits, "HDFS_PUT_MS_MAX", 0)
    client.fault("stream", lambda original: b"other")
    with pytest.raises(UnavailableError, match="other bytes than were written"):
        store.put("a", [b"bytes"])
    assert not store.exists("a")
    assert _temporary(client) == []


def test_a_lost_answer_to_the_rename(client, store) -> None:
    """The file has its name already: found, compared, done."""

    def lose(original):
        original()
        raise AWAY

    client.fault("rename", lose)
    assert store.put("a", [b"bytes"]) == 5
    assert store.get("a") == b"bytes"
    assert _temporary(client) == []


def test_two_writers_of_one_name(client, store) -> None:
    """Who comes second finds the name taken: fine for equal bytes, corrupt for others."""

    def come_first(data):
        def action(original):
            client.files[f"{ROOT}/objects/a"] = data
            return original()

        return action

    client.fault("rename", come_first(b"bytes"))
    assert store.put("a", [b"bytes"]) == 5
    del client.files[f"{ROOT}/objects/a"]
    client.fault("rename", come_first(b"other"))
    with pytest.raises(CorruptError, match="other bytes"):
        store.put("a", [b"bytes"])
    assert _temporary(client) == []


def test_put_file(client, store, tmp_path) -> None:
    """A file of the own disk becomes an object, also at the second try."""
    path = tmp_path / "pack"
    path.write_bytes(bytes(range(256)) * 100)
    client.fault("close", AWAY)
    assert store.put_file("packs/00/1", path) == 25_600
    assert store.get("packs/00/1") == path.read_bytes()
    assert store.put_file("packs/00/1", path) == 25_600


@pytest.mark.parametrize("at", ["create", "write", "close", "stream", "rename"])
def test_a_hung_write_is_given_up_at_its_deadline(client, store, monkeypatch, at: str) -> None:
    """The next try succeeds; when the hung call wakes up after all, it leaves nothing behind."""
    monkeypatch.setattr(limits, "HDFS_TRANSFER_MS_MIN", 30)
    monkeypatch.setattr(limits, "HDFS_CALL_MS_MAX", 30)
    release = threading.Event()
    client.fault(at, hang(release))
    assert store.put("a", [b"bytes"]) == 5
    release.set()
    for _ in range(2_000):
        if client.done.count("create") == client.done.count("delete") + 2:
            break
        threading.Event().wait(0.001)
    assert store.get("a") == b"bytes"
    assert _temporary(client) == []


def test_a_datanode_that_refuses_is_no_outage(client, monkeypatch) -> None:
    """A connection that fails in a write while the NameNode answers is told as what it is."""
    told: list[str] = []
    store = _open(tell=told.append)
    client.fault("write", AWAY)
    assert store.put("a", [b"bytes"]) == 5
    assert told == []
    monkeypatch.setattr(limits, "HDFS_PUT_MS_MAX", 0)
    client.fault("write", AWAY)
    with pytest.raises(UnavailableError, match="DataNode could not be reached"):
        store.put("b", [b"bytes"])
    for method in ("write", "delete", "stat"):
        client.fault(method, AWAY)
    client.fault("stat", lambda original: original())  # the first look, before the write
    client.faults["stat"].reverse()
    with pytest.raises(UnavailableError, match="NameNode cannot be reached"):
        store.put("b", [b"bytes"])
    assert len(told) == 1
    store.close()


def test_reads_are_tried_again_with_a_fresh_reader(client, store) -> None:
    """A reader keeps the places of blocks from when it was opened: after a failure it is dropped."""
    store.put("a", [b"bytes"])
    assert store.get("a", 1, 2) == b"yt"
    opened = client.done.count("read")
    assert store.get("a", 2, 2) == b"te"
    assert client.done.count("read") == opened
    client.fault("pread", RuntimeError('DataTransferError("All DataNodes failed: []")'))
    assert store.get("a", 0, 5) == b"bytes"
    assert client.done.count("read") == opened + 1


def test_a_range_outside_never_reaches_the_library(client, store) -> None:
    """The library panics on it, as an error that `except Exception` does not catch."""
    store.put("a", [b"bytes"])
    for offset, length in ((0, 6), (5, 1), (6, None), (-1, 1), (0, -1)):
        with pytest.raises(InvalidError):
            store.get("a", offset, length)
    assert "pread" not in client.done


def test_a_short_read_is_told(client, store) -> None:
    """Fewer bytes than asked are never handed on."""
    store.put("a", [b"bytes"])
    client.fault("pread", lambda original: b"byt")
    client.fault("pread", lambda original: b"byt")
    with pytest.raises(CorruptError, match="shorter"):
        store.get("a")
    assert store.get("a") == b"bytes"


def test_a_long_read_has_a_deadline(client, store, monkeypatch) -> None:
    """A DataNode that hangs in a long read is given up; the next try reads it."""
    monkeypatch.setattr(limits, "HDFS_PIECE_BYTES", 4)
    monkeypatch.setattr(limits, "HDFS_TRANSFER_MS_MIN", 30)
    store.put("a", [b"bytes"])
    release = threading.Event()
    client.fault("stream", hang(release))
    assert store.get("a") == b"bytes"
    release.set()


def test_a_hung_namenode_is_told(client, store, monkeypatch) -> None:
    """A question that is never answered ends at its deadline."""
    monkeypatch.setattr(limits, "HDFS_CALL_MS_MAX", 20)
    monkeypatch.setattr(limits, "HDFS_OUTAGE_MS_MAX", 0)
    release = threading.Event()
    client.fault("stat", hang(release))
    with pytest.raises(UnavailableError, match="in time"):
        store.size("a")
    release.set()


def test_listing_errors_are_never_an_empty_answer(client, store, monkeypatch) -> None:
    """Not even when the store's own folder has gone: a collection would take all for dead."""
    monkeypatch.setattr(limits, "HDFS_OUTAGE_MS_MAX", 0)
    store.put("a/b", [b"x"])
    assert list(store.list("nothing/")) == []
    client.folders.discard(f"{ROOT}/objects")
    with pytest.raises(UnavailableError):
        store.list("")
    with pytest.raises(UnavailableError):
        store.list("nothing/")
    client.fault("list", AWAY)
    with pytest.raises(UnavailableError):
        store.list("a/")


def test_only_old_temporary_files_are_swept(client, store) -> None:
    """Another writer's file under way is young; a crash's is older than any write takes."""
    clock = FixedClock(10 * limits.HDFS_TEMPORARY_MS_MAX)
    old, young = f"{ROOT}/tmp/old", f"{ROOT}/tmp/young"
    client.files |= {old: b"", young: b""}
    client.times = {old: clock.time_ms - limits.HDFS_TEMPORARY_MS_MAX - 1, young: clock.time_ms - 1}
    opened = _open(clock=clock)
    assert _temporary(client) == [young]
    clock.time_ms += limits.HDFS_TEMPORARY_MS_MAX + 1
    opened.put("a", [b"x"])
    assert _temporary(client) == []
    opened.close()


def test_free_bytes(client, store) -> None:
    """What the quota leaves, in bytes of objects; unknown without a quota."""
    assert store.free_bytes() is None
    client.quota = (2**63 - 1, 5)
    assert store.free_bytes() is None
    client.quota = (1_000, 400)
    assert store.free_bytes() == 300
    client.quota = (1_000, 4_000)
    assert store.free_bytes() == 0


def test_deleted_is_missing_at_once(client, store) -> None:
    """The open reader of a deleted object is dropped with it."""
    store.put("a", [b"x"])
    assert store.get("a") == b"x"
    store.delete("a")
    with pytest.raises(MissingError):
        store.get("a")


def test_few_readers_stay_open(client, store, monkeypatch) -> None:
    """The number of open readers is bounded."""
    monkeypatch.setattr(limits, "HDFS_READERS_OPEN_MAX", 2)
    for name in "abc":
        store.put(name, [b"x"])
        store.get(name)
    assert len(store._readers) == 2


def test_opening_waits_longer_than_work_does(client, monkeypatch) -> None:
    """A node that starts has nothing else to do; once it runs its users are answered soon."""
    monkeypatch.setattr(limits, "HDFS_OUTAGE_MS_MAX", 0)
    for _ in range(3):
        client.fault("mkdirs", AWAY)
    opened = _open()
    client.fault("stat", AWAY)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        opened.size("a")
    opened.close()


def test_opening_waits_for_safe_mode_to_end(client) -> None:
    """A NameNode that has just started is waited for, and told of."""
    told: list[str] = []
    safe = RuntimeError('RPCError("a.SafeModeException", "Name node is in safe mode.")')
    for _ in range(3):
        client.fault("mkdirs", safe)
    opened = HdfsStore(
        SETTINGS, "city transport", clock=FixedClock(), entropy=SeededEntropy(), tell=told.append
    )
    assert len(told) == 2
    assert "safe mode" in told[0]
    assert "answers again" in told[1]
    assert opened.waiting_for == ""
    opened.close()
