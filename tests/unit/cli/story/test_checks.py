"""Checks are kept as they are made; one that fails fails the demo."""

import io

from rich.console import Console

from hansa.cli.story.checks import Check, Checks


def _checks() -> tuple[Checks, io.StringIO]:
    output = io.StringIO()
    return Checks(Console(file=output, width=200)), output


def test_each_claim_is_kept_with_its_step() -> None:
    """Claim, step and what was measured."""
    checks, output = _checks()
    checks.begin("First", "What it is about.")
    checks.that(True, "it holds", 5)
    checks.begin("Second")
    checks.that(True, "so does this")
    assert checks.made == [
        Check("First", "it holds", True, "5"),
        Check("Second", "so does this", True, ""),
    ]
    told = output.getvalue()
    assert " 1  First" in told
    assert "What it is about." in told
    assert " 2  Second" in told
    assert "it holds (5)" in told


def test_all_held_needs_every_claim_and_at_least_one() -> None:
    """No claim proves nothing; one that failed is seen."""
    checks, output = _checks()
    assert not checks.all_held
    checks.that(True, "fine")
    assert checks.all_held
    checks.that(False, "broken")
    assert not checks.all_held
    assert "✘ broken" in output.getvalue()


def test_telling_claims_nothing() -> None:
    """A line of the story is no check."""
    checks, _ = _checks()
    checks.tell("once upon a time")
    assert checks.made == []
