"""Tests of hansa.crypto.certificate."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from hansa.crypto.certificate import certificate_public_key
from hansa.crypto.signing import SigningKey
from hansa.errors import InvalidError
from hansa.keyfile import create_certificate

SEED = bytes(range(1, 33))


def test_the_key_of_a_certificate_of_ours():
    """It is the node key that made it."""
    key = SigningKey(SEED)
    assert certificate_public_key(create_certificate(key, "x")) == key.public


def test_what_is_no_certificate_of_ours_is_refused():
    """Garbage, and a certificate of another kind of key."""
    with pytest.raises(InvalidError):
        certificate_public_key(b"garbage")
    key = ec.generate_private_key(ec.SECP256R1())
    ours = x509.load_der_x509_certificate(create_certificate(SigningKey(SEED), "x"))
    other = (
        x509.CertificateBuilder()
        .subject_name(ours.subject)
        .issuer_name(ours.subject)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(ours.not_valid_before_utc)
        .not_valid_after(ours.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )
    with pytest.raises(InvalidError, match="Ed25519"):
        certificate_public_key(other.public_bytes(Encoding.DER))
