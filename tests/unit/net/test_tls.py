"""Tests of hansa.net.tls; refusals over real links are in test_peers.py."""

import ssl

import pytest

from hansa.errors import InvalidError
from hansa.net.tls import TlsContexts


def test_both_sides_demand_certificates_and_the_newest_tls(make_node):
    """No older version, no link without a certificate, no resumed sessions."""
    one, two = make_node(), make_node()
    contexts = TlsContexts(one.credentials)
    server, client = contexts.server([two.certificate]), contexts.client(two.certificate)
    for context in (server, client):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_3
        assert context.verify_mode == ssl.CERT_REQUIRED
    assert server.num_tickets == 0
    assert client.get_ca_certs(binary_form=True) == [] or len(client.get_ca_certs()) == 1


def test_settings_are_kept_for_members_only(make_node):
    """The same are given again; for one who left they are dropped."""
    one, two = make_node(), make_node()
    contexts = TlsContexts(one.credentials)
    first = contexts.client(two.certificate)
    assert contexts.client(two.certificate) is first
    contexts.keep_only([])
    assert contexts.client(two.certificate) is not first
    assert contexts.server([two.certificate]) is contexts.server([b"garbage"])
    with pytest.raises(InvalidError):
        contexts.client(b"garbage")


def test_credentials_print_without_their_passphrase(make_node):
    """A log of them tells nothing."""
    assert "long enough" not in repr(make_node(passphrase=b"long enough").credentials)
