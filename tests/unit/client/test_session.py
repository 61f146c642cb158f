"""A session is a value: what it holds does not change under a running action."""

from dataclasses import FrozenInstanceError

import pytest


async def test_a_session_does_not_change(pair):
    """Actions of one client never see another's keys or node."""
    with pytest.raises(FrozenInstanceError):
        pair.owner.keys = pair.reader.keys
    assert pair.owner.profile.organisation != pair.reader.profile.organisation
