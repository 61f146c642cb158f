"""Checking transactions and copies."""

import msgspec
import pytest

from hansa.chain.sealed import SealedContents, open_session, seal_transaction
from hansa.chain.transactions import sign_transaction
from hansa.codec import encode
from hansa.consensus import review


def verifier_of(quiet):
    """Return a super node's verifier."""
    return quiet.world.nodes[0].replica._verifier


def test_a_sound_transaction_is_verified_once(quiet) -> None:
    """Its digest is remembered."""
    transaction, sealed = quiet.sealed(5, confidential=True)
    verifier = verifier_of(quiet)
    found, code = verifier.admit(sealed)
    assert (transaction, "") == (found, code)
    assert transaction.digest() in verifier.verified


def test_memory_of_the_verified_is_bounded(quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten first."""
    monkeypatch.setattr(review, "VERIFIED_MAX", 2)
    verifier = verifier_of(quiet)
    for number in range(3):
        verifier.remember(bytes([number]) * 32)
    assert [bytes([1]) * 32, bytes([2]) * 32] == list(verifier.verified)


def test_a_public_transaction_needs_no_copy(quiet) -> None:
    """Its block shows it whole."""
    transaction, _ = quiet.sealed(5)
    contents, code = verifier_of(quiet).check_copy(transaction.digest(), transaction, None)
    assert "" == code
    assert contents


def test_a_missing_or_false_copy_is_rejected(quiet) -> None:
    """No copy, another's copy, and a confidential part that its author did not sign for."""
    verifier = verifier_of(quiet)
    transaction, sealed = quiet.sealed(5, confidential=True)
    _, other = quiet.sealed(5, confidential=True)
    named = transaction.digest()
    assert "" == verifier.check_copy(named, transaction, sealed)[1]
    assert "copy-missing" == verifier.check_copy(named, transaction, None)[1]
    assert "copy-missing" == verifier.check_copy(named, transaction, other)[1]
    client, node = quiet.world.clients[5], quiet.world.nodes[5]
    swapped = client.seal(transaction, node.replica.sealing_notices(), client.confidential())
    assert "confidential-mismatch" == verifier.check_copy(named, transaction, swapped)[1]
    assert "confidential-mismatch" == verifier.admit(swapped)[1]


def test_a_malformed_confidential_part_is_rejected(quiet) -> None:
    """Reviewers read a part of known shape, not bytes."""
    client, node = quiet.world.clients[5], quiet.world.nodes[5]
    transaction, _ = quiet.sealed(5)
    sealed = client.seal(transaction, node.replica.sealing_notices(), b"no part")
    assert (None, "malformed") == verifier_of(quiet).open(sealed)


def test_an_unknown_wrap_asks_to_reseal(quiet) -> None:
    """A restarted super node cannot open what was sealed to its old key."""
    _, sealed = quiet.sealed(5)
    bare = msgspec.structs.replace(sealed, wraps=())
    assert (None, "reseal") == verifier_of(quiet).open(bare)


def wrapped(quiet, contents: bytes, transaction):
    """Seal bytes of whatever kind under a transaction's outside."""
    return seal_transaction(
        SealedContents(contents, b""),
        open_session(
            quiet.world.alliance,
            transaction.body.author,
            quiet.world.nodes[5].replica.sealing_notices(),
            bytes(32),
        ),
        transaction=transaction.digest(),
        expires=transaction.body.expires,
        nonce=bytes(12),
    )


def test_what_is_inside_must_be_a_signed_transaction(quiet) -> None:
    """Bytes of another kind, a form that cannot be, and a signature of another key."""
    verifier, (transaction, _) = verifier_of(quiet), quiet.sealed(5)
    assert (None, "malformed") == verifier.admit(wrapped(quiet, b"no transaction", transaction))
    body = msgspec.structs.replace(transaction.body, operations=())
    empty = sign_transaction(body, quiet.world.members[5].admin_key)
    assert (None, "malformed") == verifier.admit(wrapped(quiet, encode(empty), empty))
    other, _ = quiet.sealed(5)
    forged = msgspec.structs.replace(transaction, signature=other.signature)
    assert (None, "bad-signature") == verifier.admit(wrapped(quiet, encode(forged), forged))
    assert (transaction, "") == verifier.admit(wrapped(quiet, encode(transaction), transaction))
    assert {transaction.digest()} == set(verifier.verified)


def test_another_transaction_inside_is_malformed(quiet) -> None:
    """The digest outside is that of what is inside."""
    verifier, (one, _), (two, _) = verifier_of(quiet), quiet.sealed(5), quiet.sealed(5)
    assert (None, "malformed") == verifier.open(wrapped(quiet, encode(two), one))


def test_a_signature_is_checked_once(quiet, monkeypatch) -> None:
    """What a block has shown is not checked again when it is opened; what nobody checked is."""
    from hansa.consensus import review

    checked: list[object] = []
    real = review.is_author_signature
    monkeypatch.setattr(
        review, "is_author_signature", lambda item: (checked.append(item), real(item))[1]
    )
    verifier, (transaction, sealed) = verifier_of(quiet), quiet.sealed(5)
    assert "" == verifier.admit(sealed)[1]
    assert [transaction] == checked
    assert "" == verifier.admit(sealed)[1]
    assert 1 == len(checked)
    other = msgspec.structs.replace(transaction, signature=bytes(64))
    assert (None, "bad-signature") == verifier.admit(wrapped(quiet, encode(other), other))
