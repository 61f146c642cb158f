"""`hansa index`: the clusters, and what a question costs."""

from typing import Any

import click

from hansa import rest
from hansa.cli.acting import Acting, acting
from hansa.cli.asking import build_question, question_options
from hansa.cli.show import bytes_text, print_fields, print_table


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
        ((item.label, item.rows, " ".join(item.words)) for item in view.cluster_list),
        none="no clusters",
    )


@index.command(
    "explain", epilog="\b\nExample:\n  hansa index explain bicycle counts --theme transport"
)
@question_options
@acting
def explain(acting: Acting, /, **options: Any) -> None:
    """Ask a question and show what each layer did with it."""
    question = build_question(**options)
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
    print_table(
        ("cluster", "why not"),
        ((item.cluster, item.reason) for item in told.refusals),
        none="no cluster refused",
    )
