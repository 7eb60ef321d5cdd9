"""The tracker on a private, durable PostgreSQL: points by the thousand, and one by one from many clients.

Raw is psycopg with the tracker's own statements, one transaction per batch: the points as arrays (unnest), and through
COPY. All three store the same points in the same server, in turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tracker.server.db import Database
from tracker.server.migrations import migrate
from workbook.labs.postgres import Postgres

from .batches import KEYS, SIZE, columns, prepared, send
from .figure import Figure
from .raw_postgres import Raw, by_copy, by_unnest, raw
from .rounds import Cost, cost, median, take_turns
from .serving import serving
from .singles import crowds

ROUNDS, BATCHES = 5, 50


def measure(folder: Path, quick: bool) -> list[Figure]:
    """Points per second in batches, and what single points cost clients. Raises NoService."""
    with database() as (kept, settings), serving(folder / "server", settings) as server, raw(kept, by_unnest) as limit:
        with raw(kept, by_copy) as copying:
            rounds, batches = (1, 2) if quick else (ROUNDS, BATCHES)
            bodies = [columns(number) for number in range(batches)]
            costs = take_turns(
                "batches, PostgreSQL",
                rounds,
                {
                    "tracker": lambda: send(server, bodies),
                    "unnest": lambda: store(limit, batches),
                    "COPY": lambda: store(copying, batches),
                },
            )
        return figures(costs, SIZE * batches) + crowds(server, limit, "psycopg", quick)


@contextmanager
def database() -> Iterator[tuple[Database, dict[str, str]]]:
    """One with the tracker's tables, and the settings of a server on it. Raises NoService."""
    with Postgres(durable=True) as postgres, closing(Database(postgres.url)) as database:
        migrate(database)
        yield database, {"TRACKER_DATABASE_URL": postgres.url, "TRACKER_AUTH": "open"}


def figures(costs: dict[str, list[Cost]], points: int) -> list[Figure]:
    """The lines of the table, for costs of so many points."""
    rate = {way: median([points / one.wall for one in costs[way]]) for way in costs}
    what = f"batches of {SIZE:,} points, columns, PostgreSQL / psycopg,"
    return [Figure(f"{what} {way}", "points per second", rate["tracker"], rate[way]) for way in ("unnest", "COPY")]


def store(limit: Raw, batches: int) -> Cost:
    """Stores the same batches past the tracker."""
    _, curves = limit.new_run(KEYS)
    ready = prepared(curves, batches)

    def work() -> None:
        for one in ready:
            limit.store(one)

    return cost(work)
