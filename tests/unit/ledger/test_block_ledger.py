"""Tests of hansa.ledger.block_ledger."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hansa.codec import encode
from hansa.errors import ConflictError, CorruptError, DiskFullError, HansaError, UnavailableError
from hansa.ledger.block_ledger import BlockLedger
from hansa.ledger.segments import SegmentFile

KILLS = 24


@pytest.fixture
def open_ledger(tmp_path, blocks):
    """Give a function that opens the ledger in tmp_path/ledger; closes all in the end."""
    opened = []

    def make(**options):
        while opened:
            opened.pop().close()
        made = BlockLedger(tmp_path / "ledger", alliance=blocks.ALLIANCE, **options)
        opened.append(made)
        return made

    yield make
    for ledger in opened:
        ledger.close()


def fill(ledger, blocks, count):
    """Append `count` blocks."""
    for height in range(ledger.height() + 1, ledger.height() + 1 + count):
        ledger.append(blocks.make_block(height), blocks.make_writes(height))


def test_blocks_and_state_are_there_after_reopening(open_ledger, blocks):
    """Blocks by height, transactions by digest, state in order; nothing is pending."""
    ledger = open_ledger()
    assert ledger.height() == 0
    assert ledger.block(0) is None
    fill(ledger, blocks, 3)
    ledger = open_ledger()
    assert 3 == ledger.height() == ledger.verify()
    assert ledger.pending == 0
    assert blocks.make_block(2) == ledger.block(2)
    assert ledger.block(4) is None
    assert ledger.locate(blocks.make_transaction(3, 1).digest()) == (3, 1)
    assert ledger.locate(bytes(32)) is None
    expected = [(b"h1", b"1"), (b"h2", b"2"), (b"h3", b"3"), (b"last", b"3")]
    assert expected == list(ledger.state_items())


def test_the_block_is_synced_before_the_state_knows_it(open_ledger, blocks, flaky_sync):
    """At the moment of the sync the height is still the old one."""
    seen = []

    def sync(descriptor):
        flaky_sync(descriptor)
        seen.append(ledger.height())

    ledger = open_ledger(sync=lambda descriptor: None)
    ledger._segments[1]._sync = sync
    fill(ledger, blocks, 2)
    assert seen == [0, 1]


def test_segments_follow_one_another(open_ledger, blocks, tmp_path):
    """A full segment is followed by a new one; all blocks are found again."""
    ledger = open_ledger(segment_bytes_max=2_000)
    fill(ledger, blocks, 12)
    names = sorted(path.name for path in (tmp_path / "ledger").glob("*.seg"))
    assert len(names) > 3
    assert names[0] == "blocks-00000001.seg"
    ledger = open_ledger(segment_bytes_max=2_000)
    assert ledger.verify() == 12
    fill(ledger, blocks, 4)
    assert open_ledger().verify() == 16


def test_blocks_the_state_does_not_know_are_replayed(open_ledger, blocks, tmp_path):
    """A state that is behind, or lost, is made again from the blocks, in order."""
    ledger = open_ledger(segment_bytes_max=2_000)
    fill(ledger, blocks, 3)
    ledger.close()
    shutil.copy(tmp_path / "ledger/state.mdb", tmp_path / "behind.mdb")
    fill(open_ledger(segment_bytes_max=2_000), blocks, 4)
    for known, prepare in (
        (3, lambda: shutil.copy(tmp_path / "behind.mdb", tmp_path / "ledger/state.mdb")),
        (0, (tmp_path / "ledger/state.mdb").unlink),
    ):
        open_ledger().close()
        prepare()
        ledger = open_ledger()
        assert (known, 7 - known) == (ledger.height(), ledger.pending)
        with pytest.raises(ConflictError, match="wait to be replayed"):
            ledger.append(blocks.make_block(8), [])
        heights = []

        def apply(certified, heights=heights):
            heights.append(certified.block.header.height)
            return blocks.make_writes(heights[-1])

        assert 7 - known == ledger.recover(apply)
        assert list(range(known + 1, 8)) == heights
        assert len(list(ledger.state_items())) == 8
        assert ledger.locate(blocks.make_transaction(7, 0).digest()) == (7, 0)


def test_a_replay_that_fails_can_be_taken_up_again(open_ledger, blocks, tmp_path):
    """What `apply` refuses stays pending; what came before it is kept."""
    fill(open_ledger(), blocks, 4)
    open_ledger().close()
    (tmp_path / "ledger/state.mdb").unlink()
    ledger = open_ledger()

    def refuse_third(certified):
        if certified.block.header.height == 3:
            raise CorruptError("block 3 is wrong")
        return blocks.make_writes(certified.block.header.height)

    with pytest.raises(CorruptError, match="block 3"):
        ledger.recover(refuse_third)
    assert (ledger.height(), ledger.pending) == (2, 2)
    assert open_ledger().pending == 2


def test_the_last_block_cut_at_any_byte(open_ledger, blocks, tmp_path):
    """Unknown to the state: dropped. Known to it (acknowledged): CorruptError."""
    fill(open_ledger(), blocks, 1)
    open_ledger().close()
    path = tmp_path / "ledger/blocks-00000001.seg"
    start = path.stat().st_size
    shutil.copy(tmp_path / "ledger/state.mdb", tmp_path / "behind.mdb")
    fill(open_ledger(), blocks, 1)
    open_ledger().close()
    whole = path.read_bytes()
    for size in range(start, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(CorruptError, match="missing"):
            open_ledger()
    shutil.copy(tmp_path / "behind.mdb", tmp_path / "ledger/state.mdb")
    for size in range(start, len(whole)):
        path.write_bytes(whole[:size])
        ledger = open_ledger()
        assert (ledger.height(), ledger.pending) == (1, 0)
    fill(open_ledger(), blocks, 2)
    assert open_ledger().verify() == 3


def test_a_changed_byte_in_the_middle_is_found_and_named(open_ledger, blocks, tmp_path):
    """Reading the block says which file is damaged and where; a lost file is noticed on opening."""
    fill(open_ledger(segment_bytes_max=1_500), blocks, 6)
    open_ledger().close()
    path = tmp_path / "ledger/blocks-00000001.seg"
    whole = path.read_bytes()
    for position in (60, 200, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[position] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(CorruptError, match=r"blocks-00000001.seg is damaged at byte \d+"):
            open_ledger().verify()
    path.unlink()
    with pytest.raises(CorruptError, match=r"00000001.seg is missing"):
        open_ledger()


def test_only_the_next_block_of_this_alliance_is_taken(open_ledger, blocks, tmp_path):
    """Another height is refused and changes nothing; another alliance cannot open the folder."""
    ledger = open_ledger()
    for height in (0, 2):
        with pytest.raises(ConflictError, match="not the next"):
            ledger.append(blocks.make_block(height), [])
    fill(ledger, blocks, 1)
    ledger.close()
    with pytest.raises(ConflictError, match="another alliance"):
        BlockLedger(tmp_path / "ledger", alliance=b"b" * 32)


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EIO, UnavailableError), (errno.ENOSPC, DiskFullError)]
)
def test_a_refused_write_stops_the_ledger(open_ledger, blocks, flaky_sync, number, kind):
    """Nothing more is taken until it is opened again; what was acknowledged is there."""
    ledger = open_ledger(sync=flaky_sync)
    fill(ledger, blocks, 2)
    flaky_sync.refuse_at, flaky_sync.number = flaky_sync.count + 1, number
    with pytest.raises(kind):
        ledger.append(blocks.make_block(3), [])
    flaky_sync.refuse_at = 0
    with pytest.raises(UnavailableError, match="nothing more"):
        ledger.append(blocks.make_block(3), [])
    assert open_ledger().height() == 2


def test_a_state_that_cannot_be_written_stops_the_ledger(open_ledger, blocks, monkeypatch):
    """The block is on disk, the state is not: refused, and replayed on reopening."""
    ledger = open_ledger()

    def refuse(*_):
        raise DiskFullError("full")

    monkeypatch.setattr(ledger._table, "commit", refuse)
    with pytest.raises(DiskFullError):
        ledger.append(blocks.make_block(1), [])
    with pytest.raises(UnavailableError):
        ledger.append(blocks.make_block(1), [])
    assert open_ledger().pending == 1


def test_a_folder_that_cannot_be_made_is_named(blocks, tmp_path):
    """A file in the way is an error with a remedy."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HansaError, match="make the folder"):
        BlockLedger(tmp_path / "file" / "ledger", alliance=blocks.ALLIANCE)


