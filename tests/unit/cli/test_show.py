"""How answers look."""

import pytest

from hansa.cli.show import bytes_text, print_fields, print_table, time_text, transfer_progress


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


def test_tables_cut_no_id(capsys: pytest.CaptureFixture[str]) -> None:
    """A long id stands whole."""
    print_table(("id", "n"), [("ab" * 32, 1)])
    assert "ab" * 32 in capsys.readouterr().out.replace("\n", "").replace(" ", "")


def test_progress_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """No bar is drawn into a file."""
    with transfer_progress(hidden=False) as progress:
        progress.update(progress.add_task("x", total=2), completed=1)
    assert capsys.readouterr().err == ""
