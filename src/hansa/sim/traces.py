"""What the honest super nodes of a simulated world did, height by height, for the model in `spec/`.

A recorder stands in for the world's checkers and notes, in the order of the world: promises that became
durable, locks, rounds entered, blocks appended, starts after crashes, copies held. `write` makes a TLA+
module of it; `spec/AgreementTrace.tla` tells whether each event is an action of the model. Nothing in
here knows the model's rules: a replica that broke one would be recorded all the same, and refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from typing_extensions import override

from hansa.chain.blocks import CertifiedBlock
from hansa.chain.state import State
from hansa.codec import decode
from hansa.consensus.messages import Propose, decode_message
from hansa.consensus.records import BodyRecord, LockRecord, ProposalRecord, Record, VoteRecord
from hansa.consensus.replica import Replica
from hansa.sim.checkers import Checkers
from hansa.sim.disk import Disk
from hansa.sim.world import World
from hansa.types import NO_DIGEST, Digest, PublicKey

ROUNDS_MAX = 12
"""Heights that took more rounds than this are left out, and counted."""
NIL = "nil"
UNSENT = -2
"""A proposal that a crash kept from being sent: nobody knows what it would have carried."""


@dataclass(slots=True)
class TraceEvent:
    """One thing that one node did."""

    do: str
    """propose, review, lock, reject, enter, decide, start or copies: an action of the model."""
    node: PublicKey
    round: int = 0
    value: Digest = NO_DIGEST
    rounds: tuple[int, ...] = ()
    """Rounds of which copies are held, for `copies`."""
    again: int = UNSENT
    """For `propose`: the round of the reviews it was sent with, -1 for a new block."""
    is_held: bool = False
    """For `review`: whether copies of its round are held after the step."""


@dataclass(slots=True)
class HeightTrace:
    """What was recorded of one height."""

    height: int
    members: tuple[PublicKey, ...] = ()
    """Its super nodes, sorted."""
    masters: tuple[PublicKey, ...] = ()
    """Of the rounds 0 .. ROUNDS_MAX - 1; empty if nobody honest stood at this height."""
    events: list[TraceEvent] = field(default_factory=list)
    rounds: dict[PublicKey, int] = field(default_factory=dict)
    """Round of each node, as far as noted."""
    locks: set[tuple[PublicKey, int, Digest]] = field(default_factory=set)
    """Bodies with their review certificates in vote logs: (node, round, block)."""
    promises: set[tuple[PublicKey, str, int, Digest]] = field(default_factory=set)
    copies: dict[PublicKey, tuple[int, ...]] = field(default_factory=dict)
    proposals: dict[tuple[PublicKey, int], TraceEvent] = field(default_factory=dict)
    reviews: dict[PublicKey, TraceEvent] = field(default_factory=dict)
    """Of the step in progress, or of one that a crash broke off."""

    @property
    def last_round(self) -> int:
        """The highest round anything was noted of."""
        return max((event.round for event in self.events), default=0)


class Recorder(Checkers):
    """Checks as `Checkers` does, and keeps what it saw."""

    def __init__(self, genesis: State, faulty: Iterable[PublicKey]) -> None:
        faulty = frozenset(faulty)
        super().__init__(genesis, faulty)
        self.faulty = faulty
        self.heights: dict[int, HeightTrace] = {}

    def _at(self, height: int) -> HeightTrace:
        found = self.heights.setdefault(height, HeightTrace(height))
        if not found.members:
            found.members = self._members.get(height, ())
        return found

    def _note(self, trace: HeightTrace, event: TraceEvent) -> None:
        """Note an event of a round; a later round than the last was entered first."""
        if event.round > trace.rounds.get(event.node, 0):
            trace.rounds[event.node] = event.round
            if event.do != "enter":
                trace.events.append(TraceEvent("enter", event.node, event.round))
        trace.events.append(event)

    @override
    def persisted(self, who: PublicKey, records: Iterable[bytes]) -> None:
        """Note promises, each once."""
        records = list(records)
        super().persisted(who, records)
        for data in records:
            record: Record = decode(Record, data)  # type: ignore[arg-type]
            if isinstance(record, BodyRecord | LockRecord):
                vote = record.certificate.vote
                self._at(vote.height).locks.add((who, vote.round, vote.digest))
            else:
                self._promised(who, record)

    def _promised(self, who: PublicKey, record: VoteRecord | ProposalRecord) -> None:
        if isinstance(record, ProposalRecord):
            height, do, number, named = record.height, "propose", record.round, record.digest
        else:
            vote = record.vote.vote
            height, do, number, named = vote.height, vote.phase, vote.round, vote.digest
        trace = self._at(height)
        if (who, do, number, named) in trace.promises:
            return
        trace.promises.add((who, do, number, named))
        if do == "confirm":
            # A lock is one write: body or certificate, and vote. A vote alone is no action of the model.
            locked = (who, number, named) in trace.locks
            do = "reject" if named == NO_DIGEST else "lock" if locked else "vote-without-body"
        event = TraceEvent(do, who, number, named)
        if do == "propose":
            trace.proposals[who, number] = event
        elif do == "review":
            trace.reviews[who] = event
        self._note(trace, event)

    @override
    def sent(self, who: PublicKey, replica: Replica | None, data: bytes) -> None:
        """Note what a proposal was sent with."""
        is_new = data is not self._seen
        super().sent(who, replica, data)
        message = decode_message(data) if is_new else None
        if isinstance(message, Propose) and message.proposal.master == who:
            proposal = message.proposal
            event = self._at(proposal.height).proposals.get((who, proposal.round))
            if event is not None:
                event.again = proposal.valid_round

    @override
    def committed(self, who: PublicKey, certified: CertifiedBlock, state: State) -> None:
        """Note a block that was appended."""
        super().committed(who, certified, state)
        header = certified.block.header
        trace = self._at(header.height)
        trace.events.append(TraceEvent("decide", who, value=header.digest()))

    @override
    def started(self, who: PublicKey, disk: Disk) -> None:
        """Note a start: what the crash left in the log counts, then all else is forgotten."""
        super().started(who, disk)
        trace = self._at(disk.state.height + 1)
        mine = [number for voter, _, number, _ in trace.promises if voter == who]
        trace.rounds[who] = max(mine, default=0)
        trace.copies[who] = ()
        trace.reviews.pop(who, None)
        trace.events.append(TraceEvent("start", who))

    @override
    def stepped(self, who: PublicKey, replica: Replica) -> None:
        """Note the round a step ended in, and the copies that are held."""
        super().stepped(who, replica)
        trace = self._at(replica.height + 1)
        if not trace.masters:
            masters = (replica._agreement.master(number) for number in range(ROUNDS_MAX))
            trace.masters = tuple(master for master in masters if master is not None)
        if replica.round > trace.rounds.get(who, 0):
            self._note(trace, TraceEvent("enter", who, replica.round))
        held = tuple(number for _, number in replica.copies_of())
        review = trace.reviews.pop(who, None)
        if review is not None:
            review.is_held = review.round in held
        if held != trace.copies.get(who, ()):
            trace.copies[who] = held
            trace.events.append(TraceEvent("copies", who, rounds=held))

    def complete(self, honest: int, super_nodes: int) -> list[HeightTrace]:
        """Return the heights with so many honest super nodes of so many, that can be checked."""
        return [
            trace
            for trace in self.heights.values()
            if len(trace.members) == super_nodes
            and len(set(trace.members) - self.faulty) == honest
            and len(trace.masters) == ROUNDS_MAX
            and trace.last_round < ROUNDS_MAX
        ]


def record(world: World) -> Recorder:
    """Put a recorder into a world that was not started yet."""
    faulty = [node.key for node in world.nodes if not node.is_honest]
    recorder = Recorder(world.checkers.state, faulty)
    world.checkers = recorder
    return recorder


def write(traces: Iterable[HeightTrace], faulty: Iterable[PublicKey]) -> str:
    """Return the module TraceData: names instead of keys and digests, each height a trace.

    Args:
        traces: with equally many members and equally many faulty ones among them.
        faulty: who may do anything, so that nothing of it is recorded.
    """
    liars = frozenset(faulty)
    texts, values, last_round = [], 1, 0
    for trace in traces:
        names = _names(trace.members, liars)
        numbers: dict[Digest, str] = {NO_DIGEST: NIL}
        lines = [
            _line(event, names, numbers)
            for event in trace.events
            if event.node in names and event.node not in liars
        ]
        masters = ", ".join(f'"{names[master]}"' for master in trace.masters)
        texts.append(
            f"[masters |-> <<{masters}>>, events |-> <<\n    " + ",\n    ".join(lines) + ">>]"
        )
        values = max(values, len(numbers) - 1)
        last_round = max(last_round, trace.last_round)
    named = ", ".join(f'"block{number}"' for number in range(1, values + 1))
    return (
        "---- MODULE TraceData ----\nEXTENDS Integers\n"
        f"TraceValues == {{{named}}}\nTraceLastRound == {last_round}\n"
        "Traces == <<\n  " + ",\n  ".join(texts) + "\n>>\n====\n"
    )


def _names(members: tuple[PublicKey, ...], liars: frozenset[PublicKey]) -> dict[PublicKey, str]:
    honest = [key for key in members if key not in liars]
    names = {key: f"node{number}" for number, key in enumerate(honest, 1)}
    lying = [key for key in members if key in liars]
    return names | {key: f"liar{number}" for number, key in enumerate(lying, 1)}


def _line(event: TraceEvent, names: dict[PublicKey, str], numbers: dict[Digest, str]) -> str:
    value = numbers.setdefault(event.value, f"block{len(numbers)}")
    held = ", ".join(map(str, event.rounds))
    return (
        f'[do |-> "{event.do}", node |-> "{names[event.node]}", round |-> {event.round}, '
        f'value |-> "{value}", rounds |-> {{{held}}}, again |-> {event.again}, '
        f"held |-> {str(event.is_held).upper()}]"
    )