@pytest.mark.timeout(60)
def test_kill_9_while_appending_loses_nothing_acknowledged(open_ledger, blocks, tmp_path):
    """A real process is killed at random instants; every height it printed is there, and state."""
    folder = tmp_path / "ledger"
    choose = random.Random(5)
    acknowledged = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("appending.py")), str(folder)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        with process:
            assert process.stdout
            assert int(process.stdout.readline()) >= acknowledged
            time.sleep(choose.uniform(0, 0.03))
            process.send_signal(signal.SIGKILL)
            printed = process.stdout.read().split()
        acknowledged = int(printed[-1]) if printed else acknowledged
    ledger = open_ledger()
    ledger.recover(lambda certified: blocks.make_writes(certified.block.header.height))
    height = ledger.height()
    assert height >= acknowledged >= KILLS
    assert height == ledger.verify()
    assert all(blocks.make_block(at) == ledger.block(at) for at in range(1, height + 1))
    expected = dict(pair for at in range(1, height + 1) for pair in blocks.make_writes(at))
    assert expected == dict(ledger.state_items())


def test_a_sound_frame_that_is_not_the_block_is_damage(open_ledger, blocks, tmp_path):
    """Behind the last known block only the next block of this alliance may stand."""
    fill(open_ledger(), blocks, 2)
    open_ledger().close()
    path = tmp_path / "ledger" / "blocks-00000001.seg"
    whole = path.read_bytes()
    for payload in (b"no block at all", encode(blocks.make_block(2)), encode(blocks.make_block(4))):
        path.write_bytes(whole)
        segment = SegmentFile(path, number=1, owner=blocks.ALLIANCE)
        assert 2 == len(list(segment.scan()))
        segment.append(payload)
        segment.close()
        with pytest.raises(CorruptError, match="block 3"):
            open_ledger()
    path.write_bytes(whole)
    ledger = open_ledger()
    fill(ledger, blocks, 1)
    assert 3 == ledger.verify()


