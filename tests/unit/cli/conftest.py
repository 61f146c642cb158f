"""A client that answers from memory, so that commands are tested without a node."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click.testing
import pytest

from hansa import rest
from hansa.cli import acting
from hansa.cli.acting import Acting
from hansa.cli.main import main

TX = "c0ffee" * 10 + "abcd"
ID = "0a1b2c3d" * 4
KEY = "5e" * 32


class FakeClient:
    """Answers each call by its path or its name, and keeps what was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    async def get(self, path: str, kind: object, query: object = None) -> Any:
        """Answer a GET."""
        self.calls.append((path, (query,), {}))
        return self._answer(path)

    async def post(self, path: str, body: object, kind: object) -> Any:
        """Answer a POST that changes nothing."""
        self.calls.append((path, (body,), {}))
        return self._answer(path)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **named: Any) -> Any:
            self.calls.append((name, args, named))
            return self._answer(name)

        return call

    def _answer(self, name: str) -> Any:
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Desk:
    """Runs commands against a fake client."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.client = FakeClient(self.answers)

    def __call__(self, *words: str | Path) -> click.testing.Result:
        """Run a command to its end."""
        return click.testing.CliRunner().invoke(main, [*map(str, words)])

    def json(self, *words: str | Path) -> Any:
        """Run a command with --json that must succeed; return its document."""
        import json

        done = self(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    """A desk whose profile is health's, with its genesis beside it."""
    made = Desk()
    profile = SimpleNamespace(organisation="health", genesis_file=tmp_path / "genesis.hansa")
    monkeypatch.setenv("HANSA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HANSA_PASSPHRASE", raising=False)
    monkeypatch.delenv("HANSA_PROFILE", raising=False)
    monkeypatch.setattr(Acting, "profile", lambda _self: profile)
    monkeypatch.setattr(Acting, "run", lambda _self, call: asyncio.run(call(made.client)))
    acting.ask_passphrase.cache_clear()
    return made


def committed(height: int = 7) -> rest.TransactionStatus:
    """A write that is in a block."""
    return rest.TransactionStatus(transaction=TX, status="committed", height=height)


def pending() -> rest.TransactionStatus:
    """A write nobody waited for."""
    return rest.TransactionStatus(transaction=TX, status="pending")


def erasure(organisation: str = "safety", recorded_at: int = 8) -> rest.ErasureView:
    """A super node's word that its copy is gone."""
    return rest.ErasureView(
        organisation=organisation, height=7, round=0, outcome="committed", copies=1,
        recorded_at=recorded_at,
    )  # fmt: skip


def detail(**more: Any) -> rest.TransactionDetail:
    """A committed transaction."""
    values: dict[str, Any] = {
        "transaction": TX, "height": 7, "index": 0, "accepted": True, "code": "", "author": KEY,
        "author_name": "Officer", "organisation": "health", "time_ms": 1_000,
        "operations": [{"operation": "Grant", "request": ID, "inner": {"a": 1, "b": ["x"]}}],
        "dataset_ids": [ID], "request_ids": [], "erasures": [erasure()], "not_acknowledged": [],
    }  # fmt: skip
    return rest.TransactionDetail(**(values | more))
