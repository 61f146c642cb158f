"""Every expected failure: a stable code, an HTTP status, an exit code, whether to retry, what to do.

    HansaError
    ├─ InvalidError      what was given cannot be right: a malformed field, a wrong signature, an absurd size
    ├─ DeniedError       well-formed, but the caller may not: no grant, suspended, revoked
    ├─ MissingError      what was named is not there
    ├─ ConflictError     contradicts what is already so: replayed, locked, taken name, port in use
    ├─ UnavailableError  cannot be done now: no quorum, disk full, peer unreachable; trying later may help
    ├─ CorruptError      stored bytes are not what was written
    └─ ProtocolError     the other side broke the rules of the conversation
       └─ ForkError      two certificates for one height: more than f super nodes lied

A caller chooses by class; a person reads the message, which says what to do. Broken invariants are
not here: they are asserts, and stop the node.
"""

from typing import ClassVar

from typing_extensions import override


class HansaError(Exception):
    """Base of every expected failure.

    Args:
        message: what went wrong, in one sentence.
        remedy: what the reader can do about it, in one sentence; empty where nothing can be done.
    """

    code: ClassVar[str] = "error"
    """Stable word for programs; part of the API."""
    http_status: ClassVar[int] = 500
    """Status of the problem document (RFC 9457) that carries this error."""
    exit_code: ClassVar[int] = 1
    """Exit code of a command that ends with this error."""
    retryable: ClassVar[bool] = False
    """True where the same call may succeed later without a change."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    @override
    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()


class InvalidError(HansaError):
    """What was given cannot be right, whoever gives it."""

    code = "invalid"
    http_status = 400
    exit_code = 3


class DeniedError(HansaError):
    """The caller is not allowed to do this."""

    code = "denied"
    http_status = 403
    exit_code = 4


class UnauthenticatedError(DeniedError):
    """The caller has not proved who they are."""

    code = "unauthenticated"
    http_status = 401


class MissingError(HansaError):
    """What was named does not exist, or not any more."""

    code = "missing"
    http_status = 404
    exit_code = 5


class ConflictError(HansaError):
    """Contradicts what is already so."""

    code = "conflict"
    http_status = 409
    exit_code = 6


class UnavailableError(HansaError):
    """Cannot be done now; trying later may help."""

    code = "unavailable"
    http_status = 503
    exit_code = 7
    retryable = True


class DiskFullError(UnavailableError):
    """No room left where something must be written."""

    code = "disk-full"
    http_status = 507


class StoreQuotaError(DiskFullError):
    """The organisation's store has reached the size it may have."""

    code = "store-quota"
    retryable = False


class CorruptError(HansaError):
    """Stored bytes are not what was written."""

    code = "corrupt"
    http_status = 500
    exit_code = 8


class ProtocolError(HansaError):
    """The other side broke the rules of the conversation."""

    code = "protocol"
    http_status = 502
    exit_code = 9


class ForkError(ProtocolError):
    """Two certificates for one height: more than f super nodes lied, and nothing after it can be trusted."""

    code = "fork"


ERRORS_BY_CODE: dict[str, type[HansaError]] = {
    kind.code: kind
    for kind in (
        HansaError,
        InvalidError,
        DeniedError,
        UnauthenticatedError,
        MissingError,
        ConflictError,
        UnavailableError,
        DiskFullError,
        StoreQuotaError,
        CorruptError,
        ProtocolError,
        ForkError,
    )
}
"""Used by the client to raise what a node answered."""
