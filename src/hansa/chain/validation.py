"""Building a block and checking one: every field of a header is derived anew, nothing is believed.

What rests on a clock (a time too far ahead) is the reviewer's to judge in `consensus`; what is here
has one answer at every node.
"""

from collections.abc import Collection, Sequence

from hansa import limits
from hansa.chain import transition
from hansa.chain.blocks import Block, Erasure, Header, body_roots
from hansa.chain.conviction import Rules, TooDeep, is_convicted
from hansa.chain.draft import Draft
from hansa.chain.evidence import Evidence, Pair
from hansa.chain.findings import Finding, is_finding_signed, is_finding_sound
from hansa.chain.genesis import Parameters
from hansa.chain.reasons import NEVER_IN_BLOCK
from hansa.chain.standing import is_erasure_valid
from hansa.chain.state import State
from hansa.chain.transactions import Transaction, is_author_signature
from hansa.chain.transition import Convict, Execution, execute
from hansa.codec import encode
from hansa.errors import InvalidError
from hansa.types import NO_DIGEST, Digest, Height, Millis, PublicKey, Round


def convict_at(depth: int) -> Convict:
    """Return the judge of evidence in a block that is itself `depth` levels inside evidence."""

    def convict(evidence: Evidence, draft: Draft) -> bool:
        if depth >= limits.EVIDENCE_NESTED_MAX and not isinstance(evidence, Pair):
            raise TooDeep
        try:
            return is_convicted(evidence, draft, _rules_at(depth + 1))
        except TooDeep:
            if depth:
                raise
            return False

    return convict


def _rules_at(depth: int) -> Rules:
    return Rules(
        lambda state, block, parent: validate_block(state, block, parent, depth=depth),
        lambda state, transaction, height, time_ms: transition.judge(
            state, transaction, height=height, time_ms=time_ms, convict=convict_at(depth)
        ),
    )


RULES = _rules_at(0)
"""The chain's rules as they are, for who makes evidence."""
NESTED_RULES = _rules_at(1)
"""The same as a judge of evidence applies them to what it is about: raises TooDeep where none follows."""


def judge(state: State, transaction: Transaction, *, height: Height, time_ms: Millis) -> str:
    """Return what execution would say about one transaction alone: "" or a reason code.

    Args:
        state: the newest.
        transaction: with a checked signature.
        height: of the block it may go into; `state.height` + 1 or, for intake, later.
        time_ms: the time that block would have.
    """
    return RULES.judge(state, transaction, height, time_ms)


def validate_erasures(
    state: State, erasures: Sequence[Erasure], height: Height, parent: Digest
) -> None:
    """Check the acknowledgements of a block at `height` against the state before it.

    Raises:
        InvalidError: too many, twice the same, of a stranger, for a wrong height, wrongly signed.
    """
    if len(erasures) > limits.ERASURES_PER_BLOCK_MAX:
        raise InvalidError("A block carries too many acknowledgements of erasures.")
    if len({_slot(erasure) for erasure in erasures}) != len(erasures):
        raise InvalidError("A block carries the same acknowledgement twice.")
    for erasure in erasures:
        if not is_erasure_valid(state, erasure, height, parent):
            raise InvalidError(f"An acknowledgement for height {erasure.height} is not valid.")


def is_finding_recordable(state: State, finding: Finding) -> bool:
    """Tell whether the block after `state` may carry a finding: one about the height before."""
    election = state.election
    is_of_epoch = finding.height >= election.first_height
    chosen = election.super_nodes if is_of_epoch else election.previous_super_nodes
    return (
        finding.height == state.height
        and finding.alliance == state.alliance
        and finding.reviewer in chosen
        and len(encode(finding)) <= limits.FINDING_BYTES_MAX
        and is_finding_sound(finding)
        and is_finding_signed(finding)
    )


def validate_findings(state: State, findings: Sequence[Finding]) -> None:
    """Check the findings of the block after `state`.

    Raises:
        InvalidError: too many, out of order, twice of one round, of a stranger, wrongly signed.
    """
    slots = [(finding.round, finding.reviewer) for finding in findings]
    if len(slots) > limits.FINDINGS_PER_BLOCK_MAX or slots != sorted(set(slots)):
        raise InvalidError("A block carries too many findings, or not in their order.")
    if not all(is_finding_recordable(state, finding) for finding in findings):
        raise InvalidError("A block carries a finding that is not valid.")


def build_block(
    state: State,
    parent: Header | None,
    *,
    master: PublicKey,
    round: Round,  # noqa: A002 - the field's name in the header
    time_ms: Millis,
    transactions: Sequence[Transaction],
    erasures: Sequence[Erasure],
    findings: Sequence[Finding] = (),
) -> tuple[Block, Execution]:
    """Build the block after `state`, leaving out what no block may carry or has no room.

    Args:
        state: the state after the parent.
        parent: header of the last block; None at height 1.
        master: who proposes.
        round: in which it is first proposed.
        time_ms: moved to just after the parent's if it is not later.
        transactions: with checked signatures, oldest first; the block's may be fewer.
        erasures: known acknowledgements; those not valid here are left out.
        findings: of the height before, in order, valid ones (`is_finding_recordable`).
    """
    height = Height(state.height + 1)
    time_ms = Millis(max(time_ms, state.time_ms + 1))
    chosen = _fitting(state.genesis.parameters, transactions)
    fresh: dict[tuple[bytes, int, int], Erasure] = {}
    for erasure in erasures:
        if len(fresh) == limits.ERASURES_PER_BLOCK_MAX:
            break
        if _slot(erasure) not in fresh and is_erasure_valid(
            state, erasure, height, parent_digest(state, parent)
        ):
            fresh[_slot(erasure)] = erasure
    held = tuple(fresh.values())

    def run() -> Execution:
        return execute(
            state,
            height=height,
            time_ms=time_ms,
            parent=parent_digest(state, parent),
            transactions=chosen,
            erasures=held,
            convict=convict_at(0),
        )

    execution = run()
    if any(result.code in NEVER_IN_BLOCK for result in execution.results):
        # Those changed nothing, so the others' results stay; only their places move.
        paired = zip(chosen, execution.results, strict=True)
        chosen = tuple(item for item, result in paired if result.code not in NEVER_IN_BLOCK)
        execution = run()
    header = _derive_header(
        state,
        parent,
        execution,
        proposed=(master, round, time_ms),
        roots=body_roots(chosen, execution.results, held, tuple(findings)),
    )
    return Block(header, chosen, execution.results, held, tuple(findings)), execution