def install(ledger, blocks, heights):
    """Put a snapshot of some heights into an empty ledger."""
    ledger.install([blocks.make_block(height) for height in heights], [(b"a", b"1"), (b"b", b"2")])


def test_a_snapshot_is_taken_and_followed(open_ledger, blocks):
    """State and blocks as given, older ones absent; the next block follows, restarts included."""
    ledger = open_ledger()
    install(ledger, blocks, [3, 8, 9, 10])
    for _ in range(2):
        assert (10, 8) == (ledger.height(), ledger.first)
        assert blocks.make_block(3) == ledger.block(3)
        assert blocks.make_block(9) == ledger.block(9)
        assert ledger.block(4) is None
        assert [(b"a", b"1"), (b"b", b"2")] == list(ledger.state_items())
        assert (9, 1) == ledger.locate(blocks.make_transaction(9, 1).digest())
        assert 3 == ledger.verify()
        ledger = open_ledger()
    with pytest.raises(ConflictError):
        install(ledger, blocks, [12])
    fill(ledger, blocks, 2)
    ledger = open_ledger()
    assert (12, 8, 5) == (ledger.height(), ledger.first, ledger.verify())


def test_a_crash_while_installing_leaves_no_ledger(open_ledger, blocks, monkeypatch):
    """Blocks without their state are not taken for a chain."""
    ledger = open_ledger()
    monkeypatch.setattr(
        ledger._table, "install", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        install(ledger, blocks, [8, 9, 10])
    with pytest.raises(CorruptError):
        open_ledger()


def test_old_files_go_and_what_is_kept_stays(open_ledger, blocks, tmp_path):
    """Whole files below the height are removed; kept blocks, transactions' places and the rest stay."""
    ledger = open_ledger(segment_bytes_max=2_000)
    fill(ledger, blocks, 12)
    files = len(list((tmp_path / "ledger").glob("*.seg")))
    assert files > 3
    removed = ledger.prune(9, lambda item: item.block.header.height == 2)
    assert removed > 2
    for _ in range(2):
        first = ledger.first
        assert 2 < first <= 9
        assert blocks.make_block(2) == ledger.block(2)
        assert ledger.block(1) is None
        assert (1, 0) == ledger.locate(blocks.make_transaction(1, 0).digest())
        for height in range(first, ledger.height() + 1):
            assert blocks.make_block(height) == ledger.block(height)
        assert ledger.height() - first + 1 == ledger.verify()
        ledger = open_ledger(segment_bytes_max=2_000)
    assert len(list((tmp_path / "ledger").glob("*.seg"))) < files
    assert 0 == ledger.prune(9, lambda _: False), "once more is harmless"
    fill(ledger, blocks, 2)
    assert 14 == open_ledger(segment_bytes_max=2_000).height()


def test_the_file_that_is_written_to_stays(open_ledger, blocks):
    """Whatever the height."""
    ledger = open_ledger()
    fill(ledger, blocks, 3)
    assert 0 == ledger.prune(100, lambda _: False)
    assert 3 == ledger.verify()


def test_a_crash_while_pruning_is_finished_at_the_next_start(open_ledger, blocks, monkeypatch):
    """The file that was given up and not removed yet goes when the ledger is opened."""
    ledger = open_ledger(segment_bytes_max=2_000)
    fill(ledger, blocks, 12)
    unlink, crashed = Path.unlink, []

    def crash(self, *args, **options):
        crashed.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", crash)
    with pytest.raises(KeyboardInterrupt):
        ledger.prune(9, lambda _: False)
    monkeypatch.setattr(Path, "unlink", unlink)
    assert crashed[0].exists()
    ledger = open_ledger(segment_bytes_max=2_000)
    assert not crashed[0].exists()
    assert ledger.block(1) is None
    assert 12 == ledger.height()
    assert blocks.make_block(12) == ledger.block(12)
