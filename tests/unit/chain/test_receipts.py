"""Receipts: verified with the genesis alone, over changes of the set; any changed byte is refused."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.chain.receipts import (
    CertifiedHeader,
    Receipt,
    build_receipt,
    compare_receipts,
    verify_receipt,
)
from hansa.chain.transactions import RetireDataset, VoteSuperNodes
from hansa.codec import decode, encode
from hansa.errors import ForkError, InvalidError

NEW = ("health", "planning", "safety", "transport")


@pytest.fixture(scope="module")
def world(kit):
    """Return an alliance whose set changed twice, and the receipt of a later transaction."""
    alliance = kit.Alliance(kit.make_genesis())
    alliance.commit(*(alliance.sign(name, VoteSuperNodes(NEW)) for name in kit.NAMES))
    while alliance.state.height < 9:
        alliance.commit()
    back = kit.NAMES[1:5]
    alliance.commit(*(alliance.sign(name, VoteSuperNodes(back)) for name in kit.NAMES))
    while alliance.state.height < 17:
        alliance.commit()
    alliance.commit(
        alliance.sign("energy", VoteSuperNodes(())),
        alliance.sign("health", RetireDataset(bytes(16))),
        alliance.sign("safety", VoteSuperNodes(())),
    )
    changes = [alliance.blocks[height - 1] for height in alliance.state.set_changes()]
    assert (8, 16) == alliance.state.set_changes()
    return alliance, build_receipt(alliance.genesis, alliance.blocks[-1], 1, changes)


def test_a_receipt_stands_alone(world) -> None:
    """It proves transaction, result and block, refused transactions included."""
    alliance, data = world
    verified = verify_receipt(data, alliance.genesis)
    block = alliance.blocks[-1].block
    assert block.transactions[1] == verified.transaction
    assert (False, "unknown-dataset") == (verified.result.accepted, verified.result.code)
    assert (block.header, 1) == (verified.header, verified.index)
    assert 3 == len(verified.signers)
    assert block.header.super_nodes == verified.super_nodes


def test_two_blocks_of_one_height_are_a_fork(kit) -> None:
    """Both receipts verify, which no honest set can have caused: it names who signed both."""
    one, two = kit.Alliance(kit.make_genesis()), kit.Alliance(kit.make_genesis())
    two.nonce = 7
    for alliance in (one, two):
        alliance.commit(alliance.sign("health", VoteSuperNodes(NEW)))
        alliance.commit(alliance.sign("health", VoteSuperNodes(NEW)))
    first, second, later = (
        verify_receipt(build_receipt(item.genesis, item.blocks[at], 0, ()), item.genesis)
        for item, at in ((one, 0), (two, 0), (two, 1))
    )
    compare_receipts(first, first)
    compare_receipts(first, later)
    with pytest.raises(ForkError) as caught:
        compare_receipts(first, second)
    assert all(key.hex()[:16] in str(caught.value) for key in first.signers)


def test_every_transaction_of_every_block(world) -> None:
    """Receipts of all epochs verify, later changes left out."""
    alliance, _ = world
    changes = [alliance.blocks[height - 1] for height in alliance.state.set_changes()]
    for certified in alliance.blocks:
        for index, transaction in enumerate(certified.block.transactions):
            data = build_receipt(alliance.genesis, certified, index, changes)
            assert transaction == verify_receipt(data, alliance.genesis).transaction
    with pytest.raises(InvalidError):
        build_receipt(alliance.genesis, alliance.blocks[-1], 3, changes)
    with pytest.raises(InvalidError):
        build_receipt(alliance.genesis, alliance.blocks[-1], -1, changes)


def test_a_missing_change_breaks_it(world) -> None:
    """Without every change of the set nothing is proved."""
    alliance, _ = world
    changes = [alliance.blocks[height - 1] for height in alliance.state.set_changes()]
    for fewer in ([], changes[:1], changes[1:], changes[::-1]):
        with pytest.raises(InvalidError):
            build_receipt(alliance.genesis, alliance.blocks[-1], 1, fewer)


def test_the_genesis_matters(world, kit) -> None:
    """Another alliance's genesis refuses it, whatever it holds."""
    alliance, data = world
    other = msgspec.structs.replace(alliance.genesis, name="Other")
    with pytest.raises(InvalidError, match="another alliance"):
        verify_receipt(data, other)
    forged = msgspec.structs.replace(decode(Receipt, data), genesis=other.digest())
    with pytest.raises(InvalidError):
        verify_receipt(encode(forged), other)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_any_changed_byte_is_refused(world, data: st.DataObject) -> None:
    """Flip, cut or append anywhere: refused with the one expected error."""
    alliance, receipt = world
    position = data.draw(st.integers(0, len(receipt) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = bytearray(receipt)
    changed[position] ^= flip
    for wrong in (bytes(changed), receipt[:position], receipt + b"\x00"):
        with pytest.raises(InvalidError):
            verify_receipt(wrong, alliance.genesis)


def altered(data: bytes, **changes: object) -> bytes:
    """Return a receipt with other fields."""
    return encode(msgspec.structs.replace(decode(Receipt, data), **changes))


def test_recombined_receipts_are_refused(world, kit) -> None:
    """True parts in a false place prove nothing."""
    alliance, data = world
    receipt = decode(Receipt, data)
    block = alliance.blocks[-1].block
    other = alliance.blocks[-2]
    header = receipt.block.header
    strangers = tuple(kit.key(f"{name} node").public for name in kit.NAMES[3:])
    few = header.super_nodes[:2]
    doubled = msgspec.structs.replace(
        receipt.block.certificate, signatures=receipt.block.certificate.signatures[:1] * 3
    )
    review = msgspec.structs.replace(receipt.block.certificate.vote, phase="review")
    wrong = (
        {"transaction": encode(block.transactions[0])},
        {"index": 0},
        {"count": 2},
        {"result": block.results[0]},
        {"block": CertifiedHeader(other.block.header, other.certificate)},
        {"block": CertifiedHeader(header, other.certificate)},
        {"block": CertifiedHeader(header, alliance.certify(header, strangers))},
        {"block": CertifiedHeader(header, alliance.certify(header, few))},
        {"block": CertifiedHeader(header, doubled)},
        {
            "block": CertifiedHeader(
                header, msgspec.structs.replace(receipt.block.certificate, vote=review)
            )
        },
        {"set_changes": (*receipt.set_changes, receipt.set_changes[1])},
        {"set_changes": (*receipt.set_changes, receipt.block)},
    )
    for change in wrong:
        with pytest.raises(InvalidError):
            verify_receipt(altered(data, **change), alliance.genesis)


def test_a_set_cannot_name_itself(world, kit) -> None:
    """Someone who holds the outgoing set's header only cannot install keys of his own."""
    alliance, data = world
    receipt = decode(Receipt, data)
    change = receipt.set_changes[0]
    own = tuple(sorted(kit.key(f"{name} node").public for name in kit.NAMES[2:]))
    header = msgspec.structs.replace(change.header, next_super_nodes=own)
    forged = CertifiedHeader(header, alliance.certify(header, own[:3]))
    with pytest.raises(InvalidError):
        verify_receipt(
            altered(data, set_changes=(forged, *receipt.set_changes[1:])), alliance.genesis
        )


def test_reviews_are_no_decision(world) -> None:
    """A quorum of well-signed reviews does not make a block."""
    alliance, data = world
    header = decode(Receipt, data).block.header
    reviewed = CertifiedHeader(header, alliance.certify(header, phase="review"))
    with pytest.raises(InvalidError, match="another block"):
        verify_receipt(altered(data, block=reviewed), alliance.genesis)


def test_changes_later_than_the_block_are_refused(kit) -> None:
    """Even where the set came back to what it was, a receipt carries no later change."""
    alliance = kit.Alliance(kit.make_genesis())
    first = alliance.state.super_nodes()
    for names in (NEW, kit.NAMES[:4]):
        alliance.commit(*(alliance.sign(name, VoteSuperNodes(names)) for name in kit.NAMES))
        while alliance.state.height % 8:
            alliance.commit()
    assert first == alliance.state.super_nodes()
    data = build_receipt(alliance.genesis, alliance.blocks[0], 0, [])
    later = tuple(
        CertifiedHeader(certified.block.header, certified.certificate)
        for certified in (alliance.blocks[7], alliance.blocks[15])
    )
    with pytest.raises(InvalidError, match="older"):
        verify_receipt(altered(data, set_changes=later), alliance.genesis)


@pytest.mark.parametrize("kind", ["unsorted", "twice", "few"])
def test_a_malformed_set_is_refused_even_if_it_is_signed(world, kind: str) -> None:
    """A set is r different keys in order: in any other form a quorum could be counted twice."""
    alliance, data = world
    receipt = decode(Receipt, data)
    change = receipt.set_changes[0]
    chosen = change.header.next_super_nodes
    forms = {"unsorted": chosen[::-1], "twice": (chosen[0], *chosen[:3]), "few": chosen[:3]}
    header = msgspec.structs.replace(change.header, next_super_nodes=forms[kind])
    signed = CertifiedHeader(header, alliance.certify(header))
    with pytest.raises(InvalidError, match="malformed"):
        verify_receipt(
            altered(data, set_changes=(signed, *receipt.set_changes[1:])), alliance.genesis
        )


def test_a_header_of_another_epoch_is_refused_even_if_it_is_signed(world) -> None:
    """The epoch follows from the height: votes of one epoch never decide in another."""
    alliance, data = world
    header = decode(Receipt, data).block.header
    shifted = msgspec.structs.replace(header, epoch=header.epoch + 1)
    signed = CertifiedHeader(shifted, alliance.certify(shifted))
    with pytest.raises(InvalidError, match="wrong epoch"):
        verify_receipt(altered(data, block=signed), alliance.genesis)
