"""Conviction: judging evidence about an execution by repeating it over its witness.

Upon evidence of whichever kind: the accused signed the word, and the word names this alliance. Upon a
word about an execution: the header it rests on is the one the chain remembers of the height before,
the witness is a part of that header's state, and the execution, repeated, contradicts the word. It is
the chain's own rules that are run (`Rules`), so a lie is what no honest node can have signed.

What a witness leaves open proves nothing. Evidence inside a block under judgement is followed
`EVIDENCE_NESTED_MAX` deep: deeper, the question stays open all the way out.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from hansa.chain.blocks import (
    Block,
    Header,
    has_matching_body,
    is_proposal_signed,
    is_vote_signed,
)
from hansa.chain.draft import Draft
from hansa.chain.evidence import (
    Basis,
    DoubleProposal,
    DoubleVote,
    Evidence,
    InvalidProposal,
    WrongFinding,
    WrongRefusal,
    WrongVote,
    height_of,
    is_proof,
)
from hansa.chain.findings import PROVABLE, is_finding_signed, is_finding_sound, is_refusal_signed
from hansa.chain.genesis import Genesis
from hansa.chain.state import State
from hansa.chain.transactions import Transaction, is_author_signature
from hansa.chain.witness import NOTHING, Recorder, Unproven, open_witness
from hansa.errors import InvalidError
from hansa.types import NO_DIGEST, Digest, Height, Millis


class TooDeep(Exception):  # noqa: N818 - an outcome, not a fault
    """Evidence within evidence within evidence: whether it proves anything is left open."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The chain's rules, one level further down."""

    validate: Callable[[State, Block, Header | None], object]
    """Raises InvalidError for an invalid block: `validation.validate_block`."""
    judge: Callable[[State, Transaction, Height, Millis], str]
    """Returns "" or why a transaction is refused: `transition.judge`."""


def is_convicted(evidence: Evidence, draft: Draft, rules: Rules) -> bool:
    """Tell whether evidence proves a lie.

    Raises:
        TooDeep: it holds a block with evidence that is itself nested too deep.
        Unproven: `draft` is over a witness that does not hold what is needed.
    """
    if isinstance(evidence, DoubleVote | DoubleProposal):
        return is_proof(evidence, draft.alliance)
    if not _is_signed(evidence, draft.alliance):
        return False
    height = height_of(evidence)
    trail = draft.trail(height - 1)
    parent = evidence.basis.parent
    if trail is None or trail != (draft.alliance if parent is None else parent.digest()):
        return False
    try:
        return _is_false(evidence, draft, rules)
    except Unproven:
        return False


def _is_signed(evidence: Evidence, alliance: Digest) -> bool:
    match evidence:
        case InvalidProposal(proposal):
            return proposal.alliance == alliance and is_proposal_signed(proposal)
        case WrongVote(signed):
            return signed.vote.alliance == alliance and is_vote_signed(signed)
        case WrongFinding(finding):
            return (
                finding.alliance == alliance
                and is_finding_sound(finding)
                and is_finding_signed(finding)
            )
        case WrongRefusal(refusal):
            return refusal.alliance == alliance and is_refusal_signed(refusal)
        case _:
            return False


def _is_false(evidence: Evidence, draft: Draft, rules: Rules) -> bool:
    """Repeat the execution that a signed word is about; the basis is known to be the chain's own."""
    match evidence:
        case InvalidProposal():
            is_false = _is_proposal_false(evidence, draft, rules)
        case WrongVote(signed, block, basis):
            named = signed.vote.digest
            is_false = _is_block(block, named) and not _is_valid(block, basis, draft, rules)
        case WrongFinding(finding, _, basis) | WrongRefusal(finding, _, basis) if (
            finding.state_root != _root_of(basis, draft)
        ):
            is_false = True
        case WrongFinding(finding, rejected, basis):
            is_false = (
                finding.code == "invalid"
                and rejected is not None
                and _is_block(rejected, finding.digest)
                and rejected.header.height == finding.height
                and _is_valid(rejected, basis, draft, rules)
            )
        case WrongRefusal(refusal, transaction, basis):
            is_false = (
                refusal.code in PROVABLE
                and transaction is not None
                and transaction.digest() == refusal.transaction
                and _is_acceptable(transaction, refusal.height, basis, draft, rules)
            )
        case _:
            is_false = False
    return is_false


def _is_proposal_false(evidence: InvalidProposal, draft: Draft, rules: Rules) -> bool:
    """Tell whether a master signed a block that is invalid, or one that cannot be its own."""
    proposal, header = evidence.word, evidence.block.header
    if not _is_block(evidence.block, proposal.digest):
        return False
    is_new = proposal.valid_round == -1
    if is_new and (header.round, header.master) != (proposal.round, proposal.master):
        return True
    return not _is_valid(evidence.block, evidence.basis, draft, rules)


def _is_block(block: Block, named: Digest) -> bool:
    """Tell whether this is the block that was named, header and body."""
    return block.header.digest() == named != NO_DIGEST and has_matching_body(block)


def _root_of(basis: Basis, draft: Draft) -> Digest:
    if basis.parent is not None:
        return basis.parent.state_root
    return _founding_state(draft.genesis).root


@lru_cache(maxsize=2)
def _founding_state(genesis: Genesis) -> State:
    return State.at_genesis(genesis)


def _state_of(basis: Basis, draft: Draft) -> State:
    if basis.parent is None:
        return _founding_state(draft.genesis)
    pairs = open_witness(basis.witness, basis.parent.state_root)
    return State(draft.genesis, draft.alliance, pairs)


def _is_valid(block: Block, basis: Basis, draft: Draft, rules: Rules) -> bool:
    try:
        rules.validate(_state_of(basis, draft), block, basis.parent)
    except InvalidError:
        return False
    return True


def _is_acceptable(
    transaction: Transaction, height: Height, basis: Basis, draft: Draft, rules: Rules
) -> bool:
    """Tell whether the state accepts a transaction; at its own time, for the reason holds at any."""
    return is_author_signature(transaction) and not judge_timelessly(
        _state_of(basis, draft), transaction, height, rules
    )


def judge_timelessly(state: State, transaction: Transaction, height: Height, rules: Rules) -> str:
    """Judge a transaction at its own time, for a reason out of `PROVABLE` holds at any."""
    time_ms = Millis(max(transaction.body.time_ms, state.time_ms + 1))
    return rules.judge(state, transaction, height, time_ms)


# --- making it ----------------------------------------------------------------------------------


def make_block_basis(state: State, parent: Header | None, block: Block, rules: Rules) -> Basis:
    """Return what the judgement on a block after `parent`, whose state is `state`, rests on."""
    return _make_basis(state, parent, lambda given: rules.validate(given, block, parent))


def make_refusal_basis(
    state: State, parent: Header | None, transaction: Transaction, rules: Rules
) -> Basis:
    """Return what the judgement on a transaction at the height after `state` rests on."""
    height = Height(state.height + 1)
    return _make_basis(
        state, parent, lambda given: judge_timelessly(given, transaction, height, rules)
    )


def _make_basis(state: State, parent: Header | None, run: Callable[[State], object]) -> Basis:
    if parent is None:
        return Basis(None, NOTHING)
    recorder = Recorder(state.pairs)
    with suppress(InvalidError):  # What an invalid block needs is what was looked at until then.
        run(State(state.genesis, state.alliance, recorder.pairs))
    return Basis(parent, recorder.witness())


def make_root_basis(parent: Header | None) -> Basis:
    """Return the basis of evidence for which the name of the state is enough."""
    return Basis(parent, NOTHING)
