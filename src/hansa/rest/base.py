"""The REST contract: what its values have in common. See `rest`."""

import msgspec


class Json(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of JSON values."""


class Octets(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of values that travel in the canonical encoding."""
