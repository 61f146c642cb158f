"""Tests of node.api.services."""

from hansa.errors import UnavailableError


async def test_state_is_the_newest(live) -> None:
    """Handlers see the state of the last durable block, and no key is printed."""
    before = live.services.state()
    done = await live.submit()
    assert live.services.state().height >= done.height > before.height
    assert live.services.directory_key.hex() not in repr(live.services)
    assert repr(live.services.directory_key) not in repr(live.services)
    assert UnavailableError.retryable
