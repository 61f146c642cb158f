"""Keys: made once, loaded when needed, masked."""

from dataclasses import replace

import pytest

from hansa.client.keys import Keys, create_organisation_secrets, load_organisation_secrets
from hansa.errors import ConflictError, DeniedError
from hansa.keyfile import create_key_file

from .conftest import CountedEntropy


def test_secrets_come_back_and_are_never_replaced(tmp_path):
    """What was made is loaded; a second making leaves the first alone."""
    folder = tmp_path / "organisation"
    made = create_organisation_secrets(folder, CountedEntropy(), None)
    assert made == load_organisation_secrets(folder, lambda: None)
    assert len({made.dedup, made.publishing, made.directory}) == 3
    with pytest.raises(ConflictError):
        create_organisation_secrets(folder, CountedEntropy(b"x"), None)
    assert made == load_organisation_secrets(folder, lambda: None)


def test_nothing_prints_a_secret(pair):
    """Key holders print masked."""
    keys = pair.owner.keys
    assert repr(keys.secrets) == "OrganisationSecrets(…)"
    assert repr(keys) == "Keys('health')"
    assert keys.secrets.dedup.hex() not in repr(keys.dedup)


def test_a_reader_has_no_organisation_secrets(pair):
    """The message says whom to ask."""
    keys = Keys(replace(pair.owner.profile, organisation_secrets=None), lambda: None)
    assert keys.signing.public == pair.members[0].user.public
    assert keys.decryption.public == pair.members[0].encryption.public
    with pytest.raises(DeniedError, match="ask an admin"):
        _ = keys.secrets


def test_the_passphrase_is_asked_once(pair, tmp_path):
    """However many files it protects; wrong and missing ones are refused."""
    member, word = pair.members[0], b"correct horse"
    for name, kind, seed in (
        ("u", "signing", member.user.seed()),
        ("e", "decryption", member.encryption.seed()),
    ):
        create_key_file(tmp_path / name, kind, seed, word)
    profile = replace(pair.owner.profile, user_key=tmp_path / "u", encryption_key=tmp_path / "e")
    asked = []

    def ask():
        asked.append(1)
        return word

    keys = Keys(profile, ask)
    assert (keys.signing.public, keys.decryption.public) == (
        member.user.public,
        member.encryption.public,
    )
    assert len(asked) == 1
    for wrong in (None, b"wrong horse"):
        with pytest.raises(DeniedError):
            _ = Keys(profile, lambda wrong=wrong: wrong).signing
