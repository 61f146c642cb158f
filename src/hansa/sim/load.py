"""The clients of a simulated world: what they ask for, and how patiently.

Users are added, some transactions carry a confidential part, organisations vote for super nodes, admit
who stands by, suspend and readmit; and a node that caught a liar brings the evidence by its own key.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from hansa.chain.evidence import Evidence, encode_evidence, is_ripe
from hansa.chain.transactions import (
    AdmitOrganisation,
    Operation,
    SubmitEvidence,
    SuspendOrganisation,
    Transaction,
)
from hansa.consensus.effects import SettleTransaction
from hansa.consensus.events import Submitted
from hansa.sim.members import START_MS, make_candidate
from hansa.sim.nodes import SimulatedNode
from hansa.sim.world import World
from hansa.types import Digest, OrganisationName

CLIENT_PATIENCE_MS = 3_000
RIPENING_MS = 100
"""An unsettled transaction is given to the node again after this time: the node may have restarted."""


@dataclass(slots=True)
class Pending:
    """A transaction whose client waits."""

    index: int
    transaction: Transaction
    confidential: bytes
    asked_ms: int


class Load:
    """Clients that ask until they are answered."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world = world
        self._chance = chance
        self.pending: dict[Digest, Pending] = {}
        self.committed: dict[Digest, int] = {}
        """What a client was told is committed, and in which block."""
        self.is_on = True
        world.on_settled = self._settled
        world.on_accused = self._accused

    # --- one transaction ---------------------------------------------------------------------------

    def submit(self) -> None:
        """A client of some honest, active organisation signs something and gives it to its node."""
        chance = self._chance
        index = chance.choice([self.world.nodes.index(node) for node in self.world.settling()])
        client = self.world.clients[index]
        operation: Operation = client.add_user()
        if chance.random() < 0.15:
            operation = client.vote(self._slate())
        confidential = client.confidential() if chance.random() < 0.4 else b""
        self.ask(index, operation, confidential)

    def _slate(self) -> tuple[OrganisationName, ...]:
        """Return an organisation's choice of super nodes."""
        state = self.world.checkers.state
        active = [item.name for item in state.organisations() if item.status == "active"]
        count = min(len(active), self.world.genesis.parameters.super_nodes)
        return tuple(sorted(self._chance.sample(active, count)))

    def ask(self, index: int, operation: Operation, confidential: bytes = b"") -> Digest:
        """Have the admin of an organisation sign an operation and hand it in."""
        world = self.world
        transaction = world.clients[index].sign(
            operation,
            height=world.checkers.state.height,
            time_ms=START_MS + world.now_ms,
            confidential=confidential,
        )
        return self._keep(index, transaction, confidential)

    def _keep(self, index: int, transaction: Transaction, confidential: bytes) -> Digest:
        digest = transaction.digest()
        self.pending[digest] = Pending(index, transaction, confidential, self.world.now_ms)
        self._hand_in(digest)
        return digest

    def _hand_in(self, digest: Digest) -> None:
        pending = self.pending.get(digest)
        if pending is None:
            return
        pending.asked_ms = self.world.now_ms
        node = self.world.nodes[pending.index]
        if node.replica is None or node.is_paused:
            return
        notices = node.replica.sealing_notices()
        if not notices:
            return
        client = self.world.clients[pending.index]
        sealed = client.seal(pending.transaction, notices, pending.confidential)
        self.world.submit(pending.index, Submitted(sealed))

    def owed(self) -> int:
        """Return how many transactions wait whose organisation is active: these must be settled."""
        nodes, settling = self.world.nodes, self.world.settling()
        return sum(nodes[item.index] in settling for item in self.pending.values())

    def _settled(self, effect: SettleTransaction) -> None:
        if effect.status == "reseal":
            self.world.at(20, lambda: self._hand_in(effect.digest))
            return
        self.pending.pop(effect.digest, None)
        if effect.status == "committed":
            self.committed[effect.digest] = effect.height

    # --- membership and evidence -------------------------------------------------------------------

    def ballot(self, voters: Sequence[int], subject: int, *, admits: bool) -> None:
        """Have organisations vote to admit, or to suspend, another."""
        member = self.world.members[subject]
        operation: Operation = (
            AdmitOrganisation(make_candidate(member))
            if admits
            else SuspendOrganisation(member.name, "a simulated reason")
        )
        for index in voters:
            if index != subject and self.world.nodes[index].is_honest:
                self.ask(index, operation)

    def _accused(self, node: SimulatedNode, evidence: Evidence) -> None:
        """The node brings the proof itself, a moment later: not in the middle of its own step."""
        if not node.is_honest:
            return
        self.world.at(1, lambda: self._bring(node, evidence))

    def _bring(self, node: SimulatedNode, evidence: Evidence) -> None:
        """Bring a proof once the chain can judge it."""
        height = self.world.checkers.state.height
        if not is_ripe(evidence, height):
            self.world.at(RIPENING_MS, lambda: self._bring(node, evidence))
            return
        index = self.world.nodes.index(node)
        transaction = self.world.clients[index].sign(
            SubmitEvidence(encode_evidence(evidence)),
            height=height,
            time_ms=START_MS + self.world.now_ms,
            key=node.member.node_key,
        )
        self._keep(index, transaction, b"")

    # --- going on ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Ask now and then from now on, and remind."""
        self.world.at(30, self._next)
        self.world.at(500, self._remind)

    def _next(self) -> None:
        if self.is_on:
            self.submit()
            self.world.at(self._chance.randint(20, 400), self._next)

    def _remind(self) -> None:
        """Clients that wait too long hand in again."""
        limit = self.world.now_ms - CLIENT_PATIENCE_MS
        for digest in [key for key, item in self.pending.items() if item.asked_ms <= limit]:
            self._hand_in(digest)
        self.world.at(500, self._remind)
