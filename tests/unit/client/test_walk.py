"""Walk: every plain file once, everything else refused by name, and always an end."""

import errno
import os
import socket
import subprocess
from pathlib import Path

import pytest

from hansa import limits
from hansa.client.walk import explain, stamp_of, walk
from hansa.errors import DeniedError, InvalidError, MissingError, UnavailableError


def _tails(root: Path, **options) -> list[str]:
    return sorted(found.tail for found in walk(root, **options))


def test_all_files_below_a_folder(tmp_path):
    """However deep; empty folders yield nothing; stamps are the files' own."""
    for name in ("a", "b/c", "b/d/e", "z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "empty" / "more").mkdir(parents=True)
    assert _tails(tmp_path) == ["a", "b/c", "b/d/e", "z"]
    (single,) = walk(tmp_path / "a")
    assert (single.tail, single.stamp) == ("", stamp_of((tmp_path / "a").stat()))


@pytest.fixture(name="deep")
def _deep(tmp_path):
    """A folder whose innermost file lies as deep as a path can name, and a way further down."""
    top, here = tmp_path / "top", Path.cwd()
    top.mkdir()
    os.chdir(top)
    depth = (3_900 - len(str(top))) // 2
    for _ in range(depth):
        Path("d").mkdir()
        os.chdir("d")
    Path("f").write_bytes(b"x")
    try:
        yield top, depth
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-rf", top], check=True)


@pytest.mark.slow
def test_depth_is_no_obstacle(deep):
    """Deeper than the interpreter recurses; deeper than a path can name is told."""
    top, depth = deep
    (found,) = walk(top)
    assert found.tail == "d/" * depth + "f"
    for _ in range(2):
        Path("e" * 200).mkdir()
        os.chdir("e" * 200)
    with pytest.raises(UnavailableError, match="too long"):
        list(walk(top))


def _plant(kind: str, place: Path) -> None:
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            os.chdir(place.parent)
            listener.bind(place.name)
            os.chdir("/")
    elif kind == "link":
        place.symlink_to(place.parent / "other")
    elif kind == "broken link":
        place.symlink_to(place.parent / "nowhere")
    elif kind == "link to a pipe":
        os.mkfifo(place.with_name("real"))
        place.symlink_to(place.with_name("real"))
    elif kind == "circle":
        place.symlink_to(place.parent)
    elif kind == "links in a circle":
        place.symlink_to(place.with_name("back"))
        place.with_name("back").symlink_to(place)


@pytest.mark.parametrize(
    ("kind", "follow_links", "error", "told"),
    [
        ("pipe", False, InvalidError, "named pipe"),
        ("socket", False, InvalidError, "socket"),
        ("link", False, InvalidError, "symbolic link"),
        ("broken link", True, MissingError, "leads nowhere"),
        ("link to a pipe", True, InvalidError, "named pipe"),
        ("circle", True, InvalidError, "lies in"),
        ("links in a circle", True, UnavailableError, "symbolic links"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path, kind, follow_links, error, told):
    """At once, by its name, and nothing is opened: a pipe would block."""
    folder = tmp_path / "counts"
    folder.mkdir()
    (folder / "other").write_bytes(b"x")
    _plant(kind, folder / "thing")
    with pytest.raises(error, match=told) as refused:
        list(walk(folder, follow_links=follow_links))
    assert str(folder) in refused.value.message
    assert refused.value.remedy


def test_links_are_followed_if_asked(tmp_path):
    """To files and folders; one folder by two links is taken twice."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "f").write_bytes(b"x")
    folder = tmp_path / "counts"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / name).symlink_to(tmp_path / "real")
    (folder / "file").symlink_to(tmp_path / "real" / "f")
    assert _tails(folder, follow_links=True) == ["file", "one/f", "two/f"]
    (tmp_path / "named").symlink_to(folder)
    assert _tails(tmp_path / "named", follow_links=True) == ["file", "one/f", "two/f"]


def test_hard_links_are_files_of_their_own(tmp_path):
    """Each name is published; the bytes are stored once."""
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert _tails(tmp_path) == ["a", "b"]


def test_links_that_multiply_come_to_an_end(tmp_path, monkeypatch):
    """Folders that link twice to the next are bounded in number."""
    monkeypatch.setattr(limits, "FILES_PER_VERSION_MAX", 1_000)
    for number in range(20):
        folder = tmp_path / f"d{number}"
        folder.mkdir()
        for name in ("l", "m"):
            (folder / name).symlink_to(tmp_path / f"d{number + 1}")
    (tmp_path / "d20").mkdir()
    with pytest.raises(InvalidError, match="more than 1000 folders"):
        list(walk(tmp_path / "d0", follow_links=True))


def test_what_may_not_be_read(tmp_path, monkeypatch):
    """A file or a folder without the right to read it is named; where all may read, nobody asks."""
    (tmp_path / "public-secret").write_bytes(b"x")
    (tmp_path / "public-secret").chmod(0o644)
    assert [found.tail for found in walk(tmp_path)] == ["public-secret"]
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "secret").chmod(0o640)
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("secret"))
    with pytest.raises(DeniedError, match="/secret"):
        list(walk(tmp_path))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PermissionError(errno.EACCES, "denied"), DeniedError),
        (FileNotFoundError(errno.ENOENT, "none"), MissingError),
        (OSError(errno.EIO, "I/O error"), UnavailableError),
    ],
)
def test_the_systems_words_become_ours(error, kind, tmp_path):
    """Each says what to do."""
    told = explain(error, tmp_path)
    assert type(told) is kind
    assert told.remedy
