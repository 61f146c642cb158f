"""Forks: what two certificates prove, and of whom; honest voters are never among the named."""

import pytest

from hansa.chain.blocks import Certificate, CertificateSignature, Vote, sign_vote
from hansa.chain.evidence import is_proof, make_double_vote
from hansa.chain.forks import find_culprits, is_fork, votes_of
from hansa.crypto.signing import SigningKey

ALLIANCE = bytes([9]) * 32
KEYS = sorted((SigningKey(bytes([n]) * 32) for n in range(1, 8)), key=lambda key: key.public)
ONE, TWO, THREE = (bytes([n]) * 32 for n in (1, 2, 3))


def certify(digest: bytes, who: range, count: int = 4, **changes) -> Certificate:
    """Return the certificate that some of the first `count` nodes signed."""
    plain = {"epoch": 0, "height": 5, "round": 0, "phase": "confirm"} | changes
    vote = Vote(ALLIANCE, digest=digest, **plain)
    signed = [sign_vote(vote, KEYS[:count][index]) for index in who]
    return Certificate(vote, tuple(CertificateSignature(v.voter, v.signature) for v in signed))


def names(indexes: range) -> frozenset[bytes]:
    """Return the keys of some nodes."""
    return frozenset(KEYS[index].public for index in indexes)


def members(count: int = 4) -> list[bytes]:
    """Return the set of the height."""
    return [key.public for key in KEYS[:count]]


@pytest.mark.parametrize(("count", "quorum"), [(4, 3), (7, 5)])
def test_one_round_names_who_signed_both(count: int, quorum: int) -> None:
    """At least f+1, and each by evidence that the chain takes."""
    one = certify(ONE, range(quorum), count)
    two = certify(TWO, range(count - quorum, count), count)
    assert is_fork(one, two, members(count))
    named = find_culprits(two, one, (), members(count))
    assert names(range(count - quorum, quorum)) == named
    assert len(named) >= (count - 1) // 3 + 1
    for who in named:
        assert is_proof(make_double_vote(votes_of(one)[who], votes_of(two)[who]), ALLIANCE)


def test_what_is_no_fork() -> None:
    """One block, other heights, epochs or phases, too few signatures, no block at all."""
    one = certify(ONE, range(3))
    for other in (
        one,
        certify(ONE, range(1, 4), round=1),
        certify(TWO, range(3), height=6),
        certify(TWO, range(3), epoch=1),
        certify(TWO, range(3), phase="review"),
        certify(TWO, range(2)),
        certify(bytes(32), range(3)),
    ):
        assert not is_fork(one, other, members())
        assert frozenset() == find_culprits(one, other, (), members())


def test_over_rounds_the_earliest_reviews_name_them() -> None:
    """Whoever confirmed the first block and reviewed another with no reason yet gave up a lock.

    Node 0 is honest: it reviewed the second block in round 3 because of the reviews of round 2.
    """
    one, two = certify(ONE, range(3), round=1), certify(TWO, range(1, 4), round=3)
    reviews = [
        certify(TWO, range(3), round=3, phase="review"),
        certify(TWO, range(1, 4), round=2, phase="review"),
    ]
    assert names(range(1, 3)) == find_culprits(one, two, reviews, members())
    assert names(range(1, 3)) == find_culprits(two, one, reviews[::-1], members())


def test_reviews_that_say_nothing_are_left_aside() -> None:
    """Of earlier rounds, of the first block, for none, of another height, not of a quorum."""
    one, two = certify(ONE, range(3), round=1), certify(TWO, range(1, 4), round=3)
    useless = [
        certify(TWO, range(1, 4), round=1, phase="review"),
        certify(TWO, range(1, 4), round=4, phase="review"),
        certify(ONE, range(1, 4), round=2, phase="review"),
        certify(bytes(32), range(1, 4), round=2, phase="review"),
        certify(TWO, range(1, 4), round=2, phase="review", height=6),
        certify(TWO, range(1, 3), round=2, phase="review"),
        certify(THREE, range(1, 4), round=2),
    ]
    assert frozenset() == find_culprits(one, two, useless, members())
    assert names(range(1, 3)) == find_culprits(
        one, two, [*useless, certify(THREE, range(1, 4), round=2, phase="review")], members()
    )
