"""`hansa index`: the clusters, and what each layer did with a question."""

import json
from pathlib import Path

from hansa import rest
from tests.unit.cli.conftest import ID, Desk

STATS = rest.IndexStats(
    height=9, digest="ab" * 32, datasets=3, clusters=1, bandwidth=34, memory_bytes=2048,
    file_bytes=0, delta_rows=1,
    cluster_list=[rest.ClusterView(label="c1", rows=2, words=["bus", "stop"])],
)  # fmt: skip


def _answer(*refusals: rest.ClusterRefusal, refused_by: str = "") -> rest.Answer:
    told = rest.Explanation(
        clusters=2, clusters_refused=len(refusals), refusals=list(refusals), refused_by=refused_by,
        pages_read=1, rows_read=2, bytes_read=3, discriminant_us=4, cluster_us=5, data_us=6,
    )  # fmt: skip
    return rest.Answer(
        height=9, total=0, matches=[], facets={}, read_from_disk=False, explanation=told
    )


def test_stats(desk: Desk) -> None:
    """Figures and the clusters with their words."""
    desk.answers["/v1/index"] = STATS
    text = desk("index", "stats").stdout
    assert "2.0 KiB" in text
    assert "bus, stop" in text
    assert desk.json("index", "stats")["cluster_list"][0]["label"] == "c1"


def test_explain_tells_each_layer(desk: Desk) -> None:
    """Who refused, what was read, how long each layer took, why a cluster was left out."""
    desk.answers["/v1/questions"] = _answer(
        rest.ClusterRefusal(cluster="c1", reason="no such word")
    )
    text = desk("index", "explain", "bicycle", "--format", "csv").stdout
    for word in ("no layer", "2 (1 refused)", "4 µs", "6 µs", "no such word"):
        assert word in text
    assert desk.client.calls[0][1][0].format == "csv"
    desk.answers["/v1/questions"] = _answer(refused_by="discriminant table")
    assert "discriminant table" in desk("index", "explain", "volcano").stdout
    assert desk.json("index", "explain", "--like", ID)["explanation"]["rows_read"] == 2


def test_try(desk: Desk, tmp_path: Path) -> None:
    """A catalogue is indexed, asked and drawn without an alliance; figures come as JSON."""
    lines = [
        json.dumps({"id": n, "title": f"Trees of street {n}", "theme": [f"t{n % 3}"]})
        for n in range(40)
    ]
    (tmp_path / "c.jsonl").write_text("\n".join(lines))
    (tmp_path / "q.txt").write_text("trees\nvolcano\n")
    picture = str(tmp_path / "c.svg")
    command = ("index", "try", str(tmp_path / "c.jsonl"), "--questions", "30", "--picture", picture)
    report = desk.json(*command, "--seed", "7", "--ask", str(tmp_path / "q.txt"))
    assert (0, 32, 40) == (
        report["answers_wrong"],
        report["questions"],
        sum(report["cluster_sizes"]),
    )
    assert [40, 0] == [answer["total"] for answer in report["answers"]]
    assert Path(picture).read_text().startswith("<svg")
    assert "answers wrong" in desk(*command).stdout
