"""Reports of misdeeds."""

import msgspec

from hansa.chain.blocks import Proposal, Vote, sign_proposal, sign_vote
from hansa.chain.evidence import is_proof
from hansa.consensus.effects import Accuse, ReportFault
from hansa.consensus.faults import REPORTS_PER_HEIGHT_MAX, FaultLog
from hansa.types import NO_DIGEST, PublicKey


def test_each_is_reported_once_a_height(context) -> None:
    """A peer cannot fill the operator's log."""
    faults, who = FaultLog(context), context.super_peers()[0]
    faults.report("malformed", who, "a")
    faults.report("malformed", who, "b")
    assert ["a"] == [item.detail for item in context.take_effects()]
    context.height += 1
    faults.report("malformed", who, "c")
    assert ["c"] == [item.detail for item in context.take_effects()]


def test_reports_are_bounded(context) -> None:
    """However many peers misbehave."""
    faults = FaultLog(context)
    for number in range(2 * REPORTS_PER_HEIGHT_MAX):
        faults.report("malformed", PublicKey(number.to_bytes(32, "big")), "")
    assert REPORTS_PER_HEIGHT_MAX == len(context.take_effects())


def test_a_lie_is_reported_with_its_proof(context) -> None:
    """Once a height: what the operator reads, and what the chain can check."""
    vote = Vote(context.alliance, 0, 1, 0, "review", bytes([1]) * 32)
    nil = msgspec.structs.replace(vote, digest=NO_DIGEST)
    faults = FaultLog(context)
    for _ in range(2):
        faults.two_votes(sign_vote(vote, context.key), sign_vote(nil, context.key))
    report, accuse = context.take_effects()
    assert isinstance(report, ReportFault)
    assert isinstance(accuse, Accuse)
    assert ("equivocation", context.node) == (report.kind, report.who)
    assert is_proof(accuse.evidence, context.alliance)


def test_two_proposals_are_proof(context) -> None:
    """Whatever the blocks are."""
    first = Proposal(context.alliance, 0, 1, 0, -1, bytes([1]) * 32, context.node, b"")
    second = msgspec.structs.replace(first, digest=bytes([2]) * 32)
    faults = FaultLog(context)
    faults.two_proposals(sign_proposal(first, context.key), sign_proposal(second, context.key))
    report, accuse = context.take_effects()
    assert "double-proposal" == report.kind
    assert is_proof(accuse.evidence, context.alliance)


def test_who_is_expelled_is_accused_no_more(context, monkeypatch) -> None:
    """The chain knows already; the operator still reads of it."""
    member = context.state.organisation_by_node_key(context.node)
    expelled = msgspec.structs.replace(member, expelled_height=1)
    monkeypatch.setattr(type(context.state), "organisation_by_node_key", lambda *_: expelled)
    vote = Vote(context.alliance, 0, 1, 0, "review", bytes([1]) * 32)
    other = msgspec.structs.replace(vote, digest=bytes([2]) * 32)
    FaultLog(context).two_votes(sign_vote(vote, context.key), sign_vote(other, context.key))
    (report,) = context.take_effects()
    assert isinstance(report, ReportFault)
