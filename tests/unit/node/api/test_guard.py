"""Tests of node.api.guard: who is let in."""

from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.crypto.signing import SigningKey
from hansa.errors import DeniedError, UnauthenticatedError
from hansa.node.api.guard import TOKENS_REMEMBERED_MAX, Caller, Doorkeeper, authorise
from hansa.types import PublicKey

USER = SigningKey(b"u" * 32)
NODE = PublicKey(SigningKey(b"n" * 32).public)
NOW = 1_000_000


def token(key: SigningKey = USER, *, headers: dict | None = None, **changes: object) -> str:
    """Return an Authorization header with a token."""
    claims = {"aud": NODE.hex(), "iat": NOW, "exp": NOW + 60} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    signer = Ed25519PrivateKey.from_private_bytes(key.seed())
    kid = {"kid": key.public.hex()} if headers is None else headers
    return "Bearer " + jwt.encode(claims, signer, algorithm="EdDSA", headers=kid)


def test_let_in() -> None:
    """A fresh token proves its key; small differences of clocks are borne."""
    for now in (NOW, NOW + 60, NOW + 85, NOW - 25):
        assert USER.public == Doorkeeper(NODE).authenticate(token(), now_s=now)
    assert USER.public == Doorkeeper(NODE).authenticate(
        token().replace("Bearer", "bearer"), now_s=NOW
    )


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer ",
        "Basic dTpw",
        "Bearer a.b.c",
        "Bearer " + "x" * 10_000,
        token(aud="00" * 32),
        token(aud=None),
        token(iat=None),
        token(exp=None),
        token(exp=NOW + 301),
        token(exp=NOW - 1),
        token(iat=NOW - 400, exp=NOW - 200),
        token(iat=NOW + 200, exp=NOW + 260),
        token(iat=float(NOW)),
        token(headers={}),
        token(headers={"kid": "zz"}),
        token(headers={"kid": "00" * 32}),
        token(headers={"kid": SigningKey(b"x" * 32).public.hex()}),
        "Bearer " + jwt.encode({"aud": NODE.hex(), "iat": NOW, "exp": NOW + 9}, "s" * 32, "HS256"),
        "Bearer "
        + jwt.encode({"aud": NODE.hex(), "iat": NOW, "exp": NOW + 9}, "", "none",
                     headers={"kid": USER.public.hex()}),
    ],
)  # fmt: skip
def test_kept_out(header: str) -> None:
    """Anything but a fresh token for this node, signed by the key it names."""
    with pytest.raises(UnauthenticatedError):
        Doorkeeper(NODE).authenticate(header, now_s=NOW)


def test_a_remembered_token_ends_all_the_same() -> None:
    """What was sound is judged by its times each time, and its key alone is let in by it."""
    keeper = Doorkeeper(NODE)
    header = token()
    for now in (NOW, NOW + 10):
        assert USER.public == keeper.authenticate(header, now_s=now)
    with pytest.raises(UnauthenticatedError, match="expired"):
        keeper.authenticate(header, now_s=NOW + 200)
    assert USER.public == keeper.authenticate(header, now_s=NOW + 10)
    changed = header[:-4] + ("AAAA" if header[-4:] != "AAAA" else "BBBB")
    with pytest.raises(UnauthenticatedError, match="signed"):
        keeper.authenticate(changed, now_s=NOW)
    other = token(SigningKey(b"o" * 32))
    assert USER.public != keeper.authenticate(other, now_s=NOW)


def test_tokens_remembered_are_bounded() -> None:
    """Many tokens take no more memory than the bound; refused ones take none."""
    keeper = Doorkeeper(NODE)
    for number in range(TOKENS_REMEMBERED_MAX + 10):
        keeper.authenticate(token(jti=str(number)), now_s=NOW)
    with pytest.raises(UnauthenticatedError):
        keeper.authenticate("Bearer a.b.c", now_s=NOW)
    assert len(keeper._sound) == TOKENS_REMEMBERED_MAX


def state(user: object, member: object) -> object:
    """Return a state with one user and one member."""
    return SimpleNamespace(user=lambda key: user, organisation=lambda name: member)


def test_authorise() -> None:
    """Only an active user of the own, active organisation."""
    active = SimpleNamespace(status="active", organisation="transport", roles=("reader",))
    member = SimpleNamespace(status="active")
    assert active is authorise(state(active, member), "transport", USER.public)
    with pytest.raises(UnauthenticatedError):
        authorise(state(None, member), "transport", USER.public)
    revoked = SimpleNamespace(status="revoked", organisation="transport")
    foreign = SimpleNamespace(status="active", organisation="health")
    suspended = SimpleNamespace(status="suspended")
    for user, organisation in (
        (revoked, member),
        (foreign, member),
        (active, suspended),
        (active, None),
    ):
        with pytest.raises(DeniedError) as caught:
            authorise(state(user, organisation), "transport", USER.public)
        assert caught.value.http_status == 403


def test_roles() -> None:
    """One of the roles is enough; none is refused with what is needed."""
    caller = Caller(USER.public, SimpleNamespace(roles=("reader",)))
    caller.require_role("officer", "reader")
    with pytest.raises(DeniedError, match="officer"):
        caller.require_role("officer")
