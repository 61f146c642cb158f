"""How long this node waits in a round: twice the longest that it lately had to, within bounds.

Upon a proposal that was waited for: note how long. Upon a quorum for a block after the own vote: note how
long. The genesis' timeouts hold until there is enough to go by, and are never exceeded in round 0; each
further round of a height waits twice as long, until the genesis' growth takes over. So waits grow without
bound (partial synchrony, DLS 1988), and a network that became slower is found out within a few rounds,
whose waits are noted in turn.

Timeouts are each node's own and no part of safety. The longest of the last waits, not a mean with its
deviation (RFC 6298): masters take turns, and one that is far away must not be timed out for being the only
one. A liar that is slow on purpose can make others wait for as long as the genesis says, no longer.
"""

from collections import deque
from collections.abc import Collection

from hansa import limits
from hansa.chain.genesis import Parameters

WINDOWS_KEPT = 4
"""Waits are kept for so many windows of masters: who is far away is met again in each."""
DOUBLINGS_MAX = 32
"""After so many the genesis' growth has taken over, whatever it is."""
WORK_MS = 1
"""For each transaction that waits: on a busy machine its checks may take as long."""
WAITS_MIN = 4
"""With fewer there is too little to go by."""


class Pace:
    """What this node has learned of the network and of its masters."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        count_max = max(WAITS_MIN, WINDOWS_KEPT * parameters.super_nodes)
        self._proposals: deque[int] = deque(maxlen=count_max)
        self._votes: deque[int] = deque(maxlen=count_max)
        self._since: dict[str, int] = {}

    def begin(self, what: str, now_ms: int) -> None:
        """Note that a wait has begun; one that goes on already does not begin anew."""
        self._since.setdefault(what, now_ms)

    def end(self, what: str, now_ms: int) -> None:
        """Note that what was waited for is there; nothing if there was no wait."""
        since = self._since.pop(what, None)
        if since is not None:
            waits = self._proposals if what == "proposal" else self._votes
            waits.append(now_ms - since)

    def forget(self) -> None:
        """End all waits without a result: the round is over."""
        self._since.clear()

    def proposal_timeout(self, round_number: int, work: int = 0) -> int:
        """Return how long to wait for a proposal, in milliseconds.

        Args:
            round_number: from 0.
            work: transactions that wait for the block, as far as this node knows: after quiet times a
                sudden many of them takes longer than what was seen lately.
        """
        parameters, known = self._parameters, tuple(self._proposals)
        if len(known) < WAITS_MIN:
            # Whose own users send little seldom waits for a proposal. A vote goes one way where a
            # transaction and its proposal go there and back.
            known = (*known, *(2 * waited for waited in self._votes))
        longest = parameters.proposal_timeout_ms + round_number * parameters.timeout_growth_ms
        return _bounded(known, work * WORK_MS, round_number, longest)

    def vote_timeout(self, round_number: int) -> int:
        """Return how long to wait for the votes that differ or lack, in milliseconds."""
        parameters = self._parameters
        longest = parameters.vote_timeout_ms + round_number * parameters.timeout_growth_ms
        return _bounded(self._votes, 0, round_number, longest)


def _bounded(waits: Collection[int], more_ms: int, round_number: int, longest_ms: int) -> int:
    if len(waits) < WAITS_MIN:
        return longest_ms
    base = max(2 * max(waits), limits.ROUND_TIMEOUT_MS_MIN) + more_ms
    return min(base << min(round_number, DOUBLINGS_MAX), longest_ms)
