"""Two certificates for one height: the node keeps what they prove, and stops."""

import msgspec
import pytest

from hansa.chain.blocks import Certificate, CertificateSignature, CertifiedBlock, sign_vote
from hansa.codec import encode
from hansa.consensus.effects import Accuse, Halt, Send
from hansa.consensus.events import MessageReceived, Now
from hansa.consensus.messages import BlockDecided, Blocks, GetBlocks, Status, decode_message
from hansa.sim.members import START_MS


@pytest.fixture
def forked(quiet):
    """A node at height 1 or more, and another block of height 1 that a quorum confirmed too."""
    quiet.submit(5)
    quiet.world.run_for(300)
    node = quiet.world.nodes[0]
    own = node.disk.blocks[0]
    return node.replica, own, certify(quiet, own, 3, time_ms=own.block.header.time_ms + 1)


def certify(quiet, own: CertifiedBlock, count: int, **changes) -> CertifiedBlock:
    """Return another block of the same height, confirmed by some of the super nodes."""
    header = msgspec.structs.replace(own.block.header, **changes)
    vote = msgspec.structs.replace(own.certificate.vote, digest=header.digest())
    chosen = sorted(quiet.world.members[:4], key=lambda member: member.node)[:count]
    signed = [sign_vote(vote, member.node_key) for member in chosen]
    parts = tuple(CertificateSignature(item.voter, item.signature) for item in signed)
    return CertifiedBlock(
        msgspec.structs.replace(own.block, header=header), Certificate(vote, parts)
    )


def hear(quiet, replica, message):
    """Let a node hear a message from an ordinary node; return the effects."""
    now = Now(START_MS + 5_000, 5_000)
    return replica.step(MessageReceived(quiet.world.members[5].node, encode(message)), now)


@pytest.mark.parametrize("kind", [lambda block: Blocks((block,)), BlockDecided])
def test_two_certificates_stop_the_node(quiet, forked, kind) -> None:
    """However it comes; who signed both is proved first; after that it does nothing."""
    replica, own, other = forked
    effects = hear(quiet, replica, kind(other))
    halts = [effect for effect in effects if isinstance(effect, Halt)]
    assert [Halt(other)] == halts
    assert halts[-1] == effects[-1]
    if replica.tip == own:
        both = {part.voter for part in own.certificate.signatures} & {
            part.voter for part in other.certificate.signatures
        }
        assert both - {replica._context.node} <= {
            item.evidence.first.voter for item in effects if isinstance(item, Accuse)
        }
    assert () == hear(quiet, replica, kind(own))


def test_what_proves_nothing_stops_nobody(quiet, forked) -> None:
    """The own block, too few signatures, a header that was not voted for, other slots, the future."""
    replica, own, other = forked
    vote = other.certificate.vote
    for harmless in (
        own,
        certify(quiet, own, 2, time_ms=own.block.header.time_ms + 1),
        CertifiedBlock(own.block, other.certificate),
        CertifiedBlock(
            other.block,
            msgspec.structs.replace(
                other.certificate, vote=msgspec.structs.replace(vote, phase="review")
            ),
        ),
        CertifiedBlock(
            other.block,
            msgspec.structs.replace(other.certificate, vote=msgspec.structs.replace(vote, epoch=7)),
        ),
        certify(quiet, own, 3, height=replica.height + 2),
    ):
        assert not any(isinstance(item, Halt) for item in hear(quiet, replica, Blocks((harmless,))))
    assert not replica._context.has_halted


def test_a_peers_word_for_another_block_is_followed_up(quiet, forked) -> None:
    """It is asked for the block, now and then; of the same digest nobody asks."""
    replica, own, _ = forked
    header = own.block.header
    status = Status(replica.state.alliance, header.height, header.digest(), 0, -1, False, True)

    def asked(message) -> list[GetBlocks]:
        told = [
            decode_message(e.data) for e in hear(quiet, replica, message) if isinstance(e, Send)
        ]
        return [item for item in told if isinstance(item, GetBlocks)]

    assert [] == asked(status)
    other = msgspec.structs.replace(status, digest=bytes(32))
    assert [GetBlocks(1, 1)] == asked(other)
    assert [] == asked(other)
