"""Tests of hansa.keyfile."""

import errno
import os
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hansa.crypto.signing import SigningKey
from hansa.errors import (
    ConflictError,
    CorruptError,
    DeniedError,
    DiskFullError,
    InvalidError,
    MissingError,
)
from hansa.keyfile import (
    certificate_pem,
    certificate_public_key,
    create_certificate,
    create_key_file,
    is_protected,
    load_decryption_key,
    load_secret,
    load_signing_key,
)

SEED = bytes(range(1, 33))
PASSPHRASE = b"correct horse"
LOADERS = {
    "signing": lambda path, ask: load_signing_key(path, ask).seed(),
    "decryption": lambda path, ask: load_decryption_key(path, ask).seed(),
    "secret": load_secret,
}
KINDS = tuple(LOADERS)


def names(folder):
    """Return what is in a folder."""
    return [path.name for path in folder.iterdir()]


def never():
    """Stand for a passphrase that must not be asked for."""
    raise AssertionError("asked for a passphrase")


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_comes_back_and_only_its_user_may_read_it(tmp_path, kind):
    """Without a passphrase: mode 0600 whatever the umask, and nothing is asked."""
    old = os.umask(0)
    try:
        create_key_file(tmp_path / "key", kind, SEED, None)
    finally:
        os.umask(old)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert not is_protected(tmp_path / "key")
    assert LOADERS[kind](tmp_path / "key", never) == SEED
    assert names(tmp_path) == ["key"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_passphrase_protects(tmp_path, kind):
    """The right one opens; a wrong or missing one is denied with what to do; no key in clear."""
    path = tmp_path / "key"
    create_key_file(path, kind, SEED, PASSPHRASE)
    path.chmod(0o644)
    assert is_protected(path)
    assert LOADERS[kind](path, lambda: PASSPHRASE) == SEED
    for given, words in ((b"wrong horse", "does not open"), (None, "no passphrase"), (b"", "no")):
        with pytest.raises(DeniedError, match=words) as caught:
            LOADERS[kind](path, lambda given=given: given)
        assert "HANSA_PASSPHRASE" in caught.value.remedy
    assert SEED not in path.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_an_unprotected_key_that_others_may_read_is_refused(tmp_path, kind, mode):
    """The message says which command closes it."""
    path = tmp_path / "key"
    create_key_file(path, kind, SEED, None)
    path.chmod(mode)
    with pytest.raises(DeniedError, match="others on this machine") as caught:
        LOADERS[kind](path, never)
    assert f"chmod 600 {path}" in caught.value.remedy


def test_a_key_file_never_replaces_another(tmp_path):
    """The old key stays, and nothing is left behind."""
    path = tmp_path / "key"
    create_key_file(path, "secret", SEED, None)
    with pytest.raises(ConflictError, match="left alone"):
        create_key_file(path, "secret", bytes(32), None)
    assert load_secret(path, never) == SEED
    assert names(tmp_path) == ["key"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_or_damaged_is_refused(tmp_path, kind):
    """Each with the file's name; never an exception of a library."""
    path = tmp_path / "key"
    for other in set(KINDS) - {kind}:
        path.unlink(missing_ok=True)
        create_key_file(path, other, SEED, None)
        with pytest.raises(CorruptError, match="does not hold"):
            LOADERS[kind](path, never)
    path.unlink()
    create_key_file(path, kind, SEED, None)
    whole = path.read_bytes()
    samples = [b"", b"-----BEGIN", b"\xff" * 99, whole[:40], whole.replace(b"\n", b"\n!")]
    for data in [*samples, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]:
        path.write_bytes(data)
        with pytest.raises(CorruptError, match=str(path)):
            LOADERS[kind](path, never)
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(CorruptError):
        LOADERS[kind](path, never)


def test_bad_wishes_are_refused(tmp_path):
    """A short seed, a short passphrase, a missing folder, a missing or unreadable file."""
    path = tmp_path / "key"
    with pytest.raises(InvalidError):
        create_key_file(path, "signing", b"short", None)
    with pytest.raises(InvalidError, match="Choose a longer"):
        create_key_file(path, "signing", SEED, b"short")
    with pytest.raises(MissingError, match="no folder"):
        create_key_file(tmp_path / "none" / "key", "signing", SEED, None)
    with pytest.raises(MissingError, match="no key file"):
        load_secret(path, never)
    path.mkdir()
    with pytest.raises(DeniedError, match="Cannot read"):
        load_secret(path, never)


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, DiskFullError), (errno.EACCES, DeniedError)]
)
def test_a_refusing_disk_leaves_nothing_behind(tmp_path, monkeypatch, number, kind):
    """A key is there whole or not at all."""

    def refuse(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(kind):
        create_key_file(tmp_path / "key", "signing", SEED, None)
    assert names(tmp_path) == []


def handshake(server_certificate, server_key, trusted, folder, *, strict):
    """Run a TLS handshake in memory; return the certificate that the client saw, DER."""
    (folder / "c.pem").write_bytes(certificate_pem(server_certificate))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "c.pem", server_key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.verify_mode = ssl.CERT_REQUIRED
    client.load_verify_locations(cadata=trusted)
    if strict:
        client.verify_flags |= ssl.VERIFY_X509_STRICT
    a_in, a_out, b_in, b_out = (ssl.MemoryBIO() for _ in range(4))
    one = server.wrap_bio(a_in, a_out, server_side=True)
    two = client.wrap_bio(b_in, b_out, server_hostname="127.0.0.1")
    for _ in range(4):
        for side, out, into in ((two, b_out, a_in), (one, a_out, b_in)):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            finally:
                into.write(out.read())
    return two.getpeercert(binary_form=True)


@pytest.mark.parametrize("strict", [False, True])
def test_a_certificate_is_its_own_trust_anchor(tmp_path, strict):
    """ssl accepts it by itself, by address, also under the strict checks newer Pythons default to."""
    key = SigningKey(SEED)
    create_key_file(tmp_path / "key", "signing", SEED, None)
    certificate = create_certificate(key, "transport", ["node.example", "10.0.0.7"])
    seen = handshake(certificate, tmp_path / "key", certificate, tmp_path, strict=strict)
    assert seen == certificate
    other = create_certificate(SigningKey(bytes(32)), "transport")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(certificate, tmp_path / "key", other, tmp_path, strict=strict)


def test_what_a_certificate_says():
    """Own key, twenty years, hosts named once, no authority."""
    key = SigningKey(SEED)
    der = create_certificate(key, "transport", ["node.example", "10.0.0.7", "localhost"])
    certificate = x509.load_der_x509_certificate(der)
    assert certificate_public_key(der) == key.public
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days > 19 * 365
    hosts = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert hosts.get_values_for_type(x509.DNSName) == ["localhost", "node.example"]
    addresses = [str(item) for item in hosts.get_values_for_type(x509.IPAddress)]
    assert addresses == ["127.0.0.1", "::1", "10.0.0.7"]
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not basic.ca
