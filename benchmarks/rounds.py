"""Rounds: the ways that are compared take turns (A B A B), so that a machine that slows down slows them all.

A cost is in seconds, of the wall clock and of the processor (user and system) of the process that did the work.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")
TICK = 0.01  # s: the step of the kernel's clock for another process; work may be done between two of them


@dataclass(frozen=True)
class Cost:
    """What some work took."""

    wall: float
    cpu: float


def cost(work: Callable[[], object], cpu_seconds: Callable[[], float] = time.process_time) -> Cost:
    """What the work takes; `cpu_seconds` reads the clock of another process when that one does it."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    work()
    return Cost(wall=time.perf_counter() - wall, cpu=cpu_seconds() - cpu or TICK)


def take_turns(
    title: str, rounds: int, ways: Mapping[str, Callable[[], Result]], *, warm_up: bool = True
) -> dict[str, list[Result]]:
    """What each way returned in each round, after one round that does not count. Says on stderr how far it is."""
    results: dict[str, list[Result]] = {name: [] for name in ways}
    for number in range(0 if warm_up else 1, rounds + 1):
        tell(f"{title}: round {number} of {rounds}" if number else f"{title}: warming up")
        for name, way in ways.items():
            result = way()
            if number:
                results[name].append(result)
    return results


def tell(text: str) -> None:
    """Shows what is going on: one line that changes on a terminal, a line each elsewhere."""
    start, end = ("\r\x1b[K", "") if sys.stderr.isatty() else ("", "\n")
    print(f"{start}{text}", end=end, file=sys.stderr, flush=True)


def milliseconds(work: Callable[[], object]) -> float:
    """The wall time of the work."""
    return 1000 * cost(work).wall


def median(numbers: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(numbers)


def p99(numbers: Sequence[float]) -> float:
    """The smallest that 99 of 100 do not exceed."""
    return sorted(numbers)[math.ceil(0.99 * len(numbers)) - 1]
