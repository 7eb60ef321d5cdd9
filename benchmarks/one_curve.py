"""One curve of 100,000 points in an answer of at most 500 buckets, which must show each of its 11 spikes.

Raw is the tracker's own query for the buckets, whose bounds are given to it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from tracker.server.db import Database, sqlite
from tracker.server.migrations import migrate
from tracker.server.store import experiments, points, runs
from tracker.server.store.curves import BUCKETS
from tracker.values import MAX_POINTS

from .figure import Figure, WrongAnswer
from .raw import raw
from .rounds import median, milliseconds, take_turns
from .serving import serving

ROUNDS = 11
POINTS, SHOWN = 100_000, 500
SPIKES = 11
START = 1_767_225_600_000  # ms, UTC: the time of step 0


def measure(folder: Path, quick: bool) -> list[Figure]:
    """Milliseconds and megabytes of the answer, and how many spikes are in it."""
    rounds, count = (1, 2 * SHOWN) if quick else (ROUNDS, POINTS)
    values = [value(step, count) for step in range(count)]
    database = Database(sqlite(folder / "tracker.db"))
    migrate(database)
    fill(database, values)
    database.close()
    path = f"/runs/1/metrics/loss?max_points={SHOWN}"
    bounds = {"metric_id": 1, "start": 0, "end": count - 1, "width": -(-count // SHOWN)}
    with serving(folder) as server, server.connection() as connection, raw(folder) as limit:
        size, answer = len(connection.get(path)), connection.read(path)
        buckets = limit.fetch(BUCKETS, bounds)
        if list(zip(answer["first"], answer["last"], answer["min"], answer["max"], strict=True)) != [
            (first, last, low, high) for first, last, _, _, low, high in buckets
        ]:
            raise WrongAnswer(f"{path} is not what the database holds")
        times = take_turns(
            "curve",
            rounds,
            {
                "tracker": lambda: milliseconds(lambda: connection.get(path)),
                "raw": lambda: milliseconds(lambda: limit.fetch(BUCKETS, bounds)),
            },
        )
    what = f"curve of {POINTS:,} points in {SHOWN} buckets / sqlite3"
    kept = spikes_kept(answer, values)
    return [
        Figure(what, "ms", median(times["tracker"]), median(times["raw"])),
        Figure(what, "MB", size / 1e6),
        Figure(what, f"spikes of {SPIKES} kept", kept, target="all", met=kept == SPIKES, must=True),
    ]


def fill(database: Database, values: list[float]) -> None:
    """Makes a run with one curve."""
    rows = [("loss", step, value, START + step) for step, value in enumerate(values)]
    with database.write() as session:
        experiment = experiments.create_experiment(session, "benchmark", "", START)
        run, _ = runs.create_run(session, experiment.id, at=START)
        for first in range(0, len(rows), MAX_POINTS):
            points.add_points(session, run.id, rows[first : first + MAX_POINTS], at=START)


def value(step: int, count: int) -> float:
    """Falls smoothly from 1 and stays above 0, but for one point in the middle of each eleventh."""
    part = count // SPIKES
    number, place = divmod(step, part)
    return 100.0 + number if place == part // 2 and number < SPIKES else math.exp(-step / count)


def spikes_kept(answer: dict[str, Any], values: list[float]) -> int:
    """How many of the spikes are the highest value of the bucket in which their step is."""
    spikes = [(step, value) for step, value in enumerate(values) if value >= 100]
    buckets = list(zip(answer["first"], answer["last"], answer["max"], strict=True))
    return sum(any(first <= step <= last and high == spike for first, last, high in buckets) for step, spike in spikes)
