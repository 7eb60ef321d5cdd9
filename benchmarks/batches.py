"""Points by the thousand: POST /runs/{id}/metrics from one client, point by point (`points`) or in columns (`series`).

A batch is 1,000 points: 100 steps of 10 curves, as a training sends that logs 10 metrics. Raw is one transaction per
batch. The target is for columns: that is what our own client sends. The share counts seconds of the processor, of the
server's process or of ours: on a busy machine the wall clock measures the neighbours.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .figure import Figure, WrongAnswer
from .raw import Batch, Raw, batch, raw
from .rounds import Cost, cost, median, take_turns
from .serving import Connection, Server, serving

ROUNDS, BATCHES = 5, 100
KEYS = [f"train/metric-{number}" for number in range(10)]
STEPS = 100  # of each curve in a batch
SIZE = len(KEYS) * STEPS  # points of a batch
START = 1_767_225_600_000  # ms, UTC: the time of step 0

SHARE = 0.35  # of what the raw driver stores per second of the processor


def measure(folder: Path, quick: bool) -> list[Figure]:
    """Points per second, and per second of the processor."""
    rounds, batches = (1, 2) if quick else (ROUNDS, BATCHES)
    bodies = {form: [encode(number) for number in range(batches)] for form, encode in FORMS.items()}
    with serving(folder / "server") as server, raw(folder / "raw") as limit:
        costs = take_turns(
            "batches",
            rounds,
            {
                "rows": lambda: send(server, bodies["rows"]),
                "raw": lambda: store(limit, batches),
                "columns": lambda: send(server, bodies["columns"]),
                "raw again": lambda: store(limit, batches),
            },
        )
    points = SIZE * batches
    least = costs["raw"] + costs["raw again"]
    return [figure for form in FORMS for figure in figures(form, costs[form], least, points)]


def figures(form: str, ours: list[Cost], least: list[Cost], points: int) -> list[Figure]:
    """The lines of the table for one form, for costs of so many points."""
    what = f"batches of {SIZE:,} points, {form} / sqlite3"
    cpu, raw_cpu = (median([points / cost.cpu for cost in costs]) for costs in (ours, least))
    wall, raw_wall = (median([points / cost.wall for cost in costs]) for costs in (ours, least))
    target, met = (f"at least {SHARE:.0%} of raw", cpu >= SHARE * raw_cpu) if form == "columns" else ("", None)
    return [
        Figure(what, "points per CPU second", cpu, raw_cpu, target, met),
        Figure(what, "points per second", wall, raw_wall),
    ]


def send(server: Server, bodies: list[bytes]) -> Cost:
    """Sends the batches to a new run over one connection, and looks whether they are all there."""
    with server.connection() as connection:
        path = f"/runs/{connection.new_run()}/metrics"
        spent = cost(lambda: [connection.post(path, body) for body in bodies], server.cpu_seconds)
        check(connection, path, len(bodies))
    return spent


def check(connection: Connection, path: str, batches: int) -> None:
    """Whether so many batches are there, and nothing else. Raises WrongAnswer."""
    for key in KEYS:
        curve = connection.read(f"{path}/{key}?max_points=100000")
        if curve["values"] != [value(key, step) for step in range(STEPS * batches)]:
            raise WrongAnswer(f"{path}/{key} is not what was sent")


def store(limit: Raw, batches: int) -> Cost:
    """Stores the same batches past the tracker."""
    _, curves = limit.new_run(KEYS)
    ready = prepared(curves, batches)

    def work() -> None:
        for one in ready:
            limit.store(one)

    return cost(work)


def prepared(curves: Mapping[str, int], batches: int) -> list[Batch]:
    """The batches as rows of the tables, for the ids of their curves."""
    return [
        batch([(curves[key], step, value(key, step), START + step) for key in KEYS for step in steps(number)])
        for number in range(batches)
    ]


def steps(number: int) -> range:
    """Those of a batch."""
    return range(STEPS * number, STEPS * (number + 1))


def value(key: str, step: int) -> float:
    """A number with as many digits as a loss has."""
    return math.exp(-step / 5000) + int(key[-1])


def rows(number: int) -> bytes:
    """A batch point by point, in the order in which a training logs."""
    points = [
        {"key": key, "value": value(key, step), "step": step, "at": START + step}
        for step in steps(number)
        for key in KEYS
    ]
    return json.dumps({"points": points}).encode()


def columns(number: int) -> bytes:
    """A batch as columns, one table per curve."""
    series: dict[str, Any] = {
        key: {
            "steps": list(steps(number)),
            "values": [value(key, step) for step in steps(number)],
            "at": [START + step for step in steps(number)],
        }
        for key in KEYS
    }
    return json.dumps({"series": series}).encode()


FORMS: dict[str, Callable[[int], bytes]] = {"rows": rows, "columns": columns}
