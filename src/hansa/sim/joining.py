"""A simulated node takes a snapshot: from nodes that may lie, over links that may be cut meanwhile.

Counterpart of `node.joining` and `node.snapshots`, made of the same parts of `chain.snapshots`. Upon a node
that is to join: it is down; one reachable node after another is asked for its offer, then blocks, then parts;
each piece takes a link's time. Upon a piece that proves nothing, or a node that is gone: the next one. Upon the
last piece: the disk is replaced in one step, vote log and all, and the node starts.

1. Who voted before takes no snapshot older than its last vote (docs/operations): the operator's rule.
2. What an honest node offers, and still has, is never refused.
"""

import random
from collections.abc import Callable, Iterator

import msgspec

from hansa.chain import records
from hansa.chain.authenticated import AuthenticatedMap
from hansa.chain.blocks import Certificate, CertificateSignature, CertifiedBlock, sign_vote
from hansa.chain.parts import Cut, StatePart
from hansa.chain.snapshots import Checkpoint, Snapshot, SnapshotOffer, header_of
from hansa.chain.state import State
from hansa.codec import decode, encode
from hansa.consensus.records import ProposalRecord, Record, VoteRecord
from hansa.errors import HansaError
from hansa.sim.nodes import SimulatedNode
from hansa.sim.world import World
from hansa.types import Digest, Height

PART_BYTES = 2_000
"""A simulated state is a few KiB: so it has several parts."""
PAUSE_MS = 200
PIECE_MS_MAX = 20
LIES_IN_TEN = 1
FORGED = 0.3
"""A liar's share of snapshots that are wholly true but for a state of its own making."""


def recent_of(world: World) -> int:
    """Return how many of the last blocks a node needs, as `schedule.RECENT_BLOCKS` for the largest set."""
    return 2 * world.genesis.parameters.super_nodes + 2


class _NoMore(Exception):  # noqa: N818 - an outcome, not a fault
    """The node asked has not what it is asked for, or is not there any more."""


