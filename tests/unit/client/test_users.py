"""New users: keys and a profile on disk, keys on the chain."""

import pytest

from hansa.chain.transactions import AddUser
from hansa.client.keys import Keys
from hansa.client.profile import load_profile
from hansa.client.users import create_user
from hansa.errors import ConflictError


async def test_a_user_can_act_at_once(pair, tmp_path, monkeypatch):
    """The profile's keys are those on the chain; readers get no organisation secrets."""
    monkeypatch.setenv("HANSA_HOME", str(tmp_path / "home"))
    added = await create_user(
        pair.owner, "Desk", ["reader"], profile_name="desk", passphrase=b"correct horse"
    )
    profile = load_profile("desk")
    operation = pair.city.operations[-1]
    keys = Keys(profile, lambda: b"correct horse")
    assert isinstance(operation, AddUser)
    assert (operation.key, operation.encryption_key) == (
        keys.signing.public,
        keys.decryption.public,
    )
    assert (added.key, added.status.status) == (operation.key.hex(), "committed")
    assert profile.organisation_secrets is None
    with pytest.raises(ConflictError):
        await create_user(pair.owner, "D", ["reader"], profile_name="desk", passphrase=None)
    await create_user(pair.owner, "P", ["publisher"], profile_name="p", passphrase=None)
    assert load_profile("p").organisation_secrets == pair.owner.profile.organisation_secrets
