"""New users: keys and a profile on disk, keys on the chain."""

import pytest

from hansa.chain.transactions import AddUser
from hansa.client import users
from hansa.client.governance import add_user
from hansa.client.keys import Keys
from hansa.client.profile import load_profile
from hansa.client.users import create_user
from hansa.errors import ConflictError, DeniedError, UnavailableError


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


async def test_a_refused_user_leaves_nothing(pair, tmp_path, monkeypatch):
    """A refusal takes the new keys back; while it is not known, they stay for the next try."""
    monkeypatch.setenv("HANSA_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "profiles" / "desk"
    answers = [DeniedError("Not an admin."), UnavailableError("No word."), None]

    async def refuse(*given, **named):
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return await add_user(*given, **named)

    monkeypatch.setattr(users, "add_user", refuse)
    with pytest.raises(DeniedError):
        await create_user(pair.owner, "D", ["reader"], profile_name="desk", passphrase=None)
    assert not folder.exists()
    with pytest.raises(UnavailableError):
        await create_user(pair.owner, "D", ["reader"], profile_name="desk", passphrase=None)
    kept = (folder / "user.key").read_bytes()
    await create_user(pair.owner, "D", ["reader"], profile_name="desk", passphrase=None)
    assert (folder / "user.key").read_bytes() == kept
