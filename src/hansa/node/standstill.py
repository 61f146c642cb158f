"""Standstill: why there is no new block, in one sentence, with the safe thing to do.

The answer is one node's view. It never proposes to remove data, to vote by hand or to start a second
node with the same key: none of these is safe while others may go on.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from hansa.chain.blocks import quorum_of
from hansa.consensus.progress import Progress
from hansa.types import PublicKey

Cause = Literal[
    "nothing-to-do",
    "no-quorum",
    "not-synced",
    "no-proposal",
    "no-reviews",
    "no-confirms",
    "deciding",
]
"""Stable codes: what the agreement waits for, as this node sees it."""

ROUNDS_CALM = 2
"""A master that is late once or twice is replaced by the next round; more asks for attention."""


@dataclass(frozen=True, slots=True)
class Standstill:
    """Why the next block is not there."""

    cause: Cause
    explanation: str
    remedy: str
    needs_attention: bool
    """Whether it will not pass by itself, or has lasted for several rounds."""


def explain(
    progress: Progress, names: dict[PublicKey, str], reached: AbstractSet[PublicKey]
) -> Standstill:
    """Say what the agreement waits for.

    Args:
        progress: of the height in progress at this node.
        names: organisations by node key.
        reached: node keys that are connected, this node's own among them.
    """
    quorum = quorum_of(len(progress.members))
    away = [key for key in progress.members if key not in reached]
    if len(progress.members) - len(away) < quorum:
        return Standstill(
            "no-quorum",
            f"Only {len(progress.members) - len(away)} of {len(progress.members)} super nodes are"
            f" reached from here and {quorum} are needed. Missing: {_names(away, names)}.",
            "Have those organisations start their nodes, or mend the network between; nothing is"
            " lost meanwhile, and blocks go on by themselves. Do not reset or copy any node.",
            needs_attention=True,
        )
    if not progress.is_synced:
        return Standstill(
            "not-synced",
            "This node is fetching blocks that the others have already; it does not vote until then.",
            "Wait; if its height does not grow, look at its log and its links (`hansa node status`).",
            needs_attention=False,
        )
    if not progress.expects_block:
        return Standstill(
            "nothing-to-do",
            "Nobody has asked for anything: a block is made when there is something to put into it.",
            "Nothing needs to be done.",
            needs_attention=False,
        )
    return _explain_round(progress, names, quorum)


def explain_absence(
    progress: Progress, names: dict[PublicKey, str], reached: AbstractSet[PublicKey]
) -> str:
    """Say whose turns as master others take, since when, until when, and the safe thing to do.

    Blocks do not stop for it, so it is no cause of a standstill; but each such super node is one less
    that may fail.
    """
    told = []
    for item in progress.absent:
        name = names.get(item.super_node, item.super_node.hex())
        since = f"{name} is passed over as master since height {item.since}"
        if item.is_heard:
            told.append(f"{since}; it is recorded again and leads again after height {item.until}.")
            continue
        link = (
            "it is reached from here"
            if item.super_node in reached
            else "it is not reached from here"
        )
        told.append(
            f"{since}, at least to height {item.until}: blocks record no vote of it ({link})."
        )
    if any(not item.is_heard for item in progress.absent):
        told.append(
            "Others stand in and blocks go on. Have its organisation start its node, or mend its links"
            " and clock (`hansa node why` there): it leads again by itself, a window after its first"
            " vote. Do not reset or copy its node."
        )
    return " ".join(told)


def _explain_round(progress: Progress, names: dict[PublicKey, str], quorum: int) -> Standstill:
    """Say what the present round waits for."""
    is_late = progress.round >= ROUNDS_CALM
    master = "unknown" if progress.master is None else _names([progress.master], names)
    silent_reviewers = [key for key in progress.members if key not in progress.reviewed]
    silent_confirmers = [key for key in progress.members if key not in progress.confirmed]
    wait = "Wait: a round without a result is followed by one with another master."
    ask = "Ask the organisations named for their nodes' logs and clocks (`hansa node why` there)."
    remedy = ask if is_late else wait
    if not progress.is_super_node:
        return Standstill(
            "deciding",
            f"The super nodes are agreeing, round {progress.round}; this node is none of them and"
            " sees no votes.",
            "Ask at a super node: `hansa supernode ls` names them.",
            needs_attention=is_late,
        )
    if not progress.has_proposal:
        return Standstill(
            "no-proposal",
            f"The master of round {progress.round}, {master}, has proposed no block yet.",
            remedy,
            needs_attention=is_late,
        )
    if len(progress.reviewed) < quorum:
        return Standstill(
            "no-reviews",
            f"{len(progress.reviewed)} of {quorum} reviews needed are here. Not heard:"
            f" {_names(silent_reviewers, names)}.",
            remedy,
            needs_attention=is_late,
        )
    if len(progress.confirmed) < quorum:
        return Standstill(
            "no-confirms",
            f"{len(progress.confirmed)} of {quorum} confirms needed are here. Not heard:"
            f" {_names(silent_confirmers, names)}.",
            remedy,
            needs_attention=is_late,
        )
    return Standstill(
        "deciding",
        f"A quorum has voted in round {progress.round}: the block, or the next round, is at hand.",
        wait,
        needs_attention=is_late,
    )


def _names(keys: list[PublicKey], names: dict[PublicKey, str]) -> str:
    return ", ".join(sorted(names.get(key, key.hex()) for key in keys)) or "none"
