"""The REST contract: the table at its head is what a node serves."""

import re

from hansa import rest
from hansa.node.api import (
    blocks,
    datasets,
    public,
    questions,
    reads,
    requests,
    status,
    store,
    transactions,
)


def test_every_promised_path_is_served() -> None:
    """Each path of the contract's table is one of the application's routes."""
    table = set(
        re.findall(r"^    (?:GET|POST|PUT) +(/\S+?)(?:\?\S*)? ", rest.__doc__ or "", re.MULTILINE)
    )
    assert len(table) > 25
    rooms = [public, status, transactions, blocks, datasets, reads, questions, store, requests]
    served = set()
    for room in rooms:
        prefix = "" if room is public else "/v1"
        served |= {prefix + path for handler in room.HANDLERS for path in handler.paths}
    plain = {re.sub(r"\{[^}]*\}", "{}", path) for path in served}
    assert {re.sub(r"\{[^}]*\}", "{}", path) for path in table} <= plain
