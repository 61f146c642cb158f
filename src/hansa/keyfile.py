"""Keys on disk: signing, decryption and secret keys, protected by a passphrase or by mode 0600.

Signing (Ed25519) and decryption (X25519) keys are PKCS#8 in PEM, which ssl and openssl read too;
with a passphrase: PBES2, AES-256-CBC. Secrets of an organisation (32 bytes) are a PEM of our own;
with a passphrase: scrypt, AES-256-GCM. Format: docs/spec/keyfile.md.

Rules: a file is made whole or not at all and never replaces another; an unprotected key that
others may read is refused, for it must be taken as known to them.
"""

import base64
import binascii
import errno
import ipaddress
import os
import stat
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import nacl.utils
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hansa.crypto.certificate import certificate_public_key
from hansa.crypto.envelope import DecryptionKey
from hansa.crypto.sealing import NONCE_BYTES, open_sealed, seal
from hansa.crypto.signing import SigningKey
from hansa.errors import (
    ConflictError,
    CorruptError,
    DeniedError,
    DiskFullError,
    InvalidError,
    MissingError,
    UnavailableError,
)

__all__ = [
    "AskPassphrase",
    "KeyKind",
    "certificate_pem",
    "certificate_public_key",
    "create_certificate",
    "create_key_file",
    "is_protected",
    "load_decryption_key",
    "load_secret",
    "load_signing_key",
]

KeyKind = Literal["signing", "decryption", "secret"]
AskPassphrase = Callable[[], bytes | None]
"""Called only where a passphrase is needed; None means there is none to be had."""

PASSPHRASE_BYTES_MIN = 8
CERTIFICATE_DAYS = 20 * 365
_KEY_FILE_BYTES_MAX = 16_384
_BARE_LABEL = "HANSA SECRET"
_SEALED_LABEL = "HANSA SEALED SECRET"
_SECRET_USE = b"hansa.secret.1"
_SALT_BYTES = 16
_SCRYPT_COST = 2**15
"""32 MiB and about 0.1 s for each guess."""


def create_key_file(path: Path, kind: KeyKind, seed: bytes, passphrase: bytes | None) -> None:
    """Write a key durably to a new file that only its user may read (mode 0600).

    Args:
        path: the file to make; its folder exists.
        kind: what the 32 bytes are.
        seed: 32 secret bytes.
        passphrase: protects the file; None leaves the protection to the file's mode alone.

    Raises:
        InvalidError: no 32 bytes, or a passphrase that is too short.
        ConflictError: there is a file of that name; it is left alone.
        DiskFullError, DeniedError, MissingError: the disk refused; nothing is left behind.
    """
    if len(seed) != 32:
        raise InvalidError("A key is made from 32 secret bytes.")
    if passphrase is not None and len(passphrase) < PASSPHRASE_BYTES_MIN:
        raise InvalidError(
            f"The passphrase is shorter than {PASSPHRASE_BYTES_MIN} characters.",
            remedy="Choose a longer one.",
        )
    data = _secret_pem(seed, passphrase) if kind == "secret" else _pkcs8(kind, seed, passphrase)
    _write_new(path, data)


def load_signing_key(path: Path, passphrase: AskPassphrase) -> SigningKey:
    """Return the Ed25519 key in a file.

    Raises:
        MissingError, DeniedError, CorruptError: as `load_secret`.
    """
    key = _load_pkcs8(path, passphrase)
    if not isinstance(key, Ed25519PrivateKey):
        raise _another_kind(path, "an Ed25519 signing key")
    return SigningKey(key.private_bytes_raw())


def load_decryption_key(path: Path, passphrase: AskPassphrase) -> DecryptionKey:
    """Return the X25519 key in a file.

    Raises:
        MissingError, DeniedError, CorruptError: as `load_secret`.
    """
    key = _load_pkcs8(path, passphrase)
    if not isinstance(key, X25519PrivateKey):
        raise _another_kind(path, "an X25519 decryption key")
    return DecryptionKey(key.private_bytes_raw())


def load_secret(path: Path, passphrase: AskPassphrase) -> bytes:
    """Return the 32 secret bytes in a file.

    Raises:
        MissingError: there is no such file.
        DeniedError: the passphrase is missing or wrong, or others may read the unprotected file.
        CorruptError: the file is damaged or of another kind.
    """
    data = _read(path)
    label, body = _parse_pem(path, data)
    if label == _BARE_LABEL and len(body) == 32:
        _refuse_if_exposed(path)
        return body
    if label != _SEALED_LABEL or len(body) <= _SALT_BYTES:
        raise _another_kind(path, "a secret")
    key = _derive(_ask(path, passphrase), body[:_SALT_BYTES])
    try:
        return open_sealed(key, body[_SALT_BYTES:], _SECRET_USE)
    except CorruptError as error:
        raise _wrong_passphrase(path) from error


def is_protected(path: Path) -> bool:
    """Tell whether a key file needs a passphrase.

    Raises:
        MissingError, DeniedError: it cannot be read.
    """
    data = _read(path)
    return b"ENCRYPTED PRIVATE KEY" in data or _SEALED_LABEL.encode() in data


