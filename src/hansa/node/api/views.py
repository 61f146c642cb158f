"""The chain's values in the API's words: hex for bytes, names for keys."""

import msgspec

from hansa.chain.blocks import CertifiedBlock, Erasure, Header
from hansa.chain.election import tally
from hansa.chain.findings import Finding
from hansa.chain.records import DatasetRecord, OrganisationRecord, RequestRecord, UserRecord
from hansa.chain.state import State
from hansa.chain.transactions import RegisterDataset, RequestAccess, derive_id
from hansa.errors import InvalidError
from hansa.node.api.acknowledged import Acknowledged, BlockAt, acknowledged, erasure_views
from hansa.node.api.services import Services
from hansa.rest import (
    BlockDetail,
    BlockSummary,
    CandidateView,
    DatasetView,
    ErasureView,
    FindingView,
    OrganisationView,
    RequestView,
    TransactionDetail,
    UserView,
    VersionView,
)
from hansa.types import Digest, Height, Millis, PublicKey

MICRO = 1_000_000


def parse_hex(text: str, count: int, what: str) -> bytes:
    """Return the bytes of an id.

    Raises:
        InvalidError: not that many bytes in hex.
    """
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != count or len(text) != 2 * count:
        raise InvalidError(
            f"{text[:80]!r} is no {what} id.", remedy=f"It must be {2 * count} hex digits."
        )
    return found


def names_by_node_key(state: State) -> dict[PublicKey, str]:
    """Return each member's name by its node key."""
    return {member.node_key: member.name for member in state.organisations()}


def master_name(names: dict[PublicKey, str], master: PublicKey | None) -> str:
    """Return the name of the member whose turn it is, empty if that is not known."""
    return "" if master is None else names.get(master, master.hex())


def sorted_members(state: State) -> list[OrganisationRecord]:
    """Return the members by name."""
    return sorted(state.organisations(), key=lambda member: member.name)


def tip(services: Services, height: Height) -> Digest:
    """Return the digest of the block at a height; the alliance id at 0."""
    certified = services.ledger.block(height) if height else None
    return certified.block.header.digest() if certified else services.alliance


def organisation_views(state: State) -> list[OrganisationView]:
    """Return all members for people."""
    present = set(state.super_nodes())
    ballots: dict[str, int] = {}
    for ballot in state.ballots():
        ballots[ballot.organisation] = ballots.get(ballot.organisation, 0) + len(ballot.voters)
    return [
        OrganisationView(
            name=member.name,
            title=member.title,
            status=member.status,
            node_key=member.node_key.hex(),
            peer_address=member.peer_address,
            api_url=member.api_url,
            is_super_node=member.node_key in present,
            users=member.users,
            datasets=member.datasets,
            ballots=ballots.get(member.name, 0),
            expelled_height=member.expelled_height,
        )
        for member in sorted_members(state)
    ]


def candidate_views(state: State) -> list[CandidateView]:
    """Return the tally of votes for people, the first first."""
    owed, weights = state.standing, state.genesis.election_rules.counted()
    done = {entry.node_key: entry for entry in owed.entries}
    return [
        CandidateView(
            organisation=standing.organisation,
            votes=standing.votes,
            voters=list(standing.voters),
            is_super_node=standing.is_super_node,
            is_next=standing.is_next,
            owed=owed.owed if standing.is_super_node else 0,
            acknowledged=done[standing.node_key].acknowledged if standing.node_key in done else 0,
            voted=done[standing.node_key].voted if standing.node_key in done else 0,
            sits_out=standing.sits_out,
            weight=weights.get(standing.organisation, 1),
        )
        for standing in tally(state)
    ]


def user_view(user: UserRecord) -> UserView:
    """Return a user for people."""
    return UserView(
        organisation=user.organisation,
        name=user.name,
        key=user.key.hex(),
        encryption_key=user.encryption_key.hex(),
        roles=list(user.roles),
        status=user.status,
    )


# --- transactions and blocks --------------------------------------------------------------------


def hexed(value: object) -> object:
    """Return a value with all bytes in hex, structs as mappings, fit for JSON."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, msgspec.Struct):
        return {name: hexed(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple | list):
        return [hexed(item) for item in value]
    return value


def operation_view(operation: msgspec.Struct) -> dict[str, object]:
    """Return an operation for people; of a description only what fits on a page."""
    fields = hexed(operation)
    assert isinstance(fields, dict)
    description = fields.get("description")
    if isinstance(description, dict):
        for long in ("words", "features"):
            description.pop(long, None)
    for where in (fields, fields.get("candidate")):
        if isinstance(where, dict):
            where.pop("certificate", None)
    return {"operation": type(operation).__name__, **fields}


def transaction_detail(
    state: State, certified: CertifiedBlock, index: int, block_at: BlockAt
) -> TransactionDetail:
    """Return one transaction of a block for people, with what is known of its copies' erasure."""
    found = acknowledged(state, certified, block_at)
    erasures = erasure_views(
        found, certified.block.header.height, names_by_node_key(state), block_at
    )
    return _transaction_detail(state, certified, index, found, erasures)


