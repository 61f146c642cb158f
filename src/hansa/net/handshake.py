"""The first words on a link: who speaks, of which alliance, for which channel. Sans-I/O.

Upon TLS, the side that dialled sends HELLO; the other judges it and answers HELLO or REFUSAL.
TLS has proved that the other side holds the private key of its certificate; so it is enough that
the key in HELLO is the certificate's, and that a member has that key now.
"""

from collections.abc import Callable
from typing import Literal

import msgspec

from hansa import limits
from hansa.codec import decode, encode
from hansa.errors import (
    ERRORS_BY_CODE,
    ConflictError,
    DeniedError,
    HansaError,
    InvalidError,
    ProtocolError,
)
from hansa.types import Digest, PublicKey

PROTOCOL_VERSION = 1
NONCE_BYTES = 16

Channel = Literal["agreement", "bulk"]
CHANNELS: tuple[Channel, ...] = ("agreement", "bulk")
"""Two links for each pair, so that bulk never delays votes."""


class Hello(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who speaks."""

    protocol: int
    alliance: Digest
    node_key: PublicKey
    channel: Channel
    nonce: bytes
    """16 random bytes of this run of the node: another value tells of a restart."""


class Refusal(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Why the link ends: an error as `errors` knows it."""

    code: str
    message: str
    remedy: str


def judge_hello(
    data: bytes,
    own: Hello,
    *,
    leaf: PublicKey,
    expected: PublicKey | None,
    is_member: Callable[[PublicKey], bool],
) -> Hello:
    """Return the other side's HELLO if the link may stand.

    Args:
        data: the payload received.
        own: what this side says of itself; where this side dialled, its channel must come back.
        leaf: key of the certificate that TLS checked.
        expected: who was dialled; None on the side that listens.
        is_member: whether an active member has a node key, by the newest block.

    Raises:
        ProtocolError: malformed, another protocol version, or not who TLS says it is.
        ConflictError: another alliance ("wrong genesis"), or this node itself.
        DeniedError: no member (any more).
    """
    try:
        hello = decode(Hello, data, bytes_max=limits.PEER_HELLO_BYTES_MAX)
    except InvalidError as error:
        raise ProtocolError(f"The other side's first message is malformed: {error}") from error
    if hello.protocol != own.protocol:
        raise ProtocolError(
            f"The nodes speak protocols {own.protocol} and {hello.protocol}.",
            remedy="Bring both to the same version of Hansa.",
        )
    if hello.alliance != own.alliance:
        raise ConflictError(
            f"The nodes belong to different alliances: {own.alliance.hex()[:16]}…"
            f" and {hello.alliance.hex()[:16]}… (wrong genesis).",
            remedy="Compare genesis.hansa with another member's, and join with the right one.",
        )
    if hello.node_key != leaf or len(hello.nonce) != NONCE_BYTES:
        raise ProtocolError("The other side's name does not match its certificate.")
    if hello.node_key == own.node_key:
        raise ConflictError(
            "A node met itself.", remedy="Check the addresses of the members, and of this node."
        )
    if expected is not None and (hello.node_key, hello.channel) != (expected, own.channel):
        raise ProtocolError("Another node answered than the one that was dialled.")
    if not is_member(hello.node_key):
        raise DeniedError(
            "The other side is no active member of the alliance.",
            remedy="It must be admitted; if it was just now, the next blocks bring it.",
        )
    return hello


def encode_refusal(error: HansaError) -> bytes:
    """Return the payload of a REFUSAL."""
    return encode(Refusal(error.code, error.message[:400], error.remedy[:200]))


def decode_refusal(data: bytes) -> HansaError:
    """Return the error that the other side gave as its reason.

    Raises:
        ProtocolError: the payload is malformed.
    """
    try:
        refusal = decode(Refusal, data, bytes_max=4 * limits.PEER_HELLO_BYTES_MAX)
    except InvalidError as error:
        raise ProtocolError("The other side refused, without a reason that can be read.") from error
    kind = ERRORS_BY_CODE.get(refusal.code, ProtocolError)
    return kind(f"The other node refused: {refusal.message}", remedy=refusal.remedy)
