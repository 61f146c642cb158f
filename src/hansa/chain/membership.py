"""Rules about organisations, users and votes.

Upon a ballot to admit: more than half of the active organisations admit the candidate. Upon a ballot
to suspend: more than half of the other active ones suspend the member. A suspended organisation is
refused everywhere from the next block and cannot be elected; a seat it holds counts until the
epoch's end. Upon evidence against its node: the member is expelled from the election, and stays a
member otherwise. An identical ballot to admit brings a suspended or expelled member back.
"""

from collections.abc import Callable
from typing import Literal

import msgspec

from hansa import limits
from hansa.chain import records
from hansa.chain.blocks import quorum_of
from hansa.chain.draft import Acting, Draft, refuse
from hansa.chain.evidence import Evidence, accused, decode_evidence, height_of
from hansa.chain.genesis import validate_candidate
from hansa.chain.records import BallotRecord, OrganisationRecord, UserRecord, VoteRecord
from hansa.chain.state import founding_records
from hansa.chain.transactions import (
    AddUser,
    AdmitOrganisation,
    Candidate,
    RevokeUser,
    SubmitEvidence,
    SuspendOrganisation,
    UpdateOrganisation,
    VoteSuperNodes,
)
from hansa.codec import digest, encode
from hansa.crypto.signing import is_sound_point
from hansa.errors import InvalidError
from hansa.types import Height, OrganisationName

BALLOT_TAG = "hansa.ballot.1"


def admit_organisation(acting: Acting, operation: AdmitOrganisation) -> None:
    """Count a ballot for a candidate; the deciding one admits it."""
    acting.demand("admin")
    candidate = operation.candidate
    _check_candidate(candidate)
    existing = acting.draft.organisation(candidate.name)
    if existing is not None:
        is_sound = existing.status == "active" and not existing.expelled_height
        if is_sound or existing.node_key != candidate.node_key:
            refuse("name-taken")
    else:
        _check_new(acting, candidate)
    subject = digest(BALLOT_TAG, b"admit", encode(candidate))
    active = acting.draft.counters.active_organisations
    if _ballot(acting, subject, "admit", candidate.name, candidate, needed_of=active):
        if existing is not None:
            _readmit(acting, existing)
        else:
            _add_organisation(acting, candidate)


def suspend_organisation(acting: Acting, operation: SuspendOrganisation) -> None:
    """Count a ballot against a member; the deciding one suspends it."""
    acting.demand("admin")
    if not 1 <= len(operation.reason) <= limits.REASON_CHARACTERS_MAX:
        refuse("malformed-reason")
    target = acting.draft.organisation(operation.organisation)
    if target is None:
        refuse("unknown-organisation")
    if target.status != "active":
        refuse("already-suspended")
    if target.name == acting.organisation_name:
        refuse("own-organisation")
    if _costs_quorum(acting, target):
        refuse("costs-quorum")
    subject = digest(BALLOT_TAG, b"suspend", target.name.encode())
    others = acting.draft.counters.active_organisations - 1
    if _ballot(acting, subject, "suspend", target.name, None, needed_of=others):
        _set_status(acting, target, "suspended")


def submit_evidence(
    acting: Acting, operation: SubmitEvidence, convict: Callable[[Evidence, Draft], bool]
) -> None:
    """Expel a member's node from the election on proof that it lied; any member may bring it."""
    try:
        evidence = decode_evidence(operation.evidence)
    except InvalidError:
        refuse("malformed-evidence")
    target = acting.draft.organisation_by_node_key(accused(evidence))
    if target is None:
        refuse("unknown-node")
    if target.expelled_height:
        refuse("already-expelled")
    if height_of(evidence) <= target.readmitted_height:
        refuse("evidence-settled")
    # Last, for it may cost the execution of a block.
    if not convict(evidence, acting.draft):
        refuse("evidence-proves-nothing")
    expelled = msgspec.structs.replace(target, expelled_height=acting.height)
    acting.draft.put(records.organisation_key(target.name), expelled)


