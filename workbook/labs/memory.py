"""What some work takes in memory, as the operating system counts it.

A copy of this process (a fork) does the work, so nothing that was freed before disturbs the count, and nothing slows
the work down, as it would if Python traced each of its allocations.
"""

from __future__ import annotations

import os
import resource
import sys
import warnings
from collections.abc import Callable

UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in which the system counts


def growth(work: Callable[[], object]) -> float:
    """The megabytes by which a copy of this process grew at most. Raises RuntimeError when the work failed."""
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that hold locks: the copy only computes
        child = os.fork()
    if child == 0:
        try:
            before = _most()
            work()
            os.write(theirs, str(_most() - before).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as said:
        grown = said.read()
    os.waitpid(child, 0)
    if not grown:
        raise RuntimeError("the work failed in its own process; call it here to see why")
    return int(grown) * UNIT / 1e6


def _most() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