def create_certificate(key: SigningKey, name: str, hosts: Collection[str] = ()) -> bytes:
    """Return a self-signed X.509 certificate of a node key, DER, valid for 20 years.

    It is no authority: it can vouch for nothing but itself, and peers take it from the chain.

    Args:
        key: the node key.
        name: the organisation's; common name of subject and issuer.
        hosts: names and addresses besides localhost, 127.0.0.1 and ::1.
    """
    private = Ed25519PrivateKey.from_private_bytes(key.seed())
    public = private.public_key()
    title = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    names: list[x509.GeneralName] = []
    for host in dict.fromkeys(["localhost", "127.0.0.1", "::1", *hosts]):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    now = datetime.now(UTC).replace(microsecond=0)
    use = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    subject_id = x509.SubjectKeyIdentifier.from_public_key(public)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(title)
        .issuer_name(title)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(use, critical=True)
        .add_extension(both, critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(subject_id, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_id),
            critical=False,
        )
        .sign(private, None)
    )
    return certificate.public_bytes(serialization.Encoding.DER)


def certificate_pem(certificate: bytes) -> bytes:
    """Return a DER certificate as PEM: what ssl reads from a file."""
    return _pem("CERTIFICATE", certificate)


# --- formats ------------------------------------------------------------------------------------


def _pkcs8(kind: KeyKind, seed: bytes, passphrase: bytes | None) -> bytes:
    private: Ed25519PrivateKey | X25519PrivateKey
    if kind == "signing":
        private = Ed25519PrivateKey.from_private_bytes(seed)
    else:
        private = X25519PrivateKey.from_private_bytes(seed)
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        protection = serialization.BestAvailableEncryption(passphrase)
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
    )


def _load_pkcs8(path: Path, passphrase: AskPassphrase) -> object:
    data = _read(path)
    if b"ENCRYPTED PRIVATE KEY" not in data:
        if b"PRIVATE KEY" not in data:
            raise _another_kind(path, "a private key")
        _refuse_if_exposed(path)
        given = None
    else:
        given = _ask(path, passphrase)
    try:
        return serialization.load_pem_private_key(data, given)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if given is not None:
            raise _wrong_passphrase(path) from error
        raise CorruptError(
            f"{path} is damaged.", remedy="Put the key back from a backup, or make a new one."
        ) from error


def _secret_pem(seed: bytes, passphrase: bytes | None) -> bytes:
    if passphrase is None:
        return _pem(_BARE_LABEL, seed)
    salt = nacl.utils.random(_SALT_BYTES)
    # The salt is fresh, so the derived key seals this once: a fixed nonce is sound.
    sealed = seal(_derive(passphrase, salt), bytes(NONCE_BYTES), seed, _SECRET_USE)
    return _pem(_SEALED_LABEL, salt + sealed)


def _derive(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=_SCRYPT_COST, r=8, p=1).derive(passphrase)


def _pem(label: str, body: bytes) -> bytes:
    text = base64.b64encode(body)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    head, foot = f"-----BEGIN {label}-----", f"-----END {label}-----"
    return b"\n".join([head.encode(), *lines, foot.encode(), b""])


def _parse_pem(path: Path, data: bytes) -> tuple[str, bytes]:
    lines = data.decode("ascii", "replace").strip().splitlines()
    begins = len(lines) >= 2 and lines[0].startswith("-----BEGIN ") and lines[0].endswith("-----")
    if not begins:
        raise _another_kind(path, "a key file")
    label = lines[0][11:-5]
    try:
        return label, base64.b64decode("".join(lines[1:-1]), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CorruptError(f"{path} is damaged.", remedy="Put it back from a backup.") from error


# --- the disk -----------------------------------------------------------------------------------


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_KEY_FILE_BYTES_MAX)
    except FileNotFoundError as error:
        raise MissingError(
            f"There is no key file {path}.", remedy="Check the profile or the node's folder."
        ) from error
    except OSError as error:
        raise DeniedError(
            f"Cannot read the key file {path}: {error.strerror}.",
            remedy="Run as the user whom the key belongs to.",
        ) from error


def _write_new(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.link(temporary, path)  # unlike a rename it never replaces a key
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError as error:
        raise ConflictError(
            f"{path} is there already and is left alone.",
            remedy="Choose another name, or move the old key away.",
        ) from error
    except FileNotFoundError as error:
        raise MissingError(f"There is no folder {path.parent}.", remedy="Make it first.") from error
    except PermissionError as error:
        raise DeniedError(
            f"Cannot write {path}: {error.strerror}.", remedy="Choose a folder of your own."
        ) from error
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise (DiskFullError if full else UnavailableError)(
            f"Cannot write {path}: {error.strerror}.", remedy="Check the disk and its room."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _refuse_if_exposed(path: Path) -> None:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise DeniedError(
            f"The key file {path} has no passphrase and others on this machine may read it.",
            remedy=f"Run `chmod 600 {path}`; if others could have read it, make a new key.",
        )


def _ask(path: Path, passphrase: AskPassphrase) -> bytes:
    given = passphrase()
    if not given:
        raise DeniedError(
            f"The key file {path} is protected and no passphrase was given.",
            remedy="Set HANSA_PASSPHRASE, name a passphrase file, or run it at a terminal.",
        )
    return given


def _wrong_passphrase(path: Path) -> DeniedError:
    return DeniedError(
        f"The passphrase does not open {path}.",
        remedy="Check HANSA_PASSPHRASE or type it again; a damaged file fails in the same way.",
    )


def _another_kind(path: Path, expected: str) -> CorruptError:
    return CorruptError(
        f"{path} does not hold {expected}.", remedy="Name the right file, or put it back."
    )
