"""`hansa index`: the clusters, and what a question costs."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hansa import rest
from hansa.cli.acting import Acting, acting
from hansa.cli.asking import build_question, question_options
from hansa.cli.show import bytes_text, print_fields, print_table
from hansa.errors import CorruptError

if TYPE_CHECKING:  # numpy and the node's parts are loaded by the one command that needs them
    from hansa.cli.trying.dump import Dump


@click.group()
def index() -> None:
    """Look at the index; explain a question."""


@index.command("stats", epilog="\b\nExample:\n  hansa index stats")
@acting
def stats(acting: Acting) -> None:
    """Show size, memory and clusters of the own node's index."""
    view = acting.run(lambda client: client.get("/v1/index", rest.IndexStats))
    if acting.as_json:
        acting.print_json(view)
        return
    print_fields(
        (
            ("height", view.height),
            ("digest", view.digest),
            ("datasets", view.datasets),
            ("clusters", view.clusters),
            ("bandwidth", view.bandwidth),
            ("memory", bytes_text(view.memory_bytes)),
            ("files", bytes_text(view.file_bytes)),
            ("rows not yet folded in", view.delta_rows),
        )
    )
    print_table(
        ("cluster", "datasets", "telling words"),
        ((item.label, item.rows, ", ".join(item.words)) for item in view.cluster_list),
        none="no clusters",
    )


@index.command(
    "explain", epilog="\b\nExample:\n  hansa index explain bicycle counts --theme transport"
)
@question_options
@click.option("--signed", is_flag=True, help="If nothing matches, have the node sign that.")
@acting
def explain(acting: Acting, /, *, signed: bool, **options: Any) -> None:
    """Ask a question and show what each layer did with it."""
    question = build_question(**options, signed=signed)
    answer = acting.run(lambda client: client.post("/v1/questions", question, rest.Answer))
    if acting.as_json:
        acting.print_json(answer)
        return
    told = answer.explanation
    print_fields(
        (
            ("matches", str(answer.total)),
            ("at height", answer.height),
            ("refused by", told.refused_by or "no layer"),
            ("clusters", f"{told.clusters} ({told.clusters_refused} refused)"),
            ("read from disk", "yes" if answer.read_from_disk else "no"),
            ("pages, rows, bytes", f"{told.pages_read}, {told.rows_read}, {told.bytes_read}"),
            ("discriminant table", f"{told.discriminant_us} µs"),
            ("cluster index", f"{told.cluster_us} µs"),
            ("data index", f"{told.data_us} µs"),
        )
    )
    if answer.absence:
        print_fields((("signed absence", answer.absence),))
    print_table(
        ("cluster", "why not"),
        ((item.cluster, item.reason) for item in told.refusals),
        none="no cluster refused",
    )


@index.command(
    "try",
    epilog="\b\nExamples:\n  hansa index try catalogue.jsonl.gz --questions 500 --seed 7"
    "\n  hansa index try catalogue.jsonl --ask questions.jsonl --json",
)
@click.argument("catalogue", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--questions",
    type=click.IntRange(0, 1_000_000),
    default=200,
    show_default=True,
    help="Draw so many from the seed.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="What the draw starts from.")
@click.option(
    "--ask",
    "asked",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Ask the questions of this file too, one a line.",
)
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw the clusters: a .png or .svg file.",
)
@acting
def try_(
    acting: Acting,
    /,
    *,
    catalogue: Path,
    questions: int,
    seed: int,
    asked: Path | None,
    picture: Path | None,
) -> None:
    """Build the three layers from a dump of descriptions, and compare answers with a naive scan.

    No alliance is needed. CATALOGUE has one JSON object a line, plain or gzip. Fails if an answer is
    wrong.
    """
    from hansa.cli.trying.dump import read_dump  # noqa: PLC0415 - see the head

    report = _try(read_dump(catalogue), questions, seed, asked, picture)
    if acting.as_json:
        acting.print_json(report)
    else:
        _print_trial(report)
    if report["answers_wrong"]:
        raise CorruptError(
            f"{report['answers_wrong']} answers differ from a naive scan.",
            remedy="Report it with the catalogue, --questions and --seed.",
        )


def _try(
    dump: "Dump", count: int, seed: int, asked: Path | None, picture: Path | None
) -> dict[str, Any]:
    """Return the report of one trial."""
    from hansa.bootstrap.opening import open_index_files  # noqa: PLC0415 - see the head
    from hansa.cli.trying.drawing import Drawing  # noqa: PLC0415
    from hansa.cli.trying.naive import NaiveScan  # noqa: PLC0415
    from hansa.cli.trying.picture import draw_picture  # noqa: PLC0415
    from hansa.cli.trying.run import Trial, read_questions  # noqa: PLC0415

    given = read_questions(asked) if asked is not None else []
    with tempfile.TemporaryDirectory(prefix="hansa-index-") as folder:
        trial = Trial(dump, open_index_files(Path(folder)))
        if picture is not None:
            draw_picture(picture, trial.dots())
        scan = NaiveScan(dump.records)
        answers, drawn = trial.ask_each(given, scan)
        drawn.extend(Drawing(scan, seed).questions(count))
        report = trial.describe() | {"seed": seed} | trial.ask_all(drawn, scan)
        if given:
            report["answers"] = answers
        trial.index.close()
    return report


def _print_trial(report: dict[str, Any]) -> None:
    sizes = report["cluster_sizes"]
    per_row = report["upper_layers_bytes_per_description"]
    print_fields(
        (
            (
                "descriptions",
                f"{report['descriptions']} ({report['lines_left_out']} lines left out)",
            ),
            ("clusters", f"{report['clusters']}, the largest {sizes[0] if sizes else 0}"),
            ("upper layers", f"{bytes_text(report['upper_layers_bytes'])} ({per_row} bytes each)"),
            ("data index", bytes_text(report["file_bytes"])),
            ("questions", report["questions"]),
            ("answers wrong", report["answers_wrong"]),
            ("rows read", f"{100 * report['rows_read_share']:.3f} % of all"),
            ("absent, refused unread", _percent(report["absent_refused_share"])),
            ("absent, bytes read", report["absent_bytes_read"]),
            ("time", f"{report['time_us_p50']} µs in the middle"),
            ("time, absent", f"{report['absent_time_us_p50']} µs in the middle"),
        )
    )
    print_table(
        ("cluster", "datasets", "telling words"),
        (
            (number, size, ", ".join(words))
            for number, (size, words) in enumerate(
                zip(sizes[:20], report["cluster_words"], strict=False), 1
            )
        ),
        none="no clusters",
    )
    for wrong in report["wrong"]:
        click.echo(f"wrong: {wrong}")


def _percent(share: float | None) -> str:
    return "none asked" if share is None else f"{100 * share:.2f} %"
