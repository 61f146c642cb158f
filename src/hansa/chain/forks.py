"""Forks: two certificates for one height prove that more than f super nodes lied, and name f+1 of them.

Two quorums share at least f+1 voters. If both certificates are of one round, each of those signed two
confirms for one slot. If one is of a later round, some first round after the earlier certificate's has
reviews of a quorum for another block, and each voter of both gave up its lock without a reason: there was
none yet (Tendermint, arXiv 1807.04938, lemma 5). Only an earlier certificate of reviews could excuse one
of them, and whoever shows it names f+1 others: so gather all that honest nodes hold before judging.
"""

from collections.abc import Collection, Iterable

from hansa.chain.blocks import Certificate, SignedVote, is_certificate_valid
from hansa.types import NO_DIGEST, PublicKey


def is_fork(one: Certificate, other: Certificate, super_nodes: Collection[PublicKey]) -> bool:
    """Tell whether a quorum of `super_nodes` confirmed two blocks at one height."""
    slots = [(item.vote.alliance, item.vote.epoch, item.vote.height) for item in (one, other)]
    return (
        slots[0] == slots[1]
        and one.vote.digest != other.vote.digest
        and all(
            item.vote.phase == "confirm"
            and item.vote.digest != NO_DIGEST
            and is_certificate_valid(item, super_nodes)
            for item in (one, other)
        )
    )


def find_culprits(
    one: Certificate,
    other: Certificate,
    reviews: Iterable[Certificate],
    super_nodes: Collection[PublicKey],
) -> frozenset[PublicKey]:
    """Return the super nodes that a fork proves to be faulty.

    Args:
        one, other: the certificates of the two blocks, in any order.
        reviews: certificates of reviews for that height, all that honest nodes hold; the others are
            left aside.
        super_nodes: the set of that height.

    Returns:
        At least f+1 of them; nobody if it is no fork, or if it spans rounds and the certificate of
        reviews is missing that must be there.
    """
    if not is_fork(one, other, super_nodes):
        return frozenset()
    first, later = sorted((one, other), key=lambda item: item.vote.round)
    if first.vote.round == later.vote.round:
        return _voters(first) & _voters(later)
    slot = (first.vote.alliance, first.vote.epoch, first.vote.height)
    moved = [
        item
        for item in reviews
        if (item.vote.alliance, item.vote.epoch, item.vote.height) == slot
        and item.vote.phase == "review"
        and item.vote.digest not in {first.vote.digest, NO_DIGEST}
        and first.vote.round < item.vote.round <= later.vote.round
        and is_certificate_valid(item, super_nodes)
    ]
    if not moved:
        return frozenset()
    earliest = min(moved, key=lambda item: item.vote.round)
    return _voters(first) & _voters(earliest)


def votes_of(certificate: Certificate) -> dict[PublicKey, SignedVote]:
    """Return the votes that a certificate is made of, by voter."""
    return {
        part.voter: SignedVote(certificate.vote, part.voter, part.signature)
        for part in certificate.signatures
    }


def _voters(certificate: Certificate) -> frozenset[PublicKey]:
    return frozenset(part.voter for part in certificate.signatures)
