"""The REST contract: health, a node's status, sealing keys, organisations and users. See `rest`."""

from hansa.rest.base import Json


class Health(Json, frozen=True):
    """Readiness, with a reason for each thing that is not well."""

    ready: bool
    reasons: list[str]


class PeerView(Json, frozen=True):
    """One other node as seen from here."""

    organisation: str
    connected: bool
    address: str
    height: int


class NodeStatus(Json, frozen=True):
    """One node's view of itself and the agreement."""

    alliance: str
    alliance_name: str
    organisation: str
    node_key: str
    version: str
    height: int
    tip: str
    """Digest of the last block's header; the alliance id at height 0."""
    state_root: str
    round: int
    epoch: int
    epoch_blocks: int
    master: str
    """Organisation whose turn it is at the next height in the present round."""
    is_super_node: bool
    is_synced: bool
    super_nodes: list[str]
    """Organisations in the present set."""
    pending_transactions: int
    copies_held: int
    """Copies in this node's vault now; 0 at rest."""
    peers: list[PeerView]
    index_height: int
    uptime_ms: int


class AbsenceView(Json, frozen=True):
    """A super node whose turns as master others take, since blocks did not record that it was there."""

    organisation: str
    since: int
    """First height at which it was passed over, as far back as the node knows."""
    until: int
    """Last height of the present window; the next one judges anew."""
    is_heard: bool
    """Whether blocks record it again already: then it leads again after `until`."""


class ProgressView(Json, frozen=True):
    """Why there is no new block, as one node sees it."""

    cause: str
    """nothing-to-do, no-quorum, not-synced, no-proposal, no-reviews, no-confirms or deciding."""
    explanation: str
    remedy: str
    """The safe thing to do."""
    needs_attention: bool
    height: int
    """The height in progress: one above the last block."""
    round: int
    step: str
    master: str
    quorum: int
    super_nodes: list[str]
    reviewed: list[str]
    """Organisations whose review of the present round is here."""
    confirmed: list[str]
    unreachable: list[str]
    """Super nodes that are not connected to this node."""
    absent: list[AbsenceView]
    """Super nodes that are passed over as masters, by organisation; blocks go on without a wait for them."""
    absence: str
    """The same in a sentence, with the safe thing to do; empty if there are none."""
    locked_round: int
    """-1 if this node is not locked on a block."""
    waiting_transactions: int
    unsettled_submissions: int
    """Transactions of own users that are in no block yet."""
    last_block_ms: int
    """Milliseconds since the last block, by this node's clock; 0 before the first."""


class SealingKeyView(Json, frozen=True):
    """A super node's present sealing key: canonical bytes of a SealingKeyNotice, hex."""

    organisation: str
    notice: str


class SealingKeys(Json, frozen=True):
    """Keys a client seals its next transaction to."""

    epoch: int
    height: int
    quorum: int
    time_ms: int
    """The node's clock; a client with a wrong clock can tell."""
    super_nodes: list[str]
    """Node keys of the present super nodes, in hex: whose announced keys count."""
    keys: list[SealingKeyView]


class OrganisationView(Json, frozen=True):
    """A member."""

    name: str
    title: str
    status: str
    """active or suspended."""
    node_key: str
    peer_address: str
    api_url: str
    is_super_node: bool
    users: int
    datasets: int
    ballots: int
    """Open ballots for a change of its membership."""
    expelled_height: int
    """Height of the block whose evidence expelled its node from the election; 0 in good standing."""


class UserView(Json, frozen=True):
    """A user."""

    organisation: str
    name: str
    key: str
    encryption_key: str
    roles: list[str]
    status: str
    """active or revoked."""
