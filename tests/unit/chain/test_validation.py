"""Blocks: what is built is valid; every field changed is refused."""

import msgspec
import pytest

from hansa import limits
from hansa.chain.blocks import Block, Result, body_roots, has_matching_body
from hansa.chain.transactions import RetireDataset, SuspendOrganisation, VoteSuperNodes
from hansa.chain.validation import build_block, validate_block
from hansa.codec import decode, encode
from hansa.errors import InvalidError

VOTE = VoteSuperNodes(("health",))


@pytest.fixture
def busy(alliance):
    """Return an alliance with a block, and the next block with everything in it."""
    alliance.commit(alliance.sign("health", VOTE))
    block = alliance.build(
        alliance.sign("energy", VOTE),
        alliance.sign("energy", RetireDataset(bytes(16))),
        erasures=(alliance.erasure("energy", 1), alliance.erasure("health", 1)),
    )
    return alliance, block


def test_a_built_block_is_valid(busy) -> None:
    """Another node derives the same execution from the block's bytes."""
    alliance, block = busy
    received = decode(Block, encode(block))
    execution = validate_block(alliance.state, received, alliance.header)
    assert ("", "unknown-dataset") == tuple(result.code for result in execution.results)
    assert block.header.state_root == alliance.state.advanced(execution).root
    assert has_matching_body(block)
    assert (2, 3) == (block.header.transaction_count, block.header.total_transactions)


@pytest.mark.parametrize(
    "change",
    [
        {"alliance": bytes(32)},
        {"height": 1},
        {"height": 3},
        {"round": -1},
        {"round": 1_000_001},
        {"epoch": 1},
        {"parent": bytes(32)},
        {"time_ms": 1_700_000_001_000},  # the parent's
        {"time_ms": 0},
        {"time_ms": 2**62},
        {"master": bytes(32)},
        {"transactions_root": bytes(32)},
        {"results_root": bytes(32)},
        {"erasures_root": bytes(32)},
        {"state_root": bytes(32)},
        {"index_root": bytes([1]) * 32},
        {"super_nodes": ()},
        {"next_super_nodes": ()},
        {"transaction_count": 3},
        {"total_transactions": 4},
    ],
)
def test_every_header_field_is_checked(busy, change: dict) -> None:
    """No field can be another than derived."""
    alliance, block = busy
    wrong = msgspec.structs.replace(block, header=msgspec.structs.replace(block.header, **change))
    with pytest.raises(InvalidError):
        validate_block(alliance.state, wrong, alliance.header)


def test_the_master_is_a_super_node(busy, kit) -> None:
    """An ordinary node's block is refused even if all else fits."""
    alliance, block = busy
    stranger = kit.key("transport node").public
    built, _ = build_block(
        alliance.state,
        alliance.header,
        master=stranger,
        round=0,
        time_ms=block.header.time_ms,
        transactions=(),
        erasures=(),
    )
    with pytest.raises(InvalidError, match="master"):
        validate_block(alliance.state, built, alliance.header)


def reheaded(block, **body):
    """Return a block with another body and the roots that belong to it."""
    changed = msgspec.structs.replace(block, **body)
    roots = body_roots(changed.transactions, changed.results, changed.erasures)
    header = msgspec.structs.replace(
        block.header,
        transactions_root=roots[0],
        results_root=roots[1],
        erasures_root=roots[2],
        transaction_count=len(changed.transactions),
    )
    return msgspec.structs.replace(changed, header=header)


def test_a_changed_body_is_refused(busy) -> None:
    """Other results, a missing or repeated transaction, foreign or repeated acknowledgements."""
    alliance, block = busy
    first, second = block.transactions
    forged = msgspec.structs.replace(first, signature=second.signature)
    bodies = (
        {"results": (Result(True, ""), Result(True, ""))},
        {"results": block.results[:1]},
        {"transactions": (first,), "results": block.results[:1]},
        {"transactions": (second, first)},
        {"transactions": (first, first)},
        {"transactions": (forged, second)},
        {"erasures": (block.erasures[0], block.erasures[0])},
        {"erasures": (alliance.erasure("transport", 1),)},
        {"erasures": ()},
    )
    for body in bodies:
        with pytest.raises(InvalidError):
            validate_block(alliance.state, reheaded(block, **body), alliance.header)


def test_results_beside_a_true_header_are_refused(busy) -> None:
    """The results in the body are compared, not only their root in the header."""
    alliance, block = busy
    for results in ((Result(True, ""), Result(True, "")), block.results[:1], ()):
        wrong = msgspec.structs.replace(block, results=results)
        with pytest.raises(InvalidError, match="results"):
            validate_block(alliance.state, wrong, alliance.header)


