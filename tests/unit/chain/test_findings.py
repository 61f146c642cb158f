"""Findings and refusals: signed whole, of bounded form; which reasons can be proved false."""

import msgspec
import pytest

from hansa import limits
from hansa.chain.findings import (
    PROVABLE,
    Finding,
    Refusal,
    Verdict,
    is_finding_signed,
    is_finding_sound,
    is_refusal_signed,
    sign_finding,
    sign_refusal,
)
from hansa.chain.reasons import REASONS

VERDICT = Verdict(b"t" * 32, "reseal")


@pytest.fixture
def finding(kit) -> Finding:
    """Return a reviewer's finding."""
    reviewer = kit.key("energy node")
    plain = Finding(
        b"a" * 32, 2, 0, b"s" * 32, b"d" * 32, "copies", (VERDICT,), reviewer.public, b""
    )
    return sign_finding(plain, reviewer)


def test_a_finding_is_signed_whole(finding) -> None:
    """Height, state, block, reason and verdicts: its reviewer answers for each."""
    assert is_finding_signed(finding)
    for change in (
        {"alliance": bytes(32)},
        {"height": 3},
        {"round": 1},
        {"state_root": bytes(32)},
        {"digest": bytes(32)},
        {"code": "invalid"},
        {"verdicts": ()},
        {"reviewer": bytes(32)},
    ):
        assert not is_finding_signed(msgspec.structs.replace(finding, **change))


def test_the_form_of_a_finding(finding) -> None:
    """Sizes are bounded; verdicts stand beside the one reason that needs them."""
    assert is_finding_sound(finding)
    assert is_finding_sound(msgspec.structs.replace(finding, code="invalid", verdicts=()))
    long = Verdict(b"t" * 32, "x" * (limits.CODE_CHARACTERS_MAX + 1))
    for change in (
        {"round": -1},
        {"round": limits.ROUND_MAX + 1},
        {"state_root": b""},
        {"digest": bytes(31)},
        {"code": "locked"},
        {"verdicts": (VERDICT,) * (limits.BLOCK_TRANSACTIONS_MAX + 1)},
        {"verdicts": (long,)},
        {"verdicts": (Verdict(b"t", "reseal"),)},
    ):
        assert not is_finding_sound(msgspec.structs.replace(finding, **change))


def test_a_refusal_is_signed_whole(kit) -> None:
    """Transaction, code, height and state root are part of what the refuser answers for."""
    key = kit.key("energy node")
    plain = Refusal(b"a" * 32, b"t" * 32, "role-missing", 2, b"s" * 32, key.public, b"")
    refusal = sign_refusal(plain, key)
    assert is_refusal_signed(refusal)
    for change in (
        {"alliance": bytes(32)},
        {"transaction": bytes(32)},
        {"code": "replayed"},
        {"height": 3},
        {"state_root": bytes(32)},
        {"refuser": bytes(32)},
    ):
        assert not is_refusal_signed(msgspec.structs.replace(refusal, **change))


def test_reasons_that_rest_on_a_copy_a_clock_or_a_disk_prove_nothing() -> None:
    """An honest node may give them wrongly: it answers for none of them."""
    assert set(REASONS) >= PROVABLE
    depends = {
        "malformed",  # of the sealed form
        "expired",  # by the sealed form's word
        "time-window",
        "reseal",
        "not-openable",
        "confidential-mismatch",
        "copy-missing",
        "busy",
        "attestation-expired",
        "policy-prohibits",
        "policy-denies",
        "expiry-passed",
        "too-many-grants",
    }
    assert set() == depends & PROVABLE
