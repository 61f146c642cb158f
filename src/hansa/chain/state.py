"""The state after a block: an immutable value that is read by type and advanced by an execution.

Every pair lies in one authenticated map; a state never changes, so any number of older or
speculative states may be held beside the newest. Counterpart: `draft`, what one block changes.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from typing_extensions import override

from hansa.chain import records
from hansa.chain.authenticated import AuthenticatedMap, MapProof
from hansa.chain.genesis import Genesis
from hansa.chain.records import (
    AccessRecord,
    BallotRecord,
    CountersRecord,
    DatasetRecord,
    ElectionRecord,
    ErasureEntry,
    ErasuresRecord,
    GrantCountRecord,
    HeadRecord,
    OrganisationRecord,
    Record,
    RequestRecord,
    SeenRecord,
    StandingRecord,
    TrailRecord,
    UserRecord,
    VoteRecord,
)
from hansa.chain.transactions import Candidate
from hansa.codec import decode, encode
from hansa.errors import CorruptError, InvalidError
from hansa.types import Digest, Epoch, Height, Millis, OrganisationName, PublicKey

R = TypeVar("R", bound=Record)


class Advance(Protocol):
    """What a state is advanced by: `transition.Execution`."""

    @property
    def base_root(self) -> Digest:
        """Root of the state the execution started from."""
        ...

    @property
    def pairs(self) -> AuthenticatedMap:
        """All pairs afterwards."""
        ...


class Reads:
    """Typed reads, shared by `State` and `Draft`; each answers None for what is not there."""

    __slots__ = ()

    genesis: Genesis

    def record(self, key: bytes, kind: type[R]) -> R | None:
        """Return the value under a key of `records`."""
        raise NotImplementedError

    def scan(self, first_byte: int, kind: type[R]) -> Iterator[R]:
        """Yield all values of a kind, in order of place: the same at every node."""
        raise NotImplementedError

    @property
    def head(self) -> HeadRecord:
        """Height, time and count of the chain."""
        return self._present(records.HEAD_KEY, HeadRecord)

    @property
    def election(self) -> ElectionRecord:
        """The set that decides the next block."""
        return self._present(records.ELECTION_KEY, ElectionRecord)

    @property
    def counters(self) -> CountersRecord:
        """Numbers of members, users, datasets, requests."""
        return self._present(records.COUNTERS_KEY, CountersRecord)

    def _present(self, key: bytes, kind: type[R]) -> R:
        found = self.record(key, kind)
        if found is None:
            raise CorruptError(
                f"The state holds no {kind.__name__}.",
                remedy="Remove the node's state file: it is rebuilt from the blocks.",
            )
        return found

    def organisation(self, name: str) -> OrganisationRecord | None:
        """Return a member, active or suspended."""
        return self.record(records.organisation_key(name), OrganisationRecord)

    def organisation_by_node_key(self, key: bytes) -> OrganisationRecord | None:
        """Return the member whose node has this key."""
        held = self.record(records.node_key_key(key), records.NodeKeyRecord)
        return None if held is None else self.organisation(held.organisation)

    def organisations(self) -> tuple[OrganisationRecord, ...]:
        """Return all members, suspended ones included, sorted by name."""
        found = self.scan(records.ORGANISATION, OrganisationRecord)
        return tuple(sorted(found, key=lambda item: item.name))

    def is_member_node(self, key: bytes) -> bool:
        """Tell whether a node key belongs to an active member."""
        organisation = self.organisation_by_node_key(key)
        return organisation is not None and organisation.status == "active"

    def user(self, key: bytes) -> UserRecord | None:
        """Return a user, active or revoked."""
        return self.record(records.user_key(key), UserRecord)

    def users(self, organisation: str | None = None) -> tuple[UserRecord, ...]:
        """Return the users of one organisation or all, revoked ones included, sorted by key."""
        found = self.scan(records.USER, UserRecord)
        chosen = (user for user in found if organisation in (None, user.organisation))
        return tuple(sorted(chosen, key=lambda user: user.key))

    def dataset(self, dataset: bytes) -> DatasetRecord | None:
        """Return a dataset, active or retired."""
        return self.record(records.dataset_key(dataset), DatasetRecord)

    def datasets(self) -> tuple[DatasetRecord, ...]:
        """Return all datasets, retired ones included, in order of registration."""
        found = self.scan(records.DATASET, DatasetRecord)
        return tuple(sorted(found, key=lambda item: (item.height, item.id)))

    def request(self, request: bytes) -> RequestRecord | None:
        """Return an access request."""
        return self.record(records.request_key(request), RequestRecord)

    def requests(self, dataset: bytes | None = None) -> tuple[RequestRecord, ...]:
        """Return the requests for one dataset or all, in the order they were made."""
        found = self.scan(records.REQUEST, RequestRecord)
        chosen = (item for item in found if dataset in (None, item.dataset))
        return tuple(sorted(chosen, key=lambda item: (item.height, item.id)))

    def access(self, dataset: bytes, user: bytes) -> AccessRecord:
        """Return the requests of a user for a dataset that were ever granted."""
        found = self.record(records.access_key(dataset, user), AccessRecord)
        return AccessRecord(()) if found is None else found

    def grant_count(self, dataset: bytes, organisation: str) -> int:
        """Return how many grants of a dataset an organisation was given so far."""
        found = self.record(records.grant_count_key(dataset, organisation), GrantCountRecord)
        return 0 if found is None else found.grants

    def vote(self, organisation: str) -> VoteRecord | None:
        """Return an organisation's vote for super nodes."""
        return self.record(records.vote_key(organisation), VoteRecord)

    def votes(self) -> tuple[VoteRecord, ...]:
        """Return all votes, those of suspended organisations included, sorted by organisation."""
        found = self.scan(records.VOTE, VoteRecord)
        return tuple(sorted(found, key=lambda item: item.organisation))

    def ballots(self) -> tuple[BallotRecord, ...]:
        """Return the open ballots about membership, in order of place."""
        return tuple(self.scan(records.BALLOT, BallotRecord))

    def erasures(self, height: int) -> tuple[ErasureEntry, ...]:
        """Return who acknowledged the erasure of a height's copies, as far as remembered."""
        found = self.record(records.erasures_key(height), ErasuresRecord)
        return () if found is None else found.entries

    def trail(self, height: int) -> Digest | None:
        """Return the digest of a height's block, as far as remembered; the last one's is not yet."""
        found = self.trail_record(height)
        return None if found is None else found.digest

    def trail_record(self, height: int) -> TrailRecord | None:
        """Return what is remembered of a height's block; of the last one nothing yet."""
        return None if height < 0 else self.record(records.trail_key(height), TrailRecord)

    @property
    def standing(self) -> StandingRecord:
        """What the super nodes owed and did in this epoch so far."""
        found = self.record(records.STANDING_KEY, StandingRecord)
        return StandingRecord(0, ()) if found is None else found

    def transaction_location(self, transaction: bytes) -> tuple[Height, int] | None:
        """Return (height, index) of a transaction until its expiry has passed; then None."""
        found = self.record(records.seen_key(transaction), SeenRecord)
        return None if found is None else (found.height, found.index)


