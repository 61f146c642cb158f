"""Output: never outside of the folder, never under a name before it is whole."""

import pytest
from blake3 import blake3

from hansa.client.output import Output
from hansa.data.manifest import Contents, FileEntry
from hansa.errors import ConflictError, DeniedError

ROOT = "ab" * 32


def _contents(**files: bytes) -> Contents:
    entries = tuple(
        FileEntry(name.replace("__", "/"), len(data), blake3(data).digest())
        for name, data in files.items()
    )
    return Contents.of(entries, (), ())


def _output(folder, contents, *, overwrite=False):
    return Output(folder, ROOT, contents, overwrite=overwrite)


def test_bytes_become_files(tmp_path):
    """Pieces that span files are divided; empty files appear; the hidden folder goes."""
    output = _output(tmp_path / "out", _contents(a=b"12", e=b"", d__b=b"345", z=b""))
    assert output.prepare() == {0: 0, 1: 0, 2: 0, 3: 0}
    output.write(0, [b"1", b"23"])
    assert not (tmp_path / "out" / "a").exists()
    output.write(3, [b"45"])
    assert output.finish() == {}
    found = {p.name: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert found == {"a": b"12", "e": b"", "b": b"345", "z": b""}
    assert not list((tmp_path / "out").glob(".hansa-*"))


def test_two_fetches_do_not_write_there_at_once(tmp_path):
    """A second one is refused while the first has not closed, whatever became of it."""
    first, second = (_output(tmp_path, _contents(a=b"12")) for _ in range(2))
    first.prepare()
    with pytest.raises(ConflictError, match="Another fetch"):
        second.prepare()
    first.close()
    first.close()
    assert second.prepare() == {0: 0}


def test_only_whole_files_get_a_name(tmp_path):
    """A short or wrong part is thrown away and asked for again from its start."""
    output = _output(tmp_path, _contents(a=b"12", b=b"34"))
    output.prepare()
    output.write(0, [b"12", b"3X"])
    assert output.finish() == {1: 0}
    assert (tmp_path / "a").read_bytes() == b"12"
    assert not (tmp_path / "b").exists()


def test_parts_are_continued_and_too_long_ones_dropped(tmp_path):
    """What an earlier attempt left counts up to the file's size."""
    parts = tmp_path / f".hansa-{ROOT[:32]}"
    parts.mkdir()
    (parts / "0.part").write_bytes(b"1")
    (parts / "1.part").write_bytes(b"far too long")
    assert _output(tmp_path, _contents(a=b"12", b=b"34")).prepare() == {0: 1, 1: 0}


def test_a_whole_file_is_not_fetched_again(tmp_path):
    """Same bytes: there. Other bytes: conflict, or replaced if asked. A folder is never replaced."""
    (tmp_path / "a").write_bytes(b"12")
    assert _output(tmp_path, _contents(a=b"12")).prepare() == {}
    with pytest.raises(ConflictError):
        _output(tmp_path, _contents(a=b"13")).prepare()
    assert _output(tmp_path, _contents(a=b"13"), overwrite=True).prepare() == {0: 0}
    (tmp_path / "d").mkdir()
    with pytest.raises(ConflictError):
        _output(tmp_path, _contents(d=b"1"), overwrite=True).prepare()


def test_no_link_leads_outside(tmp_path):
    """A folder that is a link elsewhere is refused; a file that is a link is replaced, not followed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_bytes(b"precious")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "d").symlink_to(outside)
    with pytest.raises(DeniedError, match="outside"):
        _output(folder, _contents(d__x=b"1"), overwrite=True).prepare()
    (folder / "f").symlink_to(outside / "f")
    with pytest.raises(ConflictError):
        _output(folder, _contents(f=b"precious")).prepare()
    output = _output(folder, _contents(f=b"1"), overwrite=True)
    output.prepare()
    output.write(0, [b"1"])
    output.finish()
    assert (outside / "f").read_bytes() == b"precious"
    assert (folder / "f").read_bytes() == b"1"


def test_a_file_in_the_way_is_told(tmp_path):
    """Of the output, and of a folder below it."""
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(ConflictError, match="file where a folder"):
        _output(tmp_path / "f", _contents(a=b"1")).prepare()


def test_planted_links_do_not_lead_outside(tmp_path):
    """Neither a part nor the hidden folder that is a link takes bytes elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    victim = elsewhere / "victim"
    victim.write_bytes(b"mine")
    hidden = tmp_path / "out" / f".hansa-{ROOT[:32]}"
    hidden.mkdir(parents=True)
    (hidden / "0.part").symlink_to(victim)
    output = _output(tmp_path / "out", _contents(a=b"12"))
    assert output.prepare() == {0: 0}
    output.write(0, [b"12"])
    assert output.finish() == {}
    assert victim.read_bytes() == b"mine"
    (tmp_path / "out" / "a").unlink()
    hidden.symlink_to(elsewhere)
    with pytest.raises(DeniedError):
        _output(tmp_path / "out", _contents(a=b"12")).prepare()
    assert [victim] == list(elsewhere.iterdir())


def test_files_given_up_are_left_for_the_next_attempt(tmp_path):
    """What overlaps a stretch that cannot be read gets no name; what is there of it stays."""
    contents = _contents(a=b"12", b=b"345", c=b"67", d=b"89")
    output = _output(tmp_path, contents)
    output.prepare()
    output.write(0, [b"12", b"3"])
    assert output.give_up(3, 6) == [1, 2]
    assert output.give_up(4, 5) == []
    assert not output.is_wanted(2, 7)
    assert output.is_wanted(6, 8)
    output.write(6, [b"7", b"89"])
    assert output.finish() == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".hansa-{ROOT[:32]}", "a", "d"]
    output.close()
    again = _output(tmp_path, contents)
    assert again.prepare() == {1: 1, 2: 0}
    again.write(3, [b"45", b"67"])
    assert again.finish() == {}
    assert (tmp_path / "b").read_bytes() == b"345"


def test_a_part_continued_is_judged_whole(tmp_path):
    """The bytes of an earlier attempt are judged with the new ones."""
    parts = tmp_path / f".hansa-{ROOT[:32]}"
    parts.mkdir()
    (parts / "0.part").write_bytes(b"12")
    (parts / "1.part").write_bytes(b"1X")
    output = _output(tmp_path, _contents(a=b"1234", b=b"1234"))
    assert output.prepare() == {0: 2, 1: 2}
    output.write(2, [b"34"])
    output.write(6, [b"34"])
    assert output.finish() == {1: 0}
    assert (tmp_path / "a").read_bytes() == b"1234"
    output.write(4, [b"1234"])
    assert output.finish() == {}
    assert (tmp_path / "b").read_bytes() == b"1234"


def test_many_files(tmp_path):
    """More than are synced one by one: all there, none twice."""
    files = {f"f{number:03}": bytes([number]) * number for number in range(200)}
    output = _output(tmp_path, _contents(**files))
    output.prepare()
    output.write(0, [b"".join(files.values())])
    assert output.finish() == {}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