def _transaction_detail(
    state: State,
    certified: CertifiedBlock,
    index: int,
    found: Acknowledged,
    erasures: list[ErasureView],
) -> TransactionDetail:
    block = certified.block
    transaction, result = block.transactions[index], block.results[index]
    digest, body = transaction.digest(), transaction.body
    author = state.user(body.author)
    made = [
        (operation, derive_id(digest, number).hex())
        for number, operation in enumerate(body.operations)
        if result.accepted
    ]
    names = names_by_node_key(state)
    return TransactionDetail(
        transaction=digest.hex(),
        height=block.header.height,
        index=index,
        accepted=result.accepted,
        code=result.code,
        author=body.author.hex(),
        author_name=author.name if author else "",
        organisation=author.organisation if author else names.get(body.author, ""),
        time_ms=body.time_ms,
        operations=[operation_view(operation) for operation in body.operations],
        dataset_ids=[made_id for item, made_id in made if isinstance(item, RegisterDataset)],
        request_ids=[made_id for item, made_id in made if isinstance(item, RequestAccess)],
        erasures=erasures,
        not_acknowledged=[names.get(key, key.hex()) for key in found.wanting],
        acknowledgements_kept=found.is_kept,
        acknowledgements_end=found.last_height,
    )


def block_summary(names: dict[PublicKey, str], certified: CertifiedBlock) -> BlockSummary:
    """Return one line about a block."""
    header = certified.block.header
    return BlockSummary(
        height=header.height,
        digest=header.digest().hex(),
        time_ms=header.time_ms,
        master=names.get(header.master, header.master.hex()),
        round=certified.certificate.vote.round,
        epoch=header.epoch,
        transactions=header.transaction_count,
        erasures=len(certified.block.erasures),
        signatures=len(certified.certificate.signatures),
    )


def block_detail(state: State, certified: CertifiedBlock, block_at: BlockAt) -> BlockDetail:
    """Return a block for people."""
    block, header = certified.block, certified.block.header
    names = names_by_node_key(state)
    found = acknowledged(state, certified, block_at)
    acknowledgements = erasure_views(found, header.height, names, block_at)

    def named(keys: tuple[PublicKey, ...]) -> list[str]:
        return sorted(names.get(key, key.hex()) for key in keys)

    return BlockDetail(
        summary=block_summary(names, certified),
        parent=header.parent.hex(),
        state_root=header.state_root.hex(),
        super_nodes=named(header.super_nodes),
        next_super_nodes=named(header.next_super_nodes),
        signers=named(tuple(part.voter for part in certified.certificate.signatures)),
        transactions=[
            _transaction_detail(state, certified, index, found, acknowledgements)
            for index in range(len(block.transactions))
        ],
        erasures=[erasure_view(names, erasure, header) for erasure in block.erasures],
        findings=[finding_view(names, finding, header.parent) for finding in block.findings],
    )


def finding_view(names: dict[PublicKey, str], finding: Finding, parent: Digest) -> FindingView:
    """Return why a super node rejected something, as the next block carries it."""
    return FindingView(
        organisation=names.get(finding.reviewer, finding.reviewer.hex()),
        height=finding.height,
        round=finding.round,
        code=finding.code,
        digest=finding.digest.hex(),
        rejected=[f"{item.transaction.hex()}: {item.code}" for item in finding.verdicts],
        is_settled=finding.digest == parent,
    )


def erasure_view(names: dict[PublicKey, str], erasure: Erasure, header: Header) -> ErasureView:
    """Return an acknowledgement as the block of this header carries it."""
    return ErasureView(
        organisation=names.get(erasure.super_node, erasure.super_node.hex()),
        height=erasure.height,
        round=erasure.round,
        outcome=erasure.outcome,
        copies=erasure.copies,
        recorded_at=header.height,
        recorded_ms=header.time_ms,
    )


# --- datasets and sharing -----------------------------------------------------------------------


def dataset_view(state: State, dataset: DatasetRecord, cluster: str) -> DatasetView:
    """Return a dataset for people."""
    text = dataset.description
    box, interval = text.box, text.interval
    return DatasetView(
        id=dataset.id.hex(),
        owner=dataset.owner,
        status=dataset.status,
        title=text.title,
        description=text.description,
        keywords=list(text.keywords),
        themes=list(text.themes),
        place=text.place,
        bbox=[side / MICRO for side in (box.west, box.south, box.east, box.north)] if box else None,
        from_ms=interval.start_ms if interval else None,
        to_ms=interval.end_ms if interval else None,
        rhythm=text.rhythm,
        licence=text.licence,
        formats=list(text.formats),
        columns=list(text.columns),
        column_types=list(text.column_types),
        cluster=cluster,
        versions=[
            VersionView(
                number=version.number,
                manifest_root=version.manifest_root.hex(),
                content_bytes=version.content_bytes,
                stored_bytes=version.stored_bytes,
                files=version.files,
                chunks=version.chunks,
                height=version.height,
                time_ms=version.time_ms,
                transaction=version.transaction.hex(),
            )
            for version in dataset.versions
        ],
        undecided=dataset.policy.undecided,
        owner_users=[
            user_view(user)
            for user in state.users(dataset.owner)
            if user.status == "active" and "officer" in user.roles
        ],
    )


def request_view(state: State, request: RequestRecord, now_ms: Millis) -> RequestView:
    """Return an access request for people."""
    dataset, user = state.dataset(request.dataset), state.user(request.requester)
    is_over = request.status == "granted" and 0 < request.expires_ms < max(now_ms, state.time_ms)
    return RequestView(
        id=request.id.hex(),
        dataset=request.dataset.hex(),
        dataset_title=dataset.description.title if dataset else "",
        owner=dataset.owner if dataset else "",
        requester=request.requester.hex(),
        requester_name=user.name if user else "",
        requester_encryption_key=user.encryption_key.hex() if user else "",
        organisation=request.organisation,
        purpose=request.purpose,
        status="expired" if is_over else request.status,
        reason=request.reason,
        height=request.height,
        time_ms=request.time_ms,
        decided_height=request.decided_height,
        expires_ms=request.expires_ms,
        wrap_digest=request.wrap_digest.hex(),
        transaction=request.transaction.hex(),
        confidential=request.confidential.hex(),
    )
