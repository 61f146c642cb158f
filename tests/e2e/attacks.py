"""What an attacker sends: raw requests over TLS, forged tokens, peers that misbehave."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import socket
import ssl
import time
from dataclasses import dataclass

from hansa.client.client import HansaClient
from tests.e2e.local_alliance import Member


@dataclass(frozen=True)
class RawAnswer:
    """What came back on the wire until it was closed, or until the deadline."""

    data: bytes
    closed: bool

    @property
    def status(self) -> int:
        """The first answer's status; 0 if there was none."""
        return int(self.data.split(b" ", 2)[1]) if self.data.startswith(b"HTTP/1.1 ") else 0

    @property
    def code(self) -> str:
        """The first answer's problem code."""
        body = self.data.partition(b"\r\n\r\n")[2]
        return str(json.loads(body).get("code", "")) if body else ""


def address(member: Member) -> tuple[str, int]:
    """Return where a member's API listens."""
    return "127.0.0.1", int(member.url.rsplit(":", 1)[1])


def send_raw(member: Member, *parts: bytes, wait_s: float = 5) -> RawAnswer:
    """Send bytes over TLS and return what comes back until the node closes."""
    received = bytearray()
    with (
        socket.create_connection(address(member), timeout=wait_s) as plain,
        member.context().wrap_socket(plain) as link,
    ):
        try:
            with contextlib.suppress(ssl.SSLError, OSError):  # an answer may come before the end
                for part in parts:
                    link.sendall(part)
            while piece := link.recv(65_536):
                received += piece
        except TimeoutError:
            return RawAnswer(bytes(received), closed=False)
        except (ssl.SSLError, OSError):
            pass
    return RawAnswer(bytes(received), closed=True)


def head(method: str, path: str, token: str = "", **headers: str) -> bytes:
    """Return a request's head; header names with _ for -."""
    lines = [f"{method} {path} HTTP/1.1", "Host: node", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*lines, "", ""]).encode()


async def until_at(client: HansaClient, height: int) -> None:
    """Wait until a node has a block that another node told of."""
    for _ in range(200):
        if (await client.status()).height >= height:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"block {height} did not arrive")


def _part(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged_tokens(member: Member) -> dict[str, str]:
    """Return tokens in the name of a member's user that this user never signed."""
    now = int(time.time())
    claims = {"aud": member.node_key.hex(), "iat": now, "exp": now + 60}
    kid = member.user.public.hex()
    signing_input = {
        name: f"{_part({'alg': name, 'kid': kid, 'typ': 'JWT'})}.{_part(claims)}"
        for name in ("none", "None", "HS256", "EdDSA", "RS256")
    }
    secret = member.user.public
    symmetric = hmac.new(secret, signing_input["HS256"].encode(), hashlib.sha256).digest()
    embedded = {"alg": "EdDSA", "kid": kid, "jwk": {"kty": "OKP", "crv": "Ed25519"}, "jku": "http"}
    sound = member.token()
    return {
        "none": signing_input["none"] + ".",
        "None": signing_input["None"] + ".",
        "HS256 under the public key": f"{signing_input['HS256']}.{_part(symmetric)}",
        "RS256": f"{signing_input['RS256']}.{_part(bytes(64))}",
        "a signature of zeros": f"{signing_input['EdDSA']}.{_part(bytes(64))}",
        "own key in the header": f"{_part(embedded)}.{_part(claims)}.{_part(bytes(64))}",
        "another's claims": ".".join([*signing_input["EdDSA"].split("."), sound.split(".")[2]]),
        "no signature": signing_input["EdDSA"],
        "kid of low order": f"{_part({'alg': 'EdDSA', 'kid': '01' + '00' * 31})}"
        f".{_part(claims)}.{_part(b'' + bytes([1]) + bytes(63))}",
        "a path as kid": f"{_part({'alg': 'EdDSA', 'kid': '../../node.key'})}.{_part(claims)}.AA",
    }
