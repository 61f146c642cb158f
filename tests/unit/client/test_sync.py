"""The sync face: one client, opened and closed, without an event loop of the caller's."""

import pytest

from hansa.client.sync import Hansa
from hansa.errors import MissingError


@pytest.fixture(name="profile")
async def _profile(pair):
    return pair.owner.profile


def test_calls_run_to_their_end(profile):
    """Within the block it works, any number of times."""

    async def name(client):
        return client.profile.name

    with Hansa(profile) as hansa:
        assert hansa.run(name) == hansa.run(name) == "health"
    with pytest.raises(AssertionError):
        hansa.run(name)


def test_a_missing_profile_is_told(tmp_path, monkeypatch):
    """Before anything is opened."""
    monkeypatch.setenv("HANSA_HOME", str(tmp_path))
    with pytest.raises(MissingError):
        Hansa("nobody")
