"""Sync face: `Hansa`, the client for scripts that know nothing of event loops.

with Hansa("transport") as hansa:
    published = hansa.run(lambda client: client.publish(["stops.csv"], title="Bus stops"))
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from hansa.client.client import HansaClient
from hansa.client.profile import Passphrase, Profile, load_profile, passphrase_from_environment
from hansa.system import SystemClock, SystemEntropy, WorkerPool

T = TypeVar("T")


class Hansa:
    """One client with an event loop and threads of its own; use as a context manager."""

    def __init__(
        self,
        profile: str | Profile | None = None,
        *,
        passphrase: Passphrase = passphrase_from_environment,
    ) -> None:
        """Choose who acts: a profile, its name or path, or None for HANSA_PROFILE or the only one.

        Raises:
            MissingError: there is no such profile.
        """
        self._profile = profile if isinstance(profile, Profile) else load_profile(profile)
        self._passphrase = passphrase
        self._stack = ExitStack()
        self._runner: asyncio.Runner | None = None
        self._client: HansaClient | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            runner = stack.enter_context(asyncio.Runner())
            workers = stack.enter_context(WorkerPool())
            client = HansaClient(
                self._profile,
                clock=SystemClock(),
                entropy=SystemEntropy(),
                workers=workers,
                passphrase=self._passphrase,
            )
            runner.run(client.__aenter__())
            stack.callback(lambda: runner.run(client.__aexit__(None, None, None)))
            self._runner, self._client = runner, client
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runner = self._client = None
        self._stack.close()

    def run(self, call: Callable[[HansaClient], Coroutine[Any, Any, T]]) -> T:
        """Run one call of the client to its end and return what it returns."""
        assert self._runner is not None, "use it in a `with` block"
        assert self._client is not None
        return self._runner.run(call(self._client))
