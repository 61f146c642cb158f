"""Session: what every action of a client needs in hand."""

from dataclasses import dataclass, field

from hansa.chain.genesis import Genesis
from hansa.chain.receipts import VerifiedReceipt
from hansa.chain.sealed import SealingKeyNotice, SealingSession, open_session
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
    sealing: list[tuple[tuple[SealingKeyNotice, ...], SealingSession]] = field(default_factory=list)
    """The present session with the super nodes, if there is one, and the keys it was made for."""

    receipts: dict[int, VerifiedReceipt] = field(default_factory=dict)
    """By height, the last receipts verified: two blocks of one height stop the client."""

    def sealing_session(self, notices: tuple[SealingKeyNotice, ...]) -> SealingSession:
        """Return a secret shared with the super nodes that announced these keys; one for each set of keys."""
        if not self.sealing or self.sealing[0][0] != notices:
            made = open_session(
                self.profile.alliance,
                self.keys.signing.public,
                notices,
                self.entropy.random_bytes(32),
            )
            self.sealing[:] = [(notices, made)]
        return self.sealing[0][1]