def update_organisation(acting: Acting, operation: UpdateOrganisation) -> None:
    """Change where the own node is reached, or its certificate."""
    acting.demand("admin")
    if not 1 <= len(operation.certificate) <= limits.CERTIFICATE_BYTES_MAX:
        refuse("malformed-candidate")
    for address in (operation.peer_address, operation.api_url):
        if not 1 <= len(address) <= limits.ADDRESS_CHARACTERS_MAX:
            refuse("malformed-candidate")
    changed = msgspec.structs.replace(
        acting.organisation,
        certificate=operation.certificate,
        peer_address=operation.peer_address,
        api_url=operation.api_url,
    )
    acting.draft.put(records.organisation_key(changed.name), changed)


def add_user(acting: Acting, operation: AddUser) -> None:
    """Register a user of the own organisation."""
    acting.demand("admin")
    roles = operation.roles
    if not 1 <= len(operation.name) <= limits.USER_NAME_CHARACTERS_MAX:
        refuse("malformed-user")
    if not 1 <= len(roles) <= limits.ROLES_MAX or len(set(roles)) != len(roles):
        refuse("malformed-user")
    if not is_sound_point(operation.key) or not _is_encryption_key(operation.encryption_key):
        refuse("malformed-user")
    draft = acting.draft
    if _is_key_in_use(acting, operation.key):
        refuse("key-in-use")
    user = UserRecord(
        key=operation.key,
        encryption_key=operation.encryption_key,
        organisation=acting.organisation_name,
        name=operation.name,
        roles=tuple(sorted(roles)),
        status="active",
        added_height=acting.height,
        revoked_height=Height(0),
    )
    draft.put(records.user_key(user.key), user)
    _count_user(acting, user, 1)


def revoke_user(acting: Acting, operation: RevokeUser) -> None:
    """Revoke a user of the own organisation, but not its last admin."""
    acting.demand("admin")
    user = acting.draft.user(operation.key)
    if user is None or user.organisation != acting.organisation_name:
        refuse("unknown-user")
    if user.status == "revoked":
        refuse("user-revoked")
    if "admin" in user.roles and acting.organisation.admins == 1:
        refuse("last-admin")
    revoked = msgspec.structs.replace(user, status="revoked", revoked_height=acting.height)
    acting.draft.put(records.user_key(user.key), revoked)
    _count_user(acting, user, -1)


def vote_super_nodes(acting: Acting, operation: VoteSuperNodes) -> None:
    """Replace the organisation's approval vote; an empty one withdraws it."""
    acting.demand("admin")
    candidates = operation.candidates
    if len(candidates) > limits.SUPER_NODES_MAX or len(set(candidates)) != len(candidates):
        refuse("malformed-vote")
    for name in candidates:
        organisation = acting.draft.organisation(name)
        if organisation is None or organisation.status != "active":
            refuse("unknown-organisation")
    key = records.vote_key(acting.organisation_name)
    if candidates:
        vote = VoteRecord(acting.organisation_name, tuple(sorted(candidates)), acting.height)
        acting.draft.put(key, vote)
    else:
        acting.draft.delete(key)


def _check_candidate(candidate: Candidate) -> None:
    try:
        validate_candidate(candidate)
    except InvalidError:
        refuse("malformed-candidate")


def _check_new(acting: Acting, candidate: Candidate) -> None:
    """Refuse a candidate whose keys are known already, or for whom there is no room."""
    if candidate.node_key == candidate.admin_key:
        refuse("key-in-use")
    for key in (candidate.node_key, candidate.admin_key):
        if _is_key_in_use(acting, key):
            refuse("key-in-use")
    if acting.draft.counters.organisations >= limits.ORGANISATIONS_MAX:
        refuse("too-many-organisations")


def _is_key_in_use(acting: Acting, key: bytes) -> bool:
    draft = acting.draft
    return draft.user(key) is not None or draft.organisation_by_node_key(key) is not None


