"""TLS between nodes: version 1.3 only, both sides show certificates, trusted from the chain alone.

No authority vouches for anybody: each member's self-signed certificate is its own trust anchor, and
the key in it must be that member's node key. Names in certificates are not looked at.
"""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hansa.errors import DeniedError, InvalidError, MissingError


@dataclass(frozen=True, slots=True)
class Credentials:
    """What this node shows: ssl reads both from files."""

    certificate: Path
    """PEM file."""
    key: Path
    """PKCS#8 PEM file of the node key."""
    passphrase: bytes | None = field(default=None, repr=False)
    """Opens the key file; None if it is not protected."""


class TlsContexts:
    """Makes and keeps the settings of links: one for listening, one for each member dialled."""

    def __init__(self, credentials: Credentials) -> None:
        """Read the node's certificate and key.

        Raises:
            MissingError: a file is not there.
            DeniedError: the key file does not open, or is not the certificate's.
        """
        self._credentials = credentials
        self._server = self._make(ssl.PROTOCOL_TLS_SERVER)
        # A resumed session would skip the check of the certificate.
        self._server.num_tickets = 0
        self._anchors: set[bytes] = set()
        self._clients: dict[bytes, ssl.SSLContext] = {}

    def server(self, certificates: Iterable[bytes]) -> ssl.SSLContext:
        """Return the settings for listening, with the members' certificates (DER) trusted.

        Certificates once trusted stay so; who is a member now is asked after the handshake. One
        that cannot be read shuts out its own member only.
        """
        for certificate in certificates:
            if certificate not in self._anchors:
                self._anchors.add(certificate)
                try:
                    self._server.load_verify_locations(cadata=certificate)
                except ssl.SSLError:
                    continue
        return self._server

    def client(self, certificate: bytes) -> ssl.SSLContext:
        """Return the settings for dialling the one member that has this certificate (DER).

        Raises:
            InvalidError: the certificate cannot be read.
        """
        found = self._clients.get(certificate)
        if found is None:
            found = self._make(ssl.PROTOCOL_TLS_CLIENT)
            try:
                found.load_verify_locations(cadata=certificate)
            except ssl.SSLError as error:
                raise InvalidError(
                    "The member's certificate on the chain cannot be read.",
                    remedy="Its organisation must announce a sound one.",
                ) from error
            self._clients[certificate] = found
        return found

    def keep_only(self, certificates: Iterable[bytes]) -> None:
        """Drop the settings for dialling members that are gone."""
        kept = set(certificates)
        self._clients = {der: made for der, made in self._clients.items() if der in kept}

    def _make(self, protocol: int) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.maximum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        passphrase = self._credentials.passphrase or b""
        try:
            # A function, for with None openssl would ask at the terminal.
            context.load_cert_chain(
                self._credentials.certificate, self._credentials.key, password=lambda: passphrase
            )
        except FileNotFoundError as error:
            raise MissingError(
                f"{self._credentials.certificate} or {self._credentials.key} is missing.",
                remedy="Put them back from a backup of the node's folder.",
            ) from error
        except (ssl.SSLError, OSError) as error:
            raise DeniedError(
                f"The node key in {self._credentials.key} does not open,"
                f" or does not belong to {self._credentials.certificate}.",
                remedy="Check the passphrase, and that both files are of this node.",
            ) from error
        return context
