"""Tests of hansa.storage.names."""

import pytest

from hansa.errors import InvalidError
from hansa.storage.names import name_manifest, name_pack, parse_root, validate_name

ROOT = bytes(range(32))


def test_names_follow_roots():
    """Packs and manifests are named by their roots, spread over 256 folders, and read back."""
    assert name_pack(ROOT) == f"packs/00/{ROOT.hex()}"
    assert name_manifest(ROOT) == f"manifests/00/{ROOT.hex()}"
    assert parse_root(name_pack(ROOT)) == ROOT
    validate_name(name_pack(ROOT))


@pytest.mark.parametrize("name", ["packs/00/xy", "packs/00/00", f"packs/00/{'AB' * 32}", ""])
def test_other_names_hold_no_root(name):
    """What is no root is told so."""
    assert parse_root(name) is None


@pytest.mark.parametrize("name", ["..", "a/../../b", "/etc", "a\n"])
def test_escapes_are_refused(name):
    """No name leaves the store's folder."""
    with pytest.raises(InvalidError):
        validate_name(name)