def validate_block(
    state: State,
    block: Block,
    parent: Header | None,
    *,
    verified: Collection[Digest] = frozenset(),
    depth: int = 0,
) -> Execution:
    """Check a block against the state after its parent; return its execution for `State.advanced`.

    Args:
        state: the state after the parent.
        block: as decoded; its certificate is checked by who takes it in.
        parent: header of the block before; None at height 1.
        verified: digests of transactions whose signatures this node has checked already.
        depth: how deep inside evidence the block is; 0 for a block of the chain.

    Raises:
        TooDeep: it carries evidence nested deeper than is followed; never at depth 0.
        InvalidError: any field is not what it must be; the message names it.
    """
    header = block.header
    _check_fields(state, header)
    _check_size(state.genesis.parameters, block)
    validate_erasures(state, block.erasures, header.height, parent_digest(state, parent))
    validate_findings(state, block.findings)
    for transaction in block.transactions:
        if transaction.digest() not in verified and not is_author_signature(transaction):
            raise InvalidError("A block carries a transaction that its author did not sign.")
    execution = execute(
        state,
        height=header.height,
        time_ms=header.time_ms,
        parent=parent_digest(state, parent),
        transactions=block.transactions,
        erasures=block.erasures,
        convict=convict_at(depth),
    )
    if any(result.code in NEVER_IN_BLOCK for result in execution.results):
        raise InvalidError("A block carries a transaction that no block may carry.")
    if execution.results != block.results:
        raise InvalidError("A block's results are not what execution gives.")
    derived = _derive_header(
        state,
        parent,
        execution,
        proposed=(header.master, header.round, header.time_ms),
        roots=block.body_roots,
    )
    if derived != header:
        wrong = [
            name
            for name in header.__struct_fields__
            if getattr(derived, name) != getattr(header, name)
        ]
        raise InvalidError(f"A block's header is wrong in: {', '.join(wrong)}.")
    return execution


def parent_digest(state: State, parent: Header | None) -> Digest:
    """Return what a block after `parent` names as its parent."""
    return state.alliance if parent is None else parent.digest()


def _check_fields(state: State, header: Header) -> None:
    """Check what cannot be derived but has bounds."""
    if header.height != state.height + 1:
        raise InvalidError(f"Block {header.height} does not follow height {state.height}.")
    if header.master not in state.super_nodes():
        raise InvalidError("A block's master is not a super node of its height.")
    if not 0 <= header.round <= limits.ROUND_MAX:
        raise InvalidError("A block's round is out of its bounds.")
    if not state.time_ms < header.time_ms < 2**62:
        raise InvalidError("A block's time is not later than its parent's.")


def _check_size(parameters: Parameters, block: Block) -> None:
    if len(block.transactions) > parameters.block_transactions_max:
        raise InvalidError("A block carries too many transactions.")
    total = 0
    for transaction in block.transactions:
        size = len(transaction.canonical)
        total += size
        if size > limits.TRANSACTION_BYTES_MAX or total > parameters.block_bytes_max:
            raise InvalidError("A block's transactions are too long.")


def _fitting(
    parameters: Parameters, transactions: Sequence[Transaction]
) -> tuple[Transaction, ...]:
    """Return the first transactions that a block has room for."""
    fitting: list[Transaction] = []
    room = parameters.block_bytes_max
    for transaction in transactions[: parameters.block_transactions_max]:
        size = len(transaction.canonical)
        if size > limits.TRANSACTION_BYTES_MAX:
            continue
        if size > room:
            break
        room -= size
        fitting.append(transaction)
    return tuple(fitting)


def _slot(erasure: Erasure) -> tuple[bytes, int, int]:
    return (erasure.super_node, erasure.height, erasure.round)


def _derive_header(
    state: State,
    parent: Header | None,
    execution: Execution,
    *,
    proposed: tuple[PublicKey, Round, Millis],
    roots: tuple[Digest, Digest, Digest],
) -> Header:
    """Return the only header that these contents can have."""
    if (parent.height if parent else 0) != state.height:
        raise InvalidError("The parent is not the block of the state's height.")
    master, in_round, time_ms = proposed
    return Header(
        format=1,
        alliance=state.alliance,
        height=execution.height,
        round=in_round,
        epoch=state.epoch(),
        parent=parent_digest(state, parent),
        time_ms=time_ms,
        master=master,
        transactions_root=roots[0],
        results_root=roots[1],
        erasures_root=roots[2],
        state_root=execution.state_root,
        index_root=NO_DIGEST,
        super_nodes=state.super_nodes(),
        next_super_nodes=execution.next_super_nodes,
        transaction_count=len(execution.results),
        total_transactions=execution.total_transactions,
    )
