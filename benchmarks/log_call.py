"""What one `run.log()` costs the training, while the sender thread is busy with a real server.

Beside it, in the same run and on the same disk, the least that a durable log must do: one os.write of the same line,
ready made. The ratio of the two holds on other machines; the microseconds do not.

    python benchmarks/log_call.py [--calls 20000] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import tracker


def microseconds(call: Callable[[int], object], calls: int) -> list[float]:
    """The time of each call, warm."""
    for step in range(1000):
        call(step)
    times = []
    for step in range(1000, 1000 + calls):
        start = time.perf_counter_ns()
        call(step)
        times.append((time.perf_counter_ns() - start) / 1000)
    return times


def bare_write(folder: Path, calls: int) -> list[float]:
    """The limit: the line is there, and only has to be written."""
    line = b'{"log": {"loss": 0.6931471805599453, "accuracy": 0.8125}, "step": 12345, "at": 1767225600000}\n'
    file = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        return microseconds(lambda step: os.write(file, line), calls)
    finally:
        os.close(file)


def logging(folder: Path, calls: int, url: str) -> list[float]:
    """Two metrics per call, which a server receives meanwhile."""
    with (
        contextlib.redirect_stderr(io.StringIO()),  # that the absent server has not answered
        tracker.init("benchmark", folder=folder, url=url) as run,
    ):
        return microseconds(lambda step: run.log({"loss": 0.6931471805599453, "accuracy": 0.8125}, step), calls)


def main() -> None:
    """Prints one table; with --json, keeps it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--calls", type=int, default=20_000, help="calls that are timed (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "tracker", "serve", "--dir", name, "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            found = re.search(r"http://[^/]+", server.stdout.readline())
            assert found
            measured = {
                "os.write alone": bare_write(folder, options.calls),
                "run.log, server away": logging(folder, options.calls, "http://127.0.0.1:1"),
                "run.log, server busy": logging(folder, options.calls, found[0]),
            }
            server.terminate()

    limit = statistics.median(measured["os.write alone"])
    rows = {
        what: {
            "median us": round(statistics.median(times), 2),
            "p99 us": round(statistics.quantiles(times, n=100)[98], 2),
            "times the limit": round(statistics.median(times) / limit, 2),
        }
        for what, times in measured.items()
    }
    print(f"{'one call, two metrics':24}{'median us':>12}{'p99 us':>12}{'x limit':>12}")
    for what, row in rows.items():
        print(f"{what:24}" + "".join(f"{figure:12}" for figure in row.values()))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
