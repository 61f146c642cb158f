"""A quiet world of six organisations, four of them super nodes, and a context that stands alone."""

import pytest

from hansa.chain.state import State
from hansa.consensus.context import Context
from hansa.consensus.events import Now, Submitted
from hansa.consensus.schedule import Schedule
from hansa.sim.members import START_MS
from hansa.sim.run import PARAMETERS
from hansa.sim.world import World


class Quiet:
    """A world without faults, with short words for what tests do."""

    def __init__(self, seed: int = 1) -> None:
        self.world = World(seed, organisations=6, parameters=PARAMETERS)
        self.world.start_all()
        self.world.run_for(100)

    def sealed(self, index: int, *, confidential: bool = False):
        """Return (transaction, sealed form) of an organisation's admin."""
        client, node = self.world.clients[index], self.world.nodes[index]
        part = client.confidential() if confidential else b""
        transaction = client.sign(
            client.add_user(),
            height=node.disk.state.height,
            time_ms=START_MS + self.world.now_ms,
            confidential=part,
        )
        return transaction, client.seal(transaction, node.replica.sealing_notices(), part)

    def submit(self, index: int, *, confidential: bool = False):
        """Submit at an organisation's node; return the digest."""
        transaction, sealed = self.sealed(index, confidential=confidential)
        self.world.submit(index, Submitted(sealed))
        return transaction.digest()


@pytest.fixture
def quiet() -> Quiet:
    """A started world at height 0."""
    return Quiet()


@pytest.fixture
def context(quiet: Quiet) -> Context:
    """The context of the first super node, apart from its replica."""
    world = quiet.world
    state = State.at_genesis(world.genesis)
    schedule = Schedule(state.alliance, PARAMETERS.epoch_blocks)
    made = Context(world.members[0].node_key, state, schedule, world.chance.randbytes)
    made.now = Now(START_MS, 0)
    made.connected.update(member.node for member in world.members[1:])
    return made
