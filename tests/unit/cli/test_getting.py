"""`hansa dataset get`: one file and ranges of it, into a file or to standard output."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from hansa.errors import CorruptError, InvalidError
from tests.unit.cli.conftest import ID, Desk

DATA = bytes(range(200)) * 5


class Reader:
    """A version of one file, or of two."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def size(self, file: str | None = None) -> int:
        """Return the size of the file."""
        if file not in {*self.names, None}:
            raise InvalidError("no such file")
        return len(DATA)

    async def stream(self, write, offset, length, *, file, progress) -> int:
        """Give the range in two pieces."""
        part = DATA[offset : offset + length]
        write(part[:3])
        write(part[3:])
        progress(len(part), length)
        return len(part)


@pytest.fixture(name="desk")
def _desk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose client streams a file."""
    desk.answers["open"] = Reader("a.bin", "b.bin")

    async def fetch_stream(dataset, write, *, version, file, progress):
        desk.client.calls.append(("fetch_stream", (dataset,), {"version": version, "file": file}))
        write(DATA)
        if isinstance(desk.answers.get("fetch_stream"), Exception):
            raise desk.answers["fetch_stream"]
        progress(len(DATA), len(DATA))
        return SimpleNamespace(bytes=len(DATA))

    desk.client.fetch_stream = fetch_stream
    return desk


def test_files_are_listed(desk: Desk) -> None:
    """Names and sizes, for people and programs."""
    assert desk.json("dataset", "files", ID, "--version", "2") == [
        {"name": "a.bin", "bytes": 1000},
        {"name": "b.bin", "bytes": 1000},
    ]
    assert desk.client.calls == [("open", (bytes.fromhex(ID),), {"version": 2})]
    assert "b.bin" in desk("dataset", "files", ID).stdout


def test_a_file_goes_to_standard_output(desk: Desk) -> None:
    """The bytes and nothing else."""
    done = desk("dataset", "get", ID, "--file", "a.bin")
    assert (done.exit_code, done.stdout_bytes) == (0, DATA)
    assert desk.client.calls[0][2] == {"version": None, "file": "a.bin"}
    done = desk("dataset", "get", ID, "--file", "a.bin", "-o", "-", "--json")
    assert done.exit_code == 2


@pytest.mark.parametrize(
    ("extent", "expected"),
    [("0-99", DATA[:100]), ("990-", DATA[990:]), ("-7", DATA[-7:]), ("10-10", DATA[10:11])],
)
def test_a_range_goes_to_standard_output(desk: Desk, extent: str, expected: bytes) -> None:
    """First and last byte included, as in HTTP."""
    done = desk("dataset", "get", ID, "--file", "a.bin", "--range", extent)
    assert (done.exit_code, done.stdout_bytes) == (0, expected)


def test_a_range_goes_into_a_file(desk: Desk, tmp_path: Path) -> None:
    """Which must not be there, unless it may be replaced, and appears whole."""
    target = tmp_path / "part.bin"
    words = ("dataset", "get", ID, "--file", "a.bin", "--range", "0-9", "-o", target)
    assert desk.json(*words) == {
        "dataset": ID, "file": str(target), "bytes": 10, "verified": True,
    }  # fmt: skip
    assert target.read_bytes() == DATA[:10]
    again = desk(*words)
    assert (again.exit_code, "--overwrite" in again.stderr) == (6, True)
    assert desk(*words, "--overwrite").exit_code == 0
    assert desk("dataset", "get", ID, "--file", "a.bin", "-o", tmp_path).exit_code == 2
    assert list(tmp_path.glob(".*")) == []


def test_what_was_not_whole_gets_no_name(desk: Desk, tmp_path: Path) -> None:
    """A failure leaves neither the file nor its part; standard output's reader has the exit code."""
    desk.answers["fetch_stream"] = CorruptError("Damaged.")
    done = desk("dataset", "get", ID, "--file", "a.bin", "-o", tmp_path / "x")
    assert (done.exit_code, list(tmp_path.iterdir())) == (8, [])
    assert desk("dataset", "get", ID, "--file", "a.bin").exit_code == 8


def test_wrong_words(desk: Desk) -> None:
    """No folder and no file, an impossible range."""
    assert desk("dataset", "get", ID).exit_code == 2
    assert desk("dataset", "get", ID, "-o", "-").exit_code == 2
    assert desk("dataset", "get", ID, "--file", "a.bin", "--range", "9-3").exit_code == 3
