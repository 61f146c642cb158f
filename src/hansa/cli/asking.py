"""The parts of a question to the index, as options; shared by `dataset find` and `index explain`."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from hansa.cli.values import BOX, FROM, ID, TO
from hansa.rest import Question

_OPTIONS = (
    click.argument("words", nargs=-1),
    click.option("--bbox", type=BOX, help="Covers some of this box, in degrees."),
    click.option(
        "--near",
        type=(float, float, float),
        default=None,
        metavar="LON LAT METRES",
        help="Covers a place so near to this one.",
    ),
    click.option("--from", "from_ms", type=FROM, help="Covers some time from then on."),
    click.option("--to", "to_ms", type=TO, help="Covers some time up to then."),
    click.option("--theme", default="", help="Has this theme."),
    click.option("--format", "format_", default="", help="Has files of this format: csv, geojson…"),
    click.option("--organisation", default="", help="Published by this organisation."),
    click.option("--title", "title", default="", help="Has exactly this title."),
    click.option("--id", "id_", type=ID, default=None, help="Is this dataset."),
    click.option("--like", type=ID, default=None, help="Like this dataset; the nearest first."),
    click.option(
        "--limit",
        type=click.IntRange(1, 1000),
        default=20,
        show_default=True,
        help="At most so many.",
    ),
    click.option(
        "--offset", type=click.IntRange(0), default=0, help="Leave out the first so many."
    ),
)


def question_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a question to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def build_question(
    *,
    words: Sequence[str],
    format_: str,
    like: str | None,
    id_: str | None,
    near: tuple[float, float, float] | None,
    **parts: Any,
) -> Question:
    """Return the question that the options ask.

    A word given with spaces inside (quoted in the shell) is a phrase.
    """
    texts = (f'"{word}"' if " " in word and '"' not in word else word for word in words)
    place = list(near) if near is not None else None
    return Question(
        words=" ".join(texts), format=format_, like=like or "", id=id_ or "", near=place, **parts
    )
