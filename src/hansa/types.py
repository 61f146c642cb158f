"""The small named types everything else is written in."""

from typing import NewType

import msgspec

Height = NewType("Height", int)
"""Number of a block in the chain; the genesis is 0, the first block 1."""

Round = NewType("Round", int)
"""Attempt at one height, from 0."""

Epoch = NewType("Epoch", int)
"""Term of a set of super nodes, from 0."""

Millis = NewType("Millis", int)
"""Milliseconds since 1970-01-01T00:00Z (a time) or milliseconds (a duration)."""

Digest = NewType("Digest", bytes)
"""SHA-256 with a domain tag, 32 bytes."""

PublicKey = NewType("PublicKey", bytes)
"""Ed25519 public key, 32 bytes."""

EncryptionKey = NewType("EncryptionKey", bytes)
"""X25519 public key, 32 bytes."""

Signature = NewType("Signature", bytes)
"""Ed25519 signature, 64 bytes."""

OrganisationName = NewType("OrganisationName", str)
"""Slug of a member: a lower-case letter, then letters, digits, hyphens; 2 to 32 characters."""

DatasetId = NewType("DatasetId", bytes)
"""16 bytes, derived from the registering transaction; shown in hex."""

RequestId = NewType("RequestId", bytes)
"""16 bytes, derived from the requesting transaction; shown in hex."""

ChunkId = NewType("ChunkId", bytes)
"""Keyed BLAKE3 digest of a chunk, 32 bytes; known inside one organisation."""

NO_DIGEST = Digest(bytes(32))
"""Stands for "none" where a digest field must be filled."""


class Address(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where stored bytes lie: what the data index points at and one positioned read fetches."""

    pack: bytes
    """Name of the pack, 32 bytes."""
    offset: int
    """First byte inside the pack, from 0."""
    length: int
    """Bytes, at least 1."""


class Interval(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Closed range of time."""

    start_ms: int
    """First millisecond."""
    end_ms: int
    """Last millisecond, not before the first."""


class Box(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Closed range of places on WGS 84, in millionths of a degree, west ≤ east."""

    west: int
    """Longitude, −180,000,000 to 180,000,000."""
    south: int
    """Latitude, −90,000,000 to 90,000,000."""
    east: int
    """Longitude, −180,000,000 to 180,000,000."""
    north: int
    """Latitude, −90,000,000 to 90,000,000."""