class Joiner:
    """One node that is down and takes a snapshot before it starts."""

    def __init__(self, world: World, node: SimulatedNode, chance: random.Random) -> None:
        assert node.replica is None
        assert node.is_honest
        self._world = world
        self._node = node
        self._chance = chance
        self._voted = _last_vote(node)
        self.is_over = False
        self.refused = 0
        """Pieces that proved nothing."""
        node.is_joining = True

    def start(self) -> None:
        """Ask from the next event on."""
        self._world.at(0, self._ask)

    def _ask(self) -> None:
        world, node = self._world, self._node
        peers = [
            other
            for other in world.nodes
            if other.replica is not None
            and not other.is_paused
            and other.disk.state.height
            and world.may_meet(node, other)
        ]
        if not peers or world.checkers.state.height < 1:
            world.at(PAUSE_MS, self._ask)
            return
        liars = [other for other in peers if not other.is_honest]
        # Liars are eager to help.
        chosen = liars if liars and self._chance.random() < 0.5 else peers
        peer = self._chance.choice(chosen)
        self._go_on(peer, self._take_from(peer))

    def _go_on(self, peer: SimulatedNode, attempt: Iterator[None]) -> None:
        """Take the next piece; upon the last one start, upon a bad one ask another node."""
        try:
            next(attempt)
        except StopIteration:
            self._finish()
        except _NoMore:
            self._world.at(PAUSE_MS, self._ask)
        except HansaError as error:
            self.refused += 1
            if peer.is_honest:
                self._world.checkers.violate(f"an honest node's snapshot was refused: {error}")
            self._world.at(PAUSE_MS, self._ask)
        else:
            delay = self._chance.randint(1, PIECE_MS_MAX)
            self._world.at(delay, lambda: self._go_on(peer, attempt))

    def _take_from(self, peer: SimulatedNode) -> Iterator[None]:
        """Take a node's snapshot, piece by piece; what it offered first stays as it was."""
        checkpoint = self._checkpoint()
        state, life = peer.disk.state, peer.life
        if state.height < max(checkpoint.height, self._voted):
            raise _NoMore
        changes = [self._block(peer, life, height) for height in state.set_changes()]
        tip, pairs = self._block(peer, life, state.height), state.pairs
        if not peer.is_honest and self._chance.random() < FORGED:
            tip, pairs = forge(peer, state, tip)
        cut = Cut(pairs, PART_BYTES)
        headers = tuple(map(header_of, changes))
        offered = SnapshotOffer(format=1, set_changes=headers, tip=header_of(tip), parts=len(cut))
        offer = decode(SnapshotOffer, self._said(peer, encode(offered), self._false_offer))
        snapshot = Snapshot(self._world.genesis, offer, checkpoint)
        yield
        recent = recent_of(self._world)
        for height in snapshot.wanted(recent):
            block = tip if height == state.height else self._block(peer, life, height)
            said = self._said(peer, encode(block), self._false_block)
            snapshot.add_block(height, decode(CertifiedBlock, said))
            yield
        for number in range(min(offer.parts, len(cut))):
            self._check_there(peer, life)
            said = self._said(peer, encode(cut.part(number)), self._false_part)
            snapshot.assembly.add(decode(StatePart, said))
            yield
        taken, blocks = snapshot.finish(recent)
        self._world.checkers.joined(self._node.key, taken, blocks[-1])
        self._node.disk.put_snapshot(taken, blocks)

    def _checkpoint(self) -> Checkpoint:
        """Return some block that the operator learned of from somebody trusted."""
        known = self._world.checkers.blocks
        height = self._chance.choice(sorted(known))
        return Checkpoint(Height(height), Digest(known[height]))

    def _check_there(self, peer: SimulatedNode, life: int) -> None:
        is_there = peer.replica is not None and peer.life == life and not peer.is_paused
        if not is_there or not self._world.may_meet(self._node, peer):
            raise _NoMore

    def _block(self, peer: SimulatedNode, life: int, height: int) -> CertifiedBlock:
        self._check_there(peer, life)
        found = peer.disk.block(height)
        if found is None:
            raise _NoMore
        return found

    def _finish(self) -> None:
        self._node.is_joining, self.is_over = False, True
        self._world.start(self._node)

    # --- lies --------------------------------------------------------------------------------------

    def _said(self, peer: SimulatedNode, data: bytes, lie: Callable[[bytes], bytes]) -> bytes:
        """Return what a node answers: a liar changes some answers."""
        if peer.is_honest or self._chance.randrange(10) >= LIES_IN_TEN:
            return data
        return lie(data)

    def _false_offer(self, data: bytes) -> bytes:
        """Return an offer of a state of its own, of a header that few have signed, or without a change."""
        offer = decode(SnapshotOffer, data)
        tip = offer.tip
        kind = self._chance.randrange(3 if offer.set_changes else 2)
        if kind == 0:
            header = msgspec.structs.replace(tip.header, state_root=Digest(bytes(32)))
            changed = msgspec.structs.replace(tip, header=header)
            return encode(msgspec.structs.replace(offer, tip=changed))
        if kind == 1:
            few = msgspec.structs.replace(
                tip.certificate, signatures=tip.certificate.signatures[:1]
            )
            changed = msgspec.structs.replace(tip, certificate=few)
            return encode(msgspec.structs.replace(offer, tip=changed))
        return encode(msgspec.structs.replace(offer, set_changes=offer.set_changes[1:]))

    def _false_block(self, data: bytes) -> bytes:
        """Return the block with another time in its header."""
        block = decode(CertifiedBlock, data)
        header = block.block.header
        later = msgspec.structs.replace(header, time_ms=header.time_ms + 1)
        body = msgspec.structs.replace(block.block, header=later)
        return encode(msgspec.structs.replace(block, block=body))

    def _false_part(self, data: bytes) -> bytes:
        """Return a part with a value changed, with a pair left out, or with one where there is none."""
        part = decode(StatePart, data)
        if not part.pairs:
            return encode(msgspec.structs.replace(part, pairs=((b"\x99", b"\x00"),)))
        at = self._chance.randrange(len(part.pairs))
        key, value = part.pairs[at]
        changed = () if self._chance.random() < 0.5 else ((key, value + b"\x00"),)
        pairs = (*part.pairs[:at], *changed, *part.pairs[at + 1 :])
        return encode(msgspec.structs.replace(part, pairs=pairs))


def forge(
    peer: SimulatedNode, state: State, tip: CertifiedBlock
) -> tuple[CertifiedBlock, AuthenticatedMap]:
    """Return a tip and a state in which one user more is counted; only the liar's signature is good."""
    counters = msgspec.structs.replace(state.counters, users=state.counters.users + 1)
    pairs = state.pairs.updated([(records.COUNTERS_KEY, encode(counters))])
    header = msgspec.structs.replace(tip.block.header, state_root=pairs.root)
    vote = msgspec.structs.replace(tip.certificate.vote, digest=header.digest())
    signed = sign_vote(vote, peer.member.node_key)
    signatures = tuple(
        CertificateSignature(item.voter, signed.signature) for item in tip.certificate.signatures
    )
    block = msgspec.structs.replace(tip.block, header=header)
    return CertifiedBlock(block, Certificate(vote, signatures)), pairs


def _last_vote(node: SimulatedNode) -> int:
    """Return the greatest height that a node has promised anything about; 0 if none."""
    last = 0
    for data in node.disk.votes:
        record: Record = decode(Record, data)  # type: ignore[arg-type]
        if isinstance(record, VoteRecord):
            last = max(last, record.vote.vote.height)
        elif isinstance(record, ProposalRecord):
            last = max(last, record.height)
    return last
