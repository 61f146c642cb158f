"""What the ledger's tests share: blocks to append, and a disk that refuses."""

import errno
import os
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def blocks() -> SimpleNamespace:
    """Give ALLIANCE, make_block, make_transaction and make_writes."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("appending.py"))))


class FlakySync:
    """Counts syncs and refuses from a chosen one on."""

    def __init__(self) -> None:
        self.count = 0
        self.refuse_at = 0
        self.number = errno.EIO

    def __call__(self, descriptor: int) -> None:
        self.count += 1
        if self.refuse_at and self.count >= self.refuse_at:
            raise OSError(self.number, os.strerror(self.number))
        os.fsync(descriptor)


@pytest.fixture
def flaky_sync() -> Callable[[int], None]:
    """Give a sync that counts and can be told to refuse."""
    return FlakySync()