def test_signatures_are_checked_unless_known(busy) -> None:
    """A forged author is found; a digest this node verified before is not checked again."""
    alliance, _ = busy
    forged = msgspec.structs.replace(alliance.sign("energy", VOTE), signature=bytes(64))
    block = alliance.build(forged)
    assert ("",) == tuple(result.code for result in block.results)
    with pytest.raises(InvalidError, match="did not sign"):
        validate_block(alliance.state, block, alliance.header)
    validate_block(alliance.state, block, alliance.header, verified={forged.digest()})


def test_building_leaves_out_what_no_block_may_carry(busy) -> None:
    """Replays, expired ones and invalid acknowledgements do not stop a master."""
    alliance, _ = busy
    taken = alliance.blocks[0].block.transactions[0]
    good = alliance.sign("energy", VOTE)
    dead = alliance.sign("energy", VOTE, expires=1)
    block = alliance.build(
        taken,
        good,
        good,
        dead,
        erasures=(
            alliance.erasure("energy", 1),
            alliance.erasure("energy", 1),
            alliance.erasure("safety", 1),
            alliance.erasure("transport", 1),
        ),
    )
    assert (good,) == block.transactions
    assert ("energy",) == tuple(
        alliance.state.organisation_by_node_key(item.super_node).name for item in block.erasures
    )
    validate_block(alliance.state, block, alliance.header)


def test_such_a_block_is_refused(busy) -> None:
    """A master that carries a replay all the same makes an invalid block."""
    alliance, block = busy
    taken = alliance.blocks[0].block.transactions[0]
    wrong = reheaded(block, transactions=(taken,), results=(Result(False, "replayed"),))
    with pytest.raises(InvalidError, match="no block may carry"):
        validate_block(alliance.state, wrong, alliance.header)


def test_blocks_are_bounded(kit) -> None:
    """Count and bytes: building stops at the bound, a longer block is refused."""
    small = msgspec.structs.replace(kit.PARAMETERS, block_transactions_max=2)
    alliance = kit.Alliance(kit.make_genesis(small))
    transactions = [alliance.sign("health", VOTE) for _ in range(3)]
    block = alliance.build(*transactions)
    assert 2 == len(block.transactions)
    longer = reheaded(block, transactions=tuple(transactions), results=(Result(True, ""),) * 3)
    with pytest.raises(InvalidError, match="too many transactions"):
        validate_block(alliance.state, longer, None)


def test_bytes_of_a_block_are_bounded(kit) -> None:
    """Three transactions of 256 KiB do not fit into 512 KiB; the third waits."""
    small = msgspec.structs.replace(kit.PARAMETERS, block_bytes_max=512 * 1024)
    alliance = kit.Alliance(kit.make_genesis(small))
    large = SuspendOrganisation("energy", "x" * 200 * 1024)
    transactions = [alliance.sign("health", large) for _ in range(3)]
    block = alliance.build(*transactions)
    assert 2 == len(block.transactions)
    longer = reheaded(
        block, transactions=tuple(transactions), results=(Result(False, "malformed-reason"),) * 3
    )
    with pytest.raises(InvalidError, match="too long"):
        validate_block(alliance.state, longer, None)


def test_time_moves_on(alliance) -> None:
    """A master whose clock is behind still makes a later block."""
    block, _ = build_block(
        alliance.state,
        None,
        master=alliance.state.super_nodes()[0],
        round=0,
        time_ms=5,
        transactions=(),
        erasures=(),
    )
    assert alliance.state.time_ms + 1 == block.header.time_ms
    validate_block(alliance.state, block, None)


def test_the_parent_is_the_states(busy) -> None:
    """A parent of another height is refused."""
    alliance, block = busy
    with pytest.raises(InvalidError):
        validate_block(alliance.state, block, None)


def test_acknowledgements_of_a_block_are_bounded(busy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building stops at the bound; a block with more is refused."""
    alliance, block = busy
    assert 2 == len(block.erasures)
    monkeypatch.setattr(limits, "ERASURES_PER_BLOCK_MAX", 1)
    with pytest.raises(InvalidError, match="too many acknowledgements"):
        validate_block(alliance.state, block, alliance.header)
    assert block.erasures[:1] == alliance.build(erasures=block.erasures).erasures


def test_an_overlong_transaction_does_not_stop_those_behind_it(
    alliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left out; the next is taken."""
    short = alliance.sign("health", VOTE)
    long = alliance.sign("health", SuspendOrganisation("energy", "x" * 500))
    monkeypatch.setattr(limits, "TRANSACTION_BYTES_MAX", len(encode(short)))
    assert (short,) == alliance.build(long, short).transactions
