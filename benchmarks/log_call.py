"""What one `run.log()` of two metrics costs the training, while its thread is busy sending to a real server.

Beside it, on the same disk, the least that a durable log must do: one os.write of the same line, ready made.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tracker

from .figure import Figure
from .rounds import median, p99, take_turns, tell
from .serving import serving

ROUNDS, CALLS = 10, 2_000  # so many calls are over before the thread has sent what was logged meanwhile
BUSY = 0.4  # s of logging before: the thread looks at the spool every 0.2 s, and then has seconds of work
VALUES = {"loss": 0.6931471805599453, "accuracy": 0.8125}
LINE = b'{"log": {"loss": 0.6931471805599453, "accuracy": 0.8125}, "step": 12345, "at": 1767225600000}\n'


def measure(folder: Path, quick: bool) -> list[Figure]:
    """Microseconds of a call."""
    rounds, calls, busy = (1, 10, 0.0) if quick else (ROUNDS, CALLS, BUSY)
    with (
        serving(folder / "server") as server,
        opened(folder / "bare") as bare,
        tracker.init("benchmark", folder=folder / "client", url=server.url) as run,
    ):
        steps = itertools.count()
        until = time.monotonic() + busy
        while time.monotonic() < until:
            run.log(VALUES, next(steps))
        times = take_turns(
            "log()",
            rounds,
            {
                "tracker": lambda: microseconds(lambda: run.log(VALUES, next(steps)), calls),
                "raw": lambda: microseconds(lambda: os.write(bare, LINE), calls),
            },
        )
        tell("log(): sending the rest")
    ours, least = (list(itertools.chain(*times[way])) for way in ("tracker", "raw"))
    what = "run.log() of two metrics / os.write"
    return [
        Figure(what, "us, median", median(ours), median(least), "at most 5", median(ours) <= 5),
        Figure(what, "us, p99", p99(ours), p99(least)),
    ]


def microseconds(call: Callable[[], object], calls: int) -> list[float]:
    """The time of each call."""
    times = []
    for _ in range(calls):
        start = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - start) / 1000)
    return times


@contextmanager
def opened(file: Path) -> Iterator[int]:
    """The descriptor of a file to append to, opened as the tracker opens its spool."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
