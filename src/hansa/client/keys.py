"""Keys a user acts with: loaded from the files a profile names, when first needed, once.

An organisation's secrets are three files in one folder, shared by its clients: `dedup.key`,
`publishing.key`, `directory.key`. They are apart because each changes for a reason of its own.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from typing_extensions import override

from hansa.client.profile import Passphrase, Profile
from hansa.crypto.envelope import DecryptionKey
from hansa.crypto.sealing import KEY_BYTES
from hansa.crypto.signing import SigningKey
from hansa.data.keys import DedupKeys, derive_dedup_keys
from hansa.errors import DeniedError
from hansa.keyfile import create_key_file, load_decryption_key, load_secret, load_signing_key
from hansa.ports import Entropy


@dataclass(frozen=True, slots=True, repr=False)
class OrganisationSecrets:
    """What the clients of one organisation share and nobody else has; prints masked."""

    dedup: bytes
    """32 bytes: chunker, fingerprint and digest keys derive from it."""
    publishing: bytes
    """32 bytes: wraps the data keys of own versions."""
    directory: bytes
    """32 bytes: seals directories; the own node has it too."""

    @override
    def __repr__(self) -> str:
        return "OrganisationSecrets(…)"


DEDUP_FILE, PUBLISHING_FILE, DIRECTORY_FILE = "dedup.key", "publishing.key", "directory.key"


def create_organisation_secrets(
    folder: Path, entropy: Entropy, passphrase: bytes | None
) -> OrganisationSecrets:
    """Make an organisation's secrets, once, in a folder that is made if absent; return them.

    Raises:
        ConflictError: there are some; they are left alone, for a new dedup secret loses all
            duplicates and a new publishing key all own versions.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = [entropy.random_bytes(KEY_BYTES) for _ in range(3)]
    for name, secret in zip((DEDUP_FILE, PUBLISHING_FILE, DIRECTORY_FILE), made, strict=True):
        create_key_file(folder / name, "secret", secret, passphrase)
    return OrganisationSecrets(*made)


def load_organisation_secrets(folder: Path, passphrase: Passphrase) -> OrganisationSecrets:
    """Return an organisation's secrets.

    Raises:
        MissingError, DeniedError, CorruptError: as `keyfile.load_secret`.
    """
    return OrganisationSecrets(
        load_secret(folder / DEDUP_FILE, passphrase),
        load_secret(folder / PUBLISHING_FILE, passphrase),
        load_secret(folder / DIRECTORY_FILE, passphrase),
    )


class Keys:
    """One profile's keys; each file is read when its key is first asked for."""

    def __init__(self, profile: Profile, passphrase: Passphrase) -> None:
        """Prepare; `passphrase` is asked at most once, and only if a file is protected by one."""
        self._profile = profile
        self._ask = passphrase

    @override
    def __repr__(self) -> str:
        return f"Keys({self._profile.name!r})"

    @cached_property
    def signing(self) -> SigningKey:
        """The user's Ed25519 key."""
        return load_signing_key(self._profile.user_key, self._passphrase)

    @cached_property
    def decryption(self) -> DecryptionKey:
        """The user's X25519 key."""
        return load_decryption_key(self._profile.encryption_key, self._passphrase)

    @cached_property
    def secrets(self) -> OrganisationSecrets:
        """The organisation's secrets.

        Raises:
            DeniedError: the profile has none: its user reads only.
        """
        path = self._profile.organisation_secrets
        if path is None:
            raise DeniedError(
                f"Profile {self._profile.name!r} has no organisation secrets.",
                remedy="Publishing and granting need the organisation's secrets: ask an admin for them.",
            )
        return load_organisation_secrets(path, self._passphrase)

    @cached_property
    def dedup(self) -> DedupKeys:
        """What partition and fingerprint are keyed by."""
        return derive_dedup_keys(self.secrets.dedup)

    @cached_property
    def _answer(self) -> bytes | None:
        return self._ask()

    def _passphrase(self) -> bytes | None:
        return self._answer
