"""Transport: HTTPS to the own node, pinned to its certificate, proved by short-lived tokens.

TLS 1.3; the only trust anchor is the certificate of the profile, so its host name says nothing and is
not asked. Each call carries a JSON Web Token (RFC 7519, EdDSA) that the user's key signed for this
node. Problem documents (RFC 9457) become the errors of `hansa.errors`; what may succeed later is tried
again a bounded number of times. Counterpart: `hansa.rest`, and the node's API.
"""

import asyncio
import io
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import hansa
from hansa import limits
from hansa.codec import decode, encode
from hansa.crypto.signing import SigningKey
from hansa.errors import (
    ERRORS_BY_CODE,
    ConflictError,
    DeniedError,
    DiskFullError,
    HansaError,
    InvalidError,
    MissingError,
    ProtocolError,
    UnauthenticatedError,
    UnavailableError,
)
from hansa.ports import Clock, Entropy
from hansa.rest import Health
from hansa.types import PublicKey

T = TypeVar("T")
Query = Mapping[str, str | int | bool]

OCTETS = "application/octet-stream"
TOKEN_MARGIN_S = 30
"""A token is replaced this long before it ends."""
_READ_BYTES = 256 * limits.KIB

_ERRORS_BY_STATUS: dict[int, type[HansaError]] = {
    400: InvalidError,
    401: UnauthenticatedError,
    403: DeniedError,
    404: MissingError,
    409: ConflictError,
    412: ConflictError,
    413: InvalidError,
    422: InvalidError,
    429: UnavailableError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
    507: DiskFullError,
}


class Problem(msgspec.Struct, frozen=True):
    """The members of a problem document that matter here; others are ignored."""

    code: str = ""
    title: str = ""
    detail: str = ""
    remedy: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from one call that succeeded."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Caller:
    """Proves who calls: makes and keeps the user's token for one node."""

    def __init__(self, key: SigningKey, node_key: PublicKey, clock: Clock) -> None:
        self._key = key
        self._signer = Ed25519PrivateKey.from_private_bytes(key.seed())
        self._node_key = node_key
        self._clock = clock
        self._token = ""
        self._replaced_at_s = 0

    def token(self) -> str:
        """Return a token that is good for at least TOKEN_MARGIN_S seconds."""
        now_s = self._clock.now_ms() // 1000
        made_s = self._replaced_at_s - limits.TOKEN_LIFETIME_S_MAX + TOKEN_MARGIN_S
        if not self._token or not made_s <= now_s < self._replaced_at_s:
            claims = {
                "aud": self._node_key.hex(),
                "iat": now_s,
                "exp": now_s + limits.TOKEN_LIFETIME_S_MAX,
            }
            headers = {"kid": self._key.public.hex()}
            self._token = jwt.encode(claims, self._signer, algorithm="EdDSA", headers=headers)
            self._replaced_at_s = now_s + limits.TOKEN_LIFETIME_S_MAX - TOKEN_MARGIN_S
        return self._token

    def forget(self) -> None:
        """Make a new token at the next call."""
        self._token = ""


def pinned_context(certificate_pem: str) -> ssl.SSLContext:
    """Return a TLS 1.3 client context that trusts one certificate alone.

    Raises:
        InvalidError: it is no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(cadata=certificate_pem)
    except ssl.SSLError as error:
        raise InvalidError(
            "The profile's node certificate is no certificate in PEM form.",
            remedy="Copy certificate.pem of your node into node_certificate.",
        ) from error
    return context


def to_error(status: int, body: bytes) -> HansaError:
    """Return the error that an answer carries: by its problem code, else by its HTTP status."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except msgspec.DecodeError:
        problem = Problem()
    kind = ERRORS_BY_CODE.get(problem.code) or _ERRORS_BY_STATUS.get(status) or ProtocolError
    message = problem.detail or problem.title or f"The node answered with HTTP status {status}."
    return kind(message, remedy=problem.remedy)


