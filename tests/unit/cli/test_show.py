"""How answers look."""

import pytest

from hansa.cli import show
from hansa.cli.show import (
    bytes_text,
    clean,
    print_fields,
    print_table,
    short,
    time_text,
    transfer_progress,
)


def test_sizes_and_times() -> None:
    """Sizes in binary units, times in UTC, nothing for none."""
    assert bytes_text(0) == "0 B"
    assert bytes_text(1023) == "1023 B"
    assert bytes_text(1536) == "1.5 KiB"
    assert bytes_text(5 * 1024**4) == "5.0 TiB"
    assert bytes_text(5000 * 1024**4) == "5000.0 TiB"
    assert time_text(1_000) == "1970-01-01 00:00:01"
    assert time_text(None) == ""


def test_fields_leave_out_what_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """Empty values make no line; lists are joined; zero is a value."""
    print_fields((("a", ""), ("bc", ["x", "y"]), ("d", 0), ("e", None)))
    assert capsys.readouterr().out == "bc  x, y\nd   0\n"


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setattr(show, "_line_width", lambda: 80)


def test_tables_cut_no_id(narrow: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A long id stands whole in one line, so that it can be copied; words give way to it."""
    digest, url = "ab" * 32, "https://node.example:7401/v1"
    print_table(("id", "where", "words"), [(digest, url, "many words " * 9)])
    told = capsys.readouterr().out
    assert digest in told
    assert url in told
    assert told.count("\n") > 3


def test_a_table_fits_the_terminal(narrow: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Columns of words are wrapped, and no word is broken."""
    print_table(
        ("id", "title", "words"), [("ab" * 16, "administrator of data", "several words " * 5)]
    )
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert "administrator" in told


def test_programs_read_one_line_for_each_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is wrapped where no terminal is."""
    print_table(("a", "b"), [("x" * 300, "y z " * 90)])
    assert capsys.readouterr().out.count("\n") == 2


def test_wide_characters_keep_the_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """East Asian characters take two cells, combining ones none."""
    print_table(("title", "n"), [("広島", 1), ("abcd", 2), ("e\u0301", 3)])
    heading, first, second, third = capsys.readouterr().out.splitlines()
    assert first == "広島   1"
    assert second == "abcd   2"
    assert third == "e\u0301      3"
    assert heading == "title  n"


def test_no_rows_and_hostile_cells(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty table says so; nothing in a cell steers the terminal or is taken for markup."""
    print_table(("a",), [], none="nothing")
    print_table(("a",), [("\x1b[31m[bold]x\x07",)])
    told = capsys.readouterr().out
    assert told.startswith("nothing\n")
    assert "\x1b[31m" not in told
    assert "[bold]x" in told


def test_clean() -> None:
    """Control and direction characters are shown as such; letters of any script stay."""
    assert clean("Übersicht 広島") == "Übersicht 広島"
    assert clean("a\x1b[2Jb") == "a\ufffd[2Jb"
    assert clean("a\nb\u202ec") == "a b\ufffdc"


def test_short_digests() -> None:
    """Their head, marked as such; what is short already stays."""
    assert short("ab" * 32) == "abababababab…"
    assert short("abc") == "abc"


def test_progress_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """No bar is drawn into a file."""
    with transfer_progress(hidden=False) as progress:
        progress.update(progress.add_task("x", total=2), completed=1)
    assert capsys.readouterr().err == ""
