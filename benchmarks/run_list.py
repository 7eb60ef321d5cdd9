"""The list of 1,000 runs, each with the newest point of its 10 curves: read whole, 200 runs a page, and one page of 50.

Raw is two queries per page, for the same rows of runs and of metrics: a join of both would repeat each run for each of
its curves, and takes twice as long. The pages' cursors are known beforehand, and the answers are not decoded: what is
timed is the tracker, not the one who asks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tracker.server.db import Database, sqlite
from tracker.server.migrations import migrate
from tracker.server.store import experiments, points, runs
from tracker.values import Status

from .figure import Figure, WrongAnswer
from .raw import Raw, raw
from .rounds import median, milliseconds, take_turns
from .serving import Connection, serving

ROUNDS = 11
RUNS = 1000
KEYS = [f"train/metric-{number}" for number in range(10)]
PAGE, SHORT = 200, 50  # rows
START = 1_767_225_600_000  # ms, UTC
TIMES = 5  # as long as raw, at most

RUNS_OF_PAGE = "SELECT * FROM runs WHERE experiment_id = 1 AND id < :below ORDER BY id DESC LIMIT :limit"
METRICS_OF_PAGE = """
SELECT metrics.* FROM metrics JOIN (
    SELECT id FROM runs WHERE experiment_id = 1 AND id < :below ORDER BY id DESC LIMIT :limit
) AS page ON metrics.run_id = page.id
"""


def measure(folder: Path, quick: bool) -> list[Figure]:
    """Milliseconds of the whole list and of a page."""
    rounds, count = (1, SHORT) if quick else (ROUNDS, RUNS)
    database = Database(sqlite(folder / "tracker.db"))
    migrate(database)
    fill(database, count)
    database.close()
    with serving(folder) as server, server.connection() as connection, raw(folder) as limit:
        pages = find_pages(connection, count)
        starts = range(count + 1, 1, -PAGE)  # ids are 1, 2, 3, ...; the newest run comes first

        def read_all() -> float:
            return milliseconds(lambda: [connection.get(page) for page in pages])

        def fetch_all() -> float:
            return milliseconds(lambda: [fetch(limit, below, PAGE) for below in starts])

        whole = take_turns("list of runs", rounds, {"tracker": read_all, "raw": fetch_all})
        page = take_turns(
            "page of runs",
            rounds,
            {
                "tracker": lambda: milliseconds(lambda: connection.get(f"/experiments/1/runs?limit={SHORT}")),
                "raw": lambda: milliseconds(lambda: fetch(limit, count + 1, SHORT)),
            },
        )
    ours, least = median(whole["tracker"]), median(whole["raw"])
    what = f"list of {RUNS:,} runs, {len(KEYS)} curves each / sqlite3"
    return [
        Figure(what, "ms, all", ours, least, f"at most {TIMES} times raw", ours <= TIMES * least),
        Figure(what, f"ms, a page of {SHORT}", median(page["tracker"]), median(page["raw"])),
    ]


def fill(database: Database, count: int) -> None:
    """Makes an experiment with finished runs, of 3 points per curve."""
    with database.write() as session:
        experiments.create_experiment(session, "benchmark", "", START)
        for seed in range(count):
            params = {"lr": 0.1, "momentum": 0.9, "hidden": 32, "batch_size": 32, "seed": seed}
            run, _ = runs.create_run(session, 1, params=params, tags={"by": "benchmark"}, at=START)
            some = [(key, step, 1 / (step + seed + 1), START + step) for key in KEYS for step in range(3)]
            points.add_points(session, run.id, some, at=START)
            runs.change_run(session, run.id, status=Status.FINISHED, at=START)


def find_pages(connection: Connection, count: int) -> list[str]:
    """The address of each page; looks on the way whether every run and every newest point is there."""
    pages: list[str] = []
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        pages.append(f"/experiments/1/runs?limit={PAGE}" + (f"&cursor={cursor}" if cursor else ""))
        page = connection.read(pages[-1])
        found += page["items"]
        cursor = page["next"]
    latest = [{key: entry["value"] for key, entry in run["latest"].items()} for run in found]
    if latest != [dict.fromkeys(KEYS, 1 / (seed + 3)) for seed in reversed(range(count))]:
        raise WrongAnswer("the list does not hold every run with its newest points")
    return pages


def fetch(limit: Raw, below: int, rows: int) -> list[tuple[Any, ...]]:
    """A page past the tracker: the runs with lower ids than this, and their curves."""
    page = {"below": below, "limit": rows}
    return limit.fetch(RUNS_OF_PAGE, page) + limit.fetch(METRICS_OF_PAGE, page)
