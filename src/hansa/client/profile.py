"""Profile: who acts, in the words of a small TOML file: a user, its keys, its node, its alliance.

Profiles live in HANSA_HOME/profiles or in the user's configuration folder; one may also be named by its
path. Paths inside a profile are relative to the profile's own folder. The file holds no secret; the key
files it names do, and have mode 0600 or a passphrase. Format: docs/spec/profile.md.
"""

import json
import os
import re
import ssl
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import platformdirs

from hansa import limits
from hansa.chain.genesis import NAME_PATTERN, Genesis, decode_genesis
from hansa.errors import ConflictError, CorruptError, InvalidError, MissingError
from hansa.types import Digest, OrganisationName, PublicKey

HOME_VARIABLE = "HANSA_HOME"
PROFILE_VARIABLE = "HANSA_PROFILE"
PASSPHRASE_VARIABLE = "HANSA_PASSPHRASE"  # noqa: S105 - the name of a variable, not a secret
PROFILE_BYTES_MAX = 64 * limits.KIB
_PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Passphrase = Callable[[], bytes | None]
"""Gives the passphrase of key files when one is needed, or None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One user of one organisation at one node; all paths absolute."""

    name: str
    organisation: OrganisationName
    user_key: Path
    """Ed25519 key file of the user."""
    encryption_key: Path
    """X25519 key file of the user."""
    organisation_secrets: Path | None
    """Folder of the organisation's dedup secret, publishing key and directory key; none for a reader."""
    node_url: str
    """https://host:port of the own node."""
    node_key: PublicKey
    node_certificate: str
    """PEM; the only certificate that is trusted."""
    alliance: Digest
    genesis_file: Path
    """The genesis, whose digest is the alliance id."""


class _ProfileFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The TOML document."""

    format: Literal[1]
    name: str
    organisation: str
    user_key: str
    encryption_key: str
    organisation_secrets: str = ""
    node_url: str
    node_key: str
    node_certificate: str
    alliance: str
    genesis: str


def profiles_folder() -> Path:
    """Return the folder of named profiles: HANSA_HOME/profiles, else the user's configuration."""
    home = os.environ.get(HOME_VARIABLE)
    base = Path(home).expanduser() if home else platformdirs.user_config_path("hansa")
    return base.absolute() / "profiles"


def profile_path(name: str) -> Path:
    """Return the file of a named profile; a name with a slash or ending in .toml is a path itself.

    Raises:
        InvalidError: neither a path nor a possible name.
    """
    if name.endswith(".toml") or "/" in name or os.sep in name:
        return Path(name).expanduser().absolute()
    if not _PROFILE_NAME.fullmatch(name):
        raise InvalidError(
            f"{name!r} cannot be a profile's name.",
            remedy="Use letters, digits, dots, hyphens and underscores, at most 100.",
        )
    return profiles_folder() / f"{name}.toml"


def list_profiles() -> list[str]:
    """Return the names of the profiles there are, sorted."""
    folder = profiles_folder()
    return sorted(path.stem for path in folder.glob("*.toml")) if folder.is_dir() else []


def load_profile(name: str | None = None) -> Profile:
    """Load a profile by name or path; without one HANSA_PROFILE, else the only one there is.

    Raises:
        MissingError: no such profile, or none named and not exactly one there; lists those there are.
        InvalidError: the file is malformed; the message names the field.
    """
    name = name or os.environ.get(PROFILE_VARIABLE) or None
    if name is None:
        present = list_profiles()
        if len(present) != 1:
            raise MissingError(
                "No profile is named." if present else "There is no profile on this machine.",
                remedy=_name_one(present),
            )
        name = present[0]
    path = profile_path(name)
    try:
        with path.open("rb") as file:
            data = file.read(PROFILE_BYTES_MAX + 1)
    except FileNotFoundError as error:
        raise MissingError(
            f"There is no profile {name!r}.", remedy=_name_one(list_profiles())
        ) from error
    except OSError as error:
        raise InvalidError(f"The profile {path} cannot be read: {error.strerror}.") from error
    return _parse(data, path)


