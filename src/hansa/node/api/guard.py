"""Who calls: a short-lived token that the user's registered key signed, judged on the current state.

The token (RFC 7519, EdDSA) names the user's key (`kid`), this node's key (`aud`), `iat` and `exp`.
Membership and revocation are looked up at each request, so a revoked user is out with the block.
A client sends one token with many requests: its signature is checked once, its times each time.
"""

from collections import OrderedDict
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from litestar.connection import ASGIConnection
from litestar.datastructures import State as AppState
from litestar.handlers import BaseRouteHandler

from hansa import limits
from hansa.chain.records import UserRecord
from hansa.chain.state import State
from hansa.crypto.signing import is_sound_point
from hansa.errors import DeniedError, UnauthenticatedError
from hansa.node.api.services import Services
from hansa.types import OrganisationName, PublicKey

CLOCK_SKEW_S = 30
TOKEN_CHARACTERS_MAX = 4_096
TOKENS_REMEMBERED_MAX = 256
SCHEME = "bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """A user of the own organisation who proved their key."""

    key: PublicKey
    user: UserRecord

    def require_role(self, *roles: str) -> None:
        """Check that the user has one of the roles.

        Raises:
            DeniedError: they have none of them.
        """
        if not set(roles) & set(self.user.roles):
            raise DeniedError(
                f"This needs the role {' or '.join(roles)}.",
                remedy="An admin of your organisation can add a user with that role.",
            )


class Doorkeeper:
    """Checks tokens for one node, and remembers those whose signature it has found sound."""

    def __init__(self, audience: PublicKey) -> None:
        """Take the node's key, which tokens must name."""
        self._audience = audience
        self._sound: OrderedDict[str, tuple[PublicKey, object, object]] = OrderedDict()
        """Whole header → key, iat, exp; the one used longest ago first."""

    def authenticate(self, header: str, *, now_s: float) -> PublicKey:
        """Return the key that signed the token of an Authorization header.

        Raises:
            UnauthenticatedError: no token, malformed, for another node, expired or wrongly signed.
        """
        known = self._sound.get(header)
        if known is None:
            known = check_token(header, audience=self._audience)
            self._sound[header] = known
            if len(self._sound) > TOKENS_REMEMBERED_MAX:
                self._sound.popitem(last=False)
        else:
            self._sound.move_to_end(header)
        key, issued, expires = known
        _validate_times(issued, expires, now_s)
        return key


def check_token(header: str, *, audience: PublicKey) -> tuple[PublicKey, object, object]:
    """Return who signed the token of an Authorization header, and its iat and exp, not yet checked.

    Raises:
        UnauthenticatedError: no token, malformed, for another node or wrongly signed.
    """
    if header[: len(SCHEME)].lower() != SCHEME or len(header) > TOKEN_CHARACTERS_MAX:
        raise UnauthenticatedError(
            "This call needs a token.", remedy="Send Authorization: Bearer with a signed token."
        )
    token = header[len(SCHEME) :].strip()
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = bytes.fromhex(kid) if isinstance(kid, str) else b""
        if len(key) != 32 or not is_sound_point(key):
            raise UnauthenticatedError("The token's kid is no Ed25519 key in hex.")
        # The times are checked below, against the node's own clock port.
        claims = jwt.decode(
            token,
            Ed25519PublicKey.from_public_bytes(key),
            algorithms=["EdDSA"],
            audience=audience.hex(),
            options={
                "require": ["aud", "iat", "exp"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.InvalidAudienceError as error:
        raise UnauthenticatedError(
            "The token is for another node.", remedy="Its aud must be this node's key in hex."
        ) from error
    except (jwt.PyJWTError, ValueError) as error:
        raise UnauthenticatedError("The token is malformed or wrongly signed.") from error
    return PublicKey(key), claims["iat"], claims["exp"]


def _validate_times(issued: object, expires: object, now_s: float) -> None:
    if not (isinstance(issued, int) and isinstance(expires, int)):
        raise UnauthenticatedError("The token's iat and exp must be whole seconds.")
    if not 0 < expires - issued <= limits.TOKEN_LIFETIME_S_MAX:
        raise UnauthenticatedError(
            f"A token may live at most {limits.TOKEN_LIFETIME_S_MAX} seconds."
        )
    if not issued - CLOCK_SKEW_S <= now_s <= expires + CLOCK_SKEW_S:
        raise UnauthenticatedError(
            "The token is expired or not valid yet.",
            remedy="Make a new one; check this machine's clock against /v1/sealing-keys time_ms.",
        )


def authorise(state: State, organisation: str, key: PublicKey) -> UserRecord:
    """Return the user behind a key, if the current state lets them use this node.

    Raises:
        UnauthenticatedError: no such user on the chain.
        DeniedError: revoked, of another organisation, or of a suspended one.
    """
    user = state.user(key)
    if user is None and state.organisation(OrganisationName(organisation)) is None:
        raise UnauthenticatedError(
            f"{organisation} is not a member of the alliance yet.",
            remedy="More than half of the members must vote for it: `hansa organisation admit`.",
        )
    if user is None:
        raise UnauthenticatedError(
            "No user with this key is registered.",
            remedy="An admin of your organisation adds it with `hansa user add`.",
        )
    if user.status != "active":
        raise DeniedError("This user is revoked.")
    if user.organisation != organisation:
        raise DeniedError(
            f"This node serves the users of {organisation} only.",
            remedy=f"Use the node of {user.organisation}.",
        )
    member = state.organisation(user.organisation)
    if member is None or member.status != "active":
        raise DeniedError(f"The organisation {organisation} is suspended.")
    return user


async def require_user(
    connection: ASGIConnection[BaseRouteHandler, object, object, AppState],
    _handler: BaseRouteHandler,
) -> None:
    """Guard: let the request on only with a valid token of an own, active user."""
    state = connection.app.state
    services: Services = state.services
    keeper = state.get("doorkeeper")
    if keeper is None:
        keeper = state["doorkeeper"] = Doorkeeper(services.key.public)
    header = connection.headers.get("authorization", "")
    key = keeper.authenticate(header, now_s=services.clock.now_ms() / 1000)
    user = authorise(services.state(), services.organisation, key)
    connection.scope["hansa_caller"] = Caller(key, user)  # type: ignore[typeddict-unknown-key]


def provide_caller(scope: object) -> Caller:
    """Give a handler the caller that the guard found."""
    assert isinstance(scope, dict)
    caller = scope["hansa_caller"]
    assert isinstance(caller, Caller)
    return caller