class Transport:
    """Calls to one node; use it as an async context manager."""

    def __init__(
        self,
        base_url: str,
        certificate_pem: str,
        caller: Caller,
        entropy: Entropy,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            base_url: https://host:port of the node.
            certificate_pem: the certificate it must show.
            caller: makes the tokens.
            entropy: spreads the retries of many clients.
            pause: waits some seconds between attempts.
        """
        self._base_url = base_url.rstrip("/")
        self._context = pinned_context(certificate_pem)
        self._caller = caller
        self._entropy = entropy
        self._pause = pause
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._context, limit=16, keepalive_timeout=30)
        self._http = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"User-Agent": f"hansa/{hansa.__version__}"},
            auto_decompress=True,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def get(self, path: str, kind: type[T], query: Query | None = None) -> T:
        """GET a JSON answer of `kind`.

        Raises:
            HansaError: as the node answered; UnavailableError if it cannot be reached.
        """
        return _from_json(await self.call("GET", path, query=query), kind)

    async def get_health(self) -> Health:
        """Ask once, without retries, whether the node is ready; its reasons if it is not.

        Raises:
            UnavailableError: it cannot be reached, or does not answer in time.
        """
        try:
            async with asyncio.timeout(limits.CLIENT_CALL_S_MAX):
                answer = await self._attempt(
                    "GET",
                    "/healthz/ready",
                    query={},
                    body=None,
                    headers={},
                    bytes_max=limits.MIB,
                    also_good=503,
                )
        except TimeoutError as error:
            raise UnavailableError(f"The node {self._base_url} did not answer in time.") from error
        return _from_json(answer, Health)

    async def post(self, path: str, body: object, kind: type[T]) -> T:
        """POST a JSON question that changes nothing, for an answer of `kind`."""
        data = msgspec.json.encode(body)
        return _from_json(
            await self.call("POST", path, body=data, content="application/json"), kind
        )

    async def post_octets(self, path: str, body: object, kind: type[T]) -> T:
        """POST a value in the canonical encoding for an answer in it; sending it twice is harmless."""
        answer = await self.call("POST", path, body=encode(body), content=OCTETS)
        return decode(kind, answer.body)

    async def submit(self, path: str, body: object, kind: type[T], query: Query | None = None) -> T:
        """POST a value in the canonical encoding for a JSON answer; sending it twice is harmless."""
        answer = await self.call("POST", path, query=query, body=encode(body), content=OCTETS)
        return _from_json(answer, kind)

    async def send_octets(self, method: str, path: str, body: object) -> None:
        """Send a value in the canonical encoding, for no answer; sending it twice is harmless."""
        await self.call(method, path, body=encode(body), content=OCTETS)

    async def get_octets(self, path: str, *, bytes_max: int) -> bytes:
        """GET bytes, refusing more than `bytes_max`."""
        return (await self.call("GET", path, bytes_max=bytes_max)).body

    async def get_range(self, path: str, offset: int, length: int) -> bytes:
        """GET exactly `length` bytes of an object from `offset` on.

        Raises:
            ProtocolError: the node answered with another range.
        """
        wanted = f"bytes={offset}-{offset + length - 1}"
        answer = await self.call("GET", path, headers={"Range": wanted}, bytes_max=length)
        stated = answer.headers.get("Content-Range", "")
        is_right = answer.status == 206 and stated.startswith(f"bytes {wanted[6:]}/")
        if not is_right or len(answer.body) != length:
            raise ProtocolError("The node answered with another range than was asked for.")
        return answer.body

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: bytes | None = None,
        content: str | None = None,
        headers: Mapping[str, str] | None = None,
        bytes_max: int = limits.CLIENT_ANSWER_BYTES_MAX,
    ) -> Answer:
        """Make one call, with retries: every call of the API may be repeated without harm.

        A cancel leaves it open whether the node took the call.

        Raises:
            HansaError: what the node answered, or UnavailableError.
        """
        parameters = {name: _text(value) for name, value in (query or {}).items()}
        sent = dict(headers or {}) | ({"Content-Type": content} if content else {})
        for attempt in range(1, limits.CLIENT_ATTEMPTS_MAX + 1):
            try:
                async with asyncio.timeout(limits.CLIENT_CALL_S_MAX):
                    return await self._attempt(
                        method, path, query=parameters, body=body, headers=sent, bytes_max=bytes_max
                    )
            except TimeoutError:
                error: HansaError = UnavailableError(
                    f"The node {self._base_url} did not answer in time.",
                    remedy="Look at `hansa node status`, then try again.",
                )
            except UnavailableError as unavailable:
                if not unavailable.retryable:
                    raise
                error = unavailable
            except UnauthenticatedError as refused:
                self._caller.forget()
                if attempt > 1:
                    raise
                error = refused
            if attempt == limits.CLIENT_ATTEMPTS_MAX:
                raise error
            await self._pause(self._backoff_s(attempt))
        raise AssertionError("unreachable")

    def _backoff_s(self, attempt: int) -> float:
        """Return how long to wait after a failed attempt: doubling, with jitter, bounded."""
        longest_ms = min(100 << attempt, limits.CLIENT_BACKOFF_MS_MAX)
        share = int.from_bytes(self._entropy.random_bytes(2), "big") / 65_536
        return longest_ms * (0.5 + share / 2) / 1000

    async def _attempt(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: bytes | None,
        headers: Mapping[str, str],
        bytes_max: int,
        also_good: int = 200,
    ) -> Answer:
        assert self._http is not None, "use the client as an async context manager"
        try:
            async with self._http.request(
                method,
                self._base_url + path,
                params=query,
                # As a stream it is sent in pieces, and the event loop goes on meanwhile.
                data=None if body is None else io.BytesIO(body),
                headers={**headers, "Authorization": f"Bearer {self._caller.token()}"},
                allow_redirects=False,
            ) as response:
                received = await _read_body(response, bytes_max)
                if response.status >= 300 and response.status != also_good:
                    raise to_error(response.status, received)
                return Answer(response.status, received, response.headers)
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            raise DeniedError(
                f"{self._base_url} does not show the certificate of this profile's node.",
                remedy="If the node was made anew, make the profile anew; else do not trust it.",
            ) from error
        except aiohttp.ClientError as error:
            raise UnavailableError(
                f"The node {self._base_url} cannot be reached: {error}.",
                remedy="Start it with `hansa node start` or `hansa devnet up`, then try again.",
            ) from error


async def _read_body(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    """Read an answer of bounded length."""
    allowed = bytes_max if response.status < 300 else limits.MIB
    body = bytearray()
    while part := await response.content.read(_READ_BYTES):
        body += part
        if len(body) > allowed:
            raise ProtocolError(f"The node's answer is longer than {allowed} bytes.")
    return bytes(body)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _from_json(answer: Answer, kind: type[T]) -> T:
    """Decode a JSON answer.

    Raises:
        ProtocolError: it is not what the API promises.
    """
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.DecodeError as error:
        raise ProtocolError(
            f"The node's answer is not understood: {error}.",
            remedy="Compare versions: client and node must fit together.",
        ) from error
