"""`hansa tx show`: the result, the operations by their parts, who erased the copies."""

from hansa.errors import MissingError
from tests.unit.cli.conftest import ID, TX, Desk, detail

PATH = f"/v1/transactions/{TX}/detail"


def test_show(desk: Desk) -> None:
    """Parts inside others are told by their path; erasures with the block that carries them."""
    desk.answers[PATH] = detail()
    text = desk("tx", "show", TX).stdout
    assert "7, number 0" in text
    assert "inner.a" in text
    assert ID in text
    assert "Not acknowledged" not in text
    assert "no longer kept" not in text
    told = desk.json("tx", "show", TX)
    assert (told["accepted"], told["erasures"][0]["recorded_at"]) == (True, 8)


def test_who_has_not_acknowledged_is_named(desk: Desk) -> None:
    """A super node from whom no erasure is known stands there by name."""
    desk.answers[PATH] = detail(
        erasures=[], not_acknowledged=["energy"], accepted=False, code="x", acknowledgements_end=16
    )
    text = desk("tx", "show", TX).stdout
    assert "Not acknowledged by: energy (a block up to 16 may carry it)" in text
    assert "refused: x" in text


def test_what_is_not_kept_is_not_called_missing(desk: Desk) -> None:
    """A node that has pruned says so and names nobody."""
    desk.answers[PATH] = detail(acknowledgements_kept=False, acknowledgements_end=16)
    text = desk("tx", "show", TX).stdout
    assert "blocks up to 16" in text
    assert "no longer kept" in text
    assert "Not acknowledged" not in text


def test_unknown_and_malformed(desk: Desk) -> None:
    """What is not there is 5; what is no id is 2, and nothing is asked."""
    desk.answers[PATH] = MissingError("No such transaction.")
    assert desk("tx", "show", TX).exit_code == 5
    assert desk("tx", "show", "12").exit_code == 2
    assert len(desk.client.calls) == 1
