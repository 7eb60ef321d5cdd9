"""The command: measures, prints one table and keeps it.

python -m benchmarks [--json FILE] [--quick] [NAME ...]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from workbook.labs.server import NoService

from . import batches, log_call, on_postgres, one_curve, run_list, singles, streams, through_queue
from .figure import Figure, WrongAnswer, kept, table
from .rounds import tell

MEASURED = {
    "log": log_call.measure,
    "batches": batches.measure,
    "singles": singles.measure,
    "list": run_list.measure,
    "curve": one_curve.measure,
    "streams": streams.measure,
    "postgres": on_postgres.measure,
    "queue": through_queue.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 1 for a wrong answer, or where a service is missing, 130 for Ctrl-C; a slow answer is only said to
    be slow."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures the tracker beside the raw driver. Takes four minutes.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(MEASURED)} (default: all)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures in this file")
    parser.add_argument("--quick", action="store_true", help="only try whether it runs; the figures say nothing")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(MEASURED)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(MEASURED)}")
    if options.json and (options.names or options.quick):
        parser.error("--json keeps whole tables only: leave out the names and --quick")

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us, our servers end with us
    try:
        figures = measure(options.names or list(MEASURED), options.quick)
    except WrongAnswer as wrong:
        print(f"wrong answer: {wrong}", file=sys.stderr)
        return 1
    except NoService as missing:
        print(missing, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(table(figures))
    if any(figure.must and not figure.met for figure in figures):
        return 1
    if options.json:
        entry = {"machine": machine(), "figures": kept(figures)}
        options.json.write_text(json.dumps(entry, indent=2) + "\n")
    return 0


def measure(names: Sequence[str], quick: bool) -> list[Figure]:
    """One after the other, each in a folder that is deleted afterwards."""
    figures = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="tracker-benchmark-") as folder:
            figures += MEASURED[name](Path(folder), quick)
    if sys.stderr.isatty():
        tell("")  # the table begins where the progress stood
    return figures


def machine() -> dict[str, str | int | None]:
    """What the absolute figures depend on."""
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


if __name__ == "__main__":
    sys.exit(main())