def save_profile(profile: Profile, path: Path | None = None, *, overwrite: bool = False) -> Path:
    """Write a profile, whole or not at all, mode 0600; return its file.

    Args:
        profile: what to write; paths below the file's folder are written relative to it.
        path: the file; by default the profile's name in `profiles_folder`.
        overwrite: replace a profile that is there.

    Raises:
        ConflictError: there is one by that name and it is not to be replaced.
        InvalidError: a field cannot be written.
    """
    path = (path or profile_path(profile.name)).absolute()
    document = _document(profile, path.parent)
    _parse(document, path)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not overwrite and path.exists():
        raise ConflictError(
            f"A profile {path} exists.", remedy="Choose another name, or remove the old profile."
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def load_genesis(profile: Profile) -> Genesis:
    """Load the genesis a profile names and check that it is the profile's alliance.

    Raises:
        MissingError: the file is not there.
        InvalidError: it is malformed or of another alliance.
    """
    try:
        data = profile.genesis_file.read_bytes()
    except OSError as error:
        raise MissingError(
            f"The genesis {profile.genesis_file} cannot be read: {error.strerror}.",
            remedy="Copy genesis.hansa from your node's folder or from another member.",
        ) from error
    genesis = decode_genesis(data)
    if genesis.digest() != profile.alliance:
        raise InvalidError(
            f"The genesis {profile.genesis_file} is of another alliance than profile {profile.name!r}.",
            remedy="Copy the right genesis.hansa, or choose another profile.",
        )
    return genesis


def passphrase_from_environment() -> bytes | None:
    """Return HANSA_PASSPHRASE as bytes, or None if it is not set."""
    value = os.environ.get(PASSPHRASE_VARIABLE)
    return value.encode() if value else None


def certificate_der(profile: Profile) -> bytes:
    """Return the node's certificate as DER.

    Raises:
        InvalidError: the profile holds no PEM certificate.
    """
    try:
        return ssl.PEM_cert_to_DER_cert(profile.node_certificate.strip() + "\n")
    except ValueError as error:
        raise InvalidError(
            f"Profile {profile.name!r} holds no certificate in PEM form.",
            remedy="Copy certificate.pem of your node into node_certificate.",
        ) from error


def _name_one(present: list[str]) -> str:
    if not present:
        return "Make one with `hansa devnet up` or `hansa alliance join`, or give a profile's path."
    return f"Name one with --profile or HANSA_PROFILE: {', '.join(present[:50])}."


def _parse(data: bytes, path: Path) -> Profile:
    """Decode and check a profile document."""
    if len(data) > PROFILE_BYTES_MAX:
        raise InvalidError(f"The profile {path} is too long to be one.")
    try:
        document = msgspec.convert(tomllib.loads(data.decode()), _ProfileFile)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CorruptError(
            f"The profile {path} is no TOML: {error}", remedy="Correct the line, or make it anew."
        ) from error
    except msgspec.ValidationError as error:
        raise InvalidError(f"The profile {path} is not right: {error}.") from error
    if not NAME_PATTERN.fullmatch(document.organisation):
        raise InvalidError(f"The profile {path} names no organisation.")
    if not document.node_url.startswith("https://"):
        raise InvalidError(f"node_url in {path} must begin with https://.")
    folder = path.parent
    secrets = document.organisation_secrets
    return Profile(
        name=document.name,
        organisation=OrganisationName(document.organisation),
        user_key=_absolute(folder, document.user_key),
        encryption_key=_absolute(folder, document.encryption_key),
        organisation_secrets=_absolute(folder, secrets) if secrets else None,
        node_url=document.node_url.rstrip("/"),
        node_key=PublicKey(_unhex("node_key", document.node_key, path)),
        node_certificate=document.node_certificate,
        alliance=Digest(_unhex("alliance", document.alliance, path)),
        genesis_file=_absolute(folder, document.genesis),
    )


def _absolute(folder: Path, text: str) -> Path:
    return Path(os.path.normpath(folder / Path(text).expanduser()))


def _unhex(field: str, text: str, path: Path) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError as error:
        raise InvalidError(f"{field} in {path} is not hexadecimal.") from error
    if len(value) != 32:
        raise InvalidError(f"{field} in {path} must be 64 hex digits.")
    return value


def _document(profile: Profile, folder: Path) -> bytes:
    """Return the TOML of a profile. JSON's escapes are TOML's, but for DEL, which no field has."""

    def relative(path: Path | None) -> str:
        if path is None:
            return ""
        path = path.absolute()
        return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)

    fields = {
        "name": profile.name,
        "organisation": profile.organisation,
        "user_key": relative(profile.user_key),
        "encryption_key": relative(profile.encryption_key),
        "organisation_secrets": relative(profile.organisation_secrets),
        "node_url": profile.node_url,
        "node_key": profile.node_key.hex(),
        "alliance": profile.alliance.hex(),
        "genesis": relative(profile.genesis_file),
        "node_certificate": profile.node_certificate,
    }
    if any("\x7f" in value for value in fields.values()):
        raise InvalidError("A profile's fields hold no control characters.")
    lines = ["format = 1"]
    lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()]
    return ("\n".join(lines) + "\n").encode()
