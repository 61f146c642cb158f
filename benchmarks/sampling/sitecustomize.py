"""Samples a process's stacks: on the path of a measured node alone, never of the product.

SIGUSR1 begins, SIGUSR2 ends and writes HANSA_BENCH_SAMPLES. A sample is taken each 2 ms of processor time
that the process used, in the main thread, at the end of the call that was under way; work of other
threads while the main thread waits shows as a wait.
"""

import json
import os
import signal
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY_S = 0.002
TARGET = os.environ.get("HANSA_BENCH_SAMPLES")

_stacks: Counter[tuple[str, ...]] = Counter()


def _sample(_number: int, frame: FrameType | None) -> None:
    stack = []
    while frame is not None:
        name = frame.f_globals.get("__name__", "?")
        stack.append(f"{name}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    _stacks[tuple(stack)] += 1


def _begin(_number: int, _frame: FrameType | None) -> None:
    _stacks.clear()
    signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)


def _end(_number: int, _frame: FrameType | None) -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    rows = [[count, list(stack)] for stack, count in _stacks.most_common()]
    temporary = Path(f"{TARGET}.tmp")
    temporary.write_text(json.dumps(rows))
    temporary.replace(f"{TARGET}")


if TARGET:
    signal.signal(signal.SIGPROF, _sample)
    signal.signal(signal.SIGUSR1, _begin)
    signal.signal(signal.SIGUSR2, _end)
