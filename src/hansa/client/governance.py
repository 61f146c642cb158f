"""Governance: members, users and votes, each one signed operation that waits for its block."""

from collections.abc import Sequence
from typing import cast, get_args

from hansa.chain.genesis import validate_candidate
from hansa.chain.transactions import (
    AddUser,
    AdmitOrganisation,
    Candidate,
    RevokeUser,
    Role,
    SuspendOrganisation,
    UpdateOrganisation,
    VoteSuperNodes,
)
from hansa.client.session import Session
from hansa.client.submit import act
from hansa.errors import InvalidError
from hansa.rest import TransactionStatus
from hansa.types import EncryptionKey, OrganisationName, PublicKey

ROLES: tuple[str, ...] = get_args(Role)


async def admit(session: Session, candidate: Candidate, *, wait: bool = True) -> TransactionStatus:
    """Cast the own organisation's ballot for a candidate.

    Raises:
        InvalidError: the candidate is malformed.
    """
    validate_candidate(candidate)
    return await act(session, [AdmitOrganisation(candidate)], wait=wait)


async def suspend(
    session: Session, organisation: str, reason: str, *, wait: bool = True
) -> TransactionStatus:
    """Cast the own organisation's ballot for suspending a member."""
    operation = SuspendOrganisation(OrganisationName(organisation), reason)
    return await act(session, [operation], wait=wait)


async def update_organisation(
    session: Session,
    *,
    certificate: bytes,
    peer_address: str,
    api_url: str,
    wait: bool = True,
) -> TransactionStatus:
    """Announce where the own node is reached, or a new certificate (DER) of the same node key."""
    operation = UpdateOrganisation(certificate, peer_address, api_url)
    return await act(session, [operation], wait=wait)


async def add_user(
    session: Session,
    *,
    key: bytes,
    encryption_key: bytes,
    name: str,
    roles: Sequence[str],
    wait: bool = True,
) -> TransactionStatus:
    """Register a user of the own organisation.

    Raises:
        InvalidError: an unknown role.
    """
    unknown = sorted(set(roles) - set(ROLES))
    if unknown or not roles:
        raise InvalidError(
            f"{', '.join(unknown) or 'No role'} will not do.",
            remedy=f"Give one or more of: {', '.join(ROLES)}.",
        )
    chosen = tuple(cast("Role", role) for role in ROLES if role in roles)
    operation = AddUser(PublicKey(key), EncryptionKey(encryption_key), name, chosen)
    return await act(session, [operation], wait=wait)


async def revoke_user(session: Session, key: bytes, *, wait: bool = True) -> TransactionStatus:
    """Revoke a user of the own organisation; refused everywhere from the next block."""
    return await act(session, [RevokeUser(PublicKey(key))], wait=wait)


async def vote_super_nodes(
    session: Session, candidates: Sequence[str], *, wait: bool = True
) -> TransactionStatus:
    """Approve of organisations as super nodes; replaces the earlier vote, none withdraws it."""
    names = tuple(OrganisationName(name) for name in sorted(set(candidates)))
    return await act(session, [VoteSuperNodes(names)], wait=wait)
