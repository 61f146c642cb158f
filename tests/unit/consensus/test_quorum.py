"""Vote sets and certificates."""

import msgspec
import pytest

from hansa.chain.blocks import SignedVote, Vote, is_certificate_valid, quorum_of, sign_vote
from hansa.consensus.quorum import VoteSet
from hansa.crypto.signing import SigningKey
from hansa.types import NO_DIGEST, Digest, Epoch, Height, Round

KEYS = [SigningKey(bytes([number]) * 32) for number in range(1, 5)]
BLOCK = Digest(b"b" * 32)


def vote(number: int, named: Digest = BLOCK) -> SignedVote:
    """Return one super node's vote."""
    value = Vote(Digest(b"a" * 32), Epoch(0), Height(1), Round(0), "review", named)
    return sign_vote(value, KEYS[number])


def test_three_of_four_decide() -> None:
    """Both sides of the quorum's bound."""
    votes = VoteSet(4)
    assert ["added", "added"] == [votes.add(vote(0)), votes.add(vote(1))]
    assert votes.decided() is None
    votes.add(vote(2))
    assert BLOCK == votes.decided()


def test_a_voter_counts_once() -> None:
    """The same again is a duplicate, another is a conflict, and the first stands."""
    votes = VoteSet(4)
    votes.add(vote(0))
    assert "duplicate" == votes.add(vote(0))
    assert "conflict" == votes.add(vote(0, NO_DIGEST))
    assert BLOCK == votes.get(KEYS[0].public).vote.digest
    assert 1 == len(votes)


def test_nil_is_decided_too() -> None:
    """A quorum for nil is a quorum."""
    votes = VoteSet(4)
    for number in range(3):
        votes.add(vote(number, NO_DIGEST))
    assert votes.has_nil_quorum


def test_any_quorum_counts_all_votes() -> None:
    """A quorum for whatever starts the waiting."""
    votes = VoteSet(4)
    votes.add(vote(0))
    votes.add(vote(1, NO_DIGEST))
    assert not votes.has_any_quorum
    votes.add(vote(2))
    assert votes.has_any_quorum
    assert votes.decided() is None


@pytest.mark.parametrize(("super_nodes", "enough"), [(1, 1), (4, 2), (7, 3)])
def test_a_round_is_lost_with_more_nil_votes_than_may_be_missing(
    super_nodes: int, enough: int
) -> None:
    """With f+1 for nil all others together are no quorum for a block any more."""
    keys = [SigningKey(bytes([20 + number]) * 32) for number in range(super_nodes)]
    votes = VoteSet(super_nodes)
    for number, key in enumerate(keys[:enough]):
        assert not votes.is_lost, f"{number} for nil"
        votes.add(sign_vote(msgspec.structs.replace(vote(0).vote, digest=NO_DIGEST), key))
    assert votes.is_lost
    assert super_nodes - enough < quorum_of(super_nodes)


def test_the_certificate_holds() -> None:
    """Made of four votes it has a quorum's signatures, sorted, and convinces others."""
    votes = VoteSet(4)
    for number in range(4):
        votes.add(vote(number))
    certificate = votes.certificate(BLOCK)
    assert 3 == len(certificate.signatures)
    assert is_certificate_valid(certificate, [key.public for key in KEYS])


def test_no_certificate_without_a_quorum() -> None:
    """Asking too early is our own mistake."""
    votes = VoteSet(4)
    votes.add(vote(0))
    with pytest.raises(AssertionError):
        votes.certificate(BLOCK)
