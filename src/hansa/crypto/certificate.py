"""The public key inside an X.509 certificate (RFC 5280): what ties a TLS link to a node key."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hansa.crypto.signing import is_sound_point
from hansa.errors import InvalidError
from hansa.types import PublicKey


def certificate_public_key(certificate: bytes) -> PublicKey:
    """Return the Ed25519 key of an X.509 certificate (DER), 32 bytes.

    Raises:
        InvalidError: no such certificate, or of another kind of key.
    """
    try:
        public = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidError("Not an X.509 certificate in DER.") from error
    if not isinstance(public, Ed25519PublicKey) or not is_sound_point(public.public_bytes_raw()):
        raise InvalidError("The certificate is not of a sound Ed25519 key.")
    return PublicKey(public.public_bytes_raw())
