"""Tests of node.api.questions."""

import msgspec
import pytest

from hansa.errors import InvalidError
from hansa.index import question as asked
from hansa.index.absence import verify_absence
from hansa.node.api.questions import to_answer, to_question
from hansa.rest import Answer, IndexStats, Question
from hansa.types import Box, Height


def test_to_question() -> None:
    """Words, place, time and the rest reach the index in its own units."""
    found = to_question(
        Question(
            words='bus "ring road" tram*', bbox=[8.4, 47.3, 8.6, 47.5], from_ms=5, like="ab" * 16
        )
    )
    assert Box(8_400_000, 47_300_000, 8_600_000, 47_500_000) == found.box
    assert (("tram",), (("ring", "road"),)) == (found.prefixes, found.phrases)
    assert 5 == found.interval.start_ms < found.interval.end_ms
    assert bytes.fromhex("ab" * 16) == found.like
    assert to_question(Question()).interval is None
    near = to_question(Question(near=[8.5, 47.4, 500.0], id="cd" * 16))
    assert asked.Circle(8_500_000, 47_400_000, 500) == near.near
    assert bytes.fromhex("cd" * 16) == near.dataset


@pytest.mark.parametrize(
    "question",
    [
        Question(bbox=[1.0, 2.0, 3.0]),
        Question(bbox=[float("nan"), 0.0, 1.0, 1.0]),
        Question(bbox=[1e300, 0.0, 1.0, 1.0]),
        Question(like="xyz"),
        Question(id="xyz"),
        Question(near=[1.0, 2.0]),
        Question(near=[1.0, 2.0, float("nan")]),
        Question(words="x" * 10_000),
    ],
)
def test_nonsense(question: Question) -> None:
    """Impossible parts are refused."""
    with pytest.raises(InvalidError):
        to_question(question)


def test_to_answer() -> None:
    """What was read is told as it is; owners are organisations here."""
    told = asked.Explanation(
        clusters=3,
        refusals=(asked.Refusal("c", "no word"),) * 50,
        clusters_refused=60,
        bytes_read=7,
        refused_by="",
    )
    found = to_answer(asked.Answer(Height(9), 0, (), {"owner": {"health": 2}}, told))
    assert (9, True, 60, 50) == (
        found.height,
        found.read_from_disk,
        found.explanation.clusters_refused,
        len(found.explanation.refusals),
    )
    assert {"organisation": {"health": 2}} == found.facets


async def test_calls(live) -> None:
    """An empty index answers without reading; features of a wrong length are refused."""
    answer = await live.call("POST", "/v1/questions", json={"words": "nowhere"})
    assert answer[0] == 200
    stats = await live.get("/v1/index", IndexStats)
    assert (0, 0) == (stats.datasets, len(stats.cluster_list))
    status, body, _ = await live.call("POST", "/v1/index/nearest", json={"features": []})
    assert status in {200, 400}, body


async def test_a_signed_absence(live) -> None:
    """Nothing there, under the node's signature: alliance, height and digest of the index are named."""
    status, body, _ = await live.call(
        "POST", "/v1/questions", json={"words": "lighthouse", "signed": True}
    )
    assert 200 == status
    answer = msgspec.json.decode(body, type=Answer)
    stats = await live.get("/v1/index", IndexStats)
    absence = verify_absence(bytes.fromhex(answer.absence), live.services.alliance)
    assert (stats.digest, stats.height) == (absence.index_digest.hex(), absence.height)
    assert live.services.key.public == absence.node_key
    plain = await live.call("POST", "/v1/questions", json={"words": "lighthouse"})
    assert "" == msgspec.json.decode(plain[1], type=Answer).absence
