"""The node, the members, the users, the super nodes."""

from collections.abc import Iterable

from litestar import get
from litestar.params import FromQuery

import hansa
from hansa.chain.blocks import faults_of, quorum_of
from hansa.codec import encode
from hansa.errors import MissingError
from hansa.node import preflight
from hansa.node.api import views
from hansa.node.api.services import Given
from hansa.node.standstill import explain, explain_absence
from hansa.rest import (
    AbsenceView,
    NodeStatus,
    OrganisationView,
    PeerView,
    PreflightView,
    ProgressView,
    SealingKeys,
    SealingKeyView,
    SuperNodesView,
    UserView,
)
from hansa.types import Height, OrganisationName, PublicKey


@get("/status", sync_to_thread=False)
def status(services: Given) -> NodeStatus:
    """Return this node's view of itself and the agreement."""
    state, replica = services.state(), services.driver.replica
    name_of = views.names_by_node_key(state)
    connected = services.peers.connected()
    return NodeStatus(
        alliance=services.alliance.hex(),
        alliance_name=services.genesis.name,
        organisation=services.organisation,
        node_key=services.key.public.hex(),
        version=hansa.__version__,
        height=state.height,
        tip=views.tip(services, Height(state.height)).hex(),
        state_root=state.root.hex(),
        round=replica.round,
        epoch=state.epoch(),
        epoch_blocks=services.genesis.parameters.epoch_blocks,
        master=views.master_name(name_of, replica.master()),
        is_super_node=replica.is_super_node,
        is_synced=replica.is_synced,
        super_nodes=sorted(name_of.get(key, key.hex()) for key in state.super_nodes()),
        pending_transactions=max(replica.pool_size, services.statuses.pending_count()),
        copies_held=replica.copies_held,
        peers=[
            PeerView(
                organisation=member.name,
                connected=member.node_key in connected,
                address=member.peer_address,
                height=replica.peer_height(member.node_key),
            )
            for member in views.sorted_members(state)
            if member.name != services.organisation and member.status == "active"
        ],
        index_height=services.index.height,
        uptime_ms=services.clock.monotonic_ms() - services.started_ms,
    )


@get("/progress", sync_to_thread=False)
def progress(services: Given) -> ProgressView:
    """Tell why there is no new block, and the safe thing to do."""
    found, state = services.driver.replica.progress(), services.state()
    names = views.names_by_node_key(state)
    reached = services.peers.connected() | {services.key.public}
    why = explain(found, names, reached)
    last = services.ledger.block(Height(state.height)) if state.height else None

    def named(keys: Iterable[PublicKey]) -> list[str]:
        return sorted(names.get(key, key.hex()) for key in keys)

    return ProgressView(
        cause=why.cause,
        explanation=why.explanation,
        remedy=why.remedy,
        needs_attention=why.needs_attention,
        height=found.height,
        round=found.round,
        step=found.step,
        master=views.master_name(names, found.master),
        quorum=quorum_of(len(found.members)),
        super_nodes=named(found.members),
        reviewed=named(found.reviewed),
        confirmed=named(found.confirmed),
        unreachable=named(key for key in found.members if key not in reached),
        absent=sorted(
            (
                AbsenceView(
                    organisation=names.get(item.super_node, item.super_node.hex()),
                    since=item.since,
                    until=item.until,
                    is_heard=item.is_heard,
                )
                for item in found.absent
            ),
            key=lambda view: view.organisation,
        ),
        absence=explain_absence(found, names, reached),
        locked_round=found.locked_round,
        waiting_transactions=found.waiting_transactions,
        unsettled_submissions=found.unsettled_submissions,
        last_block_ms=max(0, services.clock.now_ms() - last.block.header.time_ms) if last else 0,
    )


@get("/sealing-keys", sync_to_thread=False)
def sealing_keys(services: Given) -> SealingKeys:
    """Return the keys that a client seals its next transaction to."""
    state = services.state()
    name_of = views.names_by_node_key(state)
    present = set(state.super_nodes())
    return SealingKeys(
        epoch=state.epoch(),
        height=state.height,
        quorum=quorum_of(len(present)),
        time_ms=services.clock.now_ms(),
        super_nodes=sorted(key.hex() for key in present),
        keys=[
            SealingKeyView(
                organisation=name_of.get(notice.node_key, ""), notice=encode(notice).hex()
            )
            for notice in services.driver.replica.sealing_notices()
            if notice.node_key in present
        ],
    )


@get("/organisations", sync_to_thread=False)
def organisations(services: Given) -> list[OrganisationView]:
    """Return the members, sorted by name."""
    return views.organisation_views(services.state())


@get("/users", sync_to_thread=False)
def users(services: Given, organisation: FromQuery[str] = "") -> list[UserView]:
    """Return the users of one member, by default the own one."""
    state = services.state()
    name = OrganisationName(organisation or services.organisation)
    if state.organisation(name) is None:
        raise MissingError(f"No organisation is named {name[:64]!r}.")
    return [views.user_view(user) for user in state.users(name)]


@get("/super-nodes", sync_to_thread=False)
def super_nodes(services: Given) -> SuperNodesView:
    """Return the present set of super nodes and the tally for the next."""
    state, parameters = services.state(), services.genesis.parameters
    seats = len(state.super_nodes())
    return SuperNodesView(
        epoch=state.epoch(),
        epoch_ends_at=(state.height // parameters.epoch_blocks + 1) * parameters.epoch_blocks,
        seats=seats,
        faults=faults_of(seats),
        quorum=quorum_of(seats),
        candidates=views.candidate_views(state),
        lead=services.genesis.election_rules.lead,
    )


@get("/super-nodes/preflight", sync_to_thread=False)
def super_nodes_preflight(
    services: Given, vote: FromQuery[str] = "", suspend: FromQuery[str] = ""
) -> PreflightView:
    """Tell what the own organisation's vote, or the suspension of a member, would do to the quorum.

    A vote is names with commas between; without either, it is looked at as withdrawn.
    """
    state = services.state()
    reached = services.peers.connected() | {services.key.public}
    if suspend:
        found = preflight.suspending(state, OrganisationName(suspend), reached)
    else:
        names = tuple(OrganisationName(name) for name in vote.split(",") if name)
        found = preflight.voting(state, services.organisation, names, reached)
    names_of = views.names_by_node_key(state)
    return PreflightView(
        would_decide=sorted(names_of[key] for key in found.deciding),
        objections=list(found.objections),
    )


HANDLERS = [
    status,
    progress,
    sealing_keys,
    organisations,
    users,
    super_nodes,
    super_nodes_preflight,
]
