"""What it takes to find the best loss in a spool of a million lines, as Python's own memory at its peak.

list          the points of all lines are made first: [(step, loss) for ...]
generator     one by one: ((step, loss) for ...), so that a single line is in memory

python benchmarks/one_pass.py [--lines 1000000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

START = 1_767_225_600_000  # a time, in ms: as many digits as a real one
Point = tuple[int, float]


def write(file: Path, lines: int) -> None:
    """A spool of a run that has logged so often."""
    with file.open("w") as spool:
        for step in range(lines):
            spool.write(f'{{"log": {{"loss": {1 / (step + 1)}}}, "step": {step}, "at": {START + step}}}\n')


def points(file: Path) -> Iterator[Point]:
    """Step and loss of each line."""
    with file.open() as lines:
        for line in lines:
            entry = json.loads(line)
            yield entry["step"], entry["log"]["loss"]


def peak(find: Callable[[], Point]) -> tuple[Point, float]:
    """What was found, and the most MB that Python held meanwhile."""
    tracemalloc.start()
    found = find()
    most = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return found, most


def main() -> None:
    """Prints one table; with --json, keeps it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, default=1_000_000, help="of the spool (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.jsonl"
        write(file, options.lines)

        def best(found: Iterator[Point] | list[Point]) -> Point:
            return min(found, key=lambda point: point[1])

        measured = {"list": peak(lambda: best(list(points(file)))), "generator": peak(lambda: best(points(file)))}
        size = file.stat().st_size / 1e6
    kept: dict[str, Any] = {"lines": options.lines}
    for way, (found, most) in measured.items():
        assert found[0] == options.lines - 1, f"{way}: the lowest loss is in the last line"
        kept[way] = {"MB": round(most, 1), "kB": round(1000 * most)}
        print(f"{way:12}{most:10.2f} MB of memory, for a file of {size:.1f} MB")
    if options.json:
        options.json.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