class State(Reads):
    """The state after the block at `height`; a value: it never changes."""

    __slots__ = ("_election", "_head", "_pairs", "alliance", "election_pending", "genesis")

    def __init__(self, genesis: Genesis, alliance: Digest, pairs: AuthenticatedMap) -> None:
        self.genesis = genesis
        self.alliance = alliance
        self._pairs = pairs
        self._head: HeadRecord | None = None
        self._election: ElectionRecord | None = None
        self.election_pending: bool | None = None
        """Cache of `election.is_election_pending`, which a value may keep."""

    @classmethod
    def at_genesis(cls, genesis: Genesis) -> "State":
        """Return the state that all nodes start from."""
        return cls._from_items(genesis, _genesis_items(genesis))

    @classmethod
    def restored(cls, genesis: Genesis, items: Iterable[tuple[bytes, bytes]]) -> "State":
        """Return the state that `items` are all pairs of.

        Raises:
            CorruptError: they are no state of this alliance.
        """
        state = cls._from_items(genesis, items)
        head = state.head
        if state.election.epoch != head.height // genesis.parameters.epoch_blocks:
            raise CorruptError("The stored state contradicts itself.")
        return state

    @classmethod
    def _from_items(cls, genesis: Genesis, items: Iterable[tuple[bytes, bytes]]) -> "State":
        nothing = AuthenticatedMap.empty()
        pairs = nothing.updated(items)
        pairs.adopt(nothing)
        return cls(genesis, genesis.digest(), pairs)

    @override
    def record(self, key: bytes, kind: type[R]) -> R | None:
        """Return the value under a key of `records`; decoded once."""
        leaf = self._pairs.leaf(key)
        if leaf is None:
            return None
        if leaf.record is None:
            leaf.record = _decode(kind, leaf.value)
        found = leaf.record
        assert isinstance(found, kind), "a key's first byte fixes its kind"
        return found

    @override
    def scan(self, first_byte: int, kind: type[R]) -> Iterator[R]:
        """Yield all values of a kind, in order of place."""
        for leaf in self._pairs.leaves(first_byte):
            if leaf.record is None:
                leaf.record = _decode(kind, leaf.value)
            found = leaf.record
            assert isinstance(found, kind), "a key's first byte fixes its kind"
            yield found

    @property
    def pairs(self) -> AuthenticatedMap:
        """All pairs."""
        return self._pairs

    @property
    def root(self) -> Digest:
        """What the header of the block at `height` names as its state root, 32 bytes."""
        return self._pairs.root

    @property
    @override
    def head(self) -> HeadRecord:
        """Height, time and count of the chain; looked up once, for it is asked at every step."""
        if self._head is None:
            self._head = super().head
        return self._head

    @property
    @override
    def election(self) -> ElectionRecord:
        """The set that decides the next block; looked up once."""
        if self._election is None:
            self._election = super().election
        return self._election

    @property
    def height(self) -> Height:
        """Height of the last block; 0 for the genesis."""
        return self.head.height

    @property
    def time_ms(self) -> Millis:
        """Time of the last block."""
        return self.head.time_ms

    @property
    def total_transactions(self) -> int:
        """Transactions in all blocks so far."""
        return self.head.total_transactions

    def super_nodes(self) -> tuple[PublicKey, ...]:
        """Return the node keys, sorted, of the set that decides the next block."""
        return self.election.super_nodes

    def epoch(self) -> Epoch:
        """Return the epoch of the next block."""
        return self.election.epoch

    def set_changes(self) -> tuple[Height, ...]:
        """Return the heights whose blocks changed the set: what a receipt must carry."""
        return self.election.changes

    def prove(self, key: bytes) -> MapProof:
        """Return the proof of a value, or of its absence, under `root`."""
        return self._pairs.prove(key)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all pairs, in order of place."""
        return ((leaf.key, leaf.value) for leaf in self._pairs.leaves())

    def advanced(self, execution: Advance) -> "State":
        """Return the state after an execution that started from this state, for good.

        Reads of the new state are quick from now on, those of this one slower.
        """
        assert execution.base_root == self.root, "an execution advances the state it judged"
        execution.pairs.adopt(self._pairs)
        return State(self.genesis, self.alliance, execution.pairs)


def _decode(kind: type[R], value: bytes) -> R:
    try:
        return decode(kind, value)
    except InvalidError as error:
        raise CorruptError(
            f"A stored {kind.__name__} does not decode.",
            remedy="Remove the node's state file: it is rebuilt from the blocks.",
        ) from error


def founding_records(candidate: Candidate, height: Height) -> tuple[OrganisationRecord, UserRecord]:
    """Return an admitted organisation and its first user, who has every role."""
    organisation = OrganisationRecord(
        name=candidate.name,
        title=candidate.title,
        node_key=candidate.node_key,
        certificate=candidate.certificate,
        peer_address=candidate.peer_address,
        api_url=candidate.api_url,
        status="active",
        admitted_height=height,
        changed_height=height,
        users=1,
        admins=1,
        datasets=0,
        expelled_height=Height(0),
        readmitted_height=Height(0),
    )
    user = UserRecord(
        key=candidate.admin_key,
        encryption_key=candidate.admin_encryption_key,
        organisation=candidate.name,
        name=candidate.admin_name,
        roles=("admin", "officer", "publisher", "reader"),
        status="active",
        added_height=height,
        revoked_height=Height(0),
    )
    return organisation, user


def _genesis_items(genesis: Genesis) -> list[tuple[bytes, bytes]]:
    by_name: dict[OrganisationName, PublicKey] = {}
    items: list[tuple[bytes, bytes]] = []
    for candidate in genesis.organisations:
        organisation, user = founding_records(candidate, Height(0))
        by_name[candidate.name] = candidate.node_key
        items += [
            (records.organisation_key(organisation.name), encode(organisation)),
            (
                records.node_key_key(organisation.node_key),
                encode(records.NodeKeyRecord(organisation.name)),
            ),
            (records.user_key(user.key), encode(user)),
        ]
    count = len(genesis.organisations)
    chosen = tuple(sorted(by_name[name] for name in genesis.super_nodes))
    head = HeadRecord(Height(0), genesis.time_ms, 0, 0)
    election = ElectionRecord(Epoch(0), Height(1), chosen, chosen, ())
    counters = CountersRecord(count, count, count, 0, 0)
    return [
        *items,
        (records.HEAD_KEY, encode(head)),
        (records.ELECTION_KEY, encode(election)),
        (records.COUNTERS_KEY, encode(counters)),
    ]
