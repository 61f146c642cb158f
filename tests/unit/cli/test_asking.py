"""The options of a question."""

from typing import Any

import click
from click.testing import CliRunner

from hansa.cli.asking import build_question, question_options
from hansa.rest import Question


def _ask(*arguments: str) -> Question:
    asked: list[Question] = []

    @click.command()
    @question_options
    def command(**options: Any) -> None:
        asked.append(build_question(**options))

    done = CliRunner().invoke(command, list(arguments))
    assert done.exit_code == 0, done.output
    return asked[0]


def test_every_part_reaches_the_question() -> None:
    """Words, place, time, theme, format, likeness."""
    like = "ab" * 16
    question = _ask(
        "bus", "night stops", "--bbox", "1,2,3,4", "--from", "1970-01-01", "--to", "1970-01-01",
        "--theme", "transport", "--format", "csv", "--organisation", "city", "--like", like,
    )  # fmt: skip
    assert question == Question(
        words='bus "night stops"',
        bbox=[1.0, 2.0, 3.0, 4.0],
        from_ms=0,
        to_ms=86_399_999,
        theme="transport",
        format="csv",
        organisation="city",
        like=like,
    )


def test_nothing_asked_is_everything() -> None:
    """Without options the question has no condition."""
    assert _ask() == Question()
