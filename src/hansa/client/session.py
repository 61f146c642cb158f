"""Session: what every action of a client needs in hand."""

from dataclasses import dataclass

from hansa.chain.genesis import Genesis
from hansa.client.keys import Keys
from hansa.client.profile import Profile
from hansa.client.transport import Transport
from hansa.ports import Clock, Entropy, Workers


@dataclass(frozen=True, slots=True)
class Session:
    """One user at one node, for the life of a client."""

    profile: Profile
    keys: Keys
    genesis: Genesis
    transport: Transport
    clock: Clock
    entropy: Entropy
    workers: Workers
