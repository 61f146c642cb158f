"""`hansa block`: lists for people, whole digests in `show`, everything in JSON."""

from hansa import rest
from tests.unit.cli.conftest import TX, Desk, detail, erasure

DIGEST = "ab" * 32
SUMMARY = rest.BlockSummary(
    height=7, digest=DIGEST, time_ms=1_000, master="safety", round=1, epoch=0, transactions=1,
    erasures=1, signatures=3,
)  # fmt: skip


def _block(**more: object) -> rest.BlockDetail:
    values = {
        "summary": SUMMARY, "parent": "cd" * 32, "state_root": "ef" * 32,
        "super_nodes": ["health", "safety"], "next_super_nodes": ["health"],
        "signers": ["health"], "transactions": [detail()], "erasures": [erasure()],
        "findings": [],
    }  # fmt: skip
    return rest.BlockDetail(**(values | more))  # type: ignore[arg-type]


def test_ls_asks_for_a_page(desk: Desk) -> None:
    """Limit and height go with the question; the digest is short for people, whole for programs."""
    desk.answers["/v1/blocks"] = [SUMMARY]
    (told,) = desk.json("block", "ls", "--limit", "3", "--before", "9")
    assert desk.client.calls[0][1] == ({"limit": 3, "before": 9},)
    assert (told["height"], told["digest"], told["master"]) == (7, DIGEST, "safety")
    text = desk("block", "ls").stdout
    assert "1970-01-01 00:00:01" in text
    assert DIGEST not in text
    assert DIGEST[:12] in text


def test_show_tells_who_signed_and_what_was_erased(desk: Desk) -> None:
    """All of it stands in the text; an empty block says so."""
    desk.answers["/v1/blocks/7"] = _block()
    text = desk("block", "show", "7").stdout
    for word in (DIGEST, TX, "Grant", "Officer (health)", "accepted", "erased by"):
        assert word in text
    assert desk.json("block", "show", "7")["signers"] == ["health"]
    desk.answers["/v1/blocks/7"] = _block(transactions=[], erasures=[])
    empty = desk("block", "show", "7").stdout
    assert "no transactions" in empty
    assert "no erasures" in empty


def test_show_tells_a_refusal_with_its_code(desk: Desk) -> None:
    """A refused transaction says why."""
    desk.answers["/v1/blocks/7"] = _block(transactions=[detail(accepted=False, code="no-role")])
    assert "refused: no-role" in desk("block", "show", "7").stdout


def test_show_tells_who_rejected_what(desk: Desk) -> None:
    """What step 5 came to at the height before: who, which block, why, and whether it passed."""
    told = rest.FindingView(
        organisation="safety", height=6, round=0, code="copies", digest="cd" * 32,
        rejected=[f"{TX}: not-openable"], is_settled=True,
    )  # fmt: skip
    missing = rest.FindingView("health", 6, 1, "no-proposal", "00" * 32, [], is_settled=False)
    desk.answers["/v1/blocks/7"] = _block(findings=[told, missing])
    text = desk("block", "show", "7").stdout
    for word in ("rejected by", "safety", "copies", "not-openable", "yes", "none came"):
        assert word in text
    assert "rejected by" not in _shown(desk)
    assert TX in desk.json("block", "show", "7")["findings"][0]["rejected"][0]


def _shown(desk: Desk) -> str:
    before, desk.answers["/v1/blocks/7"] = desk.answers["/v1/blocks/7"], _block()
    text = desk("block", "show", "7").stdout
    desk.answers["/v1/blocks/7"] = before
    return text


def test_heights_begin_with_one(desk: Desk) -> None:
    """Height 0 is the genesis, which is no block."""
    assert desk("block", "show", "0").exit_code == 2
