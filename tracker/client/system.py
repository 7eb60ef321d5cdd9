"""What the machine does while it trains: a sample every so many seconds, logged like any other metric.

    system/cpu               processors in use by this process: 1.0 is one of them, all the time
    system/memory            bytes that this process has in memory now (not on macOS, which does not say)
    system/gpu<n>/busy       share of the time in which the graphics card computes something, 0 to 1
    system/gpu<n>/memory     bytes of its memory in use, by whomever

A sample has the step at which the training is, so that it stands beside the loss of that step.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

STATM = Path("/proc/self/statm")  # Linux: sizes in pages; the second is what is in memory
QUERY = ("--query-gpu=index,utilization.gpu,memory.used", "--format=csv,noheader,nounits")
MIB = 1 << 20


class Sampler:
    """The thread that samples; `log` is given the metrics of each sample."""

    def __init__(self, log: Callable[[Mapping[str, float]], object], seconds: float) -> None:
        """Raises ValueError for a pause that is none."""
        if not seconds > 0:
            raise ValueError(f"the pause between two samples of the system is some seconds, not {seconds}")
        self._log, self._seconds = log, seconds
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="tracker system", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Ends the thread, without waiting for it: this may be called by a signal's handler that it waits for."""
        self._ending.set()

    def _sample(self) -> None:
        busy, clock = time.process_time(), time.monotonic()
        while not self._ending.wait(self._seconds):
            busy_now, clock_now = time.process_time(), time.monotonic()
            cpu = (busy_now - busy) / (clock_now - clock)
            busy, clock = busy_now, clock_now
            self._log({"system/cpu": cpu} | memory() | gpus())


def memory() -> dict[str, float]:
    """What this process has in memory; nothing where the system does not say."""
    try:
        pages = int(STATM.read_text().split()[1])
    except OSError:
        return {}
    return {"system/memory": pages * os.sysconf("SC_PAGE_SIZE")}


def gpus() -> dict[str, float]:
    """What NVIDIA's own program says of each card; nothing where it is not there, or has nothing to say."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    try:
        ran = subprocess.run([program, *QUERY], capture_output=True, text=True, timeout=5, check=True)
        rows = [[float(cell) for cell in line.split(",")] for line in ran.stdout.splitlines()]
        return {
            key: value
            for number, busy, used in rows
            for key, value in (
                (f"system/gpu{number:.0f}/busy", busy / 100),
                (f"system/gpu{number:.0f}/memory", used * MIB),
            )
        }
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