def _is_encryption_key(key: bytes) -> bool:
    return len(key) == 32 and any(key)


def _ballot(
    acting: Acting,
    subject: bytes,
    what: Literal["admit", "suspend"],
    organisation: OrganisationName,
    candidate: Candidate | None,
    *,
    needed_of: int,
) -> bool:
    """Add the author's organisation to a ballot; tell whether that decides it, and close it then.

    Only voters that are active now count. A repeated ballot is refused unless the others' changes
    of status meanwhile made it decide.
    """
    draft, own, key = acting.draft, acting.organisation_name, records.ballot_key(subject)
    ballot = draft.record(key, BallotRecord)
    if ballot is None:
        raised = sum(item.proposer == own for item in draft.ballots())
        if raised >= limits.BALLOTS_OPEN_PER_ORGANISATION_MAX:
            refuse("too-many-ballots")
        ballot = BallotRecord(what, organisation, candidate, own, acting.height, ())
    voters = tuple(sorted({*ballot.voters, own}))
    counted = 0
    for name in voters:
        voter = draft.organisation(name)
        counted += voter is not None and voter.status == "active" and name != organisation
    if 2 * counted > needed_of:
        draft.delete(key)
        return True
    if own in ballot.voters:
        refuse("already-voted")
    draft.put(key, msgspec.structs.replace(ballot, voters=voters))
    return False


def _costs_quorum(acting: Acting, target: OrganisationRecord) -> bool:
    """Tell whether too few of the present super nodes would be left to decide anything.

    A suspended member's node votes no longer, but its seat counts until the epoch's end. A node that
    was proved to lie may vote or not: nothing may come to depend on it.
    """
    seats = acting.draft.election.super_nodes
    if target.node_key not in seats:
        return False
    voting = 0
    for key in seats:
        member = acting.draft.organisation_by_node_key(key)
        voting += (
            member is not None
            and member.status == "active"
            and not member.expelled_height
            and key != target.node_key
        )
    return voting < quorum_of(len(seats))


def _readmit(acting: Acting, target: OrganisationRecord) -> None:
    """Bring a suspended or expelled member back; what it was expelled for is settled."""
    if target.expelled_height:
        target = msgspec.structs.replace(
            target, expelled_height=Height(0), readmitted_height=acting.height
        )
        acting.draft.put(records.organisation_key(target.name), target)
    if target.status != "active":
        _set_status(acting, target, "active")


def _set_status(
    acting: Acting, target: OrganisationRecord, status: Literal["active", "suspended"]
) -> None:
    changed = msgspec.structs.replace(target, status=status, changed_height=acting.height)
    acting.draft.put(records.organisation_key(target.name), changed)
    counters = acting.draft.counters
    active = counters.active_organisations + (1 if status == "active" else -1)
    acting.draft.put(
        records.COUNTERS_KEY, msgspec.structs.replace(counters, active_organisations=active)
    )


def _add_organisation(acting: Acting, candidate: Candidate) -> None:
    draft = acting.draft
    organisation, user = founding_records(candidate, acting.height)
    draft.put(records.organisation_key(organisation.name), organisation)
    draft.put(records.node_key_key(organisation.node_key), records.NodeKeyRecord(organisation.name))
    draft.put(records.user_key(user.key), user)
    counters = draft.counters
    draft.put(
        records.COUNTERS_KEY,
        msgspec.structs.replace(
            counters,
            organisations=counters.organisations + 1,
            active_organisations=counters.active_organisations + 1,
            users=counters.users + 1,
        ),
    )


def _count_user(acting: Acting, user: UserRecord, change: int) -> None:
    organisation = acting.organisation
    changed = msgspec.structs.replace(
        organisation,
        users=organisation.users + change,
        admins=organisation.admins + (change if "admin" in user.roles else 0),
    )
    acting.draft.put(records.organisation_key(organisation.name), changed)
    counters = acting.draft.counters
    acting.draft.put(
        records.COUNTERS_KEY, msgspec.structs.replace(counters, users=counters.users + change)
    )
